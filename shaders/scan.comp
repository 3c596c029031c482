#version 450
// Method guided, exact scorer: s_i = scale q.k_i, one read of K for a whole group, and which tokens
// are worth keeping. docs/algorithm.md, "Probe" and "Scan".
// push.items 1: the probe. In: K, q. Out: PARTIALS (probe). Grid: (VSA_PROBE_CHUNK places, group x
// head block).
// push.items 0: all tokens. Out: marks (LISTS) of the candidates that are kept, SCORES of those and
// of sink and window, per row and chunk the largest logit and the sum of weights.
// Grid: (VSA_SCORE_CHUNK tokens, group x head block).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "logits.glsl"
#include "rng.glsl"

layout(constant_id = VSA_ID_PROBE_OFFSET) const uint PROBE_OFFSET = 0;
layout(constant_id = VSA_ID_MASSES_OFFSET) const uint MASSES_OFFSET = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) writeonly buffer Scores { float scores[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) writeonly buffer Partials { float partials[]; };

#include "probe.glsl"
#include "chance.glsl"
#include "scan.glsl"

// Sum of weights relative to a running maximum, for each head.
float largest[HEAD_BLOCK];
float mass[HEAD_BLOCK];

void add_mass(uint head, float score)
{
    float before = largest[head];
    largest[head] = max(before, score);
    mass[head] = mass[head] * weight(before, largest[head]) + weight(score, largest[head]);
}

// The sums of all invocations, in a fixed order.
void write_masses(uint first_row, uint heads, uint chunk)
{
    uint tid = gl_LocalInvocationID.x;
    for (uint quad = 0; quad < HEAD_QUADS; quad++) {
        vec4 own_largest = vec4(MASKED);
        vec4 own_mass = vec4(0.0);
        for (uint j = 0; j < 4; j++) {
            uint head = quad * 4u + j;
            if (head < HEAD_BLOCK) {
                own_largest[j] = largest[head];
                own_mass[j] = mass[head];
            }
        }
        pool_shared[tid] = own_largest;
        pool_shared[WG + tid] = own_mass;
        barrier();
        uint head = quad * 4u + tid;
        if (tid < 4u && head < heads) {
            float best = MASKED;
            for (uint i = 0; i < LOOP(WG); i++) {
                best = max(best, pool_shared[i][tid]);
            }
            float sum = 0.0;
            for (uint i = 0; i < LOOP(WG); i++) {
                sum += pool_shared[WG + i][tid] * weight(pool_shared[i][tid], best);
            }
            uint word = MASSES_OFFSET +
                        ((first_row + head) * (TOKEN_STRIDE / VSA_SCORE_CHUNK) + chunk) * 4u;
            partials[word] = best;
            partials[word + 1u] = sum;
        }
        barrier();
    }
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uvec2 place = stream_place();
    uint cell = place.y;
    uint chunk = place.x;
    uint group = cell / BLOCKS;
    uint first_head = cell % BLOCKS * HEAD_BLOCK;
    uint heads = min(HEAD_BLOCK, GROUP - first_head);
    uint first_row = group * GROUP + first_head;
    bool probes = push.items != 0u;
    uint first = chunk * (probes ? uint(VSA_PROBE_CHUNK) : uint(VSA_SCORE_CHUNK));
    uint end = probes ? first + VSA_PROBE_CHUNK
                      : min(control[group_word(group, VSA_G_LENGTH)], first + VSA_SCORE_CHUNK);
    if (first >= end || !scan_is_due(group)) {
        return;
    }
    Probe probe = probe_make(group);
    Scan scan = scan_make(group, first_row, heads, first);
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        largest[head] = MASKED;
        mass[head] = 0.0;
    }
    scan_clear();
    load_query(first_row, heads);
    for (uint base = first; base < end; base += TILE) {
        for (uint slot = tid; slot < TILE; slot += WG) {
            uint place = base + slot;
            tile_token[slot] = place >= end ? NO_TOKEN : probes ? probe_token(probe, place) : place;
        }
        tile_logits(group_sequence(group), group_kv_head(group), min(TILE, end - base));
        for (uint slot = tid; slot < min(TILE, end - base); slot += WG) {
            float score[HEAD_BLOCK];
            for (uint head = 0; head < HEAD_BLOCK; head++) {
                score[head] = head < heads ? logit_shared[head * TILE + slot] : MASKED;
                if (probes && head < heads) {
                    partials[PROBE_OFFSET + (first_row + head) * VSA_PROBE_TOKENS + base + slot] =
                        score[head];
                } else if (!probes) {
                    add_mass(head, score[head]);
                }
            }
            if (!probes) {
                scan_keep(scan, base + slot, score);
            }
        }
        barrier();
    }
    if (!probes) {
        write_masses(first_row, heads, chunk);
        scan_finish(scan, group);
    }
    if (tid < heads && (nonfinite_shared & 1u << tid) != 0u) {
        atomicOr(control[row_word(first_row + tid, VSA_R_NONFINITE)], 1u);
    }
}
