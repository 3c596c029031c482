/* f32 to f16 and bf16, rounded to nearest even, and back; f32 to Q8_0 and Q4_0. */
#ifndef VSAI_CONVERT_H
#define VSAI_CONVERT_H

#include <stddef.h>
#include <stdint.h>

void vsai_f16_from_f32(uint16_t *to, const float *from, size_t count);
void vsai_bf16_from_f32(uint16_t *to, const float *from, size_t count);
void vsai_f32_from_f16(float *to, const uint16_t *from, size_t count);
void vsai_f32_from_bf16(float *to, const uint16_t *from, size_t count);

/* `count` is a multiple of 32; `to` takes vsa_dtype_row_size bytes. The bits are those of ggml's
 * reference quantizer; where that leaves them open, those that vsa.h says. */
void vsai_q8_0_from_f32(void *to, const float *from, size_t count);
void vsai_q4_0_from_f32(void *to, const float *from, size_t count);

#endif
