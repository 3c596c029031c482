#version 450
// Opens a step: one workgroup per group. Reads the sequence lengths; writes the group's and its
// rows' records, clears its histograms, its certificates and the dispatch arguments.
// Counts: docs/algorithm.md, "Exact set" and "Base sample". Grid: (1, groups).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "rng.glsl"
#include "bet_blocks.glsl"
#include "ranges.glsl"

layout(constant_id = VSA_ID_SINK) const uint SINK = 0;
layout(constant_id = VSA_ID_WINDOW) const uint WINDOW = 0;
layout(constant_id = VSA_ID_SINK_FRACTION) const uint SINK_FRACTION = 0;
layout(constant_id = VSA_ID_WINDOW_FRACTION) const uint WINDOW_FRACTION = 0;
layout(constant_id = VSA_ID_TOP_K) const uint TOP_K = 0;
layout(constant_id = VSA_ID_TOP_K_FRACTION) const uint TOP_K_FRACTION = 0;
layout(constant_id = VSA_ID_BASE) const uint BASE = 0;
layout(constant_id = VSA_ID_BASE_FRACTION) const uint BASE_FRACTION = 0;
layout(constant_id = VSA_ID_BASE_MAX) const uint BASE_MAX = 0;
layout(constant_id = VSA_ID_MAX_SAMPLES) const uint MAX_SAMPLES = 0;
layout(constant_id = VSA_ID_ARGS_SETS) const uint ARGS_SETS = VSA_ARGS_SETS_ONE;
layout(constant_id = VSA_ID_BINS_OFFSET) const uint BINS_OFFSET = 0;
layout(constant_id = VSA_ID_TOP_P) const float TOP_P = 0.0;
layout(constant_id = VSA_ID_BOUND) const uint BOUND = VSA_BOUND_IS_CLT;

layout(set = 0, binding = VSA_BIND_LENGTHS) readonly buffer Lengths { uint lengths[]; };
layout(set = 0, binding = VSA_BIND_CERTIFICATES) writeonly buffer Certificates { uint certificate[]; };
layout(set = 0, binding = VSA_BIND_CONTROL) writeonly buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) writeonly buffer Lists { uint lists[]; };

// 0 when this query has no token to attend to, or the caller's promise max_length is broken.
uint query_length(uint sequence, uint query)
{
    uint length = lengths[sequence];
    uint behind = push.query_count - 1u - query;
    return length > behind && length <= push.max_length ? length - behind : 0u;
}

