// The permutation of [0, n) that draws are taken from: docs/algorithm.md, "Draws". Integers only.
#ifndef RNG_GLSL
#define RNG_GLSL

uint mix32(uint x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

uint chain(uint state, uint value) { return mix32((state ^ value) + 0x9e3779b9u); }

uint draw_key(uint start, uint sequence, uint kv_head, uint n)
{
    uint key = chain(start, push.seed_low);
    key = chain(key, push.seed_high);
    key = chain(key, push.stream);
    key = chain(key, sequence);
    key = chain(key, kv_head);
    return chain(key, n);
}

// Two of the eight rounds, written out: some drivers count loop iterations per invocation.
#define FEISTEL_PAIR(r)                                                              \
    high ^= mix32(low ^ round_key[r]) & high_mask;                                   \
    low ^= mix32(high ^ round_key[(r) + 1]) & low_mask;

struct Permutation {
    uint n;
    uint low_bits, low_mask, high_mask;
    uint round_key[8];
};

Permutation permutation_make(uint n, uint key0, uint key1)
{
    Permutation p;
    p.n = n;
    uint bits = n > 1u ? uint(findMSB(n - 1u)) + 1u : 0u;
    bits = max(bits, 2u);
    p.low_bits = bits / 2u;
    p.low_mask = (1u << p.low_bits) - 1u;
    p.high_mask = (1u << (bits - p.low_bits)) - 1u;
    for (uint r = 0u; r < 8u; r++) {
        p.round_key[r] = mix32(key0 + mix32(key1 + 0x9e3779b9u * (r + 1u)));
    }
    return p;
}

uint permute_once(Permutation p, uint x)
{
    uint high = x >> p.low_bits;
    uint low = x & p.low_mask;
    uint high_mask = p.high_mask;
    uint low_mask = p.low_mask;
    uint round_key[8] = p.round_key;
    FEISTEL_PAIR(0)
    FEISTEL_PAIR(2)
    FEISTEL_PAIR(4)
    FEISTEL_PAIR(6)
    return (high << p.low_bits) | low;
}

// x < n. The walk stays in the cycle of x, so it ends.
uint permute(Permutation p, uint x)
{
    do {
        x = permute_once(p, x);
    } while (x >= p.n);
    return x;
}
#endif
