#version 450
// Method guided: lists what pick has marked. Heavy tokens in ascending order; samples permuted, so
// that every random group is a random part of them, with the logarithm of their probability.
// In: bits, counts, SCORES. Out: top-k ids, samples, their shifts; the group's and its rows' counts.
// Grid: (VSA_SELECT_CHUNK tokens, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rng.glsl"

layout(constant_id = VSA_ID_HEAVY_OFFSET) const uint HEAVY_OFFSET = 0;
layout(constant_id = VSA_ID_SAMPLED_OFFSET) const uint SAMPLED_OFFSET = 0;
layout(constant_id = VSA_ID_SHIFTS_OFFSET) const uint SHIFTS_OFFSET = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };

#include "chance.glsl"
#include "marks.glsl"
#include "add_ranges.glsl"

const uint CHUNKS = TOKEN_STRIDE / VSA_SELECT_CHUNK;

// Heavy and sampled tokens: of the chunks before this one, and of all.
shared uint before_heavy;
shared uint before_sampled;
shared uint total_heavy;
shared uint total_sampled;
shared float offset_shared[GROUP];

// The row's counts; only rows that are still sampled take part.
void write_counts(uint group, uint heavy, uint sampled)
{
    uint length = control[group_word(group, VSA_G_LENGTH)];
    uint candidates = control[group_word(group, VSA_G_WINDOW)] -
                      control[group_word(group, VSA_G_SINK_END)];
    control[group_word(group, VSA_G_TOP_K)] = heavy;
    control[group_word(group, VSA_G_RESIDUAL)] = candidates - heavy;
    control[group_word(group, VSA_G_DRAWN)] = sampled;
    uint members = length - candidates + heavy;
    // Sink and window have been read in stage 0.
    ExactSplits splits = exact_splits(members, heavy);
    bool reads = push.round == 0u || heavy > 0u;
    add_ranges(VSA_ARGS_EXACT + push.round, group,
               reads ? splits.fixed_count + splits.heavy_count : 0u);
    uint gathered = heavy + sampled + (push.round == 0u ? length - candidates : 0u);
    for (uint head = 0; head < GROUP; head++) {
        uint word = row_word(group * GROUP + head, 0u);
        if (control[word + VSA_R_STATUS] != VSA_STATUS_EXACT) {
            control[word + VSA_R_OLD] = 0u;
            control[word + VSA_R_GRANTED] = sampled;
            control[word + VSA_R_GATHERED] += gathered;
        }
    }
}

float chance_of_token(uint group, uint token)
{
    float log_chance = MASKED;
    for (uint head = 0; head < GROUP; head++) {
        log_chance = max(log_chance, log_wish(offset_shared[head],
                                              scores[(group * GROUP + head) * TOKEN_STRIDE + token]));
    }
    return chance_of(log_chance);
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint group = gl_WorkGroupID.y + push.first_y;
    uint chunk = gl_WorkGroupID.x + push.first_x;
    uint first = chunk * VSA_SELECT_CHUNK;
    uint length = control[group_word(group, VSA_G_SCAN)];
    if (first >= length || control[group_word(group, VSA_G_EXTENDED)] < push.round) {
        return;
    }
    if (tid == 0u) {
        before_heavy = 0u;
        before_sampled = 0u;
        total_heavy = 0u;
        total_sampled = 0u;
    }
    for (uint head = tid; head < GROUP; head += WG) {
        offset_shared[head] = row_offset(group * GROUP + head, VSA_R_SCALE);
    }
    uint word = group * (TOKEN_STRIDE / 32) + first / 32u;
    uint words = min(MARK_WORDS, (length - first + 31u) / 32u);
    barrier();
    uint chunks = (length + VSA_SELECT_CHUNK - 1u) / VSA_SELECT_CHUNK;
    uint counts = COUNTS_OFFSET + group * CHUNKS * 2u;
    for (uint i = tid; i < chunks; i += WG) {
        uint heavy = control[counts + i * 2u];
        uint sampled = control[counts + i * 2u + 1u];
        atomicAdd(total_heavy, heavy);
        atomicAdd(total_sampled, sampled);
        if (i < chunk) {
            atomicAdd(before_heavy, heavy);
            atomicAdd(before_sampled, sampled);
        }
    }
    uint heavy = list_marks(HEAVY_OFFSET + word, words);
    for (uint item = tid; item < heavy; item += WG) {
        lists[TOP_OFFSET + group * LIST_STRIDE + before_heavy + item] = first + mark_list[item];
    }
    uint sampled = list_marks(SAMPLED_OFFSET + word, words);
    uint samples = total_sampled;
    Permutation permutation = permutation_make(samples, control[group_word(group, VSA_G_KEY0)],
                                               control[group_word(group, VSA_G_KEY1)]);
    for (uint item = tid; item < sampled; item += WG) {
        uint token = first + mark_list[item];
        uint to = group * SAMPLE_STRIDE + permute(permutation, before_sampled + item);
        // The product is exact, the sum is rounded: pi is what the hash was compared with.
        float chance = min(chance_of_token(group, token), VSA_HEAVY);
        float pi = (float(chance_bits(chance)) + 1.0) / 4294967296.0;
        lists[SAMPLES_OFFSET + to] = token;
        lists[SHIFTS_OFFSET + to] = floatBitsToUint(log(pi));
    }
    if (chunk == 0u && tid == 0u) {
        write_counts(group, total_heavy, samples);
    }
}
