/* Rows of one node through one submission. */
#ifndef VSAI_GGML_PASS_H
#define VSAI_GGML_PASS_H

#include "cache.h"
#include "plans.h"

/* A query token of a stream, and the cells that it sees, by their number in the cache. */
typedef struct vsai_ggml_row {
    uint32_t stream, query;
    const uint32_t *cells;
    uint32_t count;   /* at least 1 */
} vsai_ggml_row;

typedef struct vsai_ggml_pass {
    const vsai_ggml_node *node;
    const vsai_ggml_row *rows;
    uint32_t row_count;   /* 1 to VSAI_GGML_MAX_SEQUENCES */
    uint64_t seed;
    vsa_policy policy;    /* of method DENSE for rows that are dense from the start */
} vsai_ggml_pass;

typedef struct vsai_ggml_pass_result {
    vsai_ggml_plan *plan;   /* that computed it */
    uint32_t sequences[VSAI_GGML_MAX_SEQUENCES];   /* of each row, in the plan's buffers */
    uint64_t checked, changed;   /* rows of K and V */
} vsai_ggml_pass_result;

/* 0 on an error. */
int vsai_ggml_pass_run(const vsai_ggml_pass *pass, vsai_ggml_plans *plans, vsai_ggml_cache *cache,
                       vsai_ggml_pass_result *out_result);

/* Of a row, until the next pass: [q_head][head_dim_v] and [q_head]. */
const float *vsai_ggml_pass_out(const vsai_ggml_pass *pass, const vsai_ggml_pass_result *result,
                                uint32_t row);
const vsa_certificate *vsai_ggml_pass_certificates(const vsai_ggml_pass *pass,
                                                   const vsai_ggml_pass_result *result,
                                                   uint32_t row);

#endif
