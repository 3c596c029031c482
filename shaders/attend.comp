#version 450
// Attention over some tokens of a row: one softmax partial (docs/algorithm.md: l, B, sum w^2 and the
// maximum they are relative to) per row and split. One read of a K or V row serves up to
// HEAD_BLOCK heads of the group. ITEMS says which:
//   RANGE    split x = chunk_tokens consecutive tokens, of groups that are (partly) dense
//   EXACT    split x of the exact set, see exact_splits; guided, extensions: only heavy tokens
//   SAMPLES  split x = random group x: samples i with i mod 32 = x that are granted and not yet
//            summed; continues the partial that is there
// In: q, K, V, or SCORES for the logits when STORED_SCORES. Out: PARTIALS.
// Grid: (splits, group x head block).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "logits.glsl"

layout(constant_id = VSA_ID_SPARSE) const uint SPARSE = 0;
layout(constant_id = VSA_ID_STORED_SCORES) const uint STORED_SCORES = 0;
layout(constant_id = VSA_ID_KEEP_LOGITS) const uint KEEP_LOGITS = 0;
layout(constant_id = VSA_ID_SHIFTS_OFFSET) const uint SHIFTS_OFFSET = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) readonly buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) buffer Scores { float scores[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) buffer Partials { vec4 partials[]; };

// Value phase: VALUE_THREADS invocations cover a V row, VALUE_LANES rows at a time.
const uint VALUE_THREADS = (DV / 8 + VALUE_CHUNKS - 1) / VALUE_CHUNKS;
const uint VALUE_LANES = WG / VALUE_THREADS;
// Heads whose partial values are summed at a time: those that fit into the pool.
const uint POOL_HEADS = POOL_SIZE / HEAD_VALUES;
const uint STAGED_HEADS = POOL_HEADS < HEAD_BLOCK ? POOL_HEADS : HEAD_BLOCK;
// Softmax phase: SUM_LANES invocations per head.
const uint SUM_LANES = WG / HEAD_BLOCK;

// Known when the pipeline is made for a range, pushed otherwise.
#define ITEMS (SPARSE != 0u ? push.items : uint(VSA_ITEMS_RANGE))

// A sample weighs 1 / pi times its weight: the logarithm of pi, 0 for all other items.
#define SHIFTED (GUIDED != 0u && ITEMS == VSA_ITEMS_SAMPLES)

shared float shift_shared[GUIDED != 0 ? TILE : 1];
shared float weight_shared[HEAD_BLOCK * TILE];
shared float reduce_shared[HEAD_BLOCK * SUM_LANES];
shared float reduce2_shared[HEAD_BLOCK * SUM_LANES];
shared float norm_shared[NORMS != 0 ? WG : 1];
shared float maximum_shared[HEAD_BLOCK];
shared float rescale_shared[HEAD_BLOCK];

struct Work {
    uint group, first_row, heads;
    uint first, end;      // items of this workgroup: first, first + step, ...
    uint step;
};

// In units of 4 words: the header, then the values. Word offsets are multiples of 4.
uint partial_at(uint row, uint split)
{
    return (ITEMS == VSA_ITEMS_RANGE     ? dense_word(row, split)
            : ITEMS == VSA_ITEMS_SAMPLES ? partial_word(row, EXACT_SPLITS + split)
                                         : partial_word(row, split)) / 4u;
}

uint exact_token(uint group, uint item)
{
    uint sink_end = control[group_word(group, VSA_G_SINK_END)];
    uint k = control[group_word(group, VSA_G_TOP_K)];
    if (item < sink_end) {
        return item;
    }
    item -= sink_end;
    uint window = control[group_word(group, VSA_G_WINDOW)];
    if (GUIDED != 0u) {   // heavy tokens last
        uint window_tokens = control[group_word(group, VSA_G_LENGTH)] - window;
        return item < window_tokens
                   ? window + item
                   : lists[TOP_OFFSET + group * LIST_STRIDE + item - window_tokens];
    }
    return item < k ? lists[TOP_OFFSET + group * LIST_STRIDE + item] : window + item - k;
}

uint item_token(uint group, uint item)
{
    return ITEMS == VSA_ITEMS_RANGE     ? item
           : ITEMS == VSA_ITEMS_SAMPLES ? lists[SAMPLES_OFFSET + group * SAMPLE_STRIDE + item]
                                        : exact_token(group, item);
}

// Split (x) and cell (y).
uvec2 find_place()
{
    return ITEMS == VSA_ITEMS_RANGE ? stream_place()
                                    : gl_WorkGroupID.xy + uvec2(push.first_x, push.first_y);
}

// Empty when there is nothing to do.
Work find_work(uint split, uint cell)
{
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
        uint heavy = control[group_word(group, VSA_G_TOP_K)];
        uint members = control[group_word(group, VSA_G_SINK_END)] + heavy +
                       (length - min(control[group_word(group, VSA_G_WINDOW)], length));
        bool waits = GUIDED != 0u && control[group_word(group, VSA_G_EXTENDED)] < push.round;
        ExactSplits s = exact_splits(members, heavy);
        uint fixed_members = GUIDED != 0u ? members - heavy : members;
        bool is_heavy = split >= s.fixed_count;
        uint begin = is_heavy ? fixed_members : 0u;
        uint chunk = is_heavy ? s.heavy_chunk : s.fixed_chunk;
        uint end = is_heavy ? members : fixed_members;
        bool done = GUIDED != 0u && push.round != 0u && !is_heavy;
        work.first = begin + (is_heavy ? split - s.fixed_count : split) * chunk;
        work.end = min(length == 0u || waits || done ? 0u : end, work.first + chunk);
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

// An upper bound of the largest |v|^2, from what each invocation saw of its part of the rows.
float bound_norms(float own)
{
    norm_shared[gl_LocalInvocationID.x] = own;
    barrier();
    float total = 0.0;
    for (uint i = 0; i < LOOP(VALUE_THREADS); i++) {
        float part = 0.0;
        for (uint j = 0; j < LOOP(VALUE_LANES); j++) {
            part = max(part, norm_shared[j * VALUE_THREADS + i]);
        }
        total += part;
    }
    barrier();
    return total;
}

// Each head's sum over all invocations, to the invocations of that head.
float sum_norms(float norms[HEAD_BLOCK])
{
    uint tid = gl_LocalInvocationID.x;
    float total = 0.0;
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        norm_shared[tid] = norms[0];
        barrier();
        if (tid / SUM_LANES == head) {
            total = 0.0;
            for (uint i = 0; i < LOOP(WG); i++) {
                total += norm_shared[i];
            }
        }
        // The next head to the front: an index that only a loop knows would put all into memory.
        for (uint i = 0; i + 1u < HEAD_BLOCK; i++) {
            norms[i] = norms[i + 1u];
        }
        barrier();
    }
    return total;
}

void main()
{
    uvec2 place = find_place();
    uint split = place.x;
    Work work = find_work(split, place.y);
    if (work.first >= work.end) {
        return;
    }
    uint tid = gl_LocalInvocationID.x;
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

    if (STORED_SCORES == 0u) {
        load_query(work.first_row, work.heads);
    }
    if (tid < HEAD_BLOCK) {
        maximum_shared[tid] = MASKED;
        if (ITEMS == VSA_ITEMS_SAMPLES && tid < work.heads) {
            uint row = work.first_row + tid;
            maximum_shared[tid] = control[row_word(row, VSA_R_OLD)] == 0u
                                      ? MASKED : partials[partial_at(row, split)][VSA_PARTIAL_MAX];
        }
    }
    barrier();
    float start_maximum = maximum_shared[min(sum_head, HEAD_BLOCK - 1u)];
    // Heads that fill up the block weigh nothing.
    for (uint i = tid + work.heads * TILE; i < HEAD_BLOCK * TILE; i += WG) {
        weight_shared[i] = 0.0;
    }
    float sum = 0.0;
    float squares = 0.0;
    float norms[HEAD_BLOCK];
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        norms[head] = 0.0;
    }
    float largest_norm = 0.0;
    vec4 value_low[HEAD_BLOCK * VALUE_CHUNKS];
    vec4 value_high[HEAD_BLOCK * VALUE_CHUNKS];
    for (uint i = 0; i < HEAD_BLOCK * VALUE_CHUNKS; i++) {
        value_low[i] = vec4(0.0);
        value_high[i] = vec4(0.0);
    }
    uint value_thread = tid % VALUE_THREADS;
    uint value_lane = tid / VALUE_THREADS;
    uint value_slot = value_lane < VALUE_LANES ? value_lane : TILE;   // TILE: none
    uint items = (work.end - work.first + work.step - 1u) / work.step;
    uint value_lanes = min(items, VALUE_LANES);   // that have anything to sum

    // Both loops around the values end with their test: when it comes first, LLVM for AMD keeps
    // twice what a loop carries.
    uint base = work.first;
    do {
        uint count = min((work.end - base + work.step - 1u) / work.step, TILE);
        for (uint slot = tid; slot < count; slot += WG) {
            tile_token[slot] = item_token(work.group, base + slot * work.step);
            if (SHIFTED) {
                shift_shared[slot] = uintBitsToFloat(
                    lists[SHIFTS_OFFSET + work.group * SAMPLE_STRIDE + base + slot * work.step]);
            }
        }
        if (STORED_SCORES != 0u) {
            barrier();
            for (uint slot = tid; slot < count; slot += WG) {
                for (uint head = 0; head < work.heads; head++) {
                    logit_shared[head * TILE + slot] =
                        scores[(work.first_row + head) * TOKEN_STRIDE + tile_token[slot]];
                }
            }
            barrier();
        } else {
            tile_logits(sequence, kv_head, count);
        }
        if (SHIFTED || (KEEP_LOGITS != 0u && ITEMS == VSA_ITEMS_SAMPLES)) {
            for (uint slot = tid; slot < count; slot += WG) {
                for (uint head = 0; head < work.heads; head++) {
                    float logit = logit_shared[head * TILE + slot];
                    if (KEEP_LOGITS != 0u) {
                        scores[(work.first_row + head) * TOKEN_STRIDE + tile_token[slot]] = logit;
                    }
                    if (SHIFTED) {
                        logit_shared[head * TILE + slot] =
                            logit < LOGIT_MIN ? logit : logit - shift_shared[slot];
                    }
                }
            }
            barrier();
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

        for (uint head = 0; head < HEAD_BLOCK; head++) {
            float rescale = rescale_shared[head];
            norms[head] *= rescale;
            for (uint j = 0; j < VALUE_CHUNKS; j++) {
                value_low[head * VALUE_CHUNKS + j] *= rescale;
                value_high[head * VALUE_CHUNKS + j] *= rescale;
            }
        }
        uint slot = value_slot;
        if (slot < count) {
            do {
                Row row = v_row(sequence, kv_head, tile_token[slot]);
                float w[HEAD_BLOCK];
                for (uint head = 0; head < HEAD_BLOCK; head++) {
                    w[head] = weight_shared[head * TILE + slot];
                }
                float row_norm = 0.0;
                for (uint j = 0; j < VALUE_CHUNKS; j++) {
                    uint chunk = j * VALUE_THREADS + value_thread;
                    if (DV / 8 % VALUE_CHUNKS == 0 || chunk < DV / 8) {
                        vec4 low, high;
                        v_load_quads(row, chunk, low, high);
                        float norm = NORMS != 0u ? dot(low, low) + dot(high, high) : 0.0;
                        row_norm += norm;
                        for (uint head = 0; head < HEAD_BLOCK; head++) {
                            value_low[head * VALUE_CHUNKS + j] += w[head] * low;
                            value_high[head * VALUE_CHUNKS + j] += w[head] * high;
                            norms[head] += NORMS == VSA_NORMS_SUM ? w[head] * norm : 0.0;
                        }
                    }
                }
                largest_norm = max(largest_norm, row_norm);
                slot += VALUE_LANES;
            } while (slot < count);
        }
        barrier();
        base += TILE * work.step;
    } while (base < work.end);

    float total_norms = 0.0;
    if (NORMS == VSA_NORMS_SUM) {
        total_norms = sum_norms(norms);
    } else if (NORMS == VSA_NORMS_LARGEST) {
        total_norms = bound_norms(largest_norm);
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
        uint header = partial_at(sum_row, split);
        float maximum = maximum_shared[sum_head];
        float keep = 0.0;
        if (ITEMS == VSA_ITEMS_SAMPLES && old != 0u) {
            keep = weight(start_maximum, maximum);
            total += keep * partials[header][VSA_PARTIAL_SUM];
            total_squares += keep * keep * partials[header][VSA_PARTIAL_SQUARES];
            total_norms += keep * partials[header][VSA_PARTIAL_NORMS];
        }
        rescale_shared[sum_head] = keep;
        partials[header] = vec4(maximum, total, total_squares, total_norms);
        if (STORED_SCORES == 0u && (nonfinite_shared & 1u << sum_head) != 0u) {
            atomicOr(control[row_word(sum_row, VSA_R_NONFINITE)], 1u);
        }
    }
    barrier();
    for (uint first = 0; first < HEAD_BLOCK; first += STAGED_HEADS) {
        // [head][value lane][4 channels]
        for (uint i = 0; i < STAGED_HEADS; i++) {
            if (first + i < HEAD_BLOCK && value_lane < value_lanes) {
                for (uint j = 0; j < VALUE_CHUNKS; j++) {
                    uint chunk = j * VALUE_THREADS + value_thread;
                    if (chunk < DV / 8) {
                        uvec2 at = (i * VALUE_LANES + value_lane) * (DV / 4) +
                                   quads_of(V_TYPE, chunk);
                        pool_shared[at.x] = value_low[i * VALUE_CHUNKS + j];
                        pool_shared[at.y] = value_high[i * VALUE_CHUNKS + j];
                    }
                }
            }
        }
        barrier();
        uint staged = min(work.heads - min(first, work.heads), STAGED_HEADS);
        for (uint i = tid; i < staged * (DV / 4); i += WG) {
            uint head = first + i / (DV / 4);
            vec4 total = vec4(0.0);
            for (uint lane = 0; lane < value_lanes; lane++) {
                total += pool_shared[(i / (DV / 4) * VALUE_LANES + lane) * (DV / 4) + i % (DV / 4)];
            }
            uint at = partial_at(work.first_row + head, split) + VSA_PARTIAL_VALUES / 4 +
                      i % (DV / 4);
            float keep = rescale_shared[head];
            if (ITEMS == VSA_ITEMS_SAMPLES && keep != 0.0) {
                total += keep * partials[at];
            }
            partials[at] = total;
        }
        // The next heads to the front, as in sum_norms.
        for (uint i = 0; i < (HEAD_BLOCK - STAGED_HEADS) * VALUE_CHUNKS; i++) {
            value_low[i] = value_low[i + STAGED_HEADS * VALUE_CHUNKS];
            value_high[i] = value_high[i + STAGED_HEADS * VALUE_CHUNKS];
        }
        barrier();
    }
}
