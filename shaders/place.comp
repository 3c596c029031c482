#version 450
// Method guided: lists what pick has counted. Heavy tokens in ascending order; samples permuted, so
// that every random group is a random part of them, with the logarithm of their probability.
// In: probabilities, counts. Out: top-k ids, samples, their shifts; the group's and its rows' counts.
// Grid: (VSA_SELECT_CHUNK tokens, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "compact.glsl"
#include "rng.glsl"

layout(constant_id = VSA_ID_SHIFTS_OFFSET) const uint SHIFTS_OFFSET = 0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) buffer Lists { uint lists[]; };

#include "chance.glsl"

DEFINE_FLAGS(heavy)
DEFINE_FLAGS(sampled)

shared uint before_heavy;
shared uint before_sampled;
shared uint total_heavy;
shared uint total_sampled;

// The row's counts; only rows that are still sampled take part.
void write_counts(uint group, uint heavy, uint sampled)
{
    uint length = control[group_word(group, VSA_G_LENGTH)];
    uint candidates = control[group_word(group, VSA_G_WINDOW)] -
                      control[group_word(group, VSA_G_SINK_END)];
    control[group_word(group, VSA_G_TOP_K)] = heavy;
    control[group_word(group, VSA_G_RESIDUAL)] = candidates - heavy;
    control[group_word(group, VSA_G_DRAWN)] = sampled;
    for (uint head = 0; head < GROUP; head++) {
        uint word = row_word(group * GROUP + head, 0u);
        if (control[word + VSA_R_STATUS] != VSA_STATUS_EXACT) {
            control[word + VSA_R_OLD] = 0u;
            control[word + VSA_R_GRANTED] = sampled;
            control[word + VSA_R_GATHERED] += length - candidates + heavy + sampled;
        }
    }
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint group = gl_WorkGroupID.y + push.first_y;
    uint chunk = gl_WorkGroupID.x + push.first_x;
    uint first = chunk * VSA_SELECT_CHUNK;
    uint length = control[group_word(group, VSA_G_SCAN)];
    uint end = min(length, first + VSA_SELECT_CHUNK);
    if (first >= end || control[group_word(group, VSA_G_EXTENDED)] < push.round) {
        return;
    }
    if (tid == 0u) {
        before_heavy = 0u;
        before_sampled = 0u;
        total_heavy = 0u;
        total_sampled = 0u;
    }
    barrier();
    uint chunks = (length + VSA_SELECT_CHUNK - 1u) / VSA_SELECT_CHUNK;
    uint counts = COUNTS_OFFSET + group * (TOKEN_STRIDE / VSA_SELECT_CHUNK) * 2u;
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
    barrier();
    uint samples = total_sampled;
    Permutation permutation = permutation_make(samples, control[group_word(group, VSA_G_KEY0)],
                                               control[group_word(group, VSA_G_KEY1)]);
    uint hash_key = chance_key(group);
    for (uint base = first; base < end; base += WG) {
        heavy_clear();
        sampled_clear();
        barrier();
        uint token = base + tid;
        float chance = token < end ? uintBitsToFloat(lists[group * TOKEN_STRIDE + token]) : 0.0;
        bool is_heavy = chance == 1.0;
        bool is_sample = is_sampled(chance, hash_key, token);
        if (is_heavy) {
            heavy_set();
        }
        if (is_sample) {
            sampled_set();
        }
        barrier();
        if (is_heavy) {
            lists[TOP_OFFSET + group * LIST_STRIDE + before_heavy + heavy_before()] = token;
        }
        if (is_sample) {
            uint at = group * SAMPLE_STRIDE +
                      permute(permutation, before_sampled + sampled_before());
            float pi = (float(chance_bits(chance)) + 1.0) / 4294967296.0;
            lists[SAMPLES_OFFSET + at] = token;
            lists[SHIFTS_OFFSET + at] = floatBitsToUint(log(pi));
        }
        barrier();
        if (tid == 0u) {
            before_heavy += heavy_total();
            before_sampled += sampled_total();
        }
        barrier();
    }
    if (chunk == 0u && tid == 0u) {
        write_counts(group, total_heavy, samples);
    }
}
