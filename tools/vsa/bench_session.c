#include "bench_session.h"

#include <stdlib.h>

#include "platform.h"

/* A layer that carries budgets has seen LEARNING_STEPS steps: a step in the middle of a decode is what
 * is measured. */
enum { CHUNK_TOKENS = 2048, MAX_WARM_UPS = 1000, FIRST_WARM_UP = 1 << 20, FIRST_LEAD = 1 << 21,
       LEARNING_STEPS = 8 };

static const double warm_up_seconds = 0.1;

bool bench_host_make(const bench_input *input, bench_host *out_host)
{
    const size_t k = (size_t)input->kv_heads * input->head_dim_k;
    const size_t v = (size_t)input->kv_heads * input->head_dim_v;

    *out_host = (bench_host){
        .q = malloc((size_t)input->q_heads * input->head_dim_k * sizeof(float)),
        .out = malloc((size_t)input->q_heads * input->head_dim_v * sizeof(float)),
        .new_k = malloc(k * sizeof(float)),
        .new_v = malloc(v * sizeof(float)),
        .chunk_k = malloc(k * CHUNK_TOKENS * sizeof(float)),
        .chunk_v = malloc(v * CHUNK_TOKENS * sizeof(float)),
        .certificates = malloc(input->q_heads * sizeof(vsa_certificate)),
    };
    return out_host->q && out_host->out && out_host->new_k && out_host->new_v &&
           out_host->chunk_k && out_host->chunk_v && out_host->certificates;
}

void bench_host_destroy(bench_host *host)
{
    free(host->q);
    free(host->out);
    free(host->new_k);
    free(host->new_v);
    free(host->chunk_k);
    free(host->chunk_v);
    free(host->certificates);
    *host = (bench_host){0};
}

static vsa_result write_layer(const bench_context *context, const bench_session *session,
                              uint32_t layer)
{
    const bench_input *input = context->input;
    const bench_host *host = context->host;
    vsa_result result = VSA_SUCCESS;

    for (uint32_t first = 0; first < session->tokens && result == VSA_SUCCESS;
         first += CHUNK_TOKENS) {
        const uint32_t left = session->tokens - first;
        const uint32_t count = left < CHUNK_TOKENS ? left : CHUNK_TOKENS;
        const size_t k_stride = (size_t)count * input->head_dim_k;
        const size_t v_stride = (size_t)count * input->head_dim_v;

        for (uint32_t h = 0; h < input->kv_heads; h++) {
            bench_input_rows(input, BENCH_K, layer, h, first, count, host->chunk_k + h * k_stride);
            bench_input_rows(input, BENCH_V, layer, h, first, count, host->chunk_v + h * v_stride);
        }
        result = vsa_session_write_kv(session->session, layer, 0, first, count, host->chunk_k,
                                      k_stride, host->chunk_v, v_stride);
    }
    return result;
}

vsa_result bench_session_open(const bench_context *context, const bench_plan *plan,
                              bench_session *out_session)
{
    const bench_input *input = context->input;
    const tool_options *options = &plan->options;
    const vsa_plan_create_info plan_info = {
        .head_dim_k = input->head_dim_k,
        .head_dim_v = input->head_dim_v,
        .q_heads = input->q_heads,
        .kv_heads = input->kv_heads,
        .max_tokens = plan->tokens,
        .softmax_scale = input->softmax_scale,
        .kv =
            {
                .page_tokens = options->page_tokens,
                .k = {.dtype = input->kv_type},
                .v = {.dtype = input->kv_type},
            },
        .policy = options_policy(options),
        .tuning = plan->tuning,
        .name = "vsa bench",
    };
    const vsa_session_create_info info = {
        .plan = &plan_info,
        .order = (vsa_kv_order)options->order,
        .layer_count = plan->layers,
        .page_shuffle = options->page_tokens > 0 ? 1 : 0,
        .cache_of = plan->cache_of ? plan->cache_of->session : NULL,
    };
    const double start = platform_seconds();

    *out_session = (bench_session){.tokens = plan->tokens, .layers = plan->layers};

    vsa_result result =
        vsa_session_create(context->device->standalone, &info, &out_session->session);

    out_session->setup_seconds = platform_seconds() - start;
    for (uint32_t i = 0; i < plan->layers && !plan->cache_of && result == VSA_SUCCESS; i++) {
        result = write_layer(context, out_session, i);
    }
    if (result != VSA_SUCCESS) {
        bench_session_close(out_session);
    }
    return result;
}

