/*
 * vsa inside a Vulkan program. The instance, device, queue and all buffers are the program's own
 * (app.c); one command buffer holds its dispatches with vsa's between them, is recorded once and
 * submitted again for every token. Dense attention beside it shows how far the results are apart.
 */
#include "app.h"

#include "model.h"   /* model.comp */

#include <string.h>

enum { Q_HEADS = 8, KV_HEADS = 2, DIM = 64, MAX_TOKENS = 4096, PROMPT = 3000, STEPS = 24 };

static const float epsilon = 0.1f, delta = 0.1f;

/* Every row of the step kept its promise? Counts the rows, and those that are beyond epsilon. */
static void check_step(const app_buffer *certificates, const app_buffer *out,
                       const app_buffer *dense, uint32_t token, uint32_t *rows, uint32_t *beyond)
{
    vsa_certificate_summary summary;
    double worst = 0;

    if (!vsa_certificates_check(certificates->mapped, Q_HEADS, &summary)) {
        fprintf(stderr, "token %u: %u rows missed, %u invalid\n", token, summary.missed,
                summary.invalid);
        exit(1);
    }
    for (uint32_t head = 0; head < Q_HEADS; head++) {
        const double error = app_distance((const float *)out->mapped + head * DIM,
                                          (const float *)dense->mapped + head * DIM, DIM);
        *beyond += error > epsilon;
        worst = error > worst ? error : worst;
    }
    *rows += Q_HEADS;
    if (token % 8 == 0) {
        printf("token %u: %u met, %u exact, density %.3f, largest error %.4f\n", token,
               summary.met, summary.exact, summary.density, worst);
    }
}

