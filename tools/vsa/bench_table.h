/*
 * bench_table.h - what bench tells on standard output without --json.
 */
#ifndef VSA_TOOL_BENCH_TABLE_H
#define VSA_TOOL_BENCH_TABLE_H

#include "bench_run.h"

/* Device, input and the header of the table. */
void bench_table_begin(const bench_run *run);
void bench_table_row(const bench_run *run, const bench_row *row);
/* Stages, cost against length, and what was left out. */
void bench_table_end(const bench_run *run);

#endif
