/*
 * bench_input.h - K, V and queries of any length at the speed of memory: generated a row at a time
 * from a counter, or a trace that repeats. Every value is as the cache's type keeps it: what is
 * generated is exact in f32, f16 and bf16, the rest is rounded.
 */
#ifndef VSA_TOOL_BENCH_INPUT_H
#define VSA_TOOL_BENCH_INPUT_H

#include "options.h"
#include "trace.h"

typedef struct bench_input {
    char name[96]; /* for people */
    uint32_t q_heads, kv_heads;
    uint32_t head_dim_k, head_dim_v;
    vsa_dtype kv_type;
    float softmax_scale; /* 0 = 1/sqrt(head_dim_k) */
    double scale;        /* the same, never 0 */
    double logit_std;
    trace source;
    uint32_t source_layers; /* of the source that are used; 0 = generated */
} bench_input;

typedef enum bench_plane { BENCH_K, BENCH_V } bench_plane;

/* Reads the trace, if any. An exit code, after one line on standard error. Destroying accepts a
 * zero-initialised input. */
int bench_input_open(const tool_options *options, bench_input *out_input);
void bench_input_destroy(bench_input *input);

/* Rows [first, first + count) of one head: rows[count][head_dim]. */
void bench_input_rows(const bench_input *input, bench_plane plane, uint32_t layer, uint32_t head,
                      uint32_t first, uint32_t count, float *rows);

/* The queries of a step: q[q_heads][head_dim_k]. */
void bench_input_queries(const bench_input *input, uint32_t layer, uint32_t step, float *q);

#endif
