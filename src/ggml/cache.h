/*
 * K and V of one layer as the device sees them: ggml's own memory imported, or a mirror of it.
 * Where something is kept that was made from them (a mirror, a scorer's state) each cell that a
 * step shows is compared by checksum with what it held when it was seen last: ggml tells a backend
 * of SET_ROWS only, not of a K-shift, a restored state or a copied sequence.
 */
#ifndef VSAI_GGML_CACHE_H
#define VSAI_GGML_CACHE_H

#include "gpu.h"
#include "node.h"

typedef struct vsai_ggml_store {
    vsa_buffer  *buffer;
    VkDeviceSize offset, range;   /* of the plane's first byte; its bytes, rounded up to 4 */
    int          is_mirror;
} vsai_ggml_store;

typedef struct vsai_ggml_cache {
    struct vsai_ggml_cache *next;
    vsai_ggml_plane k, v;         /* `tensor` is not kept */
    uint32_t kv_heads;
    uint32_t layer;
    vsai_ggml_store k_store, v_store;
    /* Per cell; NULL until they are needed. */
    uint64_t *checksums;          /* 0 = never seen */
    uint32_t *versions;           /* counts changes */
    uint32_t *seen;               /* the last call of refresh that looked */
    uint32_t  cell_count, epoch;
} vsai_ggml_cache;

/* Imports, or makes mirrors where that is not possible or `mirror` is set. NULL when neither. */
vsai_ggml_cache *vsai_ggml_cache_create(vsai_ggml_gpu *gpu, const vsai_ggml_node *node,
                                        uint32_t layer, int mirror);
/* No binding may be left. Accepts NULL. */
void vsai_ggml_cache_destroy(vsai_ggml_cache *cache);

/* Whether it is the one that the node's planes are in. */
int vsai_ggml_cache_is_of(const vsai_ggml_cache *cache, const vsai_ggml_node *node);

static inline int vsai_ggml_cache_is_mirror(const vsai_ggml_cache *cache)
{
    return cache->k_store.is_mirror || cache->v_store.is_mirror;
}

/* Before cells are asked of for the first time in a step. 0 = no memory. */
int vsai_ggml_cache_refresh_begin(vsai_ggml_cache *cache);
/* Looks at these cells: mirrors what has changed, counts it in *changed and its version up. */
vsa_result vsai_ggml_cache_refresh(vsai_ggml_cache *cache, const uint32_t *cells, uint32_t count,
                                   uint64_t *checked, uint64_t *changed);

#endif
