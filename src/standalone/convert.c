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
