#version 450
// Method guided, compact scorers: scores from STATE, and which tokens are worth keeping.
// docs/algorithm.md, "Probe" and "Scan"; docs/scorers.md.
// push.items 1: the probe. In: STATE, queries. Out: PARTIALS (probe). Grid: (VSA_PROBE_CHUNK places,
// group x head block).
// push.items 0: all candidates. Out: marks (LISTS) of those that are kept, their SCORES.
// Grid: (VSA_SCORE_CHUNK tokens, group x head block).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rng.glsl"

layout(constant_id = VSA_ID_PROBE_OFFSET) const uint PROBE_OFFSET = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) writeonly buffer Scores { float scores[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) buffer Partials { uint queries[]; };

#include "probe.glsl"
#include "chance.glsl"
#include "scan.glsl"
#include "codes.glsl"

// A run of the probe lies in one page.
void score_probe(uint group, uint base, uint first, uint first_row, uint heads)
{
    Probe probe = probe_make(group);
    const uint each = SCORER == VSA_SCORER_IS_PAGE ? VSA_PROBE_RUN : 1;
    for (uint place = first + gl_LocalInvocationID.x * each; place < first + VSA_PROBE_CHUNK;
         place += WG * each) {
        float score[HEAD_BLOCK];
        if (SCORER == VSA_SCORER_IS_PAGE) {
            uint token = probe.end - 1u;
            for (uint i = 0; i < each; i++) {
                token = min(token, probe_token(probe, place + i));   // one of them, if any
            }
            score_page(base, token, heads, score);
        } else {
            score_token(base, min(probe_token(probe, place), probe.end - 1u), heads, score);
        }
        for (uint i = 0; i < each; i++) {
            bool there = probe_token(probe, place + i) != PROBE_NONE;
            for (uint head = 0; head < HEAD_BLOCK; head++) {
                if (head < heads) {
                    queries[PROBE_OFFSET + (first_row + head) * VSA_PROBE_TOKENS + place + i] =
                        floatBitsToUint(there ? score[head] : MASKED);
                }
            }
        }
    }
}

void score_chunk(Scan scan, uint base, uint first, uint end)
{
    const uint each = SCORER == VSA_SCORER_IS_PAGE ? VSA_PAGE_TOKENS : 1;
    for (uint token = first + gl_LocalInvocationID.x * each; token < end; token += WG * each) {
        float score[HEAD_BLOCK];
        if (SCORER == VSA_SCORER_IS_PAGE) {
            score_page(base, token, scan.heads, score);
        } else {
            score_token(base, token, scan.heads, score);
        }
        for (uint i = 0; i < min(each, end - token); i++) {
            if (scan_is_candidate(scan, token + i)) {
                scan_keep(scan, token + i, score);
            }
        }
    }
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint cell = gl_WorkGroupID.y + push.first_y;
    uint chunk = gl_WorkGroupID.x + push.first_x;
    uint group = cell / BLOCKS;
    uint first_head = cell % BLOCKS * HEAD_BLOCK;
    uint heads = min(HEAD_BLOCK, GROUP - first_head);
    uint first_row = group * GROUP + first_head;
    bool probes = push.items != 0u;
    uint first = chunk * (probes ? uint(VSA_PROBE_CHUNK) : uint(VSA_SCORE_CHUNK));
    uint end = min(control[group_word(group, VSA_G_WINDOW)], first + VSA_SCORE_CHUNK);
    if (!scan_is_due(group) || (!probes && first >= control[group_word(group, VSA_G_LENGTH)])) {
        return;
    }
    uint base = keys_base(group_sequence(group), group_kv_head(group));
    scan_clear();
    load_queries(first_row, heads);
    if (probes) {
        score_probe(group, base, first, first_row, heads);
    } else {
        score_chunk(scan_make(group, first_row, heads, first), base, first, end);
    }
    barrier();
    if (!probes) {
        scan_finish(scan_make(group, first_row, heads, first), group);
    }
    if (tid < heads && (nonfinite_shared & 1u << tid) != 0u) {
        atomicOr(control[row_word(first_row + tid, VSA_R_NONFINITE)], 1u);
    }
}
