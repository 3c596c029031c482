#version 450
// Keeps STATE for the scorers sign, int8 and int4: encodes the rotated keys of new tokens.
// push.items 0: the last push.new_tokens tokens of each sequence; 1: push.new_tokens tokens from
// push.capacity on. In: K, lengths. Out: STATE. Grid: (tokens, sequence x KV head).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "kv_read.glsl"
#include "math.glsl"
#include "pack.glsl"
#include "reduce.glsl"
#include "rotate.glsl"
#include "keys.glsl"

layout(set = 0, binding = VSA_BIND_LENGTHS) readonly buffer Lengths { uint lengths[]; };
layout(set = 0, binding = VSA_BIND_STATE) buffer State { uint state[]; };

// The smallest f16 that is not below x >= 0.
uint f16_up(float x)
{
    uint bits = to_f16(x);
    return unpackHalf2x16(bits).x < x ? bits + 1u : bits;
}

void load_key(Row row)
{
    uint tid = gl_LocalInvocationID.x;
    for (uint chunk = tid; chunk < PADDED / 8; chunk += WG) {
        vec4 low = vec4(0.0);
        vec4 high = vec4(0.0);
        if (chunk < DK / 8) {
            k_load8(row, chunk, low, high);
        }
        for (uint i = 0; i < 4; i++) {
            rotate_shared[chunk * 8u + i] = low[i];
            rotate_shared[chunk * 8u + 4u + i] = high[i];
        }
    }
}

void encode_sign(uint base, uint token, vec4 sums)
{
    uint tid = gl_LocalInvocationID.x;
    for (uint word = tid; word < CODE_WORDS; word += WG) {
        uint bits = 0u;
        for (uint i = 0; i < LOOP(32); i++) {
            bits |= rotate_shared[word * 32u + i] >= 0.0 ? 1u << i : 0u;
        }
        state[code_at(base, token, word)] = bits;
    }
    if (tid == 0u) {
        // Unbiased over the rotation: <k, b> = sum |k_i| for the signs b of k.
        uint scale = to_f16(sums.y > 0.0 ? sums.x / sums.y : 0.0);
        uint shift = (token & 1u) * 16u;
        uint word = scale_at(base, token);
        // The other half belongs to the neighbour, which another workgroup may be writing.
        atomicAnd(state[word], ~(0xffffu << shift));
        atomicOr(state[word], scale << shift);
    }
}

// Levels at -(L - 1) / 2, ..., (L - 1) / 2 steps. The step is what is stored, so the codes fit it.
void encode_levels(uint base, uint token, float largest)
{
    uint tid = gl_LocalInvocationID.x;
    const float levels = float(1 << CODE_BITS);
    uint step_bits = f16_up(largest * 2.0 / (levels - 1.0));
    float step_size = unpackHalf2x16(step_bits).x;
    float distance = 0.0;
    for (uint word = tid; word < CODE_WORDS; word += WG) {
        uint bits = 0u;
        for (uint i = 0; i < LOOP(CODES_PER_WORD); i++) {
            float value = rotate_shared[word * CODES_PER_WORD + i];
            float level = step_size > 0.0 ? floor(value / step_size + levels / 2.0) : 0.0;
            level = clamp(level, 0.0, levels - 1.0);
            bits |= uint(level) << (i * CODE_BITS);
            float rest = value - (level + 0.5 - levels / 2.0) * step_size;
            distance += rest * rest;
        }
        state[code_at(base, token, word)] = bits;
    }
    distance = reduce_sum(vec4(distance, 0.0, 0.0, 0.0)).x;
    if (tid == 0u) {
        // Rounded up, with room for the rounding of the sums: it is a bound.
        uint bound = f16_up(sqrt(distance) * 1.0001);
        state[scale_at(base, token)] = step_bits | bound << 16;
    }
}

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
    uint token = (appends ? length - push.new_tokens : push.capacity) + gl_WorkGroupID.x + push.first_x;
    if (token >= length) {
        return;
    }
    load_key(k_row(sequence, kv_head, token));
    rotate();
    float squares = 0.0;
    float absolute = 0.0;
    float largest = 0.0;
    for (uint i = 0; i < ROTATE_OWN; i++) {
        uint channel = i * WG + tid;
        if (channel < PADDED) {
            float value = rotate_shared[channel];
            squares += value * value;
            absolute += abs(value);
            largest = max(largest, abs(value));
        }
    }
    vec4 sums = reduce_sum(vec4(squares, absolute, 0.0, 0.0));
    largest = reduce_max(vec4(largest)).x;
    uint base = keys_base(sequence, kv_head);
    if (SCORER == VSA_SCORER_IS_SIGN) {
        encode_sign(base, token, sums);
    } else {
        encode_levels(base, token, largest);
    }
}
