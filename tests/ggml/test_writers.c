/*
 * Whoever writes the cache, the next step attends to what is there now: with a mirror of K and V,
 * and with an index over K. Each writer moves or removes the one token that weighs; what was kept
 * from before would give another output, which each test sees first.
 */
#include "harness.h"

#include <string.h>

enum { DIM = 64, HEADS = 2, CELLS = 1024, WIDTH = DIM * HEADS, SHIFT = 700 };

static plugin p;

static const shape cache_shape = {.k_type = GGML_TYPE_F16, .v_type = GGML_TYPE_F16, .dim_k = DIM,
                                  .dim_v = DIM, .q_heads = HEADS, .kv_heads = HEADS, .queries = 1,
                                  .streams = 1, .cells = CELLS, .capacity = CELLS};

/* What keeps something. Pages hold 16 tokens: as many are taken. */
static const char *const ways[][4] = {
    {"method=dense", "scorer=exact", "mirror=1", NULL},
    {"method=topk", "scorer=sign", "mirror=0", NULL},
    {"method=topk", "scorer=page", "mirror=1", NULL}};
enum { WAYS = sizeof ways / sizeof *ways };

static void quiet_row(float *k, float *v, int cell)
{
    for (int c = 0; c < WIDTH; c++) {
        k[c] = c % 2 == cell % 2 ? 0.05f : -0.05f;
        v[c] = -1;
    }
}

/* Along q, so that it gets nearly all the weight; its value says which one it is. */
static void heavy_row(const scene *m, float *k, float *v, float value)
{
    for (int c = 0; c < WIDTH; c++) {
        k[c] = 4.0f * ((const float *)m->q->data)[c];
        v[c] = value;
    }
}

/* A scene whose only heavy token is in cell 300, its value 2. The state has been made from it. */
static void start(scene *m, int total_streams)
{
    float k[WIDTH], v[WIDTH];
    uint32_t random = 5;

    scene_make(m, &cache_shape, total_streams, 0);
    for (int c = 0; c < WIDTH; c++) {
        ((float *)m->q->data)[c] = next_random(&random) > 0 ? 1.0f : -1.0f;
    }
    for (int stream = 0; stream < total_streams; stream++) {
        for (int cell = 0; cell < CELLS; cell++) {
            quiet_row(k, v, cell);
            scene_write_row(m->cache_k, CELLS, stream, cell, k);
            scene_write_row(m->cache_v, CELLS, stream, cell, v);
        }
    }
    heavy_row(m, k, v, 2);
    scene_write_row(m->cache_k, CELLS, 0, 300, k);
    scene_write_row(m->cache_v, CELLS, 0, 300, v);
    scene_compute(m, &p);
    check_between(scene_worst(m), 0, 1e-3);
    check_near(((float *)m->out->data)[0], 2, 1e-3);
    p.reset_summary();
}

/* `changed` rows of the cache differ since start(). */
static void finish(scene *m, uint64_t changed)
{
    struct vsa_ggml_summary sum;
    const float before = ((float *)m->out->data)[0];

    scene_compute(m, &p);
    check_between(scene_worst(m), 0, 1e-3);
    /* Otherwise the test could not have told. */
    check_that(fabsf(((float *)m->out->data)[0] - before) > 0.5f, "the output is still %g",
               (double)before);
    p.get_summary(&sum);
    assert_int_equal(sum.checked_rows, CELLS);
    assert_int_equal(sum.changed_rows, changed);
    scene_free(m);
}

/* Cell 300 goes quiet, cell 700 becomes heavy: rows for a writer. */
static void make_rows(const scene *m, float k[2][WIDTH], float v[2][WIDTH])
{
    quiet_row(k[0], v[0], 300);
    heavy_row(m, k[1], v[1], 5);
}

