/*
 * eval_plots.h - the plots of one input: error against density and bytes, certified against actual
 * error, and the budget of every head.
 */
#ifndef VSA_TOOL_EVAL_PLOTS_H
#define VSA_TOOL_EVAL_PLOTS_H

#include <stdio.h>

#include "eval_run.h"

typedef struct eval_plots eval_plots;

/* NULL when memory is out; both must outlive it. */
eval_plots *eval_plots_create(FILE *stream, const eval_run *run);
void eval_plots_write(eval_plots *plots, uint32_t input);
/* Accepts NULL. */
void eval_plots_destroy(eval_plots *plots);

#endif
