/*
 * bench_plots.h - the plots of bench: time, speed-up and error against length, time against bytes
 * beside the copy bandwidth, error against time, and the stages of every step.
 */
#ifndef VSA_TOOL_BENCH_PLOTS_H
#define VSA_TOOL_BENCH_PLOTS_H

#include <stdio.h>

#include "bench_run.h"

/* False when memory is out. */
bool bench_plots_write(FILE *stream, const bench_run *run);

#endif
