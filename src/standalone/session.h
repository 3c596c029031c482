/* A plan, its layers, and every buffer they need. */
#ifndef VSAI_SESSION_H
#define VSAI_SESSION_H

#include "stale.h"
#include "standalone.h"

/* Of vsa_session::queries: the step's stages, then its kernels. Append and decode leave up to 64 marks
 * (gpu_record). */
enum { VSAI_STEP_QUERIES = VSA_TIMESTAMP_COUNT + 1, VSAI_KERNEL_QUERIES = 128 };

typedef struct vsai_session_layer {
    vsa_buffer *k, *v, *state;
    vsa_layer  *layer;
    vsai_stale *stale;   /* [max_sequences], of the session's */
} vsai_session_layer;

struct vsa_session {
    vsa_standalone *standalone;
    const vsa_session *lender;   /* owns K, V and the page table; NULL = this session does */
    vsa_plan *plan;
    uint32_t head_dim_k, head_dim_v, q_heads, kv_heads;
    uint32_t max_sequences, max_queries, max_tokens;
    vsa_kv_layout kv;
    uint32_t index_capacity;
    uint32_t *pages;             /* the page table; NULL = contiguous */

    vsa_buffer *page_table, *lengths, *q, *out, *certificates, *scratch, *indices;
    vsa_buffer *new_k, *new_v;   /* grow on demand */
    VkQueryPool queries;

    uint32_t layer_count;
    vsai_session_layer *layers;
    vsai_stale *stale;           /* [layer][max_sequences] */
};

/* Makes new_k and new_v hold `row_count` (sequence, token) rows. The layers are made anew; on an
 * error everything stays as it was. */
vsa_result vsai_session_reserve_new(vsa_session *session, uint64_t row_count);

#endif
