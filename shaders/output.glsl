// Writes one row of `out` and its certificate.
#ifndef OUTPUT_GLSL
#define OUTPUT_GLSL
#include "pack.glsl"

layout(constant_id = VSA_ID_TARGET) const uint TARGET = VSA_TARGET_O;
layout(constant_id = VSA_ID_BOUND) const uint BOUND = VSA_BOUND_IS_CLT;
layout(constant_id = VSA_ID_DELTA) const float DELTA = 0.1;
layout(constant_id = VSA_ID_EPSILON) const float EPSILON = 0.1;

layout(set = 0, binding = VSA_BIND_OUT) writeonly buffer Out { uint out_data[]; };
layout(set = 0, binding = VSA_BIND_CERTIFICATES) writeonly buffer Certificates { uint certificate[]; };

// Channels 2 pair and 2 pair + 1.
void write_out_pair(uint row, uint pair, float first, float second)
{
    if (OUT_TYPE == VSA_TYPE_F32) {
        out_data[row * DV + pair * 2u] = floatBitsToUint(first);
        out_data[row * DV + pair * 2u + 1u] = floatBitsToUint(second);
    } else {
        out_data[(row * DV) / 2u + pair] = pack_pair(first, second, OUT_TYPE);
    }
}

// Field by field vsa_certificate.
struct Certificate {
    uint status, flags;
    float error, log_normaliser, normaliser_bound;
    uint tokens, exact, sampled, wanted, gathered;
};

void write_certificate(uint row, Certificate c)
{
    uint word = row * VSA_CERTIFICATE_WORDS;
    bool is_exact = c.status == VSA_STATUS_EXACT;
    certificate[word] = c.status | BOUND << 8 | TARGET << 16 | c.flags << 24;
    certificate[word + 1u] = floatBitsToUint(c.error);
    certificate[word + 2u] = floatBitsToUint(is_exact ? 0.0 : DELTA);
    certificate[word + 3u] = floatBitsToUint(c.log_normaliser);
    certificate[word + 4u] = c.tokens;
    certificate[word + 5u] = c.exact;
    certificate[word + 6u] = c.sampled;
    certificate[word + 7u] = c.wanted;
    certificate[word + 8u] = c.gathered;
    certificate[word + 9u] = floatBitsToUint(c.normaliser_bound);
    certificate[word + 10u] = floatBitsToUint(is_exact ? 0.0 : EPSILON);
    certificate[word + 11u] = 0u;
}
#endif
