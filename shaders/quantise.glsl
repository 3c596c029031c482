// f32 to the codes of Q8_0 and Q4_0, with the bits of ggml's reference quantizer: both divisions
// correctly rounded, no product contracted into a sum. What that leaves open is in vsa.h at
// vsa_dtype.
#ifndef QUANTISE_GLSL
#define QUANTISE_GLSL
#include "common.glsl"
#include "pack.glsl"

// a / b rounded to nearest, which Vulkan's division is not: long division of the mantissas, a bit
// a step. Both are positive and normal, and so is the result.
float divide(float a, float b)
{
    uint rest = (floatBitsToUint(a) & 0x7fffffu) | 0x800000u;
    uint divisor = (floatBitsToUint(b) & 0x7fffffu) | 0x800000u;
    uint exponent = (floatBitsToUint(a) >> 23) + 127u - (floatBitsToUint(b) >> 23);
    if (rest < divisor) {
        rest <<= 1;
        exponent--;
    }
    uint quotient = 0u;   // 24 bits, the first of them 1
    for (uint i = 0; i < LOOP(24); i++) {
        uint bit = rest >= divisor ? 1u : 0u;
        rest = (rest - bit * divisor) << 1;
        quotient = quotient << 1 | bit;
    }
    // No ties: an odd quotient of 25 bits cannot divide a's 24. A carry to 2^24 moves on into the
    // exponent by itself.
    quotient += rest > divisor ? 1u : 0u;
    return uintBitsToFloat((exponent << 23) + quotient - 0x800000u);
}

struct Quantiser {
    uint type;
    uint scale;      // f16
    float inverse;   // 0: every code is the one of value 0
};

// `extreme` holds the bits of the block's value of largest magnitude, the first of them.
Quantiser quantiser(uint type, uint extreme)
{
    Quantiser q = Quantiser(type, type == VSA_TYPE_Q4_0 ? 0x8000u : 0u, 0.0);
    uint magnitude = extreme & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) {          // infinity, NaN
        q.scale = 0x7e00u;
    } else if (magnitude >= 0x0d800000u) {   // 2^-100
        float largest = uintBitsToFloat(magnitude);
        float step_size = type == VSA_TYPE_Q8_0 ? divide(largest, 127.0) : largest * 0.125;
        // The value of largest magnitude becomes 127 or -127, or -8.
        uint negative = type == VSA_TYPE_Q4_0 ? (extreme & 0x80000000u) ^ 0x80000000u : 0u;
        q.scale = to_f16(step_size) | negative >> 16;
        q.inverse = uintBitsToFloat(floatBitsToUint(divide(1.0, step_size)) | negative);
    }
    return q;
}

// 8 bits of two's complement, or 4 bits: the value plus 8.
uint code_of(Quantiser q, float value)
{
    precise float scaled = q.inverse != 0.0 ? value * q.inverse : 0.0;
    if (q.type == VSA_TYPE_Q8_0) {
        // Nearest, ties away from zero: round() leaves them to the driver.
        float magnitude = abs(scaled);
        int code = int(magnitude);
        code += magnitude - float(code) >= 0.5 ? 1 : 0;
        return uint(scaled < 0.0 ? -code : code) & 0xffu;
    }
    precise float shifted = scaled + 8.5;
    return min(uint(shifted), 15u);
}
#endif
