#version 450
// Keeps `state` for method guided with bound strict: the largest |v|^2 of each block of
// VSA_NORM_BLOCK tokens. Blocks that the new tokens touch are computed again from V.
// push.items 0: the last push.new_tokens tokens; 1: push.new_tokens tokens from push.capacity on.
// In: V, lengths. Out: STATE. Grid: (blocks touched, sequence x KV head).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "kv_read.glsl"
#include "math.glsl"

layout(constant_id = VSA_ID_STATE_STRIDE) const uint STATE_STRIDE = 0;

layout(set = 0, binding = VSA_BIND_LENGTHS) readonly buffer Lengths { uint lengths[]; };
layout(set = 0, binding = VSA_BIND_STATE) writeonly buffer State { float state[]; };

shared float norm_shared[WG];

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint line = gl_WorkGroupID.y + push.first_y;
    uint sequence = line / KV_HEADS;
    uint kv_head = line % KV_HEADS;
    uint length = lengths[sequence];
    bool appends = push.items == 0u;
    if (length > push.max_length || (appends && length < push.new_tokens)) {
        return;
    }
    uint begin = appends ? length - push.new_tokens : push.capacity;
    uint end = min(length, begin + push.new_tokens);
    uint block = begin / VSA_NORM_BLOCK + gl_WorkGroupID.x + push.first_x;
    if (block * VSA_NORM_BLOCK >= end) {
        return;
    }
    // The whole block, as long as the sequence is now.
    uint block_end = min((block + 1u) * VSA_NORM_BLOCK, length);
    float largest = 0.0;
    for (uint token = block * VSA_NORM_BLOCK + tid; token < block_end; token += WG) {
        Row row = v_row(sequence, kv_head, token);
        float squares = 0.0;
        for (uint chunk = 0; chunk < LOOP(DV / 8); chunk++) {
            vec4 low, high;
            v_load_quads(row, chunk, low, high);
            squares += dot(low, low) + dot(high, high);
        }
        // A bound must not be lost in a comparison with NaN.
        largest = is_finite(squares) ? max(largest, squares) : INFINITE;
    }
    norm_shared[tid] = largest;
    barrier();
    if (tid == 0u) {
        for (uint i = 0; i < LOOP(WG); i++) {
            largest = max(largest, norm_shared[i]);
        }
        // Rounding of the sum, upwards: DV / 4 additions of relative error 2^-23 each.
        state[line * STATE_STRIDE + block] = largest * (1.0 + float(DV) * 1.2e-7);
    }
}
