// Writes one row of `out` and its certificate.
#ifndef OUTPUT_GLSL
#define OUTPUT_GLSL
#include "pack.glsl"

layout(constant_id = VSA_ID_TARGET) const uint TARGET = VSA_TARGET_O;
layout(constant_id = VSA_ID_DELTA) const float DELTA = 0.1;

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

void write_certificate(uint row, uint status, float error, float log_normaliser, uint length,
                       uint exact, uint sampled, uint wanted)
{
    uint word = row * 8u;
    certificate[word] = status | VSA_BOUND_IS_CLT << 8 | TARGET << 16;
    certificate[word + 1u] = floatBitsToUint(error);
    certificate[word + 2u] = floatBitsToUint(status == VSA_STATUS_EXACT ? 0.0 : DELTA);
    certificate[word + 3u] = floatBitsToUint(log_normaliser);
    certificate[word + 4u] = length;
    certificate[word + 5u] = exact;
    certificate[word + 6u] = sampled;
    certificate[word + 7u] = wanted;
}
#endif
