/*
 * bench_measure.h - one case at one length.
 */
#ifndef VSA_TOOL_BENCH_MEASURE_H
#define VSA_TOOL_BENCH_MEASURE_H

#include "bench_result.h"
#include "bench_session.h"
#include "bench_truth.h"

typedef struct bench_place {
    uint32_t tokens, layers;
    const bench_session *cache; /* of method dense: measured as it is, others use its caches */
    const bench_truth *truth;   /* of steps 0, 1, ... of this length */
    vsa_tuning tuning;
    void (*advance)(void *user, uint32_t step); /* after every timed step */
    void *user;
} bench_place;

/* What it took, in seconds. */
typedef struct bench_effort {
    double setup; /* whatever the length */
    double work;
} bench_effort;

/* VSA_ERROR_OUT_OF_HOST_MEMORY: also the tool's own. The row has no speed-up yet. */
vsa_result bench_measure(const bench_context *context, const bench_case *entry,
                         const bench_place *place, bench_row *out_row, bench_effort *out_effort);

#endif
