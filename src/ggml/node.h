/* What a FLASH_ATTN_EXT node asks for, in vsa's words. Pure. */
#ifndef VSAI_GGML_NODE_H
#define VSAI_GGML_NODE_H

#include "vsa.h"

#include <ggml.h>

enum {
    VSAI_GGML_MAX_QUERIES = 8,   /* query tokens of a stream; more are prefill */
    VSAI_GGML_NO_LAYER = 0xffffffff
};

/* Where K or V is. */
typedef struct vsai_ggml_plane {
    const struct ggml_tensor *tensor;
    vsa_dtype dtype;
    uint32_t  head_dim;
    uint32_t  row_size;      /* of one head */
    uint32_t  head_stride;
    uint64_t  cell_stride;
    const char *base;        /* first byte of the cache that the tensor is a view of */
    uint64_t  size;          /* from there to its end */
} vsai_ggml_plane;

typedef struct vsai_ggml_node {
    const struct ggml_tensor *op, *q, *mask;
    vsai_ggml_plane k, v;
    uint32_t q_heads, kv_heads;
    uint32_t queries;        /* per stream */
    uint32_t streams, kv_streams;
    uint32_t cells;          /* of a stream, that the mask speaks of */
    uint32_t first_cell;     /* of the view, in its cache; the same in both planes */
    uint32_t stream_cells;   /* between streams */
    uint32_t capacity;       /* cells of a stream in the cache, at least `cells` */
    uint32_t layer;          /* from the cache's name, or VSAI_GGML_NO_LAYER */
    float    scale, softcap;
} vsai_ggml_node;

/* NULL = understood, and the backend computes it; otherwise why not, a static sentence. Data
 * pointers may be NULL: `base` is then not set. */
const char *vsai_ggml_node_read(const struct ggml_tensor *op, vsai_ggml_node *out_node);

/* The row of the mask for one query of one stream; NULL when there is no mask. */
const uint16_t *vsai_ggml_node_mask(const vsai_ggml_node *node, uint32_t stream, uint32_t query);
/* The first cell of a stream, in its cache. */
uint32_t vsai_ggml_node_first_cell(const vsai_ggml_node *node, uint32_t stream);
const float *vsai_ggml_node_q(const vsai_ggml_node *node, uint32_t stream, uint32_t query,
                              uint32_t head);
/* The output of all heads: [q_head][head_dim_v]. */
float *vsai_ggml_node_out(const vsai_ggml_node *node, uint32_t stream, uint32_t query);

/* A row of one head, by the cell's number in its cache. */
static inline const char *vsai_ggml_plane_row(const vsai_ggml_plane *plane, uint32_t cell,
                                              uint32_t kv_head)
{
    return plane->base + cell * plane->cell_stride + (uint64_t)kv_head * plane->head_stride;
}

#endif
