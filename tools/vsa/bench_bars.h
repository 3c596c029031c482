/*
 * bench_bars.h - the stages of every step of one length as stacked bars, inline SVG.
 */
#ifndef VSA_TOOL_BENCH_BARS_H
#define VSA_TOOL_BENCH_BARS_H

#include <stdio.h>

#include "bench_run.h"

/* A <figure>; nothing when the length has no row with GPU times. */
void bench_bars_write(FILE *stream, const bench_run *run, uint32_t tokens);

#endif
