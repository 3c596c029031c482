#include "session.h"

#include "convert.h"

#include <string.h>

static uint64_t rows_of(const vsa_session *session)
{
    return (uint64_t)session->max_sequences * session->max_queries * session->q_heads;
}

static vsa_result make_buffer(const vsa_session *session, uint64_t size, VkBufferUsageFlags usage,
                              vsai_placement placement, const char *name, vsa_buffer **out_buffer)
{
    *out_buffer = NULL;
    return size == 0 ? VSA_SUCCESS
                     : vsai_buffer_create(session->standalone, size, usage, placement, name,
                                          out_buffer);
}

static uint32_t pages_per_sequence(const vsa_session *session)
{
    const uint32_t page_tokens = session->kv.page_tokens;
    return session->max_tokens / page_tokens + (session->max_tokens % page_tokens != 0);
}

/* Bytes from the start of the first block to the end of the last one's last row. */
static uint64_t plane_size(const vsa_session *session, const vsa_plane_layout *plane,
                           uint32_t head_dim)
{
    const uint32_t page_tokens = session->kv.page_tokens;
    const uint64_t blocks =
        (uint64_t)session->max_sequences * (page_tokens ? pages_per_sequence(session) : 1);
    const uint32_t block_tokens = page_tokens ? page_tokens : session->max_tokens;
    return (blocks - 1) * plane->block_stride +
           (uint64_t)(session->kv_heads - 1) * plane->head_stride +
           (uint64_t)(block_tokens - 1) * plane->token_stride +
           vsa_dtype_row_size(plane->dtype, head_dim);
}

static uint64_t next_random(uint64_t *state)
{
    /* splitmix64: Steele, Lea and Flood 2014 */
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static vsa_result deal_pages(vsa_session *session, uint32_t shuffle)
{
    const vsa_log *log = &session->standalone->log;
    if (!session->kv.page_tokens) {
        return VSA_SUCCESS;
    }
    if (session->lender) {
        session->pages = session->lender->pages;
        session->page_table = session->lender->page_table;
        return VSA_SUCCESS;
    }
    const uint32_t per_sequence = pages_per_sequence(session);
    const uint32_t stride = session->kv.table_stride;
    if (stride < per_sequence) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "kv.table_stride is %u, %u tokens need %u pages", stride,
                         session->max_tokens, per_sequence);
    }
    const size_t page_count = (size_t)session->max_sequences * per_sequence;
    const size_t entry_count = (size_t)session->max_sequences * stride;
    uint32_t *order = vsai_calloc(session->standalone->allocator, page_count, sizeof(*order));
    session->pages =
        vsai_calloc(session->standalone->allocator, entry_count, sizeof(*session->pages));
    if (!order || !session->pages) {
        vsai_free(session->standalone->allocator, order);
        return vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY, "no host memory for %zu pages",
                         entry_count);
    }
    for (size_t i = 0; i < page_count; ++i) {
        order[i] = (uint32_t)i;
    }
    uint64_t state = shuffle;
    for (size_t i = page_count; shuffle && i > 1; --i) {
        const size_t j = (size_t)(next_random(&state) % i);
        const uint32_t page = order[i - 1];
        order[i - 1] = order[j];
        order[j] = page;
    }
    for (uint32_t s = 0; s < session->max_sequences; ++s) {
        memcpy(session->pages + (size_t)s * stride, order + (size_t)s * per_sequence,
               per_sequence * sizeof(*order));
    }
    vsai_free(session->standalone->allocator, order);

    const uint64_t size = entry_count * sizeof(uint32_t);
    const vsa_result status = make_buffer(session, size, 0, VSAI_PLACE_DEVICE, "page table",
                                          &session->page_table);
    return status ? status : vsa_buffer_write(session->page_table, 0, session->pages, size);
}

static VkDescriptorBufferInfo optional_info(const vsa_buffer *buffer)
{
    return buffer ? vsa_buffer_info(buffer) : (VkDescriptorBufferInfo){0};
}

