/*
 * fast.h - docs/algorithm.md for rows of one head, in floats and 16 at a time: what tests/reference
 * computes, for many epsilons, deltas and targets over one row. tests/stat/test_fast.c compares
 * the two.
 */
#ifndef VSA_STAT_FAST_H
#define VSA_STAT_FAST_H

#include "reference.h"
#include "rows.h"

enum { STAT_MAX_GOALS = 32, STAT_TARGETS = 3 };

/* epsilon and delta, and what depends on them alone. */
typedef struct stat_goal {
    double epsilon, delta;
    double z_one, z_two;   /* normal quantiles of 1 - delta and 1 - delta / 2 */
} stat_goal;

void stat_goal_init(stat_goal *goal, double epsilon, double delta);

typedef struct stat_settings {
    vsa_policy policy;     /* sink, window, top-k, base, value_floor; on_miss is dense */
    stat_goal  goals[STAT_MAX_GOALS];
    uint32_t   goal_count;
    /* What a budget adds to what it wants, as a fraction, by extension: uniform samples, A of
     * guided samples, c of bound strict. */
    double     margin[REF_MAX_EXTENSIONS], guided_margin[REF_MAX_EXTENSIONS],
               strict_margin[REF_MAX_EXTENSIONS];
    double     stage_share[REF_MAX_EXTENSIONS + 1];   /* of delta, guided strict */
} stat_settings;

/* The spec's margins and shares. */
void stat_settings_defaults(stat_settings *settings);

typedef struct stat_outcome {
    uint8_t  met;           /* else dense */
    uint8_t  stages;        /* evaluations; 0: dense before the first */
    uint8_t  flags;
    uint8_t  last;          /* dense after the last stage, for want of another */
    uint32_t samples, exact, gathered;
    float    certified;
    float    error;         /* actual; 0 when dense */
} stat_outcome;

typedef struct stat_work stat_work;   /* scratch memory of one thread */

stat_work *stat_work_create(uint32_t tokens, uint32_t dim);
void       stat_work_destroy(stat_work *work);

/* Method vattention, bound clt: out[goal][target]. `strict`, if not NULL: [goal], target
 * denominator. The draws are keyed by `seed` and `kv_head`. */
void stat_uniform(stat_work *work, const stat_batch *batch, const stat_row *row,
                  const stat_settings *settings, uint64_t seed, uint32_t kv_head,
                  stat_outcome (*out)[STAT_TARGETS], stat_outcome *strict);

/* Method guided, target output, bound clt or strict: out[goal]. */
void stat_guided(stat_work *work, const stat_batch *batch, const stat_row *row,
                 const stat_settings *settings, vsa_bound bound, uint64_t seed, uint32_t kv_head,
                 stat_outcome *out);

#endif
