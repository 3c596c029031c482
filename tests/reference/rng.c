/* The keyed permutation behind the draws, and a generator for test inputs. */
#include "reference.h"

#include <math.h>

uint32_t ref_mix32(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

uint32_t ref_chain(uint32_t hash, uint32_t value)
{
    return ref_mix32((hash ^ value) + 0x9e3779b9u);
}

uint32_t ref_key(uint32_t start, const ref_draw_key *key)
{
    const uint32_t words[6] = { (uint32_t)key->seed, (uint32_t)(key->seed >> 32), key->stream,
                                key->sequence, key->kv_head, key->length };
    uint32_t hash = start;
    for (uint32_t i = 0; i < 6; i++) {
        hash = ref_chain(hash, words[i]);
    }
    return hash;
}

static uint32_t bit_count(uint32_t value)
{
    uint32_t bits = 0;
    while (value != 0) {
        bits++;
        value >>= 1;
    }
    return bits;
}

void ref_permutation_init(ref_permutation *out, uint64_t seed, uint32_t stream, uint32_t sequence,
                          uint32_t kv_head, uint32_t length)
{
    const ref_draw_key key = { seed, stream, sequence, kv_head, length };
    uint32_t key0 = ref_key(0, &key);
    uint32_t key1 = ref_key(0x85ebca6bu, &key);
    ref_permutation_resize(out, length);
    for (uint32_t r = 0; r < 8; r++) {
        out->round_keys[r] = ref_mix32(key0 + ref_mix32(key1 + 0x9e3779b9u * (r + 1)));
    }
}

void ref_permutation_resize(ref_permutation *permutation, uint32_t length)
{
    uint32_t bits = bit_count(length - 1);
    if (bits < 2) {
        bits = 2;
    }
    permutation->length = length;
    permutation->low_bits = bits / 2;
    permutation->high_bits = bits - bits / 2;
}

static uint32_t permute_once(const ref_permutation *p, uint32_t x)
{
    uint32_t low_mask = (1u << p->low_bits) - 1;
    uint32_t high_mask = (1u << p->high_bits) - 1;
    uint32_t high = x >> p->low_bits;
    uint32_t low = x & low_mask;
    for (uint32_t r = 0; r < 8; r += 2) {
        high ^= ref_mix32(low ^ p->round_keys[r]) & high_mask;
        low ^= ref_mix32(high ^ p->round_keys[r + 1]) & low_mask;
    }
    return high << p->low_bits | low;
}

uint32_t ref_permute(const ref_permutation *p, uint32_t counter)
{
    uint32_t x = counter;
    do {
        x = permute_once(p, x);
    } while (x >= p->length);
    return x;
}

/* splitmix64: Steele, Lea and Flood 2014. */
uint64_t ref_random_bits(ref_random *random)
{
    uint64_t x = random->state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

double ref_random_uniform(ref_random *random)
{
    return ((double)(ref_random_bits(random) >> 12) + 0.5) * 0x1p-52;
}

double ref_random_normal(ref_random *random)
{
    double radius = sqrt(-2 * log(ref_random_uniform(random)));
    return radius * cos(6.283185307179586 * ref_random_uniform(random));
}

uint32_t ref_random_below(ref_random *random, uint32_t bound)
{
    return (uint32_t)(ref_random_uniform(random) * bound);
}
