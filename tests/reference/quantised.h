/*
 * quantised.h - rows of K and V in any storage type, Q8_0 and Q4_0 among them.
 *
 * The quantizer is ggml's reference (quantize_row_q8_0_ref, quantize_row_q4_0_ref), in arithmetic
 * of its own: double precision, rounded to f32 where ggml has an f32. Where ggml leaves the bits to
 * the machine, vsa.h says what they are: a block whose values are all below 2^-100 is stored as
 * zeros, a block with an infinity or NaN as a scale of NaN and codes of 0.
 */
#ifndef VSA_REFERENCE_QUANTISED_H
#define VSA_REFERENCE_QUANTISED_H

#include "reference.h"

#define REF_QUANT_BLOCK 32

int ref_is_quantised(vsa_dtype dtype);

/* Blocks of 32 values; `count` is a multiple of 32. */
void ref_quantise(vsa_dtype dtype, const float *values, size_t count, void *blocks);
void ref_dequantise(vsa_dtype dtype, const void *blocks, size_t count, float *values);

/* For every vsa_dtype. The values after a round trip through storage: */
void ref_round_row(vsa_dtype dtype, float *values, size_t count);
/* Stores them; returns their bytes. */
size_t ref_store_row(vsa_dtype dtype, const float *values, size_t count, void *destination);

/* 32 values that are hard to quantise: ties and their neighbours, zeros, equal values, extremes of
 * both signs, the smallest and largest numbers, infinities and NaN. kind < REF_AWKWARD_KINDS. */
#define REF_AWKWARD_KINDS 14
void ref_awkward_block(ref_random *random, uint32_t kind, float *values);

#endif
