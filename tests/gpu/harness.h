/*
 * harness.h - what every GPU test program shares: a device with the validation layers on, made-up
 * attention inputs, and the double-precision truth for each row.
 *
 * Environment: VSA_TEST_DEVICE picks a device (as vsa_standalone_create_info::device);
 * VSA_TEST_VALIDATION=0 runs without the layer, =1 insists on it, otherwise it is used when it is
 * installed. Any validation message fails the program when it ends.
 */
#ifndef VSA_HARNESS_H
#define VSA_HARNESS_H

#include "check.h"
#include "quantised.h"
#include "reference.h"
#include "vsa_standalone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ device */

extern vsa_standalone *harness_device;

/* Group setup and teardown of cmocka. */
int harness_setup(void **state);
int harness_teardown(void **state);

/* A second device, for tests that need other settings; `info` is completed and may be NULL.
 * harness_close also counts its validation messages. */
vsa_result harness_open(const vsa_standalone_create_info *info, vsa_standalone **out_standalone);
void harness_close(vsa_standalone *standalone);

/* Can K and V be bound as segments on this device? */
int harness_has_segments(void);

/* What the library's log said last as an error, "" after harness_listen. While listening, errors
 * are not printed. */
void harness_listen(void);
const char *harness_heard(void);

/* Fails the test with the log's sentence unless `result` is VSA_SUCCESS. */
#define check_ok(expression)                                                                   \
    do {                                                                                       \
        vsa_result check_result_ = (expression);                                               \
        if (check_result_ != VSA_SUCCESS) {                                                    \
            fail_msg("%s: %s: %s", #expression, vsa_result_name(check_result_),                \
                     harness_heard());                                                         \
        }                                                                                      \
    } while (0)

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

/* A session for the data's plan with K and V written; fails the test on any error. */
vsa_session *harness_session(vsa_standalone *standalone, const harness_data *data,
                             vsa_kv_order order, uint32_t page_shuffle, uint32_t index_capacity);

typedef struct harness_result {
    uint32_t row_count, head_dim, index_capacity;
    float           *out;
    vsa_certificate *certificates;
    int32_t         *indices;
} harness_result;

/* One step over all sequences and queries of the data. */
harness_result harness_run(vsa_session *session, const harness_data *data, int dense,
                           uint64_t seed, uint32_t stream, uint32_t index_capacity);
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
