/*
 * bench_truth.h - dense attention in double precision for some of the rows that bench times, drawn
 * at random: the same rows for every method at one length.
 */
#ifndef VSA_TOOL_BENCH_TRUTH_H
#define VSA_TOOL_BENCH_TRUTH_H

#include "bench_input.h"
#include "dense_reference.h"

typedef struct bench_check {
    uint32_t step, layer, head;
    double *out; /* [head_dim_v] */
    dense_truth truth;
} bench_check;

/* In ascending order of step and head. */
typedef struct bench_truth {
    bench_check *checks;
    double *outs;
    uint32_t count;
} bench_truth;

/* `rows` of the steps * q_heads rows, or all where there are fewer; step i reads layer i % layers.
 * False when memory is out. Destroying accepts a zero-initialised truth. */
bool bench_truth_make(const bench_input *input, uint32_t tokens, uint32_t steps, uint32_t layers,
                      uint32_t rows, bench_truth *out_truth);
void bench_truth_destroy(bench_truth *truth);

#endif
