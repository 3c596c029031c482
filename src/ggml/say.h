/* Sentences to ggml's log. */
#ifndef VSAI_GGML_SAY_H
#define VSAI_GGML_SAY_H

#include "vsa.h"

#include <ggml.h>

/* "vsa: SENTENCE" and a newline; at most 1,000 bytes. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void vsai_ggml_say(enum ggml_log_level level, const char *format, ...);

/* For vsa_log::write. */
void vsai_ggml_say_vsa(void *user, vsa_log_level level, const char *message);

#endif
