/*
 * K and V in ggml's cache: F16, one row [kv_head][channel] per cell, cells handed out in any order,
 * cells of other sequences and holes among them (V not transposed, as with flash attention).
 *
 * A list of cells is a page table with pages of one token: entry i of a sequence is the cell of its
 * i-th token, in order of position. Sink and window are the first and last entries. A row of the
 * cache is a page, block_stride bytes long; the token stride inside a page is never used.
 */
#include "app.h"

#include <math.h>
#include <string.h>

enum {
    Q_HEADS = 4, KV_HEADS = 2, DIM = 64, CELLS = 4096, SEQUENCES = 2, MAX_TOKENS = 2048,
    ROW = KV_HEADS * DIM * 2   /* ggml_row_size(GGML_TYPE_F16, n_embd_k_gqa) */
};

/* Exact for what fill() makes: multiples of 1/64 below 4. */
static uint16_t to_half(float value)
{
    const uint32_t units = (uint32_t)(fabsf(value) * 64.0f);
    uint32_t exponent = 19, mantissa = units;   /* value = mantissa * 2^(exponent - 25) */

    if (mantissa == 0) {
        return 0;
    }
    while (mantissa < 1024) {
        mantissa *= 2;
        exponent--;
    }
    return (uint16_t)((value < 0 ? 0x8000u : 0) | exponent << 10 | (mantissa & 1023u));
}

/* Attention over the cells of a list, as ggml's graph would do it, in double precision. */
static void attend(const float *q, const float *k, const float *v, const uint32_t *cells,
                   uint32_t length, uint32_t head, float *out)
{
    const uint32_t kv_head = head / (Q_HEADS / KV_HEADS);
    double sum = 0, mean[DIM] = {0};

    for (uint32_t i = 0; i < length; i++) {
        const size_t row = ((size_t)cells[i] * KV_HEADS + kv_head) * DIM;
        double logit = 0;
        for (uint32_t c = 0; c < DIM; c++) {
            logit += (double)q[head * DIM + c] * k[row + c];
        }
        const double weight = exp(logit / sqrt(DIM));
        sum += weight;
        for (uint32_t c = 0; c < DIM; c++) {
            mean[c] += weight * v[row + c];
        }
    }
    for (uint32_t c = 0; c < DIM; c++) {
        out[head * DIM + c] = (float)(mean[c] / sum);
    }
}

/* A plane of the cache, and the same values for attend(). */
static void fill(void *cells, float *values, float mean, uint32_t *random)
{
    for (size_t i = 0; i < (size_t)CELLS * KV_HEADS * DIM; i++) {
        values[i] = roundf((app_random(random) + mean) * 64.0f) / 64.0f;
        ((uint16_t *)cells)[i] = to_half(values[i]);
    }
}

