#version 450
// Top-k, step four: fixes the whole threshold and counts, per chunk, the keys above it and equal
// to it, so that the next step knows where each chunk writes.
// In: rank keys, histogram 2. Out: threshold, counts [group][chunk][2]. Grid: (VSA_SELECT_CHUNK tokens, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "radix.glsl"

layout(constant_id = VSA_ID_TOP_P) const float TOP_P = 0.0;   // find.comp has fixed the threshold

shared uint above_count;
shared uint equal_count;

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
    if (tid == 0u) {
        above_count = 0u;
        equal_count = 0u;
    }
    barrier();
    Threshold threshold = TOP_P > 0.0 ? threshold_read(group, 3u) : threshold_find(group, 2u);
    if (TOP_P <= 0.0 && chunk == 0u && tid == 0u) {
        uint word = group_word(group, VSA_G_PREFIX + 4u);
        control[word] = threshold.prefix;
        control[word + 1u] = threshold.wanted;
    }
    uint above = 0u;
    uint equal = 0u;
    for (uint token = first + tid; token < end; token += WG) {
        uint key = rank_key(group, token);
        above += uint(key > threshold.prefix);
        equal += uint(key == threshold.prefix);
    }
    atomicAdd(above_count, above);
    atomicAdd(equal_count, equal);
    barrier();
    if (tid == 0u) {
        uint word = COUNTS_OFFSET + (group * (TOKEN_STRIDE / VSA_SELECT_CHUNK) + chunk) * 2u;
        control[word] = above_count;
        control[word + 1u] = equal_count;
    }
}
