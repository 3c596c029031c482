/*
 * parse.h - numbers from text, strictly: the whole text or nothing, no blanks, no hexadecimal, no
 * "inf" or "nan".
 */
#ifndef VSA_TOOL_PARSE_H
#define VSA_TOOL_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits only. */
bool parse_count(const char *text, uint64_t *out_value);

/* Finite decimal number, optional sign and exponent. */
bool parse_real(const char *text, double *out_value);

#endif
