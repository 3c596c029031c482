/* A plan on a cache: the vsa_layer, its state, and what has been recorded of it. */
#ifndef VSAI_GGML_BINDING_H
#define VSAI_GGML_BINDING_H

#include "cache.h"
#include "plans.h"
#include "slots.h"

enum { VSAI_GGML_RECORDINGS = 8 };

typedef struct vsai_ggml_recording {
    VkCommandBuffer cmd;
    uint32_t sequences, tokens;   /* 0 = nothing recorded */
    uint64_t seed, used;
} vsai_ggml_recording;

typedef struct vsai_ggml_binding {
    struct vsai_ggml_binding *next;
    vsai_ggml_cache *cache;
    vsa_layer *layer;
    vsa_buffer *state;            /* NULL when the plan keeps none */
    vsai_ggml_slots slots;        /* when there is a state */
    VkCommandBuffer index;        /* recorded at each step that has something to index */
    vsai_ggml_recording recordings[VSAI_GGML_RECORDINGS];
    uint64_t clock;
} vsai_ggml_binding;

/* The plan's on this cache, made when it is new. NULL on an error. */
vsai_ggml_binding *vsai_ggml_binding_get(vsai_ggml_plan *plan, vsai_ggml_cache *cache,
                                         vsai_ggml_gpu *gpu);
/* Takes it off the plan's list. */
void vsai_ggml_binding_destroy(vsai_ggml_plan *plan, vsai_ggml_binding *binding,
                               vsai_ggml_gpu *gpu);

/* One step of `sequences` rows, the longest of `tokens` tokens, after indexing `ranges`: the plan's
 * buffers hold its inputs, and its results when this returns 1. 0 on an error. */
int vsai_ggml_binding_run(vsai_ggml_binding *binding, vsai_ggml_gpu *gpu, uint32_t sequences,
                          uint32_t tokens, uint32_t max_tokens, uint64_t seed,
                          const vsai_ggml_ranges *ranges);

#endif
