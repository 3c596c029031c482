/*
 * harness_data.h - the part of the harness that vsa validate shares with the GPU tests: made-up
 * attention inputs, the double-precision truth for each row, and steps that hand back a result.
 */
#ifndef VSA_HARNESS_DATA_H
#define VSA_HARNESS_DATA_H

#include "reference.h"
#include "vsa_standalone.h"

/* ------------------------------------------------------------------ inputs */

/* q, K and V of one step on the host, rounded to the cache's types. Rows of a KV head are
 * consecutive: k[((sequence * kv_heads + head) * max_tokens + token) * head_dim_k + channel]. */
typedef struct harness_data {
    vsa_plan_create_info plan;     /* with every 0 that means a default filled in */
    uint32_t sequence_count, query_count;
    uint32_t *lengths;             /* [sequence] */
    float *q, *k, *v;              /* q[((sequence * queries + query) * q_heads + head) * dk + c] */
} harness_data;

typedef enum harness_scores {
    HARNESS_GAUSSIAN = 0,   /* logits of standard deviation `spread` */
    HARNESS_UNIFORM,        /* logits uniform in [-spread, spread] */
    HARNESS_HEAVY,          /* Laplace logits of scale `spread` */
    HARNESS_LOCAL           /* Gaussian, raised by 4 towards the end of the sequence */
} harness_scores;

typedef struct harness_fill {
    harness_scores scores;
    double spread;         /* 0 = 1 */
    double value_mean;     /* length of V's mean in units of its noise */
    uint64_t seed;
} harness_fill;

/* `lengths` has sequence_count entries. kv dtypes default to F16 as in a session. */
harness_data *harness_data_make(const vsa_plan_create_info *plan, uint32_t sequence_count,
                                uint32_t query_count, const uint32_t *lengths,
                                const harness_fill *fill);
void harness_data_free(harness_data *data);

const float *harness_q(const harness_data *data, uint32_t row);
float *harness_k(const harness_data *data, uint32_t sequence, uint32_t kv_head, uint32_t token);
float *harness_v(const harness_data *data, uint32_t sequence, uint32_t kv_head, uint32_t token);

/* Row = (sequence * query_count + query) * q_heads + head. */
uint32_t harness_row_count(const harness_data *data);
typedef struct harness_row {
    uint32_t sequence, query, head, kv_head;
    uint32_t length;      /* tokens that the row attends to */
} harness_row;
harness_row harness_locate(const harness_data *data, uint32_t row);

/* ------------------------------------------------------------------ running */

/* K and V of all sequences, from the first token on. */
vsa_result harness_data_write(vsa_session *session, const harness_data *data);

/* A session for the data's plan with K and V written. */
vsa_result harness_data_session(vsa_standalone *standalone, const harness_data *data,
                                vsa_kv_order order, uint32_t page_shuffle,
                                uint32_t index_capacity, vsa_session **out_session);

typedef struct harness_result {
    uint32_t row_count, head_dim, index_capacity;
    float           *out;
    vsa_certificate *certificates;
    int32_t         *indices;
    double gpu_ms, stage_ms[VSA_TIMESTAMP_COUNT];   /* as in vsa_session_step_result */
} harness_result;

/* One step over all sequences and queries of the data; harness_data_step has all but seed, stream,
 * dense and what is appended. An error leaves nothing to free. */
vsa_session_step harness_data_step(const harness_data *data);
vsa_result harness_data_run(vsa_session *session, const harness_data *data,
                            const vsa_session_step *step, uint32_t index_capacity,
                            harness_result *out_result);
void harness_result_free(harness_result *result);

/* ------------------------------------------------------------------ truth */

/* Logits of one row in double precision; the caller frees them. */
double *harness_logits(const harness_data *data, uint32_t row);
/* Exact attention of one row; returns log D. `out` has head_dim_v doubles. */
double harness_truth(const harness_data *data, uint32_t row, double *out);
/* Relative L2 error of result row `row` against the truth. */
double harness_error(const harness_data *data, const harness_result *result, uint32_t row);

/* The reference's procedure for one row: exact set, draws, budget. */
typedef struct harness_expected {
    ref_exact_set  set;
    uint8_t       *member;     /* [length] */
    uint32_t      *samples;    /* [residual], in draw order */
    double        *logits;
    ref_row        row;
    ref_row_result result;
} harness_expected;

harness_expected *harness_expect(const harness_data *data, uint32_t row, uint64_t seed,
                                 uint32_t stream);
void harness_expected_free(harness_expected *expected);

#endif
