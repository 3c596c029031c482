/*
 * text.h - filler for recall tasks: sentences of plain English, made from a seed. Pure.
 */
#ifndef VSA_LLAMA_TEXT_H
#define VSA_LLAMA_TEXT_H

#include "reference.h"

#define TEXT_MAX_SENTENCE 256   /* bytes, with the terminating 0 */

/* One sentence: begins with a capital, ends with a full stop, holds neither digits nor newlines. */
void text_sentence(ref_random *random, char out[TEXT_MAX_SENTENCE]);

#endif
