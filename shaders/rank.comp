#version 450
// Top-k, first step: one rank key per candidate, and the histogram of the keys' first digit.
// A group of one head ranks by its logit; a larger one by the largest of its heads' logits, each
// relative to that head's maximum. Tokens of sink and window get key 0, below every candidate.
// In: SCORES, row maxima. Out: rank keys, histogram 0. Grid: (VSA_SELECT_CHUNK tokens, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "radix.glsl"

layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };

const uint MAX_SHARED_HEADS = 64;

shared uint histogram[VSA_RADIX_BINS];
shared float row_maximum[MAX_SHARED_HEADS];

float maximum_of(uint group, uint head)
{
    return head < MAX_SHARED_HEADS
               ? row_maximum[head]
               : order_value(control[row_word(group * GROUP + head, VSA_R_MAX)]);
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint group = gl_WorkGroupID.y + push.first_y;
    uint first = (gl_WorkGroupID.x + push.first_x) * VSA_SELECT_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SELECT_CHUNK);
    if (first >= end) {
        return;
    }
    for (uint i = tid; i < VSA_RADIX_BINS; i += WG) {
        histogram[i] = 0u;
    }
    for (uint head = tid; head < min(GROUP, MAX_SHARED_HEADS); head += WG) {
        row_maximum[head] = order_value(control[row_word(group * GROUP + head, VSA_R_MAX)]);
    }
    barrier();
    uint sink_end = control[group_word(group, VSA_G_SINK_END)];
    uint window = control[group_word(group, VSA_G_WINDOW)];
    for (uint token = first + tid; token < end; token += WG) {
        uint key = 0u;
        if (token >= sink_end && token < window) {
            if (GROUP == 1) {
                key = order_key(scores[group * TOKEN_STRIDE + token]);
            } else {
                float best = MASKED;
                for (uint head = 0; head < GROUP; head++) {
                    precise float relative = scores[(group * GROUP + head) * TOKEN_STRIDE + token] -
                                             maximum_of(group, head);
                    best = max(best, relative);
                }
                key = order_key(best);
            }
            atomicAdd(histogram[digit_of(key, 0u)], 1u);
        }
        lists[group * TOKEN_STRIDE + token] = key;
    }
    barrier();
    for (uint i = tid; i < VSA_RADIX_BINS; i += WG) {
        if (histogram[i] != 0u) {
            atomicAdd(control[histogram_word(group, 0u) + i], histogram[i]);
        }
    }
}
