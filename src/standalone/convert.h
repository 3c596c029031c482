/* f32 to f16 and bf16, rounded to nearest even, and back. */
#ifndef VSAI_CONVERT_H
#define VSAI_CONVERT_H

#include <stddef.h>
#include <stdint.h>

void vsai_f16_from_f32(uint16_t *to, const float *from, size_t count);
void vsai_bf16_from_f32(uint16_t *to, const float *from, size_t count);
void vsai_f32_from_f16(float *to, const uint16_t *from, size_t count);
void vsai_f32_from_bf16(float *to, const uint16_t *from, size_t count);

#endif
