#version 450
// Prepares the queries for a compact scorer: [row][channel] as it is compared with the keys (rotated,
// but for pages), times the softmax scale, behind a header: its sum, sum of magnitudes and length.
// In: q. Out: PARTIALS (queries). Grid: (1, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "pack.glsl"
#include "reduce.glsl"
#include "rotate.glsl"
#include "keys.glsl"

layout(constant_id = VSA_ID_QUERIES_OFFSET) const uint QUERIES_OFFSET = 0;
layout(constant_id = VSA_ID_SCALE) const float SCALE = 1.0;

layout(set = 0, binding = VSA_BIND_Q) readonly buffer Query { uint query_data[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) writeonly buffer Partials { float queries[]; };

float query_value(uint row, uint channel)
{
    if (channel >= DK) {
        return 0.0;
    }
    if (Q_TYPE == VSA_TYPE_F32) {
        return uintBitsToFloat(query_data[row * DK + channel]);
    }
    return unpack_pair(query_data[(row * DK + channel) / 2u], Q_TYPE)[channel & 1u];
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint row = gl_WorkGroupID.y + push.first_y;
    for (uint i = 0; i < ROTATE_OWN; i++) {
        uint channel = i * WG + tid;
        if (channel < PADDED) {
            rotate_shared[channel] = query_value(row, channel);
        }
    }
    if (SCORER != VSA_SCORER_IS_PAGE) {
        rotate();
    } else {
        barrier();
    }
    vec4 own = vec4(0.0);
    uint at = QUERIES_OFFSET + row * (PADDED + VSA_QUERY_HEADER);
    for (uint i = 0; i < ROTATE_OWN; i++) {
        uint channel = i * WG + tid;
        if (channel < PADDED) {
            float value = rotate_shared[channel] * SCALE;
            queries[at + VSA_QUERY_HEADER + channel] = value;
            own += vec4(value, abs(value), value * value, 0.0);
        }
    }
    vec4 sums = reduce_sum(own);
    if (tid == 0u) {
        queries[at + VSA_QUERY_SUM] = sums.x;
        // Rounded up: they are factors of bounds.
        queries[at + VSA_QUERY_MAGNITUDES] = sums.y * 1.0001;
        queries[at + VSA_QUERY_LENGTH] = sqrt(sums.z) * 1.0001;
        queries[at + 3u] = 0.0;
    }
}
