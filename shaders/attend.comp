#version 450
// Attention over some tokens of a row: one softmax partial (docs/algorithm.md: l, B, sum w^2 and the
// maximum they are relative to) per row and split. One read of a K or V row serves up to
// HEAD_BLOCK heads of the group. ITEMS says which tokens:
//   RANGE    split x = chunk_tokens consecutive tokens, of groups that are (partly) dense
//   EXACT    split x = VSA_EXACT_CHUNK members of the exact set
//   SAMPLES  split x = random group x: samples i with i mod 32 = x that are granted and not yet
//            summed; continues the partial that is there
// In: q, K, V, or SCORES for the logits when STORED_SCORES. Out: PARTIALS.
// Grid: (splits, group x head block).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "logits.glsl"

layout(constant_id = VSA_ID_ITEMS) const uint ITEMS = VSA_ITEMS_RANGE;
layout(constant_id = VSA_ID_STORED_SCORES) const uint STORED_SCORES = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) readonly buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) buffer Partials { float partials[]; };

// Value phase: VALUE_CHUNKS invocations cover a V row, VALUE_LANES rows at a time.
const uint VALUE_CHUNKS = DV / 8;
const uint VALUE_LANES = WG / VALUE_CHUNKS;
// Softmax phase: SUM_LANES invocations per head.
const uint SUM_LANES = WG / HEAD_BLOCK;

shared float weight_shared[HEAD_BLOCK * TILE];
shared float reduce_shared[HEAD_BLOCK * SUM_LANES];
shared float reduce2_shared[HEAD_BLOCK * SUM_LANES];
shared float maximum_shared[HEAD_BLOCK];
shared float rescale_shared[HEAD_BLOCK];
shared vec4 value_shared[WG * 2];

struct Work {
    uint group, first_row, heads;
    uint first, end;      // items of this workgroup: first, first + step, ...
    uint step;
};

uint partial_at(uint row, uint split)
{
    return ITEMS == VSA_ITEMS_RANGE     ? dense_word(row, split)
           : ITEMS == VSA_ITEMS_SAMPLES ? partial_word(row, EXACT_SPLITS + split)
                                        : partial_word(row, split);
}

uint exact_token(uint group, uint item)
{
    uint sink_end = control[group_word(group, VSA_G_SINK_END)];
    uint k = control[group_word(group, VSA_G_TOP_K)];
    if (item < sink_end) {
        return item;
    }
    item -= sink_end;
    return item < k ? lists[TOP_OFFSET + group * LIST_STRIDE + item]
                    : control[group_word(group, VSA_G_WINDOW)] + item - k;
}

uint item_token(uint group, uint item)
{
    return ITEMS == VSA_ITEMS_RANGE     ? item
           : ITEMS == VSA_ITEMS_SAMPLES ? lists[SAMPLES_OFFSET + group * SAMPLE_STRIDE + item]
                                        : exact_token(group, item);
}

// Empty when there is nothing to do.
Work find_work()
{
    uint cell = gl_WorkGroupID.y + push.first_y;
    uint split = gl_WorkGroupID.x + push.first_x;
    Work work;
    work.group = cell / BLOCKS;
    uint first_head = cell % BLOCKS * HEAD_BLOCK;
    work.first_row = work.group * GROUP + first_head;
    work.heads = min(HEAD_BLOCK, GROUP - first_head);
    work.step = 1u;
    uint group = work.group;
    if (ITEMS == VSA_ITEMS_RANGE) {
        uint length = control[group_word(group, VSA_G_DENSE)] != 0u
                          ? control[group_word(group, VSA_G_LENGTH)] : 0u;
        work.first = split * push.chunk_tokens;
        work.end = min(length, work.first + push.chunk_tokens);
    } else if (ITEMS == VSA_ITEMS_EXACT) {
        uint length = control[group_word(group, VSA_G_SCAN)];
        uint members = control[group_word(group, VSA_G_SINK_END)] +
                       control[group_word(group, VSA_G_TOP_K)] +
                       (length - min(control[group_word(group, VSA_G_WINDOW)], length));
        work.first = split * VSA_EXACT_CHUNK;
        work.end = min(length == 0u ? 0u : members, work.first + VSA_EXACT_CHUNK);
    } else {
        // The range that any of the heads needs; each head weighs only its own part of it.
        uint low = 0xffffffffu;
        uint high = 0u;
        for (uint head = 0; head < work.heads; head++) {
            uint old = control[row_word(work.first_row + head, VSA_R_OLD)];
            uint granted = control[row_word(work.first_row + head, VSA_R_GRANTED)];
            if (old < granted) {
                low = min(low, old);
                high = max(high, granted);
            }
        }
        // old and granted are multiples of the number of random groups.
        bool scanned = control[group_word(group, VSA_G_SCAN)] != 0u;
        work.first = low == 0xffffffffu || !scanned ? 0u : low + split;
        work.end = low == 0xffffffffu || !scanned ? 0u : high;
        work.step = VSA_RANDOM_GROUPS;
    }
    return work;
}

