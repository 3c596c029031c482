/*
 * reference.h - docs/algorithm.md in double precision, written to be read and compared against.
 *
 * Nothing here is fast or shares code with the library; only vsa.h is included, for the policy,
 * the types and the status names. Everything is pure: no allocation outlives a call.
 */
#ifndef VSA_REFERENCE_H
#define VSA_REFERENCE_H

#include "vsa.h"

#define REF_GROUPS       VSA_SAMPLE_GROUPS
#define REF_MAX_DIM      256
#define REF_MAX_EXTENSIONS 3

/* --------------------------------------------------------------- half.c: storage types */

uint16_t ref_f16_from_f32(float value);   /* nearest even; overflow to infinity */
float    ref_f32_from_f16(uint16_t bits);
uint16_t ref_bf16_from_f32(float value);  /* nearest even; NaN stays NaN */
float    ref_f32_from_bf16(uint16_t bits);

/* The value after a round trip through F32, F16 or BF16. */
float ref_round(vsa_dtype dtype, float value);
void  ref_round_array(vsa_dtype dtype, float *values, size_t count);
/* Stores the rounded value at `destination` (2 or 4 bytes); returns the bytes of one value. */
size_t ref_store(vsa_dtype dtype, float value, void *destination);

/* --------------------------------------------------------------- rng.c: "Draws" */

uint32_t ref_mix32(uint32_t x);
uint32_t ref_chain(uint32_t hash, uint32_t value);

typedef struct ref_permutation {
    uint32_t length;
    uint32_t low_bits, high_bits;   /* a and b of the spec */
    uint32_t round_keys[8];
} ref_permutation;

void ref_permutation_init(ref_permutation *out, uint64_t seed, uint32_t stream, uint32_t sequence,
                          uint32_t kv_head, uint32_t length);
/* `counter` < length; the result is < length. */
uint32_t ref_permute(const ref_permutation *permutation, uint32_t counter);

/* A small generator for test inputs; nothing to do with the library's draws. */
typedef struct ref_random {
    uint64_t state;
} ref_random;

uint64_t ref_random_bits(ref_random *random);
double   ref_random_uniform(ref_random *random);   /* in (0, 1) */
double   ref_random_normal(ref_random *random);
uint32_t ref_random_below(ref_random *random, uint32_t bound);

/* --------------------------------------------------------------- attention.c */

/* out_logits[i] = softcap(scale * q.k_i) for `length` rows that lie `k_stride` floats apart. */
void ref_logits(const float *q, const float *k, size_t k_stride, uint32_t head_dim, uint32_t length,
                double scale, double softcap, double *out_logits);

/* Exact attention over `length` tokens; `out` has head_dim doubles. Returns log D, or NaN when
 * a logit or a value is not finite or length is 0: then out is zero. */
double ref_attend(const double *logits, const float *v, size_t v_stride, uint32_t head_dim,
                  uint32_t length, double *out);

/* |a - b| / |b|; 0 when both are zero. */
double ref_relative_error(const double *a, const double *b, uint32_t count);
double ref_relative_error_f32(const float *a, const double *b, uint32_t count);

/* --------------------------------------------------------------- select.c: "Exact set" */

/* "f of n". */
uint32_t ref_fraction_of(float fraction, uint32_t n);

typedef struct ref_exact_set {
    uint32_t length;
    uint32_t sink_end;       /* tokens [0, sink_end) */
    uint32_t window_begin;   /* tokens [window_begin, length) */
    uint32_t top_k;
    uint32_t exact_count;    /* n_f */
    uint32_t residual_count; /* N */
} ref_exact_set;

/* The counts alone: they depend on the policy and the length only. */
void ref_exact_counts(const vsa_policy *policy, uint32_t length, ref_exact_set *out);

/* `logits` holds group_count rows of `length`. member[i] becomes 1 for tokens of the exact set. */
void ref_select(const vsa_policy *policy, const double *const *logits, uint32_t group_count,
                uint32_t length, ref_exact_set *out, uint8_t *member);

/* --------------------------------------------------------------- sample.c */

/* The first `count` accepted draws; returns how many there are (fewer when the residual ends). */
uint32_t ref_draw(const ref_permutation *permutation, const uint8_t *member, uint32_t count,
                  uint32_t *out_tokens);

/* --------------------------------------------------------------- quantile.c */

double ref_normal_quantile(double probability);
double ref_normal_cdf(double x);
/* Accurate: inverts the incomplete beta or gamma function. `freedom` need not be whole. */
double ref_student_quantile(double probability, double freedom);
double ref_f_quantile(double probability, double freedom1, double freedom2);
double ref_chi_square_quantile(double probability, double freedom);
/* P(chi-square > value). */
double ref_chi_square_tail(double value, double freedom);
/* What the spec asks for: Paulson 1942, and its limit, Wilson and Hilferty 1931. */
double ref_f_quantile_paulson(double probability, double freedom1, double freedom2);
double ref_chi_square_quantile_wilson_hilferty(double probability, double freedom);
/* P(X >= successes), X ~ Binomial(trials, rate): the one-sided test of "at most `rate`". */
double ref_binomial_tail(uint32_t successes, uint32_t trials, double rate);

/* --------------------------------------------------------------- budget.c */

/* "Base sample": how many samples are drawn first, or 0 when the whole group is dense. */
uint32_t ref_base_samples(const vsa_policy *policy, uint32_t residual_count);

/* One row's inputs. Tokens of the exact set have member[i] == 1; samples are the group's draws. */
typedef struct ref_row {
    const double   *logits;
    const float    *v;
    size_t          v_stride;     /* floats between rows of v */
    uint32_t        head_dim;
    uint32_t        length;
    const uint8_t  *member;
    uint32_t        residual_count;
    const uint32_t *samples;      /* at least residual_count / 2 + 64 of them, or all */
} ref_row;

typedef enum ref_action {
    REF_ACTION_INVALID = 1,
    REF_ACTION_DENSE,
    REF_ACTION_MET,
    REF_ACTION_MISSED,
    REF_ACTION_EXTEND
} ref_action;

typedef struct ref_estimate {
    double     shift;            /* sums are in units of exp(shift) */
    double     denominator;      /* D */
    double     out[REF_MAX_DIM];
    double     size2;            /* size^2 */
    double     spread;           /* S */
    double     quantile;         /* q */
    double     rank;             /* h; 1 for target denominator */
    double     error;            /* certified */
    uint32_t   wanted;           /* of this budget, before margin and max_samples */
    uint32_t   next;             /* samples after an extension */
    ref_action action;
} ref_estimate;

/* One evaluation after `samples` samples; `extensions` of them were granted before. */
void ref_evaluate(const vsa_policy *policy, const ref_row *row, uint32_t samples,
                  uint32_t extensions, ref_estimate *out);

typedef struct ref_row_result {
    vsa_certificate_status status;
    double   out[REF_MAX_DIM];
    double   log_normaliser;
    double   error;             /* 0 when EXACT */
    uint32_t exact_tokens;
    uint32_t sampled_tokens;
    uint32_t wanted_samples;    /* of the last budget; 0 when there was none */
    uint32_t extensions;
    uint32_t path[REF_MAX_EXTENSIONS + 1];   /* samples at each evaluation */
} ref_row_result;

/* Base sample, extensions and, where the rules say so, the dense row. */
void ref_decode_row(const vsa_policy *policy, const ref_row *row, ref_row_result *out);

#endif
