#version 450
// Top-k, steps two and three: fixes digit push.round - 1 of the threshold and counts digit push.round of the keys
// that still equal it. In: rank keys, histogram round - 1. Out: threshold, histogram round.
// Grid: (VSA_SELECT_CHUNK tokens, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "radix.glsl"

shared uint histogram[VSA_RADIX_BINS];

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint group = gl_WorkGroupID.y + push.first_y;
    uint chunk = gl_WorkGroupID.x + push.first_x;
    uint first = chunk * VSA_SELECT_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SELECT_CHUNK);
    if (first >= end) {
        return;
    }
    for (uint i = tid; i < VSA_RADIX_BINS; i += WG) {
        histogram[i] = 0u;
    }
    uint digit = push.round;
    Threshold threshold = threshold_find(group, digit - 1u);
    if (chunk == 0u && tid == 0u) {
        uint word = group_word(group, VSA_G_PREFIX + 2u * (digit - 1u));
        control[word] = threshold.prefix;
        control[word + 1u] = threshold.wanted;
    }
    // A key of 0 is no candidate: it would only equal a prefix of zeros, which no candidate has.
    uint found = digit_shift(digit - 1u);
    for (uint token = first + tid; token < end; token += WG) {
        uint key = rank_key(group, token);
        if (threshold.wanted != 0u && key != 0u && key >> found == threshold.prefix >> found) {
            atomicAdd(histogram[digit_of(key, digit)], 1u);
        }
    }
    barrier();
    for (uint i = tid; i < VSA_RADIX_BINS; i += WG) {
        if (histogram[i] != 0u) {
            atomicAdd(control[histogram_word(group, digit) + i], histogram[i]);
        }
    }
}
