#include "rounding.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

float rounding_f16_to_f32(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 0x1fu;
    const uint32_t mantissa = half & 0x3ffu;

    if (exponent == 0x1f) {
        return float_of(sign | 0x7f800000u | mantissa << 13);
    }
    if (exponent == 0) {
        const float magnitude = (float)mantissa * 0x1p-24f;

        return sign ? -magnitude : magnitude;
    }
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

float rounding_bf16_to_f32(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t rounding_f32_to_f16(float value)
{
    const uint32_t bits = bits_of(value);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u);
    }
    if (magnitude >= 0x477ff000u) { /* 65520, half way to 2^16: rounds to infinity */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14: a multiple of 2^-24 */
        /* Adding 2^-1 puts the unit in the last place of the sum at 2^-24, so the addition
         * itself rounds to nearest even. */
        const uint32_t sum = bits_of(float_of(magnitude) + 0.5f);

        return (uint16_t)(sign | (sum - bits_of(0.5f)));
    }
    const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);

    return (uint16_t)(sign | ((rounded - (112u << 23)) >> 13));
}

uint16_t rounding_f32_to_bf16(float value)
{
    const uint32_t bits = bits_of(value);

    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

float rounding_through(vsa_dtype dtype, float value)
{
    if (dtype == VSA_DTYPE_F16) {
        return rounding_f16_to_f32(rounding_f32_to_f16(value));
    }
    if (dtype == VSA_DTYPE_BF16) {
        return rounding_bf16_to_f32(rounding_f32_to_bf16(value));
    }
    return value;
}

enum { BLOCK = 32 };

/* ggml's quantize_row_q8_0_ref and quantize_row_q4_0_ref, and back. */
static void round_block(vsa_dtype dtype, float *values)
{
    const bool has_4_bits = dtype == VSA_DTYPE_Q4_0;
    float extreme = 0.0f; /* the value of largest magnitude */

    for (int i = 0; i < BLOCK; i++) {
        extreme = fabsf(values[i]) > fabsf(extreme) ? values[i] : extreme;
    }
    if (fabsf(extreme) < 0x1p-100f) {
        extreme = 0.0f; /* as vsa.h says */
    }
    const float step = has_4_bits ? extreme / -8.0f : fabsf(extreme) / 127.0f;
    const float inverse = step != 0.0f ? 1.0f / step : 0.0f;
    const float kept = rounding_through(VSA_DTYPE_F16, step);

    for (int i = 0; i < BLOCK; i++) {
        /* Volatile, so that no compiler contracts the product into the sum. */
        const volatile float scaled = values[i] * inverse;
        const float shifted = scaled + 8.5f;
        const float code = has_4_bits ? fminf(floorf(shifted), 15.0f) - 8.0f : roundf(scaled);

        values[i] = code * kept;
    }
}

void rounding_row(vsa_dtype dtype, float *values, uint32_t count)
{
    if (dtype == VSA_DTYPE_Q8_0 || dtype == VSA_DTYPE_Q4_0) {
        for (uint32_t i = 0; i + BLOCK <= count; i += BLOCK) {
            round_block(dtype, values + i);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = rounding_through(dtype, values[i]);
    }
}
