#version 450
// Key scoring from STATE for the methods that rank all tokens: an estimate of every logit, or with
// bound strict an upper bound. docs/scorers.md. In: STATE, queries. Out: SCORES [row][token], the
// rows' maxima and non-finite flags. Grid: (VSA_SCORE_CHUNK tokens, group x head block).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(constant_id = VSA_ID_BOUND) const uint BOUND = VSA_BOUND_IS_CLT;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_SCORES) writeonly buffer Scores { float scores[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) readonly buffer Partials { uint queries[]; };

#include "codes.glsl"

shared uint maximum_shared[HEAD_BLOCK];

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint cell = gl_WorkGroupID.y + push.first_y;
    uint group = cell / BLOCKS;
    uint first_head = cell % BLOCKS * HEAD_BLOCK;
    uint heads = min(HEAD_BLOCK, GROUP - first_head);
    uint first_row = group * GROUP + first_head;
    uint first = (gl_WorkGroupID.x + push.first_x) * VSA_SCORE_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SCORE_CHUNK);
    if (first >= end) {
        return;
    }
    if (tid < HEAD_BLOCK) {
        maximum_shared[tid] = 0u;
    }
    load_queries(first_row, heads);
    uint base = keys_base(group_sequence(group), group_kv_head(group));
    const uint each = SCORER == VSA_SCORER_IS_PAGE ? VSA_PAGE_TOKENS : 1;
    float largest[HEAD_BLOCK];
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        largest[head] = MASKED;
    }
    for (uint token = first + tid * each; token < end; token += WG * each) {
        float score[HEAD_BLOCK];
        if (SCORER == VSA_SCORER_IS_PAGE) {
            score_page(base, token, heads, score);
        } else {
            score_token(base, token, heads, score);
        }
        for (uint head = 0; head < HEAD_BLOCK; head++) {
            largest[head] = max(largest[head], score[head]);
            for (uint i = 0; head < heads && i < min(each, end - token); i++) {
                scores[(first_row + head) * TOKEN_STRIDE + token + i] = score[head];
            }
        }
    }
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        if (head < heads) {
            atomicMax(maximum_shared[head], order_key(largest[head]));
        }
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
