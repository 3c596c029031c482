/* Attention through ggml against double precision: types, heads, streams, queries, holes. */
#include "harness.h"
#include "reference.h"

#include <string.h>

static plugin p;

/* f32 sums over a few hundred tokens. */
#define DENSE_ERROR 2e-6

static const shape plain = {.k_type = GGML_TYPE_F16, .v_type = GGML_TYPE_F16, .dim_k = 64,
                            .dim_v = 64, .q_heads = 4, .kv_heads = 2, .queries = 1, .streams = 1,
                            .cells = 512, .capacity = 768};

static int defaults(void **state)
{
    (void)state;
    plugin_set(&p, (const char *const[]){"method=dense", "scorer=exact", "min_tokens=0",
                                         "verify=0", "mirror=0", "dense_layers=", "epsilon=0.1",
                                         "delta=0.1", "sink=16", "window=32", "top_k=0.05",
                                         "base_samples=64", "max_samples=0", NULL});
    p.reset_summary();
    return 0;
}

/* A third of the cells are free or another sequence's; queries see one cell more each. */
static void punch_holes(scene *m)
{
    for (int stream = 0; stream < m->s.streams; stream++) {
        for (int query = 0; query < m->s.queries; query++) {
            const int end = m->s.cells - m->s.queries - 20 * stream + query;
            for (int cell = 0; cell < m->s.cells; cell++) {
                scene_show(m, stream, query, cell, (cell * 7 + stream) % 3 != 0 && cell < end);
            }
        }
    }
}

static void check_dense(const shape *s, int total_streams, int first, const char *name)
{
    scene m;
    scene_make(&m, s, total_streams, first);
    scene_fill(&m, 1, 4.0f);
    if (m.mask != NULL) {
        punch_holes(&m);
    }
    scene_compute(&m, &p);
    const double worst = scene_worst(&m);
    check_that(worst <= DENSE_ERROR, "%s: error %g", name, worst);
    scene_free(&m);
}

static void every_type_matches(void **state)
{
    (void)state;
    static const enum ggml_type types[][2] = {
        {GGML_TYPE_F32, GGML_TYPE_F32},   {GGML_TYPE_F16, GGML_TYPE_F16},
        {GGML_TYPE_BF16, GGML_TYPE_BF16}, {GGML_TYPE_Q8_0, GGML_TYPE_Q8_0},
        {GGML_TYPE_Q4_0, GGML_TYPE_Q4_0}, {GGML_TYPE_Q8_0, GGML_TYPE_F16}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        shape s = plain;
        s.k_type = types[i][0];
        s.v_type = types[i][1];
        check_dense(&s, 1, 0, ggml_type_name(s.k_type));
    }
}

static void heads_streams_and_queries_match(void **state)
{
    (void)state;
    for (int queries = 1; queries <= 8; queries++) {
        shape s = plain;
        s.queries = queries;
        s.streams = queries % 3 + 1;
        check_dense(&s, s.streams + 1, queries % 2, "queries and streams");
    }
    shape s = plain;
    s.q_heads = 7, s.kv_heads = 1;
    check_dense(&s, 1, 0, "one KV head");
    s.q_heads = 3, s.kv_heads = 3, s.dim_k = 96, s.dim_v = 128;
    check_dense(&s, 1, 0, "no groups, V wider than K");
    s = plain;
    s.softcap = 3.0f;
    check_dense(&s, 1, 0, "softcap");
    s = plain;
    s.no_mask = 1;
    check_dense(&s, 1, 0, "no mask");
}

static void more_streams_than_a_pass_holds_match(void **state)
{
    (void)state;
    shape s = plain;
    s.streams = 5, s.queries = 5, s.cells = s.capacity = 256;
    check_dense(&s, 5, 0, "25 rows");
}

static void an_empty_row_is_zero_and_other_values_are_added(void **state)
{
    (void)state;
    shape s = plain;
    s.queries = 3;
    scene m;
    scene_make(&m, &s, 1, 0);
    scene_fill(&m, 2, 4.0f);
    for (int cell = 0; cell < s.cells; cell++) {
        scene_show(&m, 0, 0, cell, 0);
        scene_mask_value(&m, 0, 1, cell, (float)(cell % 5) - 2.0f);
    }
    scene_compute(&m, &p);
    for (int i = 0; i < s.q_heads * s.dim_v; i++) {
        check_near(((float *)m.out->data)[i], 0, 0);
    }
    check_between(scene_worst(&m), 0, DENSE_ERROR);
    struct vsa_ggml_summary sum;
    p.get_summary(&sum);
    assert_int_equal(sum.host, s.q_heads);
    assert_int_equal(sum.exact, s.q_heads);
    scene_free(&m);
}

