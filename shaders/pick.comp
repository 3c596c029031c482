#version 450
// Method guided: which of the tokens that the scan kept a group reads in this stage (push.round). One
// invocation looks at 32 tokens. Writes a bit for every heavy and for every sampled token; per chunk,
// how many there are of each; per row and chunk the sums of w^2 (1 - pi) / pi^2 and w^2 / pi^2 over the
// samples, w by their scores and relative to the row's reference.
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
#include "reduce.glsl"

const uint WORDS = VSA_SELECT_CHUNK / 32;   // WG of them are looked at at a time
const uint CHUNKS = TOKEN_STRIDE / VSA_SELECT_CHUNK;

shared float offset_shared[GROUP];   // ln c - reference, by head
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
        offset_shared[head] = row_offset(group * GROUP + head);
    }
    barrier();
    uint hash_key = chance_key(group);
    uint word = group * (TOKEN_STRIDE / 32) + first / 32u;
    uint words = min(WORDS, (length - first + 31u) / 32u);   // there are no marks behind the length
    uint heavy = 0u;
    uint sampled = 0u;
    for (uint i = tid; i < words; i += WG) {
        uint heavy_bits = 0u;
        uint sampled_bits = 0u;
        uint token = first + i * 32u;
        for (uint left = lists[BITS_OFFSET + word + i]; left != 0u; left &= left - 1u) {
            uint bit = uint(findLSB(left));
            float chance = chance_of_token(group, token + bit);
            heavy_bits |= chance == 1.0 ? 1u << bit : 0u;
            sampled_bits |= is_sampled(chance, hash_key, token + bit) ? 1u << bit : 0u;
        }
        lists[HEAVY_OFFSET + word + i] = heavy_bits;
        lists[SAMPLED_OFFSET + word + i] = sampled_bits;
        heavy += uint(bitCount(heavy_bits));
        sampled += uint(bitCount(sampled_bits));
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
        for (uint i = tid; i < words; i += WG) {
            // Each invocation reads what it has written.
            for (uint left = lists[SAMPLED_OFFSET + word + i]; left != 0u; left &= left - 1u) {
                uint token = first + i * 32u + uint(findLSB(left));
                float pi = chance_of_token(group, token);
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
