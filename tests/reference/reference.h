/*
 * reference.h - docs/algorithm.md in double precision, written to be read and compared against.
 *
 * Nothing here is fast or shares code with the library; only vsa.h is included, for the policy,
 * the types and the status names. Everything is pure: no allocation outlives a call, except the
 * arrays of a ref_guided_draw.
 */
#ifndef VSA_REFERENCE_H
#define VSA_REFERENCE_H

#include "vsa.h"

#define REF_GROUPS       VSA_SAMPLE_GROUPS
#define REF_MAX_DIM      256
#define REF_MAX_EXTENSIONS 3
#define REF_BINS         512   /* guided: 16 bins per nat below the row's reference */
#define REF_PROBE_RUN    8     /* guided: tokens that the probe takes together */
#define REF_PROBE_RUNS   256
#define REF_PAIR_BLOCK   8     /* the effective rank is taken from pairs inside such a block */
#define REF_FEW_WANTED   24    /* guided: samples that say how much they vary */

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

/* What every draw of a group is keyed by. */
typedef struct ref_draw_key {
    uint64_t seed;
    uint32_t stream, sequence, kv_head, length;
} ref_draw_key;

/* key(start) of the spec. */
uint32_t ref_key(uint32_t start, const ref_draw_key *key);

typedef struct ref_permutation {
    uint32_t length;
    uint32_t low_bits, high_bits;   /* a and b of the spec */
    uint32_t round_keys[8];
} ref_permutation;

void ref_permutation_init(ref_permutation *out, uint64_t seed, uint32_t stream, uint32_t sequence,
                          uint32_t kv_head, uint32_t length);
/* The permutation of [0, length) by the same round keys. */
void ref_permutation_resize(ref_permutation *permutation, uint32_t length);
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

/* `logits` holds group_count rows of `length`. member[i] becomes 1 for tokens of the exact set.
 * Method topp finds its k first. */
void ref_select(const vsa_policy *policy, const double *const *logits, uint32_t group_count,
                uint32_t length, ref_exact_set *out, uint8_t *member);

/* --------------------------------------------------------------- compact.c: docs/scorers.md */

/* Scores of `tokens` keys, all that the cache holds, by scorer sign, int8, int4 or page; bound clt, not
 * method guided. `scale` is the softmax scale. */
void ref_compact_scores(vsa_scorer scorer, const float *q, const float *k, size_t k_stride,
                        uint32_t dim, uint32_t tokens, double scale, double *out);

/* --------------------------------------------------------------- topp.c: "Top-p" */

/* The k of method topp. `order` lists the group's `count` candidates by rank, with their ranks;
 * they begin at token `first`, and every other token is in the exact set anyway. */
typedef struct ref_ranked {
    double   value;
    uint32_t token;
} ref_ranked;

uint32_t ref_top_p_count(double top_p, const double *const *logits, uint32_t group_count,
                         uint32_t length, const ref_ranked *order, uint32_t count);

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

/* --------------------------------------------------------------- spread.c: "Error" */

/* Sums over a set of tokens: l = sum w, B = sum w v, C = sum w |v|^2, and sum w^2. */
typedef struct ref_sums {
    double weight, squares, norms;
    double value[REF_MAX_DIM];
} ref_sums;

/* Adds a token of weight w; returns 0 when a value is not finite. */
int  ref_sums_add(ref_sums *sums, const float *v, uint32_t head_dim, double weight);
void ref_sums_merge(ref_sums *into, const ref_sums *from, uint32_t head_dim);
double ref_dot(const double *a, const double *b, uint32_t count);

/* T, h and q of rho_g = factor * (B_g - l_g centre) over 2 to REF_GROUPS random groups. */
typedef struct ref_spread {
    double trace, rank, quantile;
} ref_spread;

void ref_group_spread(const ref_sums *groups, uint32_t group_count, const double *centre,
                      double factor, uint32_t head_dim, double delta, ref_spread *out);