static vsa_result make_layer(const vsa_session *session, const vsai_session_layer *layer,
                             const vsa_buffer *new_k, const vsa_buffer *new_v,
                             vsa_layer **out_layer)
{
    const vsa_layer_buffers buffers = {
        .k = optional_info(layer->k),
        .v = optional_info(layer->v),
        .page_table = optional_info(session->page_table),
        .lengths = optional_info(session->lengths),
        .new_k = optional_info(new_k),
        .new_v = optional_info(new_v),
        .q = optional_info(session->q),
        .out = optional_info(session->out),
        .state = optional_info(layer->state),
        .scratch = optional_info(session->scratch),
        .certificates = optional_info(session->certificates),
        .indices = optional_info(session->indices),
    };
    return vsa_layer_create(session->plan, &buffers, out_layer);
}

vsa_result vsai_session_reserve_new(vsa_session *session, uint64_t row_count)
{
    const uint64_t k_size = row_count * session->kv_heads * session->head_dim_k * sizeof(float);
    const uint64_t v_size = row_count * session->kv_heads * session->head_dim_v * sizeof(float);
    if (session->new_k && vsai_buffer_size(session->new_k) >= k_size &&
        vsai_buffer_size(session->new_v) >= v_size) {
        return VSA_SUCCESS;
    }
    vsa_buffer *new_k = NULL;
    vsa_buffer *new_v = NULL;
    vsa_result status = VSA_SUCCESS;
    const VkAllocationCallbacks *allocator = session->standalone->allocator;
    vsa_layer **layers = vsai_calloc(allocator, session->layer_count, sizeof(*layers));
    if (!layers) {
        return vsai_fail(&session->standalone->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                         "no host memory for %u layers", session->layer_count);
    }
    if ((status = make_buffer(session, k_size, 0, VSAI_PLACE_UPLOAD, "new_k", &new_k)) ||
        (status = make_buffer(session, v_size, 0, VSAI_PLACE_UPLOAD, "new_v", &new_v))) {
        goto done;
    }
    for (uint32_t i = 0; i < session->layer_count && !status; ++i) {
        status = make_layer(session, &session->layers[i], new_k, new_v, &layers[i]);
    }
    if (status) {
        goto done;
    }
    /* Swapped: what is released below is the old set. */
    for (uint32_t i = 0; i < session->layer_count; ++i) {
        vsa_layer *old = session->layers[i].layer;
        session->layers[i].layer = layers[i];
        layers[i] = old;
    }
    vsa_buffer *old = session->new_k;
    session->new_k = new_k;
    new_k = old;
    old = session->new_v;
    session->new_v = new_v;
    new_v = old;

done:
    for (uint32_t i = 0; i < session->layer_count; ++i) {
        vsa_layer_destroy(layers[i]);
    }
    vsa_buffer_destroy(new_k);
    vsa_buffer_destroy(new_v);
    vsai_free(allocator, layers);
    return status;
}

static vsa_result make_buffers(vsa_session *session, const vsa_plan_requirements *needs)
{
    vsa_result status = VSA_SUCCESS;
    const uint64_t rows = rows_of(session);
    if ((status = make_buffer(session, (uint64_t)session->max_sequences * sizeof(uint32_t), 0,
                              VSAI_PLACE_UPLOAD, "lengths", &session->lengths)) ||
        (status = make_buffer(session, needs->q.size, needs->q.usage, VSAI_PLACE_UPLOAD, "q",
                              &session->q)) ||
        (status = make_buffer(session, needs->out.size, needs->out.usage, VSAI_PLACE_READBACK,
                              "out", &session->out)) ||
        (status = make_buffer(session, needs->certificates.size, needs->certificates.usage,
                              VSAI_PLACE_READBACK, "certificates", &session->certificates)) ||
        (status = make_buffer(session, needs->scratch.size,
                              needs->scratch.usage | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT,
                              VSAI_PLACE_DEVICE, "scratch", &session->scratch)) ||
        (status = make_buffer(session, rows * session->index_capacity * sizeof(int32_t), 0,
                              VSAI_PLACE_READBACK, "indices", &session->indices))) {
        return status;
    }
    const size_t ranges = (size_t)session->layer_count * session->max_sequences;
    session->stale = vsai_calloc(session->standalone->allocator, ranges, sizeof(*session->stale));
    if (!session->stale) {
        return vsai_fail(&session->standalone->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                         "no host memory for %u layers", session->layer_count);
    }
    for (uint32_t i = 0; i < session->layer_count; ++i) {
        vsai_session_layer *layer = &session->layers[i];
        layer->stale = session->stale + (size_t)i * session->max_sequences;
        if (session->lender) {
            layer->k = session->lender->layers[i].k;
            layer->v = session->lender->layers[i].v;
            for (uint32_t sequence = 0; sequence < session->max_sequences; ++sequence) {
                vsai_stale_add(&layer->stale[sequence], 0, session->max_tokens);
            }
        } else if ((status = make_buffer(session,
                                         plane_size(session, &session->kv.k, session->head_dim_k),
                                         0, VSAI_PLACE_DEVICE, "k", &layer->k)) ||
                   (status = make_buffer(session,
                                         plane_size(session, &session->kv.v, session->head_dim_v),
                                         0, VSAI_PLACE_DEVICE, "v", &layer->v))) {
            return status;
        }
        if ((status = make_buffer(session, needs->state.size, needs->state.usage,
                                  VSAI_PLACE_DEVICE, "state", &layer->state))) {
            return status;
        }
    }
    /* Makes the layers as well. */
    return vsai_session_reserve_new(session,
                                    (uint64_t)session->max_sequences * session->max_queries);
}