int main(void)
{
    /* 1. Before the device exists: what vsa needs of it, on top of what the program needs. */
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    vsa_device_requirements needs;
    app a;
    vsa_get_device_requirements(&needs);
    vsa_require_features(&features, NULL, NULL);
    app_open(&a, &features, needs.extension_count ? needs.extensions[0] : NULL);

    /* 2. The device, lent to vsa. */
    vsa_context *context;
    APP_CHECK(vsa_context_create(
        &(vsa_context_create_info){.api_version = VSA_API_VERSION,
                                   .get_instance_proc_addr = vkGetInstanceProcAddr,
                                   .instance = a.instance,
                                   .physical_device = a.physical_device,
                                   .device = a.device,
                                   .enabled_features = &features,
                                   .enabled_extensions = needs.extensions,
                                   .enabled_extension_count = needs.extension_count,
                                   .log = {.write = app_print}},
        &context));

    /* 3. Shapes, where K and V lie, and what is promised. Compiles all pipelines. */
    vsa_plan_create_info info = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_tokens = MAX_TOKENS,
        .policy = {.epsilon = epsilon, .delta = delta, .sink_tokens = 16, .window_tokens = 64,
                   .top_k_fraction = 0.02f, .base_fraction = 0.025f, .base_samples = 64}};
    vsa_plan *plan;
    vsa_plan_requirements sizes;
    vsa_kv_layout_init(&info.kv, VSA_KV_TOKEN_MAJOR, VSA_DTYPE_F32, VSA_DTYPE_F32, DIM, DIM,
                       KV_HEADS, MAX_TOKENS, 0);
    APP_CHECK(vsa_plan_create(context, &info, &plan));
    vsa_plan_get_requirements(plan, &sizes);

    /* 4. The program's buffers, as it likes them; sizes of vsa's own come from the plan. */
    const VkDeviceSize row = KV_HEADS * DIM * sizeof(float);
    app_buffer k = app_buffer_make(&a, MAX_TOKENS * row, 0);
    app_buffer v = app_buffer_make(&a, MAX_TOKENS * row, 0);
    app_buffer new_k = app_buffer_make(&a, row, 0), new_v = app_buffer_make(&a, row, 0);
    app_buffer lengths = app_buffer_make(&a, sizeof(uint32_t), 0);
    app_buffer q = app_buffer_make(&a, sizes.q.size, 0);
    app_buffer hidden = app_buffer_make(&a, sizes.out.size, 0);
    app_buffer out = app_buffer_make(&a, sizes.out.size, 0);
    app_buffer dense = app_buffer_make(&a, sizes.out.size, 0);
    app_buffer certificates = app_buffer_make(&a, sizes.certificates.size, 0);
    app_buffer state = app_buffer_make(&a, sizes.state.size, sizes.state.usage);
    app_buffer scratch = app_buffer_make(&a, sizes.scratch.size, sizes.scratch.usage);
    app_buffer *const buffers[] = {&k, &v, &new_k, &new_v, &lengths, &q, &hidden, &out, &dense,
                                   &certificates, &state, &scratch};

    /* 5. One layer of the model: its buffers bound to the plan. The second one is to compare. */
    vsa_layer_buffers bound = {.k = app_range(&k), .v = app_range(&v),
                               .new_k = app_range(&new_k), .new_v = app_range(&new_v),
                               .lengths = app_range(&lengths), .q = app_range(&q),
                               .out = app_range(&dense), .state = app_range(&state),
                               .scratch = app_range(&scratch),
                               .certificates = app_range(&certificates)};
    vsa_layer *layer, *dense_layer;
    APP_CHECK(vsa_layer_create(plan, &bound, &dense_layer));
    bound.out = app_range(&out);
    APP_CHECK(vsa_layer_create(plan, &bound, &layer));

    /* 6. Recorded once. max_length_tokens sizes dispatches; the true length is read on the GPU. */
    app_shader model = app_shader_make(
        &a, model_words, sizeof model_words,
        (const app_buffer *const[]){&lengths, &q, &new_k, &new_v, &out, &hidden}, 6);
    const vsa_step step = {.max_length_tokens = MAX_TOKENS, .seed = 1};
    VkCommandBuffer cmd = app_begin(&a);
    app_dispatch(cmd, &model, 0, 1);   /* ours: q, new_k, new_v, and the length */
    app_barrier(cmd);                  /* ours, so that vsa sees them */
    APP_CHECK(vsa_cmd_append(layer, cmd, &step, 1));
    APP_CHECK(vsa_cmd_dense(dense_layer, cmd, &step));
    APP_CHECK(vsa_cmd_decode(layer, cmd, &step));
    app_barrier(cmd);                  /* ours, so that we see `out` */
    app_dispatch(cmd, &model, 1, 1);   /* ours: what comes after attention */
    app_barrier(cmd);                  /* ours, so that the host sees it all */
    APP_CHECK(vkEndCommandBuffer(cmd));

    /* 7. A prompt that the program has put into its cache, then token by token. Whoever writes K
     *    and V around vsa calls vsa_cmd_index, if the plan keeps a `state`: this one does not. */
    uint32_t random = 1, rows = 0, beyond = 0, token = PROMPT;
    for (size_t i = 0; i < (size_t)PROMPT * KV_HEADS * DIM; i++) {
        ((float *)k.mapped)[i] = app_random(&random);
        ((float *)v.mapped)[i] = app_random(&random) + 1.0f;
    }
    memset(hidden.mapped, 0, sizes.out.size);
    for (memcpy(lengths.mapped, &token, sizeof token); token < PROMPT + STEPS;) {
        app_submit_and_wait(&a, cmd);
        check_step(&certificates, &out, &dense, ++token, &rows, &beyond);
    }
    printf("%u of %u rows beyond epsilon %g, delta %g\n", beyond, rows, (double)epsilon,
           (double)delta);

    /* 8. In the order of their making, backwards. */
    vsa_layer_destroy(layer);
    vsa_layer_destroy(dense_layer);
    vsa_plan_destroy(plan);
    vsa_context_destroy(context);
    app_shader_free(&a, &model);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        app_buffer_free(&a, buffers[i]);
    }
    app_close(&a);
    return beyond > rows * delta;
}
