#version 450
// What the exact scorer knows of the residual: per row and chunk, the sums of w and w^2 over the
// tokens outside the exact set and their largest w, relative to the row's largest logit.
// In: SCORES, membership bits, row maxima. Out: moments.
// Grid: (VSA_SELECT_CHUNK tokens, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "reduce.glsl"

layout(constant_id = VSA_ID_MOMENTS_OFFSET) const uint MOMENTS_OFFSET = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) readonly buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) readonly buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) writeonly buffer Partials { vec4 partials[]; };

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint row = gl_WorkGroupID.y + push.first_y;
    uint group = row / GROUP;
    uint chunk = gl_WorkGroupID.x + push.first_x;
    uint first = chunk * VSA_SELECT_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SELECT_CHUNK);
    if (first >= end) {
        return;
    }
    float maximum = order_value(control[row_word(row, VSA_R_MAX)]);
    uint bits = BITS_OFFSET + group * (TOKEN_STRIDE / 32);
    vec2 sums = vec2(0.0);
    float largest = 0.0;
    for (uint token = first + tid; token < end; token += WG) {
        if ((lists[bits + token / 32u] & 1u << (token & 31u)) == 0u) {
            float w = weight(scores[row * TOKEN_STRIDE + token], maximum);
            sums += vec2(w, w * w);
            largest = max(largest, w);
        }
    }
    vec4 total = reduce_sum(vec4(sums, 0.0, 0.0));
    largest = reduce_max(vec4(largest)).x;
    if (tid == 0u) {
        partials[(MOMENTS_OFFSET / 4) + row * (TOKEN_STRIDE / VSA_SELECT_CHUNK) + chunk] =
            vec4(total.xy, largest, 0.0);
    }
}