static vsa_result make_queries(vsa_session *session)
{
    vsa_standalone *standalone = session->standalone;
    if (!standalone->timestamp_mask) {
        return VSA_SUCCESS;
    }
    const VkQueryPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = VSAI_STEP_QUERIES + VSAI_KERNEL_QUERIES,
    };
    const VkResult result = standalone->vk.CreateQueryPool(standalone->device, &info,
                                                           standalone->allocator,
                                                           &session->queries);
    if (result) {
        session->queries = VK_NULL_HANDLE;
    }
    return vsai_fail_vk(&standalone->log, result, "vkCreateQueryPool");
}

static int same_plane(const vsa_plane_layout *a, const vsa_plane_layout *b)
{
    return a->dtype == b->dtype && a->token_stride == b->token_stride &&
           a->head_stride == b->head_stride && a->block_stride == b->block_stride;
}

static vsa_result check_lender(const vsa_session *session)
{
    const vsa_session *lender = session->lender;
    return !lender || (lender->standalone == session->standalone &&
                       lender->head_dim_k == session->head_dim_k &&
                       lender->head_dim_v == session->head_dim_v &&
                       lender->kv_heads == session->kv_heads &&
                       lender->max_sequences == session->max_sequences &&
                       lender->max_tokens == session->max_tokens &&
                       lender->layer_count >= session->layer_count &&
                       lender->kv.page_tokens == session->kv.page_tokens &&
                       lender->kv.table_stride == session->kv.table_stride &&
                       same_plane(&lender->kv.k, &session->kv.k) &&
                       same_plane(&lender->kv.v, &session->kv.v))
               ? VSA_SUCCESS
               : vsai_fail(&session->standalone->log, VSA_ERROR_INVALID_ARGUMENT,
                           "cache_of: the caches of that session have another layout");
}

static vsa_result check_type(const vsa_log *log, const char *name, vsa_dtype dtype)
{
    return dtype == 0 || dtype == VSA_DTYPE_F32
               ? VSA_SUCCESS
               : vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                           "%s is %d, a session takes 0 or VSA_DTYPE_F32", name, (int)dtype);
}

