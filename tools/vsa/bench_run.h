/*
 * bench_run.h - every case at every length, as far as memory and time go.
 */
#ifndef VSA_TOOL_BENCH_RUN_H
#define VSA_TOOL_BENCH_RUN_H

#include "bench_measure.h"
#include "progress.h"

enum { BENCH_MAX_LENGTHS = OPTION_LIST_SIZE };

/* What a length took, in seconds. */
typedef struct bench_effort {
    double setup; /* whatever the length */
    double work;
} bench_effort;

typedef struct bench_run {
    const tool_options *options;
    bench_input input;
    bench_cases cases;
    bench_host host;
    tool_device device;
    bench_context context;
    double copy_gbps; /* 10^9 bytes a second; 0 = not known */
    uint64_t memory_limit;
    uint32_t lengths[BENCH_MAX_LENGTHS]; /* ascending */
    uint32_t length_count;
    vsa_tuning tuning;
    bench_results results;
    progress bar;
    double bar_done, bar_step; /* in tokens */
} bench_run;

/* Device, host memory, lengths. Its address must not change until it is destroyed. The functions
 * that return int return an exit code, after one line on standard error. */
int bench_run_open(const tool_options *options, bench_run *out_run);
/* Accepts a zero-initialised run. */
void bench_run_destroy(bench_run *run);

/* The library refuses what the command line names and this version does not have. */
int bench_run_probe(bench_run *run);

int bench_run_copy(bench_run *run);

/* `tell` is called after every row. */
int bench_run_all(bench_run *run, void (*tell)(const bench_run *run, const bench_row *row));

#endif
