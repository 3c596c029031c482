/*
 * eval_run.h - runs the cases of a sweep on a device and measures every row.
 */
#ifndef VSA_TOOL_EVAL_RUN_H
#define VSA_TOOL_EVAL_RUN_H

#include "device.h"
#include "eval_result.h"
#include "progress.h"

typedef struct eval_run {
    const tool_options *options;
    eval_inputs inputs;
    eval_sweep sweep;
    tool_device device;
    eval_results results;

    uint32_t max_queries; /* per step */
    float *q, *out;       /* of one step */
    vsa_certificate *certificates;
    progress bar;
    uint64_t done; /* queries */
} eval_run;

/* Makes room for the steps and begins the bar. An exit code, after one line on standard error. */
int eval_run_begin(eval_run *run);

/* Runs one case on every input and adds its rows to the results; a case that this version does
 * not have is marked in the sweep. An exit code. */
int eval_run_case(eval_run *run, size_t index);

void eval_run_destroy(eval_run *run);

#endif
