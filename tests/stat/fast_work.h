/* What the parts of the fast simulation share. */
#ifndef VSA_STAT_FAST_WORK_H
#define VSA_STAT_FAST_WORK_H

#include "fast.h"
#include "vec.h"

/* Sums of the random groups, in units of the row's largest weight. */
typedef struct stat_groups {
    float  value[REF_GROUPS][STAT_MAX_DIM];   /* B_g */
    float  weight[REF_GROUPS];                /* l_g */
    double squares, norms;                    /* sum w^2 and sum w |v|^2 over all groups */
} stat_groups;

struct stat_work {
    uint32_t  tokens, dim;
    uint8_t  *member;
    uint32_t *samples;       /* uniform: draws; guided: tokens of a stage */
    float    *x;             /* their weights */
    uint32_t *hash;          /* of every token */
    uint32_t *list_token, *list_hash;   /* guided: tokens that the largest scale reads */
    float    *list_weight;
    stat_groups groups;
};

/* T and h of rho_g = factor (B_g - l_g centre) over the first `count` groups. */
void stat_spread(const stat_groups *groups, uint32_t count, const float *centre, double factor,
                 uint32_t dim, double *out_trace, double *out_rank);
double stat_quantile(const stat_goal *goal, double rank, uint32_t group_count);
/* ref_shrink for the exact set's sums in doubles. */
void stat_shrink(double *out, const double *exact_value, double exact_weight, uint32_t dim,
                 double variance, double rank);
/* The squared Student quantile of probability 1 - delta / 2. */
double stat_student_squared(const stat_goal *goal, double freedom);

/* `length` permuted counters from `first` on into out, which holds LANES. */
vecu stat_permute(const ref_permutation *permutation, vecu counter);

/* |estimate - truth| over |truth| or, with a floor, over what is larger. */
double stat_error(const stat_row *row, const stat_settings *settings, const double *out,
                  double scale, uint32_t dim);

#endif
