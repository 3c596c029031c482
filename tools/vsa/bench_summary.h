/*
 * bench_summary.h - what the rows say together, for every way to tell it.
 */
#ifndef VSA_TOOL_BENCH_SUMMARY_H
#define VSA_TOOL_BENCH_SUMMARY_H

#include "bench_fit.h"
#include "bench_run.h"

typedef struct bench_cost {
    const bench_case *entry;
    uint32_t lengths;
    bench_fit fit;  /* ms, of bench_row_ms */
    double host_us; /* median over the lengths; NaN without timestamps */
} bench_cost;

/* False for a case without a row. */
bool bench_summary_cost(const bench_run *run, size_t case_index, bench_cost *out_cost);

/* What the times are of, in a few words. */
enum { BENCH_SETTINGS_SIZE = 320 };
const char *bench_summary_shape(const bench_run *run, char text[BENCH_SETTINGS_SIZE]);
const char *bench_summary_policy(const bench_run *run, char text[BENCH_SETTINGS_SIZE]);

/* "exact" rows of a guarantee that missed or could not say anything. */
bool bench_summary_kept_every_promise(const bench_run *run);

#endif