void bench_session_close(bench_session *session)
{
    vsa_session_destroy(session->session);
    session->session = NULL;
}

static vsa_result run_step(const bench_context *context, const bench_session *session,
                           uint32_t step, vsa_session_step_result *result, double *out_wall_ms)
{
    const bench_input *input = context->input;
    const bench_host *host = context->host;
    const uint32_t layer = step % session->layers;
    const vsa_session_step info = {
        .layer = layer,
        .lengths = &session->tokens,
        .new_k = host->new_k,
        .new_v = host->new_v,
        .new_tokens = 1,
        .q = host->q,
        .seed = context->options->seed + step,
        .stream = layer,
    };

    for (uint32_t h = 0; h < input->kv_heads; h++) {
        bench_input_rows(input, BENCH_K, layer, h, session->tokens - 1, 1,
                         host->new_k + (size_t)h * input->head_dim_k);
        bench_input_rows(input, BENCH_V, layer, h, session->tokens - 1, 1,
                         host->new_v + (size_t)h * input->head_dim_v);
    }
    bench_input_queries(input, layer, step, host->q);
    result->out = host->out;
    result->certificates = host->certificates;

    const double start = platform_seconds();
    const vsa_result status = vsa_session_run(session->session, &info, result);

    *out_wall_ms = 1e3 * (platform_seconds() - start);
    return status;
}

vsa_result bench_session_step(const bench_context *context, const bench_session *session,
                              uint32_t step, vsa_session_step_result *out_result,
                              double *out_wall_ms)
{
    *out_result = (vsa_session_step_result){0};
    return run_step(context, session, step, out_result, out_wall_ms);
}

vsa_result bench_session_kernels(const bench_context *context, const bench_session *session,
                                 uint32_t step, kernel_times *out_times)
{
    vsa_kernel_time items[KERNEL_TIMES_MAX];
    vsa_session_step_result taken = {.kernel_times = items, .kernel_capacity = KERNEL_TIMES_MAX};
    double wall_ms;
    const vsa_result result = run_step(context, session, step, &taken, &wall_ms);

    *out_times = (kernel_times){0};
    kernel_times_add(out_times, items, taken.kernel_count);
    return result;
}

vsa_result bench_session_warm_up(const bench_context *context, const bench_session *session)
{
    const double start = platform_seconds();
    const uint32_t each = context->options->carry_budget ? LEARNING_STEPS : 1;
    const uint32_t least = session->layers * each > 2 ? session->layers * each : 2;
    vsa_result result = VSA_SUCCESS;

    for (uint32_t i = 0; i < MAX_WARM_UPS && result == VSA_SUCCESS; i++) {
        vsa_session_step_result ignored;
        double wall_ms;

        if (i >= least && platform_seconds() - start >= warm_up_seconds) {
            break;
        }
        result = bench_session_step(context, session, FIRST_WARM_UP + i, &ignored, &wall_ms);
    }
    return result;
}

vsa_result bench_session_lead(const bench_context *context, const bench_session *session,
                              uint32_t step)
{
    const uint32_t first = FIRST_LEAD - FIRST_LEAD % session->layers;
    vsa_session_step_result ignored;
    double wall_ms;

    return bench_session_step(context, session, first + step + session->layers - 1, &ignored,
                              &wall_ms);
}
