/*
 * rounding.h - f16 and bf16 values, and rounding f32 to what a KV cache of a given type keeps.
 */
#ifndef VSA_TOOL_ROUNDING_H
#define VSA_TOOL_ROUNDING_H

#include <stdint.h>

#include "vsa.h"

float rounding_f16_to_f32(uint16_t bits);
float rounding_bf16_to_f32(uint16_t bits);

/* Nearest, ties to even; overflow gives infinity. */
uint16_t rounding_f32_to_f16(float value);
uint16_t rounding_f32_to_bf16(float value);

/* The value after a trip through `dtype`. F32, F16 and BF16; other types return the value. */
float rounding_through(vsa_dtype dtype, float value);

/* The same for the channels of a row, of every type: Q8_0 and Q4_0 by blocks of 32, `count` a multiple
 * of that. Finite values. */
void rounding_row(vsa_dtype dtype, float *values, uint32_t count);

#endif
