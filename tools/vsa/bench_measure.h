/*
 * bench_measure.h - several cases at one length. Their steps take turns, so that whatever slows the
 * machine down slows all of them: the ratio of two times is steadier than either.
 */
#ifndef VSA_TOOL_BENCH_MEASURE_H
#define VSA_TOOL_BENCH_MEASURE_H

#include "bench_result.h"
#include "bench_session.h"
#include "bench_truth.h"

typedef struct bench_place {
    uint32_t tokens, layers;
    const bench_session *cache; /* of method dense; the other cases use its caches */
    const bench_truth *truth;   /* of steps 0, 1, ... of this length */
    vsa_tuning tuning;
    void (*advance)(void *user); /* after every step of a round */
    void *user;
} bench_place;

/* One case. */
typedef struct bench_lane {
    const bench_case *entry;
    bench_session own; /* not of method dense */
    /* One value per round; gpu_ms owns all of them. */
    double *gpu_ms, *wall_ms, *stage_ms[VSA_TIMESTAMP_COUNT];
    kernel_times *kernels; /* one per round; NULL without --kernels */
    report rows;
    stats errors;
} bench_lane;

/* Lane 0 is dense. */
typedef struct bench_batch {
    const bench_context *context;
    const bench_place *place;
    bench_lane lanes[BENCH_MAX_CASES];
    size_t count;
    double setup_seconds; /* of its sessions */
} bench_batch;

/* With dense attention alone. VSA_ERROR_OUT_OF_HOST_MEMORY, here and below: also the tool's own. */
vsa_result bench_batch_begin(const bench_context *context, const bench_place *place,
                             const bench_case *dense, bench_batch *out_batch);
/* On an error the batch stays as it was. */
vsa_result bench_batch_add(bench_batch *batch, const bench_case *entry);
vsa_result bench_batch_run(bench_batch *batch);
/* False when memory is out. */
bool bench_batch_row(const bench_batch *batch, size_t lane, bench_row *out_row);
void bench_batch_end(bench_batch *batch);

/* Device memory of the sessions beside the caches, and of the largest of them. */
uint64_t bench_batch_memory(const bench_batch *batch, uint64_t *out_largest);

#endif
