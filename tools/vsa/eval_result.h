/*
 * eval_result.h - what a sweep found: one row per case, input and target, and a sample of single
 * rows' certified and actual errors.
 */
#ifndef VSA_TOOL_EVAL_RESULT_H
#define VSA_TOOL_EVAL_RESULT_H

#include "eval_input.h"
#include "eval_sweep.h"
#include "report.h"
#include "stats.h"

/* Samples that the budgets of one query head asked for. */
typedef struct eval_head {
    uint32_t layer, head;
    double mean, low, high; /* low and high: 5th and 95th percentile */
} eval_head;

typedef struct eval_row {
    eval_case entry;
    uint32_t input;
    int target;
    vsa_certificate_summary rows;
    uint64_t bytes_read, bytes_dense, gathered_tokens;
    double gpu_ms;
    stats_summary error; /* coverage: of entry.epsilon */
    /* Of the rows with a finite bound; NaN when there is none. */
    double certified_mean, certified_max;
    double within_bound; /* share of those rows whose actual error is within their own bound */
    eval_head *heads;    /* of all layers; NULL without a guarantee */
    uint32_t head_count;
} eval_row;

enum { EVAL_DOT_TOTAL = 2000 };

/* A row that was sampled and has a bound. */
typedef struct eval_dot {
    size_t row; /* of eval_results::rows */
    double actual, certified;
    uint32_t draw;
} eval_dot;

/* Zero-initialised = empty. */
typedef struct eval_results {
    eval_row *rows;
    size_t count, capacity;
    eval_dot dots[EVAL_DOT_TOTAL]; /* a simple random sample of all */
    size_t dot_count;
    uint64_t dots_seen;
    uint32_t dot_mask; /* a dot is kept when its draw has none of these bits */
} eval_results;

/* Takes over row->heads. False when memory is out. */
bool eval_results_add(eval_results *results, const eval_row *row);
void eval_results_add_dot(eval_results *results, double actual, double certified, size_t row);
void eval_results_destroy(eval_results *results);

/* Per head of the input's layers, from its certificates in the order of the steps: [layer][query]
 * [q_head]. NULL when memory is out. */
eval_head *eval_heads_make(const eval_inputs *inputs, uint32_t input,
                           const vsa_certificate *certificates, uint32_t *out_count);

/* Errors up to this are within `bound`: what f32 arithmetic adds is no miss. */
double eval_limit(double bound);

#endif
