/*
 * vec.h - 16 floats at a time in GCC's and Clang's vector types: elementary functions and random
 * numbers for the simulation's inputs. Accurate to about 2 ulp where the simulation needs them.
 */
#ifndef VSA_STAT_VEC_H
#define VSA_STAT_VEC_H

#include <stdint.h>
#include <string.h>

enum { LANES = 16 };

typedef float    vecf __attribute__((vector_size(4 * LANES)));
typedef int32_t  veci __attribute__((vector_size(4 * LANES)));
typedef uint32_t vecu __attribute__((vector_size(4 * LANES)));

static inline vecf vec_load(const float *at)
{
    vecf v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline void vec_store(float *at, vecf v)
{
    memcpy(at, &v, sizeof v);
}

static inline vecf vec_set(float x)
{
    return (vecf){ 0 } + x;
}

static inline vecf vec_select(veci mask, vecf yes, vecf no)
{
    return (vecf)((mask & (veci)yes) | (~mask & (veci)no));
}

static inline vecf vec_min(vecf a, vecf b)
{
    return vec_select(a < b, a, b);
}

static inline vecf vec_max(vecf a, vecf b)
{
    return vec_select(a > b, a, b);
}

static inline float vec_sum(vecf v)
{
    float total = 0;
    for (int i = 0; i < LANES; i++) {
        total += v[i];
    }
    return total;
}

static inline float vec_highest(vecf v)
{
    float highest = v[0];
    for (int i = 1; i < LANES; i++) {
        highest = v[i] > highest ? v[i] : highest;
    }
    return highest;
}

/* Nearest integer for |x| < 2^22. */
static inline vecf vec_round(vecf x)
{
    const float shift = 12582912.0f;   /* 1.5 * 2^23: adding it leaves no fraction bits */
    return (x + shift) - shift;
}

/* e^x; 0 below -87. */
static inline vecf vec_exp(vecf x)
{
    vecf kept = vec_max(vec_min(x, vec_set(88)), vec_set(-87));
    vecf n = vec_round(kept * 1.44269504f);
    vecf r = kept - n * 0.693359375f + n * 2.12194440e-4f;
    vecf p = vec_set(1.9875691500e-4f);   /* Cephes, expf */
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    veci exponent = (__builtin_convertvector(n, veci) + 127) << 23;
    return vec_select(x < -87.0f, vec_set(0), p * (vecf)exponent);
}

/* Natural logarithm of a positive, normal x. */
static inline vecf vec_log(vecf x)
{
    veci bits = (veci)x;
    veci exponent = ((bits >> 23) & 255) - 126;
    vecf m = (vecf)((bits & 0x007fffff) | 0x3f000000);   /* [0.5, 1) */
    veci low = m < 0.70710678f;
    vecf e = __builtin_convertvector(exponent + low, vecf);
    m = m + (vecf)(low & (veci)m) - 1.0f;
    vecf z = m * m;
    vecf p = vec_set(7.0376836292e-2f);   /* Cephes, logf */
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    vecf y = m * z * p - e * 2.12194440e-4f - 0.5f * z;
    return m + y + e * 0.693359375f;
}

static inline vecf vec_sqrt(vecf x)
{
    for (int i = 0; i < LANES; i++) {
        x[i] = __builtin_sqrtf(x[i]);
    }
    return x;
}

/* ------------------------------------------------------------------ random numbers */

/* xoshiro128++ (Blackman and Vigna), one per lane. */
typedef struct vec_random {
    vecu s[4];
} vec_random;

static inline uint64_t vec_splitmix(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline void vec_random_seed(vec_random *r, uint64_t seed)
{
    uint64_t state = seed;
    for (int i = 0; i < 4; i++) {
        for (int lane = 0; lane < LANES; lane++) {
            r->s[i][lane] = (uint32_t)(vec_splitmix(&state) >> 32);
        }
    }
}

static inline vecu vec_random_bits(vec_random *r)
{
    vecu sum = r->s[0] + r->s[3];
    vecu result = ((sum << 7) | (sum >> 25)) + r->s[0];
    vecu t = r->s[1] << 9;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = (r->s[3] << 11) | (r->s[3] >> 21);
    return result;
}

/* In (0, 1): the 2^-33 keeps tails that 24 bits would cut. */
static inline vecf vec_random_uniform(vec_random *r)
{
    vecf u = __builtin_convertvector(vec_random_bits(r), vecf) * 0x1p-32f + 0x1p-33f;
    return vec_min(u, vec_set(1 - 0x1p-24f));
}

/* Two vectors of independent normals: Box and Muller. */
static inline void vec_random_normals(vec_random *r, vecf *out_a, vecf *out_b)
{
    vecf radius = vec_sqrt(-2.0f * vec_log(vec_random_uniform(r)));
    vecf turn = __builtin_convertvector((veci)vec_random_bits(r) >> 8, vecf) * 0x1p-24f;
    vecf quarter = vec_round(turn * 4.0f);   /* turn in [-1/2, 1/2) */
    vecf x = (turn - 0.25f * quarter) * 6.28318531f;   /* |x| <= pi / 4 */
    vecf z = x * x;
    vecf sine = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x;
    vecf cosine = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z
                   + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
    veci q = __builtin_convertvector(quarter, veci);
    veci odd = -(q & 1);
    veci sine_sign = (q & 2) << 30, cosine_sign = ((q + 1) & 2) << 30;
    *out_a = radius * (vecf)((veci)vec_select(odd, cosine, sine) ^ sine_sign);
    *out_b = radius * (vecf)((veci)vec_select(odd, sine, cosine) ^ cosine_sign);
}

/* ------------------------------------------------------------------ hashes */

static inline vecu vec_mix32(vecu x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

static inline vecu vec_iota(uint32_t first)
{
    vecu v;
    for (uint32_t i = 0; i < LANES; i++) {
        v[i] = first + i;
    }
    return v;
}

#endif
