/*
 * synthetic.h - generated tensors whose logits have a chosen distribution.
 */
#ifndef VSA_TOOL_SYNTHETIC_H
#define VSA_TOOL_SYNTHETIC_H

#include "trace.h"

/* From a specification such as "gaussian:tokens=4096,std=1": EXIT_DONE, or EXIT_BAD_INPUT after
 * one line on standard error that names the key, its value and its range. The same specification
 * gives the same tensors everywhere, up to the rounding of the C library's log, sqrt and cos. */
int synthetic_make(const char *specification, trace *out_trace);

/* Kinds and keys, on standard output. */
void synthetic_help(void);

#endif