static void set_rows(const scene *m, ggml_backend_t backend)
{
    struct ggml_context *c =
        ggml_init((struct ggml_init_params){.mem_size = 1 << 20, .no_alloc = true});
    struct ggml_tensor *rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, WIDTH, 2);
    struct ggml_tensor *v_rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, WIDTH, 2);
    struct ggml_tensor *indices = ggml_new_tensor_1d(c, GGML_TYPE_I64, 2);
    struct ggml_cgraph *graph = ggml_new_graph(c);
    float k[2][WIDTH], v[2][WIDTH];

    ggml_build_forward_expand(graph, ggml_set_rows(c, m->cache_k, rows, indices));
    ggml_build_forward_expand(graph, ggml_set_rows(c, m->cache_v, v_rows, indices));
    ggml_backend_buffer_t buffer =
        ggml_backend_alloc_ctx_tensors_from_buft(c, ggml_backend_cpu_buffer_type());
    make_rows(m, k, v);
    memcpy(rows->data, k, sizeof k);
    memcpy(v_rows->data, v, sizeof v);
    memcpy(indices->data, (const int64_t[]){300, 700}, 2 * sizeof(int64_t));
    assert_int_equal(ggml_backend_graph_compute(backend, graph), GGML_STATUS_SUCCESS);
    ggml_backend_buffer_free(buffer);
    ggml_free(c);
}

static void set_rows_by_the_backend(void **state)
{
    (void)state;
    scene m;
    start(&m, 1);
    set_rows(&m, p.backend);
    finish(&m, 2);
}

static void set_rows_by_another_backend(void **state)
{
    (void)state;
    scene m;
    start(&m, 1);
    set_rows(&m, p.cpu);
    finish(&m, 2);
}

/* By `position`, as ggml_rope_ext below does it with mode 0. */
static void rotate(float *k, double position)
{
    for (int head = 0; head < HEADS; head++) {
        for (int i = 0; i < DIM; i += 2) {
            float *pair = k + head * DIM + i;
            const double angle = position * pow(10000, -(double)i / DIM);
            const double x = pair[0], y = pair[1];
            pair[0] = (float)(x * cos(angle) - y * sin(angle));
            pair[1] = (float)(x * sin(angle) + y * cos(angle));
        }
    }
}

/* llama.cpp shifts K by a rotation in place, which the CPU computes. It turns cell 300 away from q,
 * and cell 700 towards it. */
static void a_shift_of_positions(void **state)
{
    (void)state;
    scene m;
    float k[WIDTH], v[WIDTH];
    start(&m, 1);
    heavy_row(&m, k, v, 5);
    rotate(k, SHIFT);
    scene_write_row(m.cache_k, CELLS, 0, 700, k);
    scene_write_row(m.cache_v, CELLS, 0, 700, v);
    scene_compute(&m, &p);
    check_near(((float *)m.out->data)[0], 2, 1e-3);
    p.reset_summary();
    struct ggml_context *c =
        ggml_init((struct ggml_init_params){.mem_size = 1 << 20, .no_alloc = true});
    struct ggml_tensor *positions = ggml_new_tensor_1d(c, GGML_TYPE_I32, CELLS);
    struct ggml_cgraph *graph = ggml_new_graph(c);
    struct ggml_tensor *view = ggml_view_3d(c, m.cache_k, DIM, HEADS, CELLS,
                                            ggml_row_size(GGML_TYPE_F16, DIM),
                                            ggml_row_size(GGML_TYPE_F16, WIDTH), 0);
    ggml_build_forward_expand(
        graph, ggml_rope_ext_inplace(c, view, positions, NULL, DIM, 0, 2048, 10000, 1, 0, 1, 32,
                                     1));
    ggml_backend_buffer_t buffer =
        ggml_backend_alloc_ctx_tensors_from_buft(c, ggml_backend_cpu_buffer_type());
    for (int i = 0; i < CELLS; i++) {
        ((int32_t *)positions->data)[i] = -SHIFT;
    }
    assert_int_equal(ggml_backend_graph_compute(p.cpu, graph), GGML_STATUS_SUCCESS);
    ggml_backend_buffer_free(buffer);
    ggml_free(c);
    finish(&m, CELLS);
}

