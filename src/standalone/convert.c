#include "convert.h"

#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* IEEE 754: overflow to infinity from 65520 on, subnormals kept, NaN stays NaN. */
static uint16_t f16_from_f32(float value)
{
    const uint32_t bits = bits_of(value);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude >= 0x47800000u) {          /* 2^16 and above */
        half = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    } else if (magnitude < 0x38800000u) {    /* below 2^-14: adding 0.5 rounds to 2^-24 */
        half = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
    } else {
        half = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    }
    return (uint16_t)(sign | half);
}

static uint16_t bf16_from_f32(float value)
{
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);   /* a NaN must not round to infinity */
    }
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static float f32_from_f16(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) {
        return float_of(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    }
    if (magnitude < 0x400u) {
        return float_of(sign | bits_of((float)magnitude * 0x1p-24f));
    }
    return float_of(sign | ((magnitude << 13) + 0x38000000u));
}

void vsai_f16_from_f32(uint16_t *to, const float *from, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        to[i] = f16_from_f32(from[i]);
    }
}

void vsai_bf16_from_f32(uint16_t *to, const float *from, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        to[i] = bf16_from_f32(from[i]);
    }
}

void vsai_f32_from_f16(float *to, const uint16_t *from, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        to[i] = f32_from_f16(from[i]);
    }
}

void vsai_f32_from_bf16(float *to, const uint16_t *from, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        to[i] = float_of((uint32_t)from[i] << 16);
    }
}

enum { QUANT_BLOCK = 32 };

/* A block's value of largest magnitude, the first of them: NaN or an infinity when there is one, 0
 * when all are below 2^-100. */
static float extreme_of(const float *from)
{
    uint32_t extreme = 0;
    for (int i = 0; i < QUANT_BLOCK; ++i) {
        const uint32_t bits = bits_of(from[i]);
        if ((bits & 0x7fffffffu) > (extreme & 0x7fffffffu)) {
            extreme = bits;
        }
    }
    return (extreme & 0x7fffffffu) < 0x0d800000u ? 0.0f : float_of(extreme);
}

static uint8_t *put_scale(uint8_t *to, uint16_t scale)
{
    *to++ = (uint8_t)scale;
    *to++ = (uint8_t)(scale >> 8);
    return to;
}

#define NOT_FINITE 0x7e00u   /* f16 NaN */

/* The product rounded to f32: volatile keeps compilers from contracting it into the sums below. */
static float scale_by(float value, float inverse)
{
    volatile float scaled = inverse != 0.0f ? value * inverse : 0.0f;
    return scaled;
}

/* Nearest, ties away from zero. */
static uint8_t code8(float scaled)
{
    const float magnitude = scaled < 0.0f ? -scaled : scaled;
    int code = (int)magnitude;
    code += magnitude - (float)code >= 0.5f;
    return (uint8_t)(scaled < 0.0f ? -code : code);
}

static uint8_t code4(float scaled)
{
    const volatile float shifted = scaled + 8.5f;   /* in f32 wherever float is evaluated wider */
    const int code = (int)shifted;
    return (uint8_t)(code < 15 ? code : 15);
}

void vsai_q8_0_from_f32(void *to, const float *from, size_t count)
{
    uint8_t *at = to;
    for (const float *const end = from + count; from < end; from += QUANT_BLOCK) {
        const float extreme = extreme_of(from);
        const int finite = (bits_of(extreme) & 0x7f800000u) != 0x7f800000u;
        const volatile float step =
            finite ? float_of(bits_of(extreme) & 0x7fffffffu) / 127.0f : 0.0f;
        const float inverse = step != 0.0f ? 1.0f / step : 0.0f;
        at = put_scale(at, finite ? f16_from_f32(step) : NOT_FINITE);
        for (int i = 0; i < QUANT_BLOCK; ++i) {
            *at++ = code8(scale_by(from[i], inverse));
        }
    }
}

void vsai_q4_0_from_f32(void *to, const float *from, size_t count)
{
    uint8_t *at = to;
    for (const float *const end = from + count; from < end; from += QUANT_BLOCK) {
        const float extreme = extreme_of(from);
        const int finite = (bits_of(extreme) & 0x7f800000u) != 0x7f800000u;
        const float step = finite ? extreme / -8.0f : 0.0f;
        const float inverse = step != 0.0f ? 1.0f / step : 0.0f;
        at = put_scale(at, finite ? f16_from_f32(step) : NOT_FINITE);
        for (int i = 0; i < QUANT_BLOCK / 2; ++i) {
            const uint8_t low = code4(scale_by(from[i], inverse));
            const uint8_t high = code4(scale_by(from[i + QUANT_BLOCK / 2], inverse));
            *at++ = (uint8_t)(low | high << 4);
        }
    }
}
