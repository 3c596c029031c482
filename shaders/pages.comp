#version 450
// Keeps STATE for the scorer page: mean and standard deviation of every channel of K over the tokens
// that a page of VSA_PAGE_TOKENS holds so far. Pages that new tokens touch are computed again.
// push.items 0: the last push.new_tokens tokens of each sequence; 1: push.new_tokens tokens from
// push.capacity on. In: K, lengths. Out: STATE. Grid: (pages touched, sequence x KV head).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "kv_read.glsl"
#include "math.glsl"
#include "pack.glsl"

layout(constant_id = VSA_ID_PADDED) const uint PADDED = 64;

#include "keys.glsl"

layout(set = 0, binding = VSA_BIND_LENGTHS) readonly buffer Lengths { uint lengths[]; };
layout(set = 0, binding = VSA_BIND_STATE) writeonly buffer State { uint state[]; };

void write_channels(uint word, vec4 sum, vec4 squares, float count)
{
    vec4 mean = sum / count;
    vec4 deviation = sqrt(max(squares / count, vec4(0.0)));
    for (uint i = 0; i < 4; i++) {
        state[word + i] = pack_pair(mean[i], deviation[i], VSA_TYPE_F16);
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
    uint begin = appends ? length - push.new_tokens : push.capacity;
    uint end = min(length, begin + push.new_tokens);
    uint first = (begin / VSA_PAGE_TOKENS + gl_WorkGroupID.x + push.first_x) * VSA_PAGE_TOKENS;
    if (first >= end) {
        return;
    }
    uint page_end = min(first + VSA_PAGE_TOKENS, length);
    float count = float(page_end - first);
    uint base = keys_base(sequence, kv_head);
    for (uint chunk = tid; chunk < DK / 8; chunk += WG) {
        vec4 low_sum = vec4(0.0);
        vec4 high_sum = vec4(0.0);
        for (uint token = first; token < page_end; token++) {
            vec4 low, high;
            k_load8(k_row(sequence, kv_head, token), chunk, low, high);
            low_sum += low;
            high_sum += high;
        }
        // Second pass: the squares of the differences, not the difference of the squares.
        vec4 low_squares = vec4(0.0);
        vec4 high_squares = vec4(0.0);
        for (uint token = first; token < page_end; token++) {
            vec4 low, high;
            k_load8(k_row(sequence, kv_head, token), chunk, low, high);
            low -= low_sum / count;
            high -= high_sum / count;
            low_squares += low * low;
            high_squares += high * high;
        }
        uint word = page_at(base, first) + chunk * 8u;
        write_channels(word, low_sum, low_squares, count);
        write_channels(word + 4u, high_sum, high_squares, count);
    }
}
