/*
 * bench_session.h - a session whose caches are filled, and single steps of decode on it: one new
 * token is appended to one layer, and its queries attend.
 */
#ifndef VSA_TOOL_BENCH_SESSION_H
#define VSA_TOOL_BENCH_SESSION_H

#include "bench_input.h"
#include "device.h"
#include "kernel_times.h"

/* Host arrays for steps and writes of any session of one input. */
typedef struct bench_host {
    float *q, *out;       /* [q_heads][channel] */
    float *new_k, *new_v; /* [kv_heads][channel] */
    float *chunk_k, *chunk_v;
    vsa_certificate *certificates; /* [q_heads] */
} bench_host;

/* False when memory is out. Destroying accepts a zero-initialised struct. */
bool bench_host_make(const bench_input *input, bench_host *out_host);
void bench_host_destroy(bench_host *host);

/* Everything in it is borrowed. */
typedef struct bench_context {
    const tool_device *device;
    const tool_options *options;
    const bench_input *input;
    const bench_host *host;
} bench_context;

typedef struct bench_session {
    vsa_session *session;
    uint32_t tokens, layers;
    double setup_seconds; /* of which compiling takes most */
} bench_session;

typedef struct bench_plan {
    tool_options options; /* of the case */
    uint32_t tokens, layers;
    vsa_tuning tuning;
    const bench_session *cache_of; /* whose caches it uses; NULL = its own, which are written */
} bench_plan;

/* Closing accepts a zero-initialised session. */
vsa_result bench_session_open(const bench_context *context, const bench_plan *plan,
                              bench_session *out_session);
void bench_session_close(bench_session *session);

/* Step number `step`: queries and draws of its own, on layer step % layers, at the session's whole
 * length. Outputs go to the host arrays. The row that is appended is the one that is there, so that
 * the caches stay as they are. */
vsa_result bench_session_step(const bench_context *context, const bench_session *session,
                              uint32_t step, vsa_session_step_result *out_result,
                              double *out_wall_ms);

/* The same step, and what each of its kernels took; nothing if the queue has no timestamps. */
vsa_result bench_session_kernels(const bench_context *context, const bench_session *session,
                                 uint32_t step, kernel_times *out_times);

/* Steps that are not timed, until every layer was read and clocks are up. */
vsa_result bench_session_warm_up(const bench_context *context, const bench_session *session);

/* The step, not timed, of the layer before that of `step`: in a decode layers follow each other, so a
 * step finds its programs in the caches of the device, and its keys and values elsewhere. */
vsa_result bench_session_lead(const bench_context *context, const bench_session *session,
                              uint32_t step);

#endif