static void nan_in_one_head_stays_in_it(void **state)
{
    (void)state;
    scene m;
    scene_make(&m, &plain, 1, 0);
    scene_fill(&m, 3, 4.0f);
    ggml_fp16_t *v = m.cache_v->data;
    v[plain.dim_v + 5] = ggml_fp32_to_fp16(NAN);   /* cell 0, KV head 1 */
    scene_compute(&m, &p);
    double truth[4 * 64];
    scene_truth(&m, 0, 0, truth);
    check_between(scene_error(&m, 0, 0, 0, truth), 0, DENSE_ERROR);
    check_between(scene_error(&m, 0, 0, 1, truth), 0, DENSE_ERROR);
    const float *out = m.out->data;
    assert_true(isnan(out[2 * plain.dim_v + 5]) && isnan(out[3 * plain.dim_v + 5]));
    assert_true(!isnan(out[2 * plain.dim_v + 4]));
    struct vsa_ggml_summary sum;
    p.get_summary(&sum);
    assert_int_equal(sum.invalid, 2);
    scene_free(&m);
}

static void sparse_steps_keep_the_promise(void **state)
{
    (void)state;
    static const char *const ways[][2] = {
        {"method=vattention", "scorer=exact"}, {"method=guided", "scorer=sign"},
        {"method=guided", "scorer=int8"},      {"method=vattention", "scorer=int4"},
        {"method=vattention", "scorer=page"},  {"method=guided", "scorer=exact"}};
    shape s = plain;
    s.cells = 4096, s.capacity = 4096, s.q_heads = 8, s.queries = 2;
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        plugin_set(&p, (const char *const[]){ways[w][0], ways[w][1], "verify=1", NULL});
        p.reset_summary();
        scene m;
        scene_make(&m, &s, 1, 0);
        uint32_t above = 0, rows = 0;
        for (uint32_t step = 0; step < 12; step++) {
            scene_fill(&m, 10 + step, 4.0f);
            punch_holes(&m);
            for (int cell = s.cells - 40 - 3 * (int)step; cell < s.cells; cell++) {
                scene_show(&m, 0, 0, cell, 0);   /* lengths differ, and so do the draws */
                scene_show(&m, 0, 1, cell, 0);
            }
            scene_compute(&m, &p);
            for (int query = 0; query < s.queries; query++) {
                double truth[8 * 64];
                scene_truth(&m, 0, query, truth);
                for (int head = 0; head < s.q_heads; head++, rows++) {
                    above += !(scene_error(&m, 0, query, head, truth) <= 0.1);
                }
            }
        }
        struct vsa_ggml_summary sum;
        p.get_summary(&sum);
        print_message("%s %s: %u of %u rows above epsilon, density %.2f, %llu exact\n", ways[w][0],
                      ways[w][1], above, rows, sum.density, (unsigned long long)sum.exact);
        check_that(ref_binomial_tail(above, rows, 0.1) >= 0.01, "%u of %u rows above epsilon",
                   above, rows);
        assert_int_equal(sum.rows, rows);
        assert_int_equal(sum.exact + sum.met, rows);
        assert_int_equal(sum.verified, rows);
        assert_int_equal(sum.above_epsilon, above);   /* counted in there as well */
        check_between(sum.density, 0.01, 0.8);
        scene_free(&m);
    }
}

static void few_tokens_and_chosen_layers_are_dense(void **state)
{
    (void)state;
    shape s = plain;
    s.queries = 2;
    scene m;
    scene_make(&m, &s, 1, 0);
    ggml_set_name(m.cache_k, "cache_k_l7");
    scene_fill(&m, 4, 4.0f);
    for (int cell = 100; cell < s.cells; cell++) {
        scene_show(&m, 0, 0, cell, 0);
    }
    plugin_set(&p, (const char *const[]){"method=topk", "min_tokens=200", NULL});
    scene_compute(&m, &p);
    struct vsa_ggml_summary sum;
    p.get_summary(&sum);
    assert_int_equal(sum.dense, s.q_heads);
    assert_int_equal(sum.missed, s.q_heads);
    char text[2000];
    assert_true(p.print_summary(text, sizeof text) < sizeof text);
    check_that(strstr(text, "\n7 ") != NULL, "no layer 7 in: %s", text);
    plugin_set(&p, (const char *const[]){"dense_layers=2,7", NULL});
    p.reset_summary();
    scene_compute(&m, &p);
    p.get_summary(&sum);
    assert_int_equal(sum.exact, 2 * s.q_heads);
    check_between(scene_worst(&m), 0, DENSE_ERROR);
    scene_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_type_matches, defaults),
        cmocka_unit_test_setup(heads_streams_and_queries_match, defaults),
        cmocka_unit_test_setup(more_streams_than_a_pass_holds_match, defaults),
        cmocka_unit_test_setup(an_empty_row_is_zero_and_other_values_are_added, defaults),
        cmocka_unit_test_setup(nan_in_one_head_stays_in_it, defaults),
        cmocka_unit_test_setup(sparse_steps_keep_the_promise, defaults),
        cmocka_unit_test_setup(few_tokens_and_chosen_layers_are_dense, defaults),
    };
    if (!plugin_open(&p, VSA_GGML_BACKEND)) {
        return 77;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    plugin_close(&p);
    return failed;
}
