#version 450
// Method guided: which tokens a group reads in this stage (push.round). Writes every token's
// probability; per chunk, how many are heavy and how many sampled; per row and chunk, the sums of w,
// w^2 (1 / pi - 1) and w^2 over the tokens with pi < 1, w by their scores and relative to the row's
// largest.
// In: SCORES, row scales. Out: probabilities (LISTS), counts [group][chunk][2], moments.
// Grid: (VSA_SELECT_CHUNK tokens, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rng.glsl"

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };

layout(set = 0, binding = VSA_BIND_PARTIALS) writeonly buffer Partials { vec4 partials[]; };

layout(constant_id = VSA_ID_MOMENTS_OFFSET) const uint MOMENTS_OFFSET = 0;

#include "chance.glsl"
#include "reduce.glsl"

const uint MAX_SHARED_HEADS = 64;
const uint OWN_TOKENS = VSA_SELECT_CHUNK / WG;   // of each invocation

shared vec2 row_shared[MAX_SHARED_HEADS];   // largest logit, c
shared uint heavy_count;
shared uint sampled_count;

vec2 row_of(uint group, uint head)
{
    uint word = row_word(group * GROUP + head, 0u);
    return vec2(order_value(control[word + VSA_R_MAX]),
                uintBitsToFloat(control[word + VSA_R_SCALE]));
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint group = gl_WorkGroupID.y + push.first_y;
    uint chunk = gl_WorkGroupID.x + push.first_x;
    uint first = chunk * VSA_SELECT_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SELECT_CHUNK);
    if (first >= end || control[group_word(group, VSA_G_EXTENDED)] < push.round) {
        return;
    }
    if (tid == 0u) {
        heavy_count = 0u;
        sampled_count = 0u;
    }
    for (uint head = tid; head < min(GROUP, MAX_SHARED_HEADS); head += WG) {
        row_shared[head] = row_of(group, head);
    }
    barrier();
    uint sink_end = control[group_word(group, VSA_G_SINK_END)];
    uint window = control[group_word(group, VSA_G_WINDOW)];
    uint hash_key = chance_key(group);
    uint heavy = 0u;
    uint sampled = 0u;
    float chances[OWN_TOKENS];
    for (uint i = 0; i < OWN_TOKENS; i++) {
        uint token = first + i * WG + tid;
        float chance = 0.0;
        if (token < end && token >= sink_end && token < window) {
            for (uint head = 0; head < GROUP; head++) {
                vec2 row = head < MAX_SHARED_HEADS ? row_shared[head] : row_of(group, head);
                chance = max(chance, row.y * weight(scores[(group * GROUP + head) * TOKEN_STRIDE +
                                                           token], row.x));
            }
            chance = chance < VSA_HEAVY ? chance : 1.0;
            heavy += uint(chance == 1.0);
            sampled += uint(is_sampled(chance, hash_key, token));
        }
        chances[i] = chance;
        if (token < end) {
            lists[group * TOKEN_STRIDE + token] = floatBitsToUint(chance);
        }
    }
    atomicAdd(heavy_count, heavy);
    atomicAdd(sampled_count, sampled);
    barrier();
    if (tid == 0u) {
        uint word = COUNTS_OFFSET + (group * (TOKEN_STRIDE / VSA_SELECT_CHUNK) + chunk) * 2u;
        control[word] = heavy_count;
        control[word + 1u] = sampled_count;
    }
    for (uint head = 0; head < GROUP; head++) {
        float maximum = head < MAX_SHARED_HEADS ? row_shared[head].x : row_of(group, head).x;
        uint row = group * GROUP + head;
        vec4 sums = vec4(0.0);
        for (uint i = 0; i < OWN_TOKENS; i++) {
            // Sink and window have probability 0 here: they are read anyway.
            if (chances[i] > 0.0 && chances[i] < 1.0) {
                float w = weight(scores[row * TOKEN_STRIDE + first + i * WG + tid], maximum);
                sums += vec4(w, w * (w / chances[i]) - w * w, w * w, 0.0);
            }
        }
        vec4 total = reduce_sum(sums);
        if (tid == 0u) {
            partials[(MOMENTS_OFFSET / 4) + row * (TOKEN_STRIDE / VSA_SELECT_CHUNK) + chunk] = total;
        }
    }
}
