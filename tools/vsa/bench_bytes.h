/*
 * bench_bytes.h - the bytes of K, V and `state` that steps read, by stage. Pure.
 */
#ifndef VSA_TOOL_BENCH_BYTES_H
#define VSA_TOOL_BENCH_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vsa.h"

typedef struct bench_bytes {
    uint64_t read;     /* as vsa_plan_count_bytes: the sum of the next three */
    uint64_t score;    /* what the scorer reads of every token */
    uint64_t attend;   /* rows that stages attend and combine gather; all, for method dense */
    uint64_t fallback; /* the dense pass */
    uint64_t dense;    /* what dense attention would have read */
} bench_bytes;

/* Of the steps behind these rows. False when memory is out. */
bool bench_bytes_count(const vsa_plan *plan, bool is_dense, const vsa_certificate *rows,
                       size_t row_count, bench_bytes *out_bytes);

#endif
