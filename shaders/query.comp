#version 450
// Prepares the queries for a compact scorer: [row][channel] as it is compared with the keys (rotated,
// but for pages), times the softmax scale, behind a header: its sum, sum of magnitudes, length and, for
// signs, which are compared with the bits of its channels' levels, the step between levels.
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
layout(set = 0, binding = VSA_BIND_PARTIALS) writeonly buffer Partials { uint queries[]; };

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

// Replaces the channels in rotate_shared by their levels and writes those bit by bit; `step_size` is
// that between levels.
void write_planes(uint at, float step_size)
{
    uint tid = gl_LocalInvocationID.x;
    const float levels = float(1 << VSA_QUERY_BITS);
    for (uint i = 0; i < ROTATE_OWN; i++) {
        uint channel = i * WG + tid;
        if (channel < PADDED) {
            float level = floor(rotate_shared[channel] * SCALE / step_size + levels / 2.0);
            rotate_shared[channel] = step_size > 0.0 ? clamp(level, 0.0, levels - 1.0) : 0.0;
        }
    }
    barrier();
    for (uint word = tid; word < PADDED / 32; word += WG) {
        uvec4 planes = uvec4(0u);
        for (uint i = 0; i < LOOP(32); i++) {
            uvec4 level = uvec4(rotate_shared[word * 32u + i]);
            planes |= (level >> uvec4(0u, 1u, 2u, 3u) & 1u) << i;
        }
        for (uint plane = 0; plane < VSA_QUERY_BITS; plane++) {
            queries[at + VSA_QUERY_HEADER + word * VSA_QUERY_BITS + plane] = planes[plane];
        }
    }
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
    float largest = 0.0;
    uint at = QUERIES_OFFSET + row * (PADDED + VSA_QUERY_HEADER);
    for (uint i = 0; i < ROTATE_OWN; i++) {
        uint channel = i * WG + tid;
        if (channel < PADDED) {
            float value = rotate_shared[channel] * SCALE;
            if (SCORER != VSA_SCORER_IS_SIGN) {
                queries[at + VSA_QUERY_HEADER + channel] = floatBitsToUint(value);
            }
            own += vec4(value, abs(value), value * value, 0.0);
            largest = max(largest, abs(value));
        }
    }
    vec4 sums = reduce_sum(own);
    float step_size = 0.0;
    if (SCORER == VSA_SCORER_IS_SIGN) {
        step_size = reduce_max(vec4(largest)).x * 2.0 / float((1 << VSA_QUERY_BITS) - 1);
        // A maximum may lose what is not a number, a sum does not.
        step_size = is_finite(sums.y) ? step_size : INFINITE;
        write_planes(at, step_size);
    }
    if (tid == 0u) {
        queries[at + VSA_QUERY_SUM] = floatBitsToUint(sums.x);
        // Rounded up: they are factors of bounds.
        queries[at + VSA_QUERY_MAGNITUDES] = floatBitsToUint(sums.y * 1.0001);
        queries[at + VSA_QUERY_LENGTH] = floatBitsToUint(sqrt(sums.z) * 1.0001);
        queries[at + VSA_QUERY_STEP] = floatBitsToUint(step_size);
    }
}