/* A share of D that f32 cannot tell from 0. */
#define REF_NOTHING 1.9e-6

/* "Shrinking": moves out, of that variance and effective rank, towards the exact set's own mean. */
void ref_shrink(double *out, const ref_sums *exact, uint32_t head_dim, double variance,
                double rank);

/* size^2: |out|^2 less its own variance, or the floor; sets VSA_CERTIFICATE_FLOORED in *flags. */
double ref_relative_size(double out2, double variance, double floor, double rms2, uint32_t *flags);

/* ---------------------------------------------------------- betting.c: "Strict denominator" */

/* Draws in the block that begins at `draw`; a sample ends where a block ends. */
uint32_t ref_bet_block(uint32_t draw);
uint32_t ref_bet_round_up(uint32_t draws);

typedef struct ref_bet_result {
    double   evidence_high, evidence_low;   /* E_hi and E_lo; 0 when broken */
    int      broken;                        /* a sampled weight above tau */
    uint32_t wanted;                        /* draws, before margin and max_samples */
} ref_bet_result;

/* Log of the wealth after `draws` draws of who bets that the population's sum is not as high as
 * (bets_below), or not as low as `rest`; exact = D_f / tau. */
double ref_bet_evidence(const double *x, uint32_t draws, double population, double exact,
                        double epsilon, double rest, int bets_below);

/* `x` holds `draws` values w / tau in draw order out of a population of N. */
void ref_bet(const double *x, uint32_t draws, double population, double exact, double epsilon,
             double delta, ref_bet_result *out);

/* --------------------------------------------------------------- budget.c */

/* "Base sample": how many samples are drawn first, or 0 when the whole group is dense. */
uint32_t ref_base_samples(const vsa_policy *policy, uint32_t residual_count);
/* max_samples rounded down to what a sample can have; UINT32_MAX for none. */
uint32_t ref_sample_limit(const vsa_policy *policy);

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
    double     normaliser_error; /* certified, of D */
    uint32_t   flags;            /* vsa_certificate_flag */
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
    double   normaliser_bound;  /* 0 when EXACT */
    uint32_t flags;             /* vsa_certificate_flag */
    uint32_t exact_tokens;
    uint32_t sampled_tokens;
    uint32_t wanted_samples;    /* of the last budget, guided: with heavy tokens; 0: none */
    uint32_t gathered_tokens;   /* in all stages */
    uint32_t extensions;
    uint32_t path[REF_MAX_EXTENSIONS + 1];   /* samples at each evaluation */
} ref_row_result;

/* Base sample, extensions and, where the rules say so, the dense row. Every method but guided. */
void ref_decode_row(const vsa_policy *policy, const ref_row *row, ref_row_result *out);
/* Fills in a row that is computed densely; counts and flags stay. */
void ref_finish_dense(const double *logits, const float *v, size_t v_stride, uint32_t head_dim,
                      uint32_t length, ref_row_result *out);

/* --------------------------------------------------------------- guided.c: "Guided" */

/* The rows that share a KV head. */
typedef struct ref_group {
    const double *const *logits;   /* [head][token] */
    uint32_t      heads;
    const float  *v;
    size_t        v_stride;        /* floats between rows of v */
    uint32_t      head_dim, length;
    ref_draw_key  key;
} ref_group;

/* The candidates that are looked at before a scale is chosen; each stands for `step` tokens. */
typedef struct ref_probe {
    uint32_t tokens[REF_PROBE_RUNS * REF_PROBE_RUN];   /* ascending */
    uint32_t count, step;
} ref_probe;

/* Candidates are the tokens [first, end). */
void ref_probe_make(const ref_draw_key *key, uint32_t first, uint32_t end, ref_probe *out);
/* m: the largest logit of the probe. */
double ref_probe_reference(const ref_probe *probe, const double *logits);

/* A row's candidates, as the probe has them, counted by how far their logit lies below m. */
typedef struct ref_bins {
    uint32_t count[REF_BINS];
} ref_bins;

