#version 450
// Key scoring, exact scorer: s_i = scale q.k_i for every token, one read of K for a whole group.
// In: K, q. Out: SCORES [row][token], the rows' maxima and non-finite flags.
// Grid: (VSA_SCORE_CHUNK tokens, group x head block).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "logits.glsl"

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_SCORES) writeonly buffer Scores { float scores[]; };

const uint HEAD_LANES = WG / HEAD_BLOCK;

shared uint maximum_shared[HEAD_BLOCK];

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uvec2 place = stream_place();
    uint cell = place.y;
    uint group = cell / BLOCKS;
    uint first_head = cell % BLOCKS * HEAD_BLOCK;
    uint heads = min(HEAD_BLOCK, GROUP - first_head);
    uint first_row = group * GROUP + first_head;
    uint first = place.x * VSA_SCORE_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SCORE_CHUNK);
    if (first >= end) {
        return;
    }
    if (tid < HEAD_BLOCK) {
        maximum_shared[tid] = 0u;
    }
    // HEAD_LANES invocations write out a head's logits and keep its maximum.
    uint head = tid / HEAD_LANES;
    float maximum = MASKED;
    load_query(first_row, heads);

    for (uint base = first; base < end; base += TILE) {
        for (uint slot = tid; slot < TILE; slot += WG) {
            tile_token[slot] = base + slot < end ? base + slot : NO_TOKEN;
        }
        tile_logits(group_sequence(group), group_kv_head(group), min(TILE, end - base));
        if (head < heads) {
            uint count = min(TILE, end - base);
            for (uint slot = tid % HEAD_LANES; slot < count; slot += HEAD_LANES) {
                float logit = logit_shared[head * TILE + slot];
                scores[(first_row + head) * TOKEN_STRIDE + base + slot] = logit;
                maximum = max(maximum, logit);
            }
        }
        barrier();
    }
    if (head < heads) {
        atomicMax(maximum_shared[head], order_key(maximum));
    }
    barrier();
    if (tid < heads) {
        // Integer maximum: the result does not depend on the order of workgroups.
        atomicMax(control[row_word(first_row + tid, VSA_R_MAX)], maximum_shared[tid]);
        if ((nonfinite_shared & 1u << tid) != 0u) {
            atomicOr(control[row_word(first_row + tid, VSA_R_NONFINITE)], 1u);
        }
    }
}
