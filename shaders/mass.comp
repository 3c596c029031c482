#version 450
// Top-p: how much weight each row has in every bin of digit push.round, among the candidates whose
// keys equal the threshold found so far. Fixed point, 2^-31 of the row's largest weight, so that no order
// of additions matters; head 0 also counts the tokens.
// In: SCORES, rank keys, row maxima. Out: mass [row][digit][bin] (low, high word), histogram.
// Grid: (VSA_SELECT_CHUNK tokens, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "radix.glsl"
#include "mass.glsl"

layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };

shared uint half_sum[VSA_RADIX_BINS];
shared uint outside_low;
shared uint outside_high;

// 64-bit addition from 32-bit atomics: the carry is whether the low word wrapped.
void add_mass(uint word, uint low, uint high)
{
    uint before = atomicAdd(control[word], low);
    high += uint(before + low < before);
    if (high != 0u) {
        atomicAdd(control[word + 1u], high);
    }
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint row = gl_WorkGroupID.y + push.first_y;
    uint group = row / GROUP;
    uint first = (gl_WorkGroupID.x + push.first_x) * VSA_SELECT_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SELECT_CHUNK);
    if (first >= end) {
        return;
    }
    uint digit = push.round;
    Threshold threshold = threshold_read(group, digit);
    uint found = digit == 0u ? 0u : digit_shift(digit - 1u);
    float maximum = order_value(control[row_word(row, VSA_R_MAX)]);
    if (tid == 0u) {
        outside_low = 0u;
        outside_high = 0u;
    }
    // The words' 16-bit halves one after the other: neither sum can overflow in a chunk.
    for (uint part = 0u; part < 2u; part++) {
        for (uint i = tid; i < VSA_RADIX_BINS; i += WG) {
            half_sum[i] = 0u;
        }
        barrier();
        for (uint token = first + tid; token < end; token += WG) {
            uint key = rank_key(group, token);
            float w = weight(scores[row * TOKEN_STRIDE + token], maximum);
            uint mass = uint(w * 2147483648.0 + 0.5);
            uint piece = part == 0u ? mass & 0xffffu : mass >> 16;
            if (key == 0u) {
                if (part == 0u) {
                    atomicAdd(outside_low, piece);
                } else {
                    atomicAdd(outside_high, piece);
                }
            } else if (digit == 0u || key >> found == threshold.prefix >> found) {
                atomicAdd(half_sum[digit_of(key, digit)], piece);
                if (part == 0u && digit == 2u && row % GROUP == 0u) {
                    atomicAdd(control[histogram_word(group, 2u) + digit_of(key, 2u)], 1u);
                }
            }
        }
        barrier();
        for (uint i = tid; i < VSA_RADIX_BINS; i += WG) {
            uint sum = half_sum[i];
            if (sum != 0u) {
                add_mass(mass_word(row, digit, i), part == 0u ? sum : sum << 16,
                         part == 0u ? 0u : sum >> 16);
            }
        }
        barrier();
    }
    // Sink and window, once.
    if (tid == 0u && digit == 0u) {
        add_mass(mass_word(row, 2u, MASS_OUTSIDE), outside_low, 0u);
        add_mass(mass_word(row, 2u, MASS_OUTSIDE), outside_high << 16, outside_high >> 16);
    }
}