void ref_bins_count(const ref_probe *probe, const double *logits, ref_bins *out);

/* A scale c and what it costs by the bins; c = 0: there is none. */
typedef struct ref_scale {
    double c;
    double sampled;   /* c T: expected samples */
    double tokens;    /* H + c T: expected tokens */
    double light;     /* T */
    double squares;   /* A = max(T / c - Q, 0) */
} ref_scale;

ref_scale ref_scale_for_samples(const ref_bins *bins, double samples);
ref_scale ref_scale_for_tokens(const ref_bins *bins, double tokens);
ref_scale ref_scale_for_squares(const ref_bins *bins, double squares);   /* A* */
ref_scale ref_scale_of(const ref_bins *bins, double c);

/* The tokens of one stage. */
typedef struct ref_guided_draw {
    uint8_t  *member;        /* [token]: sink, window and heavy tokens */
    double   *probability;   /* [token]: pi; 1 in the exact set */
    uint32_t *samples;       /* in sample order */
    uint32_t  sample_count, heavy_count;
} ref_guided_draw;

/* Scales are relative to m, as everywhere. Rows with c[head] = 0 take no part. Free with
 * ref_guided_draw_free. */
void ref_guided_draw_stage(const vsa_policy *policy, const ref_group *group, const double *c,
                           uint32_t stage, ref_guided_draw *out);
void ref_guided_draw_free(ref_guided_draw *draw);

typedef struct ref_guided_estimate {
    double     shift;            /* m; sums are in units of its exp */
    double     denominator;      /* D, exact */
    double     out[REF_MAX_DIM];
    double     light_mean[REF_MAX_DIM];   /* B / l */
    double     light_weight;     /* W */
    double     rank;             /* h, bound clt */
    double     rest_error;       /* what "the rest" bounds, bound clt; else infinite */
    double     error;            /* certified */
    uint32_t   flags;
    uint32_t   wanted;           /* tokens of this budget, before margin and max_samples */
    double     need;             /* A* relative to T_0^2, bound clt; 0 or not finite: not known */
    ref_scale  next;             /* of the next stage */
    ref_action action;
} ref_guided_estimate;

/* Stage 0: `base` expected tokens, 24 of them samples unless the light tokens hold no more than
 * `negligible` of all weight; but no more than `limit` tokens. */
ref_scale ref_first_scale(const ref_bins *bins, double base, double limit, double negligible);

/* One evaluation of row `head` after `stage`, which read `draw` for scale c. `centre` is a, bound
 * strict alone. */
void ref_guided_evaluate(const vsa_policy *policy, const ref_group *group, uint32_t head,
                         const ref_guided_draw *draw, double c, const double *centre,
                         uint32_t stage, ref_guided_estimate *out);

/* What is known of a query head's needs; deviation 0: nothing. */
typedef struct ref_carried {
    double mean, deviation;   /* of ln need */
} ref_carried;

void ref_carry_learn(ref_carried *carried, double need);
/* A* relative to T_0^2 of the next step; something must be known. */
double ref_carry_squares(const ref_carried *carried);

/* Stage 0 with a carried budget: at least `open`, no more than `limit` tokens. */
ref_scale ref_carried_scale(const ref_bins *bins, const ref_scale *open,
                            const ref_carried *carried, double limit);

/* Every row of the group. `last`, if not NULL, receives the draw of the last stage (the caller
 * frees it); its arrays are NULL when the group began densely. */
void ref_decode_guided(const vsa_policy *policy, const ref_group *group, ref_row_result *out,
                       ref_guided_draw *last);

/* The same with carry_budget: `carried` is by head and `needs` receives what there is to learn. */
void ref_decode_carrying(const vsa_policy *policy, const ref_group *group,
                         const ref_carried *carried, double *needs, ref_row_result *out,
                         ref_guided_draw *last);

#endif