static void a_state_that_is_restored(void **state)
{
    (void)state;
    scene m;
    start(&m, 1);
    float k[2][WIDTH], v[2][WIDTH];
    ggml_fp16_t row[WIDTH];
    make_rows(&m, k, v);
    for (int i = 0; i < 2; i++) {
        const size_t at = (i == 0 ? 300u : 700u) * sizeof row;
        ggml_fp32_to_fp16_row(k[i], row, WIDTH);
        ggml_backend_tensor_set(m.cache_k, row, at, sizeof row);
        ggml_fp32_to_fp16_row(v[i], row, WIDTH);
        ggml_backend_tensor_set(m.cache_v, row, at, sizeof row);
    }
    finish(&m, 2);
}

static void a_cache_that_is_cleared(void **state)
{
    (void)state;
    scene m;
    start(&m, 1);
    ggml_backend_tensor_memset(m.cache_k, 0, 0, ggml_nbytes(m.cache_k));
    ggml_backend_tensor_memset(m.cache_v, 0, 0, ggml_nbytes(m.cache_v));
    /* All alike now; the output is 0, of which no error is relative. */
    const float before = ((float *)m.out->data)[0];
    float k[WIDTH], v[WIDTH];
    heavy_row(&m, k, v, 3);
    scene_write_row(m.cache_k, CELLS, 0, 10, k);
    scene_write_row(m.cache_v, CELLS, 0, 10, v);
    check_near(before, 2, 1e-3);
    finish(&m, CELLS);
}

/* llama.cpp copies a sequence between streams by ggml_backend_tensor_copy of views. */
static void a_sequence_that_is_copied(void **state)
{
    (void)state;
    scene m;
    start(&m, 2);
    float k[WIDTH], v[WIDTH];
    quiet_row(k, v, 300);
    v[0] = 7;   /* so that stream 1 differs from stream 0 in the output */
    for (int c = 0; c < WIDTH; c++) {
        k[c] = 4.0f * ((const float *)m.q->data)[c];
        v[c] = 7;
    }
    scene_write_row(m.cache_k, CELLS, 1, 300, k);
    scene_write_row(m.cache_v, CELLS, 1, 300, v);
    struct ggml_context *c =
        ggml_init((struct ggml_init_params){.mem_size = 1 << 20, .no_alloc = true});
    struct ggml_tensor *const caches[] = {m.cache_k, m.cache_v};
    for (int i = 0; i < 2; i++) {
        struct ggml_tensor *views[2];
        for (size_t stream = 0; stream < 2; stream++) {
            views[stream] = ggml_view_2d(c, caches[i], WIDTH, CELLS, caches[i]->nb[1],
                                         stream * caches[i]->nb[2]);
            assert_int_equal(ggml_backend_view_init(views[stream]), GGML_STATUS_SUCCESS);
        }
        ggml_backend_tensor_copy(views[1], views[0]);
    }
    ggml_free(c);
    finish(&m, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_rows_by_the_backend),
        cmocka_unit_test(set_rows_by_another_backend),
        cmocka_unit_test(a_shift_of_positions),
        cmocka_unit_test(a_state_that_is_restored),
        cmocka_unit_test(a_cache_that_is_cleared),
        cmocka_unit_test(a_sequence_that_is_copied),
    };
    if (!plugin_open(&p, VSA_GGML_BACKEND)) {
        return 77;
    }
    int failed = 0;
    for (size_t i = 0; i < WAYS; i++) {
        plugin_set(&p, ways[i]);
        plugin_set(&p, (const char *const[]){"min_tokens=0", "sink=4", "window=4", "top_k=16",
                                             NULL});
        print_message("%s %s %s\n", ways[i][0], ways[i][1], ways[i][2]);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    plugin_close(&p);
    return failed;
}
