#version 450
// Policy carry_budget: what the heads of a sequence needed in this step, for the next. Of several
// queries the last counts, the one that the next step is like.
// In: row records. Out: STATE. Grid: (1, sequence).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "carry.glsl"

layout(set = 0, binding = VSA_BIND_CONTROL) readonly buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_STATE) buffer State { float state[]; };

void main()
{
    uint sequence = gl_WorkGroupID.y + push.first_y;
    uint first_row = (sequence * push.query_count + push.query_count - 1u) * Q_HEADS;
    for (uint head = gl_LocalInvocationID.x; head < Q_HEADS; head += WG) {
        float squares = uintBitsToFloat(control[row_word(first_row + head, VSA_R_NEED)]);
        uint word = carry_word(sequence, head);
        Carried known = Carried(0.0, 0.0);
        if (squares > 0.0) {
            known = carry_learn(Carried(state[word], state[word + 1u]), log(squares));
        }
        state[word] = known.mean;
        state[word + 1u] = known.deviation;
    }
}
