/*
 * session_set.h - one session for every distinct shape among a trace's layers, so that layers of
 * one shape share their pipelines.
 */
#ifndef VSA_TOOL_SESSION_SET_H
#define VSA_TOOL_SESSION_SET_H

#include <stdbool.h>

#include "device.h"
#include "trace.h"

typedef struct session_slot {
    vsa_session *session;
    uint32_t layer; /* in that session */
} session_slot;

typedef struct session_set {
    vsa_session **sessions;
    uint32_t session_count;
    session_slot *slots; /* one per layer of the trace */
} session_set;

/* Queries per step: fewer for long contexts, whose scratch memory grows with both. */
uint32_t session_set_step_queries(const trace *input);

/* `input` has been rounded. max_queries: per step. An exit code, after one line on standard
 * error. */
int session_set_create(const tool_device *device, const trace *input, const tool_options *options,
                       uint32_t max_queries, session_set *out_set);
/* Accepts a zero-initialised set. */
void session_set_destroy(session_set *set);

#endif
