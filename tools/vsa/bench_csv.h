/*
 * bench_csv.h - the rows of bench as comma-separated values (RFC 4180).
 */
#ifndef VSA_TOOL_BENCH_CSV_H
#define VSA_TOOL_BENCH_CSV_H

#include "bench_run.h"

/* A value that is not finite is left empty. An exit code, after one line on standard error. */
int bench_csv_write(const bench_run *run, const char *path);

#endif
