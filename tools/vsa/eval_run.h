/*
 * eval_run.h - runs the cases of a sweep on a device and collects their rows.
 */
#ifndef VSA_TOOL_EVAL_RUN_H
#define VSA_TOOL_EVAL_RUN_H

#include "eval_measure.h"
#include "eval_result.h"

typedef struct eval_run {
    const tool_options *options;
    eval_inputs inputs;
    eval_sweep sweep;
    tool_device device;
    eval_results results;
    eval_setup setup;
} eval_run;

/* Has the library refuse what it does not support, and makes room for the steps. An exit code, after
 * one line on standard error. */
int eval_run_open(eval_run *run);

/* Begins the bar. */
void eval_run_begin(eval_run *run);

/* Runs one case on every input and adds its rows to the results. An exit code. */
int eval_run_case(eval_run *run, size_t index);

void eval_run_destroy(eval_run *run);

#endif
