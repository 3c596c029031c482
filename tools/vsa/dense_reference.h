/*
 * dense_reference.h - dense attention of one row on the CPU in double precision: what the actual
 * error of a row is measured against.
 */
#ifndef VSA_TOOL_DENSE_REFERENCE_H
#define VSA_TOOL_DENSE_REFERENCE_H

#include <stdint.h>

#include "vsa.h"

typedef struct dense_row {
    const float *k;                  /* [length][head_dim_k], as the cache keeps it */
    const float *v;                  /* [length][head_dim_v] */
    const float *q;                  /* [head_dim_k] */
    uint32_t length_tokens;          /* at least 1 */
    uint32_t head_dim_k, head_dim_v; /* multiples of 8, at most 256 */
    double softmax_scale;
} dense_row;

typedef struct dense_truth {
    double log_normaliser;
    double value_rms; /* root of sum w_i |v_i|^2 / D: never below |out| */
} dense_truth;

/* out = sum w_i v_i / D with w_i = exp(scale q.k_i) and D = sum w_i; `weights` is scratch of
 * length_tokens values. */
dense_truth dense_reference(const dense_row *row, double *weights, double *out);

/* Relative error of a row's result (out, log D) against the reference's, by target: |D - D'| / D;
 * the L2 error of D out, or of out, relative to max(|out|, value_floor * value_rms). */
double dense_reference_error(vsa_target target, uint32_t head_dim_v, const float *out,
                             double log_normaliser, const double *reference, dense_truth truth,
                             double value_floor);

#endif
