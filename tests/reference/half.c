/* f16 and bf16, rounding to nearest even. */
#include "reference.h"

#include <math.h>
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

/* Adding 0x7fff plus the last kept bit carries exactly when nearest even rounds up. */
uint16_t ref_bf16_from_f32(float value)
{
    uint32_t bits = bits_of(value);
    if (isnan(value)) {
        return (uint16_t)((bits >> 16) | 0x40);
    }
    bits += 0x7fff + ((bits >> 16) & 1);
    return (uint16_t)(bits >> 16);
}

float ref_f32_from_bf16(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

/* Values are scaled to units of the last place and rounded by nearbyint (nearest even). */
uint16_t ref_f16_from_f32(float value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs((double)value);
    if (isnan(value)) {
        return sign | 0x7e00;
    }
    if (magnitude >= 65520.0) {   /* half way between the largest f16 and 2^16 */
        return sign | 0x7c00;
    }
    if (magnitude < 0x1p-14) {    /* subnormal, units of 2^-24; 1024 is the smallest normal */
        return (uint16_t)(sign | (uint16_t)nearbyint(magnitude * 0x1p24));
    }
    int exponent;
    double fraction = frexp(magnitude, &exponent);              /* [0.5, 1) */
    uint32_t mantissa = (uint32_t)nearbyint(fraction * 2048);   /* [1024, 2048] */
    /* A carry to 2048 moves on into the exponent by itself. */
    return (uint16_t)(sign | (uint16_t)(((uint32_t)(exponent + 13) << 10) + mantissa));
}

float ref_f32_from_f16(uint16_t bits)
{
    double sign = bits & 0x8000 ? -1.0 : 1.0;
    int exponent = (bits >> 10) & 31;
    int mantissa = bits & 1023;
    if (exponent == 31) {
        return mantissa ? (float)NAN : (float)(sign * INFINITY);
    }
    if (exponent == 0) {
        return (float)(sign * ldexp(mantissa, -24));
    }
    return (float)(sign * ldexp(1024 + mantissa, exponent - 25));
}

float ref_round(vsa_dtype dtype, float value)
{
    switch (dtype) {
    case VSA_DTYPE_F16:
        return ref_f32_from_f16(ref_f16_from_f32(value));
    case VSA_DTYPE_BF16:
        return ref_f32_from_bf16(ref_bf16_from_f32(value));
    default:
        return value;
    }
}

void ref_round_array(vsa_dtype dtype, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = ref_round(dtype, values[i]);
    }
}

size_t ref_store(vsa_dtype dtype, float value, void *destination)
{
    uint16_t half;
    switch (dtype) {
    case VSA_DTYPE_F16:
        half = ref_f16_from_f32(value);
        break;
    case VSA_DTYPE_BF16:
        half = ref_bf16_from_f32(value);
        break;
    default:
        memcpy(destination, &value, sizeof value);
        return sizeof value;
    }
    memcpy(destination, &half, sizeof half);
    return sizeof half;
}