int main(void)
{
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    app a;
    vsa_require_features(&features, NULL, NULL);
    app_open(&a, &features, NULL);

    vsa_context *context;
    APP_CHECK(vsa_context_create(
        &(vsa_context_create_info){.api_version = VSA_API_VERSION,
                                   .get_instance_proc_addr = vkGetInstanceProcAddr,
                                   .instance = a.instance,
                                   .physical_device = a.physical_device,
                                   .device = a.device,
                                   .enabled_features = &features,
                                   .log = {.write = app_print}},
        &context));
    const vsa_plane_layout plane = {.dtype = VSA_DTYPE_F16, .token_stride = ROW,
                                    .head_stride = DIM * 2, .block_stride = ROW};
    const vsa_plan_create_info info = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_sequences = SEQUENCES, .max_tokens = MAX_TOKENS,
        .kv = {.page_tokens = 1, .table_stride = MAX_TOKENS, .k = plane, .v = plane},
        .kv_range_size = (VkDeviceSize)CELLS * ROW,   /* the cache has more cells than a sequence */
        .policy = {.epsilon = 0.2f, .delta = 0.1f, .sink_tokens = 16, .window_tokens = 64,
                   .top_k = 40, .base_samples = 64}};
    vsa_plan *plan;
    vsa_plan_requirements sizes;
    APP_CHECK(vsa_plan_create(context, &info, &plan));
    vsa_plan_get_requirements(plan, &sizes);

    app_buffer k = app_buffer_make(&a, (VkDeviceSize)CELLS * ROW, 0);
    app_buffer v = app_buffer_make(&a, (VkDeviceSize)CELLS * ROW, 0);
    app_buffer table = app_buffer_make(&a, SEQUENCES * MAX_TOKENS * sizeof(uint32_t), 0);
    app_buffer lengths = app_buffer_make(&a, SEQUENCES * sizeof(uint32_t), 0);
    app_buffer q = app_buffer_make(&a, sizes.q.size, 0);
    app_buffer out = app_buffer_make(&a, sizes.out.size, 0);
    app_buffer certificates = app_buffer_make(&a, sizes.certificates.size, 0);
    app_buffer state = app_buffer_make(&a, sizes.state.size, sizes.state.usage);
    app_buffer scratch = app_buffer_make(&a, sizes.scratch.size, sizes.scratch.usage);
    app_buffer *const buffers[] = {&k, &v, &table, &lengths, &q, &out, &certificates, &state,
                                   &scratch};
    vsa_layer *layer;
    APP_CHECK(vsa_layer_create(
        plan,
        &(vsa_layer_buffers){.k = app_range(&k), .v = app_range(&v),
                             .page_table = app_range(&table), .lengths = app_range(&lengths),
                             .q = app_range(&q), .out = app_range(&out),
                             .state = app_range(&state), .scratch = app_range(&scratch),
                             .certificates = app_range(&certificates)},
        &layer));

    /* Cells in a shuffled order: of three, one is free, the others belong to two sequences. */
    static uint32_t order[CELLS], cells[SEQUENCES][MAX_TOKENS], counts[SEQUENCES];
    static float k_values[CELLS * KV_HEADS * DIM], v_values[CELLS * KV_HEADS * DIM];
    uint32_t random = 3;
    fill(k.mapped, k_values, 0, &random);
    fill(v.mapped, v_values, 1, &random);
    for (uint32_t i = 0; i < CELLS; i++) {
        const uint32_t j = (uint32_t)((app_random(&random) + 1.0f) / 2.0f * (float)i);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < CELLS; i++) {
        if (i % 3 < SEQUENCES) {
            cells[i % 3][counts[i % 3]++] = order[i];
        }
    }

    const vsa_step step = {.sequence_count = SEQUENCES, .max_length_tokens = MAX_TOKENS, .seed = 1};
    VkCommandBuffer cmd = app_begin(&a);
    APP_CHECK(vsa_cmd_decode(layer, cmd, &step));
    app_barrier(cmd);
    APP_CHECK(vkEndCommandBuffer(cmd));

    int failed = 0;
    for (uint32_t round = 0; round < 3; round++) {
        vsa_certificate_summary summary;
        for (size_t i = 0; i < (size_t)SEQUENCES * Q_HEADS * DIM; i++) {
            ((float *)q.mapped)[i] = 4.0f * app_random(&random);
        }
        memcpy(table.mapped, cells, sizeof cells);
        memcpy(lengths.mapped, counts, sizeof counts);
        app_submit_and_wait(&a, cmd);
        failed |= !vsa_certificates_check(certificates.mapped, SEQUENCES * Q_HEADS, &summary);
        for (uint32_t s = 0; s < SEQUENCES; s++) {
            float truth[Q_HEADS * DIM];
            const size_t rows = (size_t)s * Q_HEADS * DIM;
            for (uint32_t head = 0; head < Q_HEADS; head++) {
                attend((float *)q.mapped + rows, k_values, v_values, cells[s], counts[s], head,
                       truth);
            }
            const double error = app_distance((float *)out.mapped + rows, truth, Q_HEADS * DIM);
            printf("sequence %u, %u cells: density %.3f, error %.4f\n", s, counts[s],
                   summary.density, error);
            failed |= error > 0.2;
        }
        /* Tokens leave in the middle, as a context shift or an edit does: the list closes up, no
         * row moves. A plan that keeps a `state` would have vsa_cmd_index called from there on. */
        memmove(&cells[0][100], &cells[0][300], (counts[0] - 300) * sizeof cells[0][0]);
        counts[0] -= 200;
    }

    vsa_layer_destroy(layer);
    vsa_plan_destroy(plan);
    vsa_context_destroy(context);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        app_buffer_free(&a, buffers[i]);
    }
    app_close(&a);
    return failed;
}