vsa_result vsa_session_create(vsa_standalone *standalone, const vsa_session_create_info *info,
                              vsa_session **out_session)
{
    const vsa_log *log = standalone ? &standalone->log : NULL;
    if (!out_session) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "out_session is NULL");
    }
    *out_session = NULL;
    if (!standalone || !info || !info->plan) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "vsa_session_create: standalone, info or info->plan is NULL");
    }
    vsa_plan_create_info plan = *info->plan;
    vsa_result status = VSA_SUCCESS;
    if ((status = check_type(log, "q_dtype", plan.q_dtype)) ||
        (status = check_type(log, "out_dtype", plan.out_dtype)) ||
        (status = check_type(log, "new_dtype", plan.new_dtype))) {
        return status;
    }
    plan.kv_range_size = 0;   /* the pages of a session are exactly those of its sequences */
    if (!plan.kv.k.token_stride) {
        const uint32_t page_tokens = plan.kv.page_tokens;
        vsa_kv_layout_init(&plan.kv, info->order,
                           plan.kv.k.dtype ? plan.kv.k.dtype : VSA_DTYPE_F16,
                           plan.kv.v.dtype ? plan.kv.v.dtype : VSA_DTYPE_F16, plan.head_dim_k,
                           plan.head_dim_v, plan.kv_heads, plan.max_tokens, page_tokens);
    }

    vsa_session *session = vsai_calloc(standalone->allocator, 1, sizeof(*session));
    if (!session) {
        return vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY, "no host memory for a session");
    }
    session->standalone = standalone;
    session->lender = info->cache_of;
    session->layer_count = info->layer_count ? info->layer_count : 1;
    session->layers =
        vsai_calloc(standalone->allocator, session->layer_count, sizeof(*session->layers));
    if (!session->layers) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY, "no host memory for %u layers",
                           session->layer_count);
        goto fail;
    }
    session->head_dim_k = plan.head_dim_k;
    session->head_dim_v = plan.head_dim_v;
    session->q_heads = plan.q_heads;
    session->kv_heads = plan.kv_heads;
    session->max_sequences = plan.max_sequences ? plan.max_sequences : 1;
    session->max_queries = plan.max_queries ? plan.max_queries : 1;
    session->max_tokens = plan.max_tokens;
    session->kv = plan.kv;
    session->index_capacity = info->index_capacity;

    /* The plan checks every shape: nothing above is used in arithmetic before. */
    status = vsa_plan_create(standalone->context, &plan, &session->plan);
    if (status) {
        goto fail;
    }
    vsa_plan_requirements needs;
    vsa_plan_get_requirements(session->plan, &needs);
    if ((status = check_lender(session)) || (status = deal_pages(session, info->page_shuffle)) ||
        (status = make_buffers(session, &needs)) ||
        (status = make_queries(session))) {
        goto fail;
    }
    *out_session = session;
    return VSA_SUCCESS;

fail:
    vsa_session_destroy(session);
    return status;
}

void vsa_session_destroy(vsa_session *session)
{
    if (!session) {
        return;
    }
    vsa_standalone *standalone = session->standalone;
    for (uint32_t i = 0; session->layers && i < session->layer_count; ++i) {
        vsa_layer_destroy(session->layers[i].layer);
        vsa_buffer_destroy(session->layers[i].state);
        if (!session->lender) {
            vsa_buffer_destroy(session->layers[i].k);
            vsa_buffer_destroy(session->layers[i].v);
        }
    }
    vsa_plan_destroy(session->plan);
    vsa_buffer *const buffers[] = {
        session->lengths, session->q,       session->out,   session->certificates,
        session->scratch, session->indices, session->new_k, session->new_v,
    };
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); ++i) {
        vsa_buffer_destroy(buffers[i]);
    }
    if (session->queries) {
        standalone->vk.DestroyQueryPool(standalone->device, session->queries,
                                        standalone->allocator);
    }
    if (!session->lender) {
        vsa_buffer_destroy(session->page_table);
        vsai_free(standalone->allocator, session->pages);
    }
    vsai_free(standalone->allocator, session->stale);
    vsai_free(standalone->allocator, session->layers);
    vsai_free(standalone->allocator, session);
}

const vsa_plan *vsa_session_plan(const vsa_session *session)
{
    return session->plan;
}

uint64_t vsa_session_memory_size(const vsa_session *session)
{
    uint64_t size = 0;
    const vsa_buffer *const buffers[] = {
        session->lengths, session->q,       session->out,   session->certificates,
        session->scratch, session->indices, session->new_k, session->new_v,
    };
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); ++i) {
        size += buffers[i] ? vsai_buffer_size(buffers[i]) : 0;
    }
    if (!session->lender && session->page_table) {
        size += vsai_buffer_size(session->page_table);
    }
    for (uint32_t i = 0; i < session->layer_count; ++i) {
        const vsai_session_layer *layer = &session->layers[i];
        if (!session->lender) {
            size += vsai_buffer_size(layer->k) + vsai_buffer_size(layer->v);
        }
        size += layer->state ? vsai_buffer_size(layer->state) : 0;
    }
    return size;
}

