#version 450
// Top-p: fixes digit push.round of the threshold, the lowest that any row of the group needs for its
// share p. After the last digit: how many of the tokens that equal it.
// In: mass. Out: threshold; what each row still wants. Grid: (1, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "radix.glsl"
#include "mass.glsl"
#include "reduce.glsl"

layout(constant_id = VSA_ID_TOP_P) const float TOP_P = 1.0;

const uint SHARE = VSA_RADIX_BINS / WG;

shared float mass_shared[WG];
shared uint bin_shared;

float bin_mass(uint row, uint digit, uint bin)
{
    uint word = mass_word(row, digit, bin);
    // The free half of the last digit holds no tokens.
    return digit == 2u && bin >= 1024u ? 0.0 : mass_value(control[word], control[word + 1u]);
}

// Mass of this invocation's bins into mass_shared; returns the mass of all bins above them.
float mass_above(uint row, uint digit)
{
    uint tid = gl_LocalInvocationID.x;
    float own = 0.0;
    for (uint i = 0; i < LOOP(SHARE); i++) {
        own += bin_mass(row, digit, tid * SHARE + i);
    }
    barrier();
    mass_shared[tid] = own;
    barrier();
    float above = 0.0;
    for (uint i = tid + 1u; i < LOOP(WG); i++) {
        above += mass_shared[i];
    }
    return above;
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint group = gl_WorkGroupID.y + push.first_y;
    uint digit = push.round;
    if (control[group_word(group, VSA_G_SCAN)] == 0u) {
        return;
    }
    if (tid == 0u) {
        bin_shared = VSA_RADIX_BINS;   // none wanted
    }
    barrier();
    for (uint head = 0; head < GROUP; head++) {
        uint row = group * GROUP + head;
        float above = mass_above(row, digit);
        float own = mass_shared[tid];
        float wanted = uintBitsToFloat(control[row_word(row, VSA_R_SCALE)]);
        if (digit == 0u) {
            float candidates = reduce_sum(vec4(own, 0.0, 0.0, 0.0)).x;
            uint word = mass_word(row, 2u, MASS_OUTSIDE);
            float outside = mass_value(control[word], control[word + 1u]);
            // All of it: more than there is, so that rounding leaves nothing out.
            wanted = TOP_P >= 1.0 ? INFINITE : TOP_P * (candidates + outside) - outside;
            if (tid == 0u) {
                control[row_word(row, VSA_R_SCALE)] = floatBitsToUint(wanted);
            }
        }
        if (wanted > 0.0) {
            bool last = tid == 0u;   // bin 0 when rounding leaves none
            if (above < wanted && (above + own >= wanted || last)) {
                uint bin = tid * SHARE;
                float sum = above;
                for (uint i = LOOP(SHARE); i > 0u; i--) {
                    float mass = bin_mass(row, digit, tid * SHARE + i - 1u);
                    if (sum + mass >= wanted) {
                        bin = tid * SHARE + i - 1u;
                        break;
                    }
                    sum += mass;
                }
                atomicMin(bin_shared, bin);
            }
        }
        barrier();
    }
    uint bin = bin_shared;
    Threshold before = threshold_read(group, digit);
    // All satisfied by what is above: nothing equals the threshold and nothing more is above it.
    Threshold after = Threshold(0xffffffffu, 0u);
    if (bin < VSA_RADIX_BINS) {
        after = Threshold(before.prefix | bin << digit_shift(digit), 0u);
        uint count = control[histogram_word(group, 2u) + bin];
        for (uint head = 0; head < GROUP; head++) {
            uint row = group * GROUP + head;
            float above = mass_above(row, digit);
            float mass = bin_mass(row, digit, bin);
            barrier();
            float wanted = uintBitsToFloat(control[row_word(row, VSA_R_SCALE)]);
            // The invocation that owns the bin knows what is above it.
            if (tid == bin / SHARE) {
                for (uint i = SHARE; i > bin % SHARE + 1u; i--) {
                    above += bin_mass(row, digit, tid * SHARE + i - 1u);
                }
                mass_shared[0] = wanted - above;
            }
            barrier();
            wanted = mass_shared[0];
            if (tid == 0u) {
                control[row_word(row, VSA_R_SCALE)] = floatBitsToUint(wanted);
            }
            if (digit == 2u && wanted > 0.0) {
                float ties = mass > 0.0 ? ceil(wanted / mass * float(count)) : float(count);
                after.wanted = max(after.wanted, uint(min(ties, float(count))));
            }
        }
    }
    if (tid == 0u) {
        uint word = group_word(group, VSA_G_PREFIX + 2u * digit);
        control[word] = after.prefix;
        control[word + 1u] = after.wanted;
    }
}
