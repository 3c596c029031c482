/* One append and one step of attention: a single submission. */
#include "session.h"

#include <string.h>

/* Query 0 is written before the append, the others by vsa_cmd_decode. */
#define FIRST_STAGE_QUERY 1

static vsa_result check_step(const vsa_session *session, const vsa_session_step *step,
                             const vsa_session_step_result *result, uint32_t sequence_count,
                             uint32_t query_count)
{
    const vsa_log *log = &session->standalone->log;
    if (step->layer >= session->layer_count) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "layer is %u, the session has %u",
                         step->layer, session->layer_count);
    }
    if (sequence_count > session->max_sequences) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "sequence_count is %u, max_sequences is %u", sequence_count,
                         session->max_sequences);
    }
    if (query_count > session->max_queries) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "query_count is %u, max_queries is %u",
                         query_count, session->max_queries);
    }
    if (!step->lengths) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "vsa_session_step::lengths is required");
    }
    const int appends = step->new_k || step->new_v;
    if (appends && (!step->new_k || !step->new_v || step->new_tokens == 0)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "an append needs new_k, new_v and new_tokens");
    }
    if (!appends && step->new_tokens) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "new_tokens is %u, new_k and new_v are NULL", step->new_tokens);
    }
    if (!appends && !step->q) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "a step needs q, or new_k and new_v, or all");
    }
    for (uint32_t i = 0; i < sequence_count; ++i) {
        const uint32_t length = step->lengths[i];
        if (length == 0 || length > session->max_tokens || length < step->new_tokens) {
            return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                             "lengths[%u] is %u, must be %u to %u", i, length,
                             step->new_tokens > 1 ? step->new_tokens : 1, session->max_tokens);
        }
    }
    if (result && result->indices && (session->index_capacity == 0 || !step->q || step->dense)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "indices need index_capacity, q, and a step by the plan's method");
    }
    return VSA_SUCCESS;
}

static vsa_result write_inputs(vsa_session *session, const vsa_session_step *step,
                               uint32_t sequence_count, uint32_t query_count)
{
    vsa_result status = vsa_buffer_write(session->lengths, 0, step->lengths,
                                         sequence_count * sizeof(uint32_t));
    if (!status && step->new_k) {
        const uint64_t rows = (uint64_t)sequence_count * step->new_tokens;
        const size_t values = (size_t)rows * session->kv_heads;
        status = vsai_session_reserve_new(session, rows);
        if (!status) {
            status = vsa_buffer_write(session->new_k, 0, step->new_k,
                                      values * session->head_dim_k * sizeof(float));
        }
        if (!status) {
            status = vsa_buffer_write(session->new_v, 0, step->new_v,
                                      values * session->head_dim_v * sizeof(float));
        }
    }
    if (!status && step->q) {
        status = vsa_buffer_write(session->q, 0, step->q,
                                  (size_t)sequence_count * query_count * session->q_heads *
                                      session->head_dim_k * sizeof(float));
    }
    return status;
}

static vsa_result record(vsa_session *session, const vsa_session_step *step,
                         const vsa_step *info, int wants_indices, VkCommandBuffer cmd)
{
    const vsai_device_functions *vk = &session->standalone->vk;
    const vsai_session_layer *layer = &session->layers[step->layer];
    vsa_result status = VSA_SUCCESS;
    if (session->queries) {
        vk->CmdResetQueryPool(cmd, session->queries, 0,
                              VSAI_STEP_QUERIES + (info->marks ? VSAI_KERNEL_QUERIES : 0));
        vk->CmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, session->queries, 0);
    }
    const vsai_stale stale = vsai_stale_union(layer->stale, step->lengths, info->sequence_count);
    if (layer->state && stale.first < stale.end) {
        status = vsa_cmd_index(layer->layer, cmd, info, stale.first, stale.end - stale.first);
    }
    if (!status && step->new_k) {
        status = vsa_cmd_append(layer->layer, cmd, info, step->new_tokens);
        /* Without a decode the append's end is timed here. */
        if (!status && !step->q && session->queries) {
            vk->CmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, session->queries,
                                  FIRST_STAGE_QUERY + VSA_TIMESTAMP_BEGIN);
        }
    }
    if (!status && step->q) {
        status = step->dense ? vsa_cmd_dense(layer->layer, cmd, info)
                             : vsa_cmd_decode(layer->layer, cmd, info);
    }
    if (!status && wants_indices) {
        status = vsa_cmd_indices(layer->layer, cmd, info, session->index_capacity);
    }
    return status;
}

typedef struct query {
    uint64_t ticks, available;
} query;

/* Not ready: a query that this step did not write. */
static vsa_result read_queries(vsa_session *session, uint32_t first, uint32_t count, query *out)
{
    vsa_standalone *standalone = session->standalone;
    memset(out, 0, count * sizeof(*out));
    const VkResult result = standalone->vk.GetQueryPoolResults(
        standalone->device, session->queries, first, count, count * sizeof(*out), out,
        sizeof(*out), VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT);
    return result == VK_NOT_READY
               ? VSA_SUCCESS
               : vsai_fail_vk(&standalone->log, result, "vkGetQueryPoolResults");
}

