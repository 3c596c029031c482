/*
 * bench_tune.h - searches vsa_tuning on the device at one length: one field at a time, until a pass
 * over all fields changes nothing. Proposes; writes nothing.
 */
#ifndef VSA_TOOL_BENCH_TUNE_H
#define VSA_TOOL_BENCH_TUNE_H

#include "bench_run.h"

/* Time of the start divided by that of the best, steps of the two taking turns. */
typedef struct bench_gain {
    double median, low, high; /* low and high: quartiles */
} bench_gain;

typedef struct bench_tuning {
    const bench_case *entry;
    uint32_t tokens;
    vsa_tuning start, best; /* 0 = the device's default */
    double start_ms, best_ms;
    bench_gain gain;
    uint32_t tried, refused;
} bench_tuning;

typedef struct bench_tunings {
    bench_tuning items[BENCH_MAX_CASES];
    size_t count;
} bench_tunings;

/* Of the methods that were named, or dense and vattention; prints what it tries unless that is to
 * be JSON. An exit code, after one line on standard error. */
int bench_tune_all(bench_run *run, bench_tunings *out_tunings);

/* "workgroup 64, lanes 8, repeat default, value_chunks 2, query_chunks
 * default" */
enum { BENCH_TUNING_SIZE = 120 };
const char *bench_tuning_text(const vsa_tuning *tuning, char text[BENCH_TUNING_SIZE]);
bool bench_tuning_changed(const bench_tuning *tuning);

#endif
