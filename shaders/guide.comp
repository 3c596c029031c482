#version 450
// Method guided, stage 0: each row's scale c, for the base sample; bound strict: the largest |v|.
// In: bins, state. Out: row records. Grid: (1, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(constant_id = VSA_ID_STATE_STRIDE) const uint STATE_STRIDE = 0;
layout(constant_id = VSA_ID_MAX_SAMPLES) const uint MAX_SAMPLES = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_STATE) readonly buffer State { float state[]; };

#include "guide.glsl"

shared float norm_shared[WG];

float largest_norm(uint group)
{
    uint tid = gl_LocalInvocationID.x;
    uint length = control[group_word(group, VSA_G_LENGTH)];
    uint blocks = (length + VSA_NORM_BLOCK - 1u) / VSA_NORM_BLOCK;
    uint base = (group_sequence(group) * KV_HEADS + group_kv_head(group)) * STATE_STRIDE;
    float largest = 0.0;
    for (uint i = tid; i < blocks; i += WG) {
        largest = max(largest, state[base + i]);
    }
    norm_shared[tid] = largest;
    barrier();
    for (uint i = WG / 2u; i > 0u; i /= 2u) {
        if (tid < i) {
            norm_shared[tid] = max(norm_shared[tid], norm_shared[tid + i]);
        }
        barrier();
    }
    return sqrt(norm_shared[0]);
}

void main()
{
    uint row = gl_WorkGroupID.y + push.first_y;
    uint group = row / GROUP;
    if (control[group_word(group, VSA_G_SCAN)] == 0u) {
        return;
    }
    float limit = min(float(guide_candidates(group)) / 4.0, float(MAX_SAMPLES));
    Guide guide = guide_open(row, float(control[group_word(group, VSA_G_BASE)]), limit);
    bool dense = !guide.found;
    float radius = STATE_STRIDE != 0u ? largest_norm(group) : 0.0;
    if (gl_LocalInvocationID.x == 0u) {
        control[row_word(row, VSA_R_SCALE)] = floatBitsToUint(dense ? 0.0 : guide.scale);
        control[row_word(row, VSA_R_RADIUS)] = floatBitsToUint(radius);
        if (dense) {
            control[row_word(row, VSA_R_STATUS)] = VSA_STATUS_EXACT;
            control[row_word(row, VSA_R_FLAGS)] = VSA_FLAG_UNATTAINABLE;
            atomicOr(control[group_word(group, VSA_G_DENSE)], 1u);
        }
    }
}
