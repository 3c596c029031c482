#version 450
// Method guided: which of the tokens that the scan kept a group reads in this stage (push.round).
// Writes a bit for every heavy and for every sampled token; per chunk, how many there are of each; per
// row and chunk the sums of w^2 (1 - pi) / pi^2 and w^2 / pi^2 over the samples, w by their scores and
// relative to the row's reference.
// In: marks, SCORES, row scales. Out: bits (LISTS), counts [group][chunk][2], moments.
// Grid: (VSA_SELECT_CHUNK tokens, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rng.glsl"

layout(constant_id = VSA_ID_HEAVY_OFFSET) const uint HEAVY_OFFSET = 0;
layout(constant_id = VSA_ID_SAMPLED_OFFSET) const uint SAMPLED_OFFSET = 0;
layout(constant_id = VSA_ID_MOMENTS_OFFSET) const uint MOMENTS_OFFSET = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) writeonly buffer Partials { vec4 partials[]; };

#include "chance.glsl"
#include "marks.glsl"
#include "reduce.glsl"

const uint CHUNKS = TOKEN_STRIDE / VSA_SELECT_CHUNK;

shared float offset_shared[GROUP];   // ln c - reference, by head
shared float pi_shared[VSA_SELECT_CHUNK];   // by place in mark_list; 0: not sampled
shared uint heavy_shared[MARK_WORDS];
shared uint sampled_shared[MARK_WORDS];
shared uint heavy_count;
shared uint sampled_count;

float row_score(uint group, uint head, uint token)
{
    return scores[(group * GROUP + head) * TOKEN_STRIDE + token];
}

float chance_of_token(uint group, uint token)
{
    float log_chance = MASKED;
    for (uint head = 0; head < GROUP; head++) {
        log_chance = max(log_chance, log_wish(offset_shared[head], row_score(group, head, token)));
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
    if (first >= length ||
        control[group_word(group, VSA_G_EXTENDED)] < push.round) {
        return;
    }
    if (tid == 0u) {
        heavy_count = 0u;
        sampled_count = 0u;
    }
    for (uint head = tid; head < GROUP; head += WG) {
        offset_shared[head] = row_offset(group * GROUP + head, VSA_R_SCALE);
    }
    barrier();
    uint word = group * (TOKEN_STRIDE / 32) + first / 32u;
    uint words = min(MARK_WORDS, (length - first + 31u) / 32u);   // no marks behind the length
    for (uint i = tid; i < MARK_WORDS; i += WG) {
        heavy_shared[i] = 0u;
        sampled_shared[i] = 0u;
    }
    uint kept = list_marks(BITS_OFFSET + word, words);
    uint hash_key = chance_key(group);
    for (uint item = tid; item < kept; item += WG) {
        uint place = mark_list[item];
        float chance = chance_of_token(group, first + place);
        float pi = 0.0;
        if (chance == 1.0) {
            atomicOr(heavy_shared[place / 32u], 1u << (place & 31u));
        } else if (is_sampled(chance, hash_key, first + place)) {
            atomicOr(sampled_shared[place / 32u], 1u << (place & 31u));
            pi = chance;
        }
        pi_shared[item] = pi;
    }
    barrier();
    uint heavy = 0u;
    uint sampled = 0u;
    for (uint i = tid; i < words; i += WG) {
        lists[HEAVY_OFFSET + word + i] = heavy_shared[i];
        lists[SAMPLED_OFFSET + word + i] = sampled_shared[i];
        heavy += uint(bitCount(heavy_shared[i]));
        sampled += uint(bitCount(sampled_shared[i]));
    }
    atomicAdd(heavy_count, heavy);
    atomicAdd(sampled_count, sampled);
    barrier();
    if (tid == 0u) {
        uint at = COUNTS_OFFSET + (group * CHUNKS + chunk) * 2u;
        control[at] = heavy_count;
        control[at + 1u] = sampled_count;
    }
    for (uint pair = 0; pair < GROUP; pair += 2u) {
        // Two rows at a time.
        uvec2 head = min(uvec2(pair, pair + 1u), GROUP - 1u);
        uvec2 row = group * GROUP + head;
        vec2 scale = vec2(uintBitsToFloat(control[row_word(row.x, VSA_R_SCALE)]),
                          uintBitsToFloat(control[row_word(row.y, VSA_R_SCALE)]));
        vec4 sums = vec4(0.0);
        for (uint item = tid; item < kept; item += WG) {
            float pi = pi_shared[item];   // each invocation reads what it has written
            if (pi > 0.0) {
                uint token = first + mark_list[item];
                for (uint j = 0; j < 2u; j++) {
                    float wish = log_wish(offset_shared[head[j]], row_score(group, head[j], token));
                    // c w <= pi < 1/2, whatever w is.
                    float x = scale[j] > 0.0 ? exp_negative(min(wish, 0.0)) / (scale[j] * pi) : 0.0;
                    sums[j * 2u] += x * x * (1.0 - pi);
                    sums[j * 2u + 1u] += x * x;
                }
            }
        }
        vec4 total = reduce_sum(sums);
        if (tid == 0u) {
            partials[(MOMENTS_OFFSET / 4) + row.x * CHUNKS + chunk] = vec4(total.xy, 0.0, 0.0);
            if (row.y != row.x) {
                partials[(MOMENTS_OFFSET / 4) + row.y * CHUNKS + chunk] = vec4(total.zw, 0.0, 0.0);
            }
        }
    }
}
