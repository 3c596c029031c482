#version 450
// Policy carry_budget: a sequence that starts anew (push.items 0: its last push.new_tokens tokens are
// all that it has; 1: push.capacity is its first token) has heads of which nothing is known.
// In: lengths. Out: STATE. Grid: (1, sequence).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "carry.glsl"

layout(set = 0, binding = VSA_BIND_LENGTHS) readonly buffer Lengths { uint lengths[]; };
layout(set = 0, binding = VSA_BIND_STATE) writeonly buffer State { float state[]; };

void main()
{
    uint sequence = gl_WorkGroupID.y + push.first_y;
    bool begins = push.items == 0u ? lengths[sequence] == push.new_tokens : push.capacity == 0u;
    if (begins) {
        uint word = carry_word(sequence, 0u);
        for (uint i = gl_LocalInvocationID.x; i < Q_HEADS * VSA_CARRY_WORDS; i += WG) {
            state[word + i] = 0.0;
        }
    }
}
