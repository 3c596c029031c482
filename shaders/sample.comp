#version 450
// Draws what the group's open rows were granted: the base sample first, later each extension.
// The group draws for the row that wants most; every row uses a prefix.
// In: membership bits, grants. Out: samples. Grid: (1, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "compact.glsl"
#include "rng.glsl"

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) buffer Lists { uint lists[]; };

#include "draws.glsl"

void main()
{
    uint group = gl_WorkGroupID.y + push.first_y;
    if (control[group_word(group, VSA_G_SCAN)] == 0u) {
        return;
    }
    uint target = 0u;
    for (uint head = 0; head < GROUP; head++) {
        target = max(target, control[row_word(group * GROUP + head, VSA_R_GRANTED)]);
    }
    draw_until(group, target);
}