static void convert_row(vsa_dtype dtype, void *to, const float *from, uint32_t count)
{
    switch (dtype) {
    case VSA_DTYPE_F16:
        vsai_f16_from_f32(to, from, count);
        break;
    case VSA_DTYPE_BF16:
        vsai_bf16_from_f32(to, from, count);
        break;
    case VSA_DTYPE_Q8_0:
        vsai_q8_0_from_f32(to, from, count);
        break;
    case VSA_DTYPE_Q4_0:
        vsai_q4_0_from_f32(to, from, count);
        break;
    default:
        memcpy(to, from, count * sizeof(float));
        break;
    }
}

typedef struct source {
    const float *values;
    size_t       head_stride;
    uint32_t     head_dim;
} source;

static vsa_result write_plane(const vsa_session *session, vsa_buffer *buffer,
                              const vsa_plane_layout *plane, uint32_t sequence,
                              uint32_t first_token, uint32_t token_count, const source *from)
{
    const vsa_standalone *standalone = session->standalone;
    const uint32_t row_size = vsa_dtype_row_size(plane->dtype, from->head_dim);
    /* In the order of addresses, so that runs of rows merge into one copy. */
    const int heads_first = plane->head_stride >= plane->token_stride;
    const uint32_t outer_count = heads_first ? session->kv_heads : token_count;
    const uint32_t inner_count = heads_first ? token_count : session->kv_heads;
    vsai_scatter *scatter = vsai_calloc(standalone->allocator, 1, sizeof(*scatter));
    if (!scatter) {
        return vsai_fail(&standalone->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                         "no host memory for a copy of K or V");
    }
    vsa_result status = VSA_SUCCESS;
    vsai_scatter_begin(scatter, buffer);
    for (uint32_t outer = 0; outer < outer_count && !status; ++outer) {
        for (uint32_t inner = 0; inner < inner_count; ++inner) {
            const uint32_t head = heads_first ? outer : inner;
            const uint32_t token = heads_first ? inner : outer;
            const uint64_t offset = vsa_kv_offset(&session->kv, plane, session->pages, sequence,
                                                  head, first_token + token);
            void *to = vsai_scatter_place(scatter, offset, row_size, &status);
            if (!to) {
                break;
            }
            convert_row(plane->dtype, to,
                        from->values + head * from->head_stride + (size_t)token * from->head_dim,
                        from->head_dim);
        }
    }
    if (!status) {
        status = vsai_scatter_flush(scatter);
    }
    vsai_free(standalone->allocator, scatter);
    return status;
}

vsa_result vsa_session_write_kv(vsa_session *session, uint32_t layer, uint32_t sequence,
                                uint32_t first_token, uint32_t token_count, const float *k,
                                size_t k_head_stride, const float *v, size_t v_head_stride)
{
    const vsa_log *log = &session->standalone->log;
    if (layer >= session->layer_count || sequence >= session->max_sequences) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "layer %u of %u, sequence %u of %u", layer, session->layer_count,
                         sequence, session->max_sequences);
    }
    if (first_token > session->max_tokens || token_count > session->max_tokens - first_token) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "%u tokens from %u on, max_tokens is %u", token_count, first_token,
                         session->max_tokens);
    }
    if (!k || !v) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "k or v is NULL");
    }
    const source from_k = {k, k_head_stride, session->head_dim_k};
    const source from_v = {v, v_head_stride, session->head_dim_v};
    const vsa_result status = write_plane(session, session->layers[layer].k, &session->kv.k,
                                          sequence, first_token, token_count, &from_k);
    vsai_session_layer *const to = &session->layers[layer];
    vsai_stale_add(&to->stale[sequence], first_token, first_token + token_count);
    return status ? status
                  : write_plane(session, to->v, &session->kv.v, sequence, first_token,
                                token_count, &from_v);
}