/* The counter may wrap once. */
static double ms_between(const vsa_session *session, uint64_t first, uint64_t last)
{
    const vsa_standalone *standalone = session->standalone;
    return (double)((last - first) & standalone->timestamp_mask) * standalone->timestamp_period *
           1e-6;
}

static vsa_result read_times(vsa_session *session, vsa_session_step_result *result)
{
    query queries[VSAI_STEP_QUERIES];
    const vsa_result status = read_queries(session, 0, VSAI_STEP_QUERIES, queries);
    if (status) {
        return status;
    }
    uint64_t last = queries[0].ticks;
    for (uint32_t i = 0; i < VSA_TIMESTAMP_COUNT; ++i) {
        const query *end = &queries[FIRST_STAGE_QUERY + i];
        if (!end->available || !queries[0].available) {
            continue;
        }
        result->stage_ms[i] = ms_between(session, last, end->ticks);
        last = end->ticks;
    }
    result->gpu_ms = ms_between(session, queries[0].ticks, last);
    return VSA_SUCCESS;
}

static vsa_result read_kernel_times(vsa_session *session, const vsa_kernel_marks *marks,
                                    vsa_session_step_result *result)
{
    query queries[VSAI_KERNEL_QUERIES];
    const uint32_t count = marks->count < marks->capacity ? marks->count : marks->capacity;
    const vsa_result status = read_queries(session, marks->first_query, count, queries);
    for (uint32_t i = 1; !status && i < count; ++i) {
        if (!marks->kernels[i] || !queries[i - 1].available || !queries[i].available ||
            result->kernel_count == result->kernel_capacity) {
            continue;
        }
        result->kernel_times[result->kernel_count++] = (vsa_kernel_time){
            .kernel = marks->kernels[i],
            .ms = ms_between(session, queries[i - 1].ticks, queries[i].ticks),
        };
    }
    return status;
}

static vsa_result read_outputs(vsa_session *session, vsa_session_step_result *result, size_t rows)
{
    vsa_result status = VSA_SUCCESS;
    if (result->out) {
        status = vsa_buffer_read(session->out, 0, result->out,
                                 rows * session->head_dim_v * sizeof(float));
    }
    if (!status && result->certificates) {
        status = vsa_buffer_read(session->certificates, 0, result->certificates,
                                 rows * sizeof(vsa_certificate));
    }
    if (!status && result->indices) {
        status = vsa_buffer_read(session->indices, 0, result->indices,
                                 rows * session->index_capacity * sizeof(int32_t));
    }
    return status;
}

vsa_result vsa_session_run(vsa_session *session, const vsa_session_step *step,
                           vsa_session_step_result *result)
{
    const uint32_t sequence_count = step->sequence_count ? step->sequence_count : 1;
    const uint32_t query_count = step->query_count ? step->query_count : 1;
    if (result) {
        result->gpu_ms = 0.0;
        memset(result->stage_ms, 0, sizeof(result->stage_ms));
        result->kernel_count = 0;
    }
    vsa_result status = check_step(session, step, result, sequence_count, query_count);
    if (status) {
        return status;
    }
    status = write_inputs(session, step, sequence_count, query_count);
    if (status) {
        return status;
    }
    const char *kernels[VSAI_KERNEL_QUERIES];
    vsa_kernel_marks marks = {
        .queries = session->queries,
        .first_query = VSAI_STEP_QUERIES,
        .capacity = VSAI_KERNEL_QUERIES,
        .kernels = kernels,
    };
    const int times_kernels = session->queries && result && result->kernel_times;
    vsa_step info = {
        .sequence_count = sequence_count,
        .query_count = query_count,
        .seed = step->seed,
        .stream = step->stream,
        .timestamps = session->queries,
        .first_query = FIRST_STAGE_QUERY,
        .marks = times_kernels ? &marks : NULL,
    };
    for (uint32_t i = 0; i < sequence_count; ++i) {
        if (step->lengths[i] > info.max_length_tokens) {
            info.max_length_tokens = step->lengths[i];
        }
    }
    VkCommandBuffer cmd;
    status = vsai_submit_begin(session->standalone, &cmd);
    if (status) {
        return status;
    }
    status = record(session, step, &info, result && result->indices, cmd);
    if (status) {
        /* Never submitted: the next vsai_submit_begin resets it. */
        return status;
    }
    status = vsai_submit_end(session->standalone);
    if (!status) {
        vsai_stale_indexed(session->layers[step->layer].stale, step->lengths, sequence_count);
    }
    if (!status && result && session->queries) {
        status = read_times(session, result);
    }
    if (!status && times_kernels) {
        status = read_kernel_times(session, &marks, result);
    }
    if (!status && result && step->q) {
        status = read_outputs(session, result,
                              (size_t)sequence_count * query_count * session->q_heads);
    }
    return status;
}
