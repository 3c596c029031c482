/*
 * Attention nodes on the device. One engine per process, shared by its backends: thread-safe, one
 * node at a time. What cannot be computed by vsa is computed on the host: a node that was accepted
 * always gets its result.
 */
#ifndef VSAI_GGML_ENGINE_H
#define VSAI_GGML_ENGINE_H

#include "cache.h"
#include "vsa_ggml.h"

/* The caches that one backend has seen; they end with it, because ggml frees their memory then. */
typedef struct vsai_ggml_session {
    vsai_ggml_cache *caches;
    uint32_t cache_count, layer_count;
} vsai_ggml_session;

/* Reads the environment, once. 0 = a bad value, which was logged: the backend declines
 * everything. */
int vsai_ggml_engine_start(void);
const vsai_ggml_options *vsai_ggml_engine_options(void);

/* Opens the device when it is not. 0 = there is none, or an earlier failure: decline everything. */
int vsai_ggml_engine_is_ready(void);
/* "llvmpipe ...", or what there is to say without a device. Lives as long as the process. */
const char *vsai_ggml_engine_device_name(void);

vsai_ggml_session *vsai_ggml_session_create(void);
void vsai_ggml_session_destroy(vsai_ggml_session *session);

/* Computes the node. 0 = no host memory. */
int vsai_ggml_engine_attend(vsai_ggml_session *session, const vsai_ggml_node *node);

/* vsa_ggml.h */
const char *vsai_ggml_engine_set_option(const char *name, const char *value);
void vsai_ggml_engine_reset_summary(void);
void vsai_ggml_engine_get_summary(struct vsa_ggml_summary *out_summary);
uint64_t vsai_ggml_engine_print_summary(char *text, uint64_t capacity);
/* The same without waiting, for the end of the process. */
uint64_t vsai_ggml_engine_print_at_exit(char *text, uint64_t capacity);

#endif
