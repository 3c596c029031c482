#version 450
// Method guided: lists what pick has marked. Heavy tokens in ascending order; samples permuted, so
// that every random group is a random part of them, with the logarithm of their probability. One
// invocation lists 32 tokens.
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
#include "add_ranges.glsl"

const uint WORDS = VSA_SELECT_CHUNK / 32;
const uint CHUNKS = TOKEN_STRIDE / VSA_SELECT_CHUNK;

// Heavy and sampled tokens: of each word, and of each 8 words.
shared uvec2 word_count[WORDS];
shared uvec2 block_count[WORDS / 8];
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
    bool scanned = control[group_word(group, VSA_G_SCANNED)] == push.round;
    control[group_word(group, VSA_G_TOP_K)] = heavy;
    control[group_word(group, VSA_G_RESIDUAL)] = candidates - heavy;
    control[group_word(group, VSA_G_DRAWN)] = sampled;
    uint members = length - candidates + heavy;
    uint split = exact_chunk(members);
    add_ranges(VSA_ARGS_EXACT + push.round, group, (members + split - 1u) / split);
    for (uint head = 0; head < GROUP; head++) {
        uint word = row_word(group * GROUP + head, 0u);
        if (control[word + VSA_R_STATUS] != VSA_STATUS_EXACT) {
            control[word + VSA_R_OLD] = 0u;
            control[word + VSA_R_GRANTED] = sampled;
            control[word + VSA_R_GATHERED] += length - candidates + heavy + sampled;
            if (scanned) {
                control[word + VSA_R_KEPT] = control[word + VSA_R_SCALE];
            }
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
        offset_shared[head] = row_offset(group * GROUP + head);
    }
    uint word = group * (TOKEN_STRIDE / 32) + first / 32u;
    uint words = min(WORDS, (length - first + 31u) / 32u);
    for (uint i = tid; i < WORDS; i += WG) {
        word_count[i] = i < words ? uvec2(bitCount(lists[HEAVY_OFFSET + word + i]),
                                          bitCount(lists[SAMPLED_OFFSET + word + i]))
                                  : uvec2(0u);
    }
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
    for (uint i = tid; i < WORDS / 8; i += WG) {
        uvec2 sum = uvec2(0u);
        for (uint j = 0; j < 8u; j++) {
            sum += word_count[i * 8u + j];
        }
        block_count[i] = sum;
    }
    barrier();
    uint samples = total_sampled;
    Permutation permutation = permutation_make(samples, control[group_word(group, VSA_G_KEY0)],
                                               control[group_word(group, VSA_G_KEY1)]);
    for (uint i = tid; i < words; i += WG) {
        uvec2 at = uvec2(before_heavy, before_sampled);
        for (uint j = 0; j < i / 8u; j++) {
            at += block_count[j];
        }
        for (uint j = i / 8u * 8u; j < i; j++) {
            at += word_count[j];
        }
        uint token = first + i * 32u;
        for (uint left = lists[HEAVY_OFFSET + word + i]; left != 0u; left &= left - 1u) {
            lists[TOP_OFFSET + group * LIST_STRIDE + at.x] = token + uint(findLSB(left));
            at.x++;
        }
        for (uint left = lists[SAMPLED_OFFSET + word + i]; left != 0u; left &= left - 1u) {
            uint sample_token = token + uint(findLSB(left));
            uint to = group * SAMPLE_STRIDE + permute(permutation, at.y);
            // The product is exact, the sum is rounded: pi is what the hash was compared with.
            float chance = min(chance_of_token(group, sample_token), VSA_HEAVY);
            float pi = (float(chance_bits(chance)) + 1.0) / 4294967296.0;
            lists[SAMPLES_OFFSET + to] = sample_token;
            lists[SHIFTS_OFFSET + to] = floatBitsToUint(log(pi));
            at.y++;
        }
    }
    if (chunk == 0u && tid == 0u) {
        write_counts(group, total_heavy, samples);
    }
}
