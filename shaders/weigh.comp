#version 450
// Method guided: counts each row's candidates by how far their logit lies below the row's largest,
// so that a scale c can be chosen without reading the logits again.
// In: SCORES, row maxima. Out: bins. Grid: (VSA_SELECT_CHUNK tokens, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(constant_id = VSA_ID_BINS_OFFSET) const uint BINS_OFFSET = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };

shared uint bins[VSA_GUIDE_BINS];

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint row = gl_WorkGroupID.y + push.first_y;
    uint group = row / GROUP;
    uint first = (gl_WorkGroupID.x + push.first_x) * VSA_SELECT_CHUNK;
    uint end = first + VSA_SELECT_CHUNK;
    bool scanned = control[group_word(group, VSA_G_SCAN)] != 0u;
    first = max(first, control[group_word(group, VSA_G_SINK_END)]);
    end = min(end, control[group_word(group, VSA_G_WINDOW)]);
    if (!scanned || first >= end) {
        return;
    }
    for (uint i = tid; i < VSA_GUIDE_BINS; i += WG) {
        bins[i] = 0u;
    }
    barrier();
    float maximum = order_value(control[row_word(row, VSA_R_MAX)]);
    for (uint token = first + tid; token < end; token += WG) {
        // The clamp keeps what a non-finite logit was replaced by inside the range of uint.
        float below = min(maximum - scores[row * TOKEN_STRIDE + token],
                          float(VSA_GUIDE_BINS / VSA_GUIDE_STEP));
        uint bin = min(uint(below * float(VSA_GUIDE_STEP)), uint(VSA_GUIDE_BINS - 1));
        atomicAdd(bins[bin], 1u);
    }
    barrier();
    for (uint i = tid; i < VSA_GUIDE_BINS; i += WG) {
        if (bins[i] != 0u) {
            atomicAdd(control[BINS_OFFSET + row * VSA_GUIDE_BINS + i], bins[i]);
        }
    }
}
