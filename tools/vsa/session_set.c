#include "session_set.h"

#include <stdlib.h>

#include "tool.h"

enum { MAX_STEP_QUERIES = 16 };

uint32_t session_set_step_queries(const trace *input)
{
    uint32_t longest = 1, most = 1;

    for (uint32_t i = 0; i < input->layer_count; i++) {
        longest = input->layers[i].tokens > longest ? input->layers[i].tokens : longest;
        most = input->layers[i].queries > most ? input->layers[i].queries : most;
    }
    const uint32_t fitting = (1u << 21) / longest;
    const uint32_t queries = fitting > MAX_STEP_QUERIES ? MAX_STEP_QUERIES
                             : fitting > 0              ? fitting
                                                        : 1;

    return queries < most ? queries : most;
}

static bool same_shape(const trace_layer *a, const trace_layer *b)
{
    return a->q_heads == b->q_heads && a->kv_heads == b->kv_heads &&
           a->head_dim_k == b->head_dim_k && a->head_dim_v == b->head_dim_v &&
           a->tokens == b->tokens && a->kv_type == b->kv_type;
}

static vsa_result create_session(const tool_device *device, const trace *input,
                                 const trace_layer *layer, uint32_t layer_count,
                                 const tool_options *options, uint32_t max_queries,
                                 vsa_session **out_session)
{
    const vsa_plan_create_info plan = {
        .head_dim_k = layer->head_dim_k,
        .head_dim_v = layer->head_dim_v,
        .q_heads = layer->q_heads,
        .kv_heads = layer->kv_heads,
        .max_queries = max_queries,
        .max_tokens = layer->tokens,
        .softmax_scale = input->softmax_scale,
        .kv =
            {
                .page_tokens = options->page_tokens,
                .k = {.dtype = layer->kv_type},
                .v = {.dtype = layer->kv_type},
            },
        .policy = options_policy(options),
        .name = "vsa tool",
    };
    const vsa_session_create_info info = {
        .plan = &plan,
        .order = (vsa_kv_order)options->order,
        .layer_count = layer_count,
        .page_shuffle = options->page_tokens > 0 ? 1 : 0,
        .index_capacity = options->dump_indices ? layer->tokens : 0,
    };
    return vsa_session_create(device->standalone, &info, out_session);
}

int session_set_create(const tool_device *device, const trace *input, const tool_options *options,
                       uint32_t max_queries, session_set *out_set)
{
    const uint32_t count = input->layer_count;
    uint32_t members;
    int code;

    *out_set = (session_set){
        .sessions = calloc(count, sizeof *out_set->sessions),
        .slots = calloc(count, sizeof *out_set->slots),
    };
    if (!out_set->sessions || !out_set->slots) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: not enough memory", input->name);
        goto fail;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (out_set->slots[i].session) {
            continue;
        }
        members = 0;
        for (uint32_t j = i; j < count; j++) {
            if (same_shape(&input->layers[i], &input->layers[j])) {
                out_set->slots[j].layer = members++;
            }
        }
        vsa_session **session = &out_set->sessions[out_set->session_count];

        const vsa_result result = create_session(device, input, &input->layers[i], members, options,
                                                 max_queries, session);

        if (result != VSA_SUCCESS) {
            code = device_fail(device, result, "the session cannot be created");
            goto fail;
        }
        out_set->session_count++;
        for (uint32_t j = i; j < count; j++) {
            if (same_shape(&input->layers[i], &input->layers[j])) {
                out_set->slots[j].session = *session;
            }
        }
    }
    return EXIT_DONE;

fail:
    session_set_destroy(out_set);
    return code;
}

void session_set_destroy(session_set *set)
{
    for (uint32_t i = 0; i < set->session_count; i++) {
        vsa_session_destroy(set->sessions[i]);
    }
    free(set->sessions);
    free(set->slots);
    *set = (session_set){0};
}
