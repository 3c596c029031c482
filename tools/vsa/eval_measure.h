/*
 * eval_measure.h - one case on one input: every query of its layers, each row compared with the
 * reference.
 */
#ifndef VSA_TOOL_EVAL_MEASURE_H
#define VSA_TOOL_EVAL_MEASURE_H

#include "device.h"
#include "eval_input.h"
#include "eval_sweep.h"
#include "progress.h"
#include "report.h"
#include "session_set.h"
#include "stats.h"

/* Host arrays for the steps of any layer. */
typedef struct eval_buffers {
    uint32_t max_queries; /* per step */
    float *q, *out;
    vsa_certificate *certificates;
} eval_buffers;

/* False when memory is out. Destroying accepts a zero-initialised struct. */
bool eval_buffers_make(const trace *all, eval_buffers *out_buffers);
void eval_buffers_destroy(eval_buffers *buffers);

/* Errors of a row that was sampled and has a bound. */
typedef struct eval_pair {
    double actual, certified;
} eval_pair;

/* Zero-initialised = nothing measured. */
typedef struct eval_measurement {
    report rows;
    stats errors[EVAL_MAX_TARGETS]; /* as eval_case::targets */
    stats certified;                /* finite bounds only */
    size_t within_bound;            /* of those */
    eval_pair *pairs;
    size_t pair_count, pair_capacity;
} eval_measurement;

void eval_measurement_destroy(eval_measurement *sum);

/* What a measurement needs beside the case and the input. */
typedef struct eval_setup {
    const tool_options *options;
    const eval_inputs *inputs;
    const tool_device *device;
    eval_buffers buffers;
    progress bar;
    uint64_t done, limit; /* queries on the bar: counted up to the limit */
} eval_setup;

/* `slots` are those of the input's layers. An exit code, after one line on standard error. */
int eval_measure(eval_setup *setup, const eval_case *entry, uint32_t input,
                 const session_slot *slots, eval_measurement *out_sum);

#endif