void main()
{
    Work work = find_work();
    if (work.first >= work.end) {
        return;
    }
    uint tid = gl_LocalInvocationID.x;
    uint split = gl_WorkGroupID.x + push.first_x;
    uint sequence = group_sequence(work.group);
    uint kv_head = group_kv_head(work.group);
    uint sum_head = tid / SUM_LANES;
    uint sum_lane = tid % SUM_LANES;
    bool sums = sum_head < work.heads;
    uint sum_row = work.first_row + min(sum_head, work.heads - 1u);
    uint old = 0u;
    uint granted = 0xffffffffu;
    if (ITEMS == VSA_ITEMS_SAMPLES) {
        old = control[row_word(sum_row, VSA_R_OLD)];
        granted = control[row_word(sum_row, VSA_R_GRANTED)];
    }

    load_query(work.first_row, work.heads);
    if (tid < HEAD_BLOCK) {
        maximum_shared[tid] = MASKED;
        if (ITEMS == VSA_ITEMS_SAMPLES && tid < work.heads) {
            uint row = work.first_row + tid;
            maximum_shared[tid] = control[row_word(row, VSA_R_OLD)] == 0u
                                      ? MASKED : partials[partial_at(row, split)];
        }
    }
    barrier();
    float start_maximum = maximum_shared[min(sum_head, HEAD_BLOCK - 1u)];
    float sum = 0.0;
    float squares = 0.0;
    vec4 value_low[HEAD_BLOCK];
    vec4 value_high[HEAD_BLOCK];
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        value_low[head] = vec4(0.0);
        value_high[head] = vec4(0.0);
    }

    for (uint base = work.first; base < work.end; base += TILE * work.step) {
        uint count = min((work.end - base + work.step - 1u) / work.step, TILE);
        if (tid < TILE) {
            tile_token[tid] = tid < count ? item_token(work.group, base + tid * work.step)
                                          : NO_TOKEN;
        }
        if (STORED_SCORES != 0u) {
            barrier();
            for (uint i = tid; i < work.heads * TILE; i += WG) {
                uint token = tile_token[i % TILE];
                logit_shared[i] = token == NO_TOKEN ? MASKED
                    : scores[(work.first_row + i / TILE) * TOKEN_STRIDE + token];
            }
            barrier();
        } else {
            tile_logits(sequence, kv_head);
        }

        // Running maximum of each head. A sample outside the head's own range counts for nothing.
        float best = MASKED;
        if (sums) {
            for (uint slot = sum_lane; slot < count; slot += SUM_LANES) {
                uint item = base + slot * work.step;
                if (item >= old && item < granted) {
                    best = max(best, logit_shared[sum_head * TILE + slot]);
                }
            }
        }
        if (sum_head < HEAD_BLOCK) {
            reduce_shared[tid] = best;
        }
        barrier();
        if (tid < HEAD_BLOCK) {
            float before = maximum_shared[tid];
            float after = before;
            for (uint i = 0; i < SUM_LANES; i++) {
                after = max(after, reduce_shared[tid * SUM_LANES + i]);
            }
            maximum_shared[tid] = after;
            rescale_shared[tid] = weight(before, after);
        }
        barrier();
        if (sums) {
            float maximum = maximum_shared[sum_head];
            float rescale = rescale_shared[sum_head];
            sum *= rescale;
            squares *= rescale * rescale;
            for (uint slot = sum_lane; slot < count; slot += SUM_LANES) {
                uint item = base + slot * work.step;
                float w = item >= old && item < granted
                              ? weight(logit_shared[sum_head * TILE + slot], maximum) : 0.0;
                weight_shared[sum_head * TILE + slot] = w;
                sum += w;
                squares += w * w;
            }
        }
        barrier();

        if (tid < VALUE_CHUNKS * VALUE_LANES) {
            uint chunk = tid % VALUE_CHUNKS;
            for (uint head = 0; head < HEAD_BLOCK; head++) {
                value_low[head] *= rescale_shared[head];
                value_high[head] *= rescale_shared[head];
            }
            for (uint slot = tid / VALUE_CHUNKS; slot < count; slot += VALUE_LANES) {
                vec4 low, high;
                v_load8(v_row(sequence, kv_head, tile_token[slot]), chunk, low, high);
                for (uint head = 0; head < work.heads; head++) {
                    float w = weight_shared[head * TILE + slot];
                    value_low[head] += w * low;
                    value_high[head] += w * high;
                }
            }
        }
        barrier();
    }

    // Sums over the invocations, in a fixed order.
    if (sum_head < HEAD_BLOCK) {
        reduce_shared[tid] = sum;
        reduce2_shared[tid] = squares;
    }
    barrier();
    if (sums && sum_lane == 0u) {
        float total = 0.0;
        float total_squares = 0.0;
        for (uint i = 0; i < SUM_LANES; i++) {
            total += reduce_shared[tid + i];
            total_squares += reduce2_shared[tid + i];
        }
        uint word = partial_at(sum_row, split);
        float maximum = maximum_shared[sum_head];
        float keep = 0.0;
        if (ITEMS == VSA_ITEMS_SAMPLES && old != 0u) {
            keep = weight(start_maximum, maximum);
            total += keep * partials[word + VSA_PARTIAL_SUM];
            total_squares += keep * keep * partials[word + VSA_PARTIAL_SQUARES];
        }
        rescale_shared[sum_head] = keep;
        partials[word + VSA_PARTIAL_MAX] = maximum;
        partials[word + VSA_PARTIAL_SUM] = total;
        partials[word + VSA_PARTIAL_SQUARES] = total_squares;
        if (STORED_SCORES == 0u && (nonfinite_shared & 1u << sum_head) != 0u) {
            atomicOr(control[row_word(sum_row, VSA_R_NONFINITE)], 1u);
        }
    }
    barrier();
    for (uint head = 0; head < work.heads; head++) {
        if (tid < VALUE_CHUNKS * VALUE_LANES) {
            value_shared[tid * 2u] = value_low[head];
            value_shared[tid * 2u + 1u] = value_high[head];
        }
        barrier();
        for (uint i = tid; i < DV / 4; i += WG) {
            vec4 total = vec4(0.0);
            for (uint lane = 0; lane < VALUE_LANES; lane++) {
                total += value_shared[lane * VALUE_CHUNKS * 2u + i];
            }
            uint word = partial_at(work.first_row + head, split) + VSA_PARTIAL_VALUES + i * 4u;
            if (ITEMS == VSA_ITEMS_SAMPLES) {
                float keep = rescale_shared[head];
                if (keep != 0.0) {
                    total += keep * vec4(partials[word], partials[word + 1u], partials[word + 2u],
                                         partials[word + 3u]);
                }
            }
            partials[word] = total.x;
            partials[word + 1u] = total.y;
            partials[word + 2u] = total.z;
            partials[word + 3u] = total.w;
        }
        barrier();
    }
}
