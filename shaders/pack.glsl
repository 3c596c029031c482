// f32 to f16 and bf16, round to nearest even, in integer arithmetic: packHalf2x16 leaves the
// rounding to the driver.
#ifndef PACK_GLSL
#define PACK_GLSL

uint to_f16(float value)
{
    uint bits = floatBitsToUint(value);
    uint sign = (bits >> 16) & 0x8000u;
    uint magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) {   // infinity, NaN
        return sign | 0x7c00u | (magnitude > 0x7f800000u ? 0x200u : 0u);
    }
    if (magnitude >= 0x477ff000u) {   // rounds to 65536 or more
        return sign | 0x7c00u;
    }
    if (magnitude < 0x38800000u) {    // below 2^-14: subnormal, a multiple of 2^-24
        if (magnitude < 0x33000000u) {
            return sign;
        }
        uint shift = 126u - (magnitude >> 23);
        uint mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        uint kept = mantissa >> shift;
        uint rest = mantissa & ((1u << shift) - 1u);
        uint midpoint = 1u << (shift - 1u);
        return sign | (kept + uint(rest > midpoint || (rest == midpoint && (kept & 1u) != 0u)));
    }
    uint rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return sign | ((rounded - 0x38000000u) >> 13);
}

// unpackHalf2x16 may flush subnormals, which the scales of quantised blocks often are.
float from_f16(uint bits)
{
    float subnormal = float(int(bits & 0x3ffu)) * 5.9604644775390625e-8;   // 2^-24
    return (bits & 0x7c00u) != 0u   ? unpackHalf2x16(bits).x
           : (bits & 0x8000u) != 0u ? -subnormal
                                    : subnormal;
}

uint to_bf16(float value)
{
    uint bits = floatBitsToUint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (bits >> 16) | 0x40u;
    }
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// Two neighbouring channels as one word of a 16-bit type.
uint pack_pair(float first, float second, uint type)
{
    return type == VSA_TYPE_F16 ? to_f16(first) | to_f16(second) << 16
                                : to_bf16(first) | to_bf16(second) << 16;
}

vec2 unpack_pair(uint word, uint type)
{
    return type == VSA_TYPE_F16 ? unpackHalf2x16(word)
                                : uintBitsToFloat(uvec2(word << 16, word & 0xffff0000u));
}
#endif
