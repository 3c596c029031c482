#version 450
// Dense rows: merges the partials of all splits, writes out and the EXACT certificate. Rows of the
// group that met their target are left as they are.
// In: PARTIALS (dense). Out: out, certificates. Grid: (1, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "output.glsl"

layout(set = 0, binding = VSA_BIND_CONTROL) readonly buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) readonly buffer Partials { float partials[]; };

shared float scale_shared[VSA_MAX_DENSE_SPLITS];
shared float out_shared[DV];
shared float maximum;
shared float denominator;
shared uint bad;

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint row = gl_WorkGroupID.y + push.first_y;
    uint group = row / GROUP;
    uint length = control[group_word(group, VSA_G_LENGTH)];
    bool empty = length == 0u;
    if (!empty && control[row_word(row, VSA_R_STATUS)] != VSA_STATUS_EXACT) {
        return;
    }
    if (empty && ONLY_DENSE == 0u) {
        return;   // combine has written it
    }
    uint splits = (length + push.chunk_tokens - 1u) / push.chunk_tokens;
    for (uint i = tid; i < splits; i += WG) {
        scale_shared[i] = partials[dense_word(row, i) + VSA_PARTIAL_MAX];
    }
    barrier();
    if (tid == 0u) {
        float best = MASKED;
        for (uint i = 0u; i < splits; i++) {
            best = max(best, scale_shared[i]);
        }
        maximum = best;
    }
    barrier();
    for (uint i = tid; i < splits; i += WG) {
        scale_shared[i] = weight(scale_shared[i], maximum);
    }
    barrier();
    if (tid == 0u) {
        float sum = 0.0;
        for (uint i = 0u; i < splits; i++) {
            sum += scale_shared[i] * partials[dense_word(row, i) + VSA_PARTIAL_SUM];
        }
        denominator = sum;
        bad = uint(empty || control[row_word(row, VSA_R_NONFINITE)] != 0u || !(sum > 0.0));
    }
    barrier();
    for (uint channel = tid; channel < DV; channel += WG) {
        float sum = 0.0;
        for (uint i = 0u; i < splits; i++) {
            sum += scale_shared[i] * partials[dense_word(row, i) + VSA_PARTIAL_VALUES + channel];
        }
        sum /= denominator;
        out_shared[channel] = sum;
        if (!is_finite(sum)) {
            atomicOr(bad, 1u);
        }
    }
    barrier();
    bool invalid = bad != 0u;
    for (uint pair = tid; pair < DV / 2; pair += WG) {
        write_out_pair(row, pair, invalid ? 0.0 : out_shared[pair * 2u],
                       invalid ? 0.0 : out_shared[pair * 2u + 1u]);
    }
    if (tid == 0u) {
        uint word = row_word(row, 0u);
        Certificate c;
        c.status = invalid ? VSA_STATUS_INVALID : VSA_STATUS_EXACT;
        c.flags = empty ? 0u : control[word + VSA_R_FLAGS];
        c.error = invalid ? INFINITE : 0.0;
        c.normaliser_bound = c.error;
        c.log_normaliser = invalid ? -INFINITE : maximum + log(denominator);
        c.tokens = length;
        c.exact = length;
        c.sampled = 0u;
        c.wanted = invalid || empty ? 0u : control[word + VSA_R_WANTED];
        c.gathered = empty ? 0u : control[word + VSA_R_GATHERED];
        write_certificate(row, c);
    }
}