void write_group(uint group)
{
    uint sequence = group_sequence(group);
    uint kv_head = group_kv_head(group);
    uint n = query_length(sequence, group_query(group));

    uint sink_end = min(max(SINK, fraction_of(n, SINK_FRACTION)), n);
    uint window_tokens = max(WINDOW, fraction_of(n, WINDOW_FRACTION));
    uint window = max(n - min(window_tokens, n), sink_end);
    uint candidates = window - sink_end;
    uint k = min(max(TOP_K, fraction_of(n, TOP_K_FRACTION)), candidates);
    uint residual = candidates - k;

    residual = GUIDED != 0u ? candidates : residual;
    uint base = max(BASE, fraction_of(residual, BASE_FRACTION));
    base = max(min(min(base, BASE_MAX), MAX_SAMPLES), uint(VSA_RANDOM_GROUPS));
    base = (base + VSA_RANDOM_GROUPS - 1u) / VSA_RANDOM_GROUPS * VSA_RANDOM_GROUPS;
    base = BOUND == VSA_BOUND_IS_STRICT && GUIDED == 0u ? bet_round_up(base) : base;
    base = SAMPLES != 0u ? base : 0u;
    bool dense = ONLY_DENSE != 0u || base >= residual - residual / 2u;

    uint key0 = draw_key(0u, sequence, kv_head, n);
    uint key1 = draw_key(0x85ebca6bu, sequence, kv_head, n);

    control[group_word(group, VSA_G_LENGTH)] = n;
    control[group_word(group, VSA_G_SCAN)] = dense ? 0u : n;
    control[group_word(group, VSA_G_SINK_END)] = sink_end;
    control[group_word(group, VSA_G_WINDOW)] = window;
    control[group_word(group, VSA_G_TOP_K)] = k;
    control[group_word(group, VSA_G_RESIDUAL)] = residual;
    control[group_word(group, VSA_G_BASE)] = base;
    control[group_word(group, VSA_G_DENSE)] = uint(dense && n > 0u);
    control[group_word(group, VSA_G_DRAWN)] = 0u;
    control[group_word(group, VSA_G_COUNTER)] = 0u;
    control[group_word(group, VSA_G_KEY0)] = key0;
    control[group_word(group, VSA_G_KEY1)] = key1;
    for (uint i = VSA_G_PREFIX; i < VSA_G_WORDS; i++) {
        control[group_word(group, i)] = 0u;
    }
    for (uint head = 0u; head < GROUP; head++) {
        uint row = group * GROUP + head;
        control[row_word(row, VSA_R_MAX)] = 0u;
        control[row_word(row, VSA_R_NONFINITE)] = 0u;
        control[row_word(row, VSA_R_OLD)] = 0u;
        control[row_word(row, VSA_R_GRANTED)] = base;
        control[row_word(row, VSA_R_STATUS)] = dense && n > 0u ? uint(VSA_STATUS_EXACT) : 0u;
        control[row_word(row, VSA_R_WANTED)] = 0u;
        control[row_word(row, VSA_R_SCALE)] = 0u;
        control[row_word(row, VSA_R_GATHERED)] = 0u;
        control[row_word(row, VSA_R_FLAGS)] = 0u;
        control[row_word(row, VSA_R_RADIUS)] = 0u;
        control[row_word(row, VSA_R_KEPT)] = 0u;
        control[row_word(row, VSA_R_NEED)] = 0u;
    }
}

void write_arguments()
{
    uint groups = push.sequence_count * push.query_count * KV_HEADS;
    for (uint set = 0u; set < ARGS_SETS; set++) {
        Ranges ranges = ranges_of(set);
        uint rx = max(ranges.rx, 1u);
        uint cells = groups * ranges_cells(set);
        uint count = (cells + ranges.ny - 1u) / ranges.ny * rx;
        for (uint i = gl_LocalInvocationID.x; i < min(count, uint(VSA_MAX_RANGES)); i += WG) {
            uint word = (set * VSA_MAX_RANGES + i) * VSA_ARGS_WORDS;
            uint axis = cells_axis(set);
            control[word + 1u - axis] = 0u;
            control[word + axis] = min(ranges.ny, cells - i / rx * ranges.ny);
            control[word + 2u] = 1u;
            control[word + 3u] = 0u;
        }
    }
}

void main()
{
    uint group = gl_WorkGroupID.y + push.first_y;
    uint tid = gl_LocalInvocationID.x;
    if (tid == 0u) {
        write_group(group);
    }
    if (group == 0u) {
        write_arguments();
    }
    const uint certificates = GROUP * VSA_CERTIFICATE_WORDS;
    for (uint i = tid; i < certificates; i += WG) {
        certificate[group * certificates + i] = 0u;
    }
    if (TOKEN_STRIDE != 0u && GUIDED == 0u) {
        for (uint i = tid; i < VSA_HIST_WORDS; i += WG) {
            control[HIST_OFFSET + group * VSA_HIST_WORDS + i] = 0u;
        }
    }
    // Several workgroups add to the same words where a group has several blocks of heads.
    const uint words = GUIDED != 0u && BLOCKS > 1u ? TOKEN_STRIDE / 32 : 0;
    for (uint i = tid; i < words; i += WG) {
        lists[BITS_OFFSET + group * words + i] = 0u;
    }
    const uint bins = TOP_P > 0.0 ? GROUP * 2 * VSA_HIST_WORDS : 0;
    for (uint i = tid; i < bins; i += WG) {
        control[BINS_OFFSET + group * bins + i] = 0u;
    }
}
