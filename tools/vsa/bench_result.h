/*
 * bench_result.h - what bench measured: one row per case and length, and what was left out.
 */
#ifndef VSA_TOOL_BENCH_RESULT_H
#define VSA_TOOL_BENCH_RESULT_H

#include "bench_bytes.h"
#include "bench_case.h"
#include "kernel_times.h"
#include "report.h"
#include "stats.h"
#include "vsa_standalone.h"

/* Median, minimum and maximum. */
typedef struct bench_spread {
    double median, low, high;
} bench_spread;

extern const bench_spread bench_spread_unknown; /* NaN */

/* Per step. NaN = not known. */
typedef struct bench_row {
    bench_case entry;
    uint32_t tokens, layers;
    uint32_t steps;
    bench_spread gpu_ms; /* NaN on a queue without timestamps */
    bench_spread wall_ms;
    double host_us;                       /* median of wall - GPU time */
    double stage_ms[VSA_TIMESTAMP_COUNT]; /* medians; [0] is the append */
    kernel_times kernels;                 /* medians, the longest first; of --kernels */
    double bytes, bytes_dense;            /* means, of K, V and state */
    double stage_bytes[VSA_TIMESTAMP_COUNT];
    vsa_certificate_summary rows; /* of all steps */
    double gathered_tokens;       /* rows of V that were gathered, mean */
    stats_summary error;          /* of the rows that were compared */
    uint32_t error_rows;          /* how many */
    double certified_mean;        /* over the finite bounds of all rows; NaN when there is none */
    bench_spread speedup;         /* time of dense / time of this, by rounds */
    uint64_t memory;              /* bytes of device memory; the caches count as those of dense */
} bench_row;

/* GPU time, or wall time on a queue without timestamps. */
double bench_row_ms(const bench_row *row);
/* 10^9 bytes of K, V and state a second. */
double bench_row_gbps(const bench_row *row);
/* "append", "score", ...: the stage that ends at timestamp i. */
const char *bench_stage_name(int timestamp);

enum { BENCH_REASON_SIZE = 512 };

typedef struct bench_omission {
    uint32_t tokens; /* 0 = of any length */
    char what[256];  /* cases, "; " between; "" = all of them */
    char reason[BENCH_REASON_SIZE];
} bench_omission;

/* Zero-initialised = empty. */
typedef struct bench_results {
    bench_row *rows;
    size_t count, capacity;
    bench_omission *omissions;
    size_t omission_count, omission_capacity;
} bench_results;

/* False when memory is out. */
bool bench_results_add(bench_results *results, const bench_row *row);
/* Joins what has the same length and reason. `what`: NULL = all cases. False when memory is out. */
bool bench_results_omit(bench_results *results, uint32_t tokens, const char *what,
                        const char *reason);
void bench_results_destroy(bench_results *results);

/* The row of a case at a length, or NULL. */
const bench_row *bench_results_find(const bench_results *results, const bench_case *entry,
                                    uint32_t tokens);

/* Of `count` values, at least one, which it sorts. */
bench_spread bench_spread_of(double *values, size_t count);

/* "tokens 65536: ..." or "topk, page; topp, page: ...", without an end of line. */
enum { BENCH_OMISSION_SIZE = 1024 };
const char *bench_omission_text(const bench_omission *omission, char text[BENCH_OMISSION_SIZE]);

#endif
