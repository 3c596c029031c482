// Radix select over rank keys: finds the k-th largest key digit by digit, most significant first.
// Digits of 11, 11 and 10 bits. Integer histograms, so every order of additions gives the same.
#ifndef RADIX_GLSL
#define RADIX_GLSL

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) buffer Lists { uint lists[]; };

// No tables: NVK keeps an array with unknown indices in memory.
uint digit_shift(uint digit) { return digit < 2u ? 21u - 11u * digit : 0u; }
uint digit_mask(uint digit) { return digit < 2u ? 0x7ffu : 0x3ffu; }

uint rank_key(uint group, uint token) { return lists[group * TOKEN_STRIDE + token]; }

uint digit_of(uint key, uint digit) { return key >> digit_shift(digit) & digit_mask(digit); }

uint histogram_word(uint group, uint digit)
{
    return HIST_OFFSET + group * VSA_HIST_WORDS + digit * VSA_RADIX_BINS;
}

struct Threshold {
    uint prefix;   // the digits found so far, in place
    uint wanted;   // keys still to take among those that equal the prefix
};

// What digit - 1 left behind; before digit 0: no prefix, k wanted.
Threshold threshold_read(uint group, uint digit)
{
    if (digit == 0u) {
        return Threshold(0u, control[group_word(group, VSA_G_TOP_K)]);
    }
    uint word = group_word(group, VSA_G_PREFIX + 2u * (digit - 1u));
    return Threshold(control[word], control[word + 1u]);
}

const uint RADIX_BLOCK = 16;

shared uint radix_sum[WG];                // keys in the share of each invocation
shared uint radix_block[WG / RADIX_BLOCK];  // keys in each block of shares
shared Threshold radix_found;

// All invocations call it; WG divides VSA_RADIX_BINS. Reads the finished histogram of `digit`.
// wanted == 0 gives the prefix of all ones above: nothing equals it and nothing is above it.
Threshold threshold_find(uint group, uint digit)
{
    Threshold before = threshold_read(group, digit);
    uint tid = gl_LocalInvocationID.x;
    const uint share = VSA_RADIX_BINS / WG;
    uint histogram = histogram_word(group, digit);
    uint own = 0u;
    for (uint i = 0; i < LOOP(share); i++) {
        own += control[histogram + tid * share + i];
    }
    radix_sum[tid] = own;
    if (tid == 0u) {
        radix_found = Threshold(0xffffffffu, 0u);
    }
    barrier();
    if (tid < WG / RADIX_BLOCK) {
        uint sum = 0u;
        for (uint i = 0; i < LOOP(RADIX_BLOCK); i++) {
            sum += radix_sum[tid * RADIX_BLOCK + i];
        }
        radix_block[tid] = sum;
    }
    barrier();
    uint above = 0u;
    for (uint i = tid / RADIX_BLOCK + 1u; i < WG / RADIX_BLOCK; i++) {
        above += radix_block[i];
    }
    for (uint i = tid + 1u; i % RADIX_BLOCK != 0u; i++) {
        above += radix_sum[i];
    }
    // Exactly one share holds the wanted-th key from the top.
    if (before.wanted > above && before.wanted <= above + own) {
        for (uint i = LOOP(share); i > 0u; i--) {
            uint bin = tid * share + i - 1u;
            uint count = control[histogram + bin];
            if (before.wanted <= above + count) {
                radix_found = Threshold(before.prefix | bin << digit_shift(digit),
                                        before.wanted - above);
                break;
            }
            above += count;
        }
    }
    barrier();
    return radix_found;
}
#endif
