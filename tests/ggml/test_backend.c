/* The backend as ggml sees it: every member of its interface, what it declines, options at run
 * time. */
#include "harness.h"

#include <string.h>

static plugin p;

static const shape plain = {.k_type = GGML_TYPE_F16, .v_type = GGML_TYPE_F16, .dim_k = 64,
                            .dim_v = 64, .q_heads = 4, .kv_heads = 2, .queries = 1, .streams = 1,
                            .cells = 256, .capacity = 256};

static void every_member_is_where_ggml_looks_for_it(void **state)
{
    (void)state;
    struct ggml_backend_dev_props props;
    size_t free_memory = 1, total_memory = 1;

    assert_string_equal(ggml_backend_reg_name(p.reg), "VSA");
    assert_null(ggml_backend_reg_get_proc_address(p.reg, "vsa_no_such_function"));
    assert_string_equal(ggml_backend_dev_name(p.device), "VSA");
    assert_non_null(strstr(ggml_backend_dev_description(p.device), "verified sparse attention"));
    assert_int_equal(ggml_backend_dev_type(p.device), GGML_BACKEND_DEVICE_TYPE_ACCEL);
    ggml_backend_dev_memory(p.device, &free_memory, &total_memory);
    assert_int_equal(free_memory, 0);
    ggml_backend_dev_get_props(p.device, &props);
    assert_string_equal(props.name, "VSA");
    assert_true(!props.caps.async && !props.caps.events && !props.caps.buffer_from_host_ptr);
    assert_true(ggml_backend_dev_backend_reg(p.device) == p.reg);
    assert_true(ggml_backend_dev_buffer_type(p.device) == ggml_backend_cpu_buffer_type());
    assert_null(ggml_backend_dev_host_buffer_type(p.device));
    assert_true(ggml_backend_dev_supports_buft(p.device, ggml_backend_cpu_buffer_type()));
    assert_string_equal(ggml_backend_name(p.backend), "VSA");
    assert_true(ggml_backend_get_device(p.backend) == p.device);
    assert_non_null(ggml_backend_guid(p.backend));
    assert_true(ggml_backend_get_default_buffer_type(p.backend) ==
                ggml_backend_cpu_buffer_type());
    ggml_backend_synchronize(p.backend);
    scene m;
    scene_make(&m, &plain, 1, 0);
    assert_true(!ggml_backend_dev_offload_op(p.device, m.out));
    scene_free(&m);
}

static int accepts(const shape *s)
{
    scene m;
    scene_make(&m, s, s->streams, 0);
    const int accepted = ggml_backend_dev_supports_op(p.device, m.out);
    scene_free(&m);
    return accepted;
}

static void what_vsa_cannot_do_is_declined(void **state)
{
    (void)state;
    shape s = plain;
    assert_true(accepts(&s));
    s.queries = 8;
    assert_true(accepts(&s));
    s.queries = 9;
    assert_true(!accepts(&s));
    s = plain;
    s.dim_k = 576, s.dim_v = 512;
    assert_true(!accepts(&s));
    s.dim_k = s.dim_v = 16;
    assert_true(!accepts(&s));
    s.dim_k = s.dim_v = 36;
    assert_true(!accepts(&s));
    s.dim_k = s.dim_v = 40;
    assert_true(accepts(&s));
    s = plain;
    s.k_type = s.v_type = GGML_TYPE_Q5_1;
    assert_true(!accepts(&s));

    scene m;
    scene_make(&m, &plain, 1, 0);
    struct ggml_tensor *sinks = ggml_new_tensor_1d(m.context, GGML_TYPE_F32, plain.q_heads);
    ggml_flash_attn_ext_add_sinks(m.out, sinks);
    assert_true(!ggml_backend_dev_supports_op(p.device, m.out));
    m.out->src[4] = NULL;
    assert_true(ggml_backend_dev_supports_op(p.device, m.out));
    const float bias = 8.0f;
    memcpy(&m.out->op_params[1], &bias, sizeof bias);
    assert_true(!ggml_backend_dev_supports_op(p.device, m.out));
    scene_free(&m);
}

/* As in a graph of llama.cpp, where only one of several branches is computed. */
static void branches_that_are_not_selected_are_left_alone(void **state)
{
    (void)state;
    struct ggml_context *c =
        ggml_init((struct ggml_init_params){.mem_size = 1 << 20, .no_alloc = true});
    struct ggml_tensor *to = ggml_new_tensor_2d(c, GGML_TYPE_F16, 32, 4);
    struct ggml_tensor *rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, 32, 1);
    struct ggml_tensor *indices = ggml_new_tensor_1d(c, GGML_TYPE_I64, 1);
    struct ggml_tensor *indices2 = ggml_new_tensor_1d(c, GGML_TYPE_I64, 1);
    struct ggml_cgraph *graph = ggml_new_graph(c);
    struct ggml_tensor *branches[] = {ggml_set_rows(c, to, rows, indices),
                                      ggml_set_rows(c, to, rows, indices2)};
    ggml_build_forward_select(graph, branches, 2, 1);
    ggml_backend_buffer_t buffer =
        ggml_backend_alloc_ctx_tensors_from_buft(c, ggml_backend_cpu_buffer_type());
    ggml_backend_buffer_clear(buffer, 0);
    for (int i = 0; i < 32; i++) {
        ((float *)rows->data)[i] = 1;
    }
    *(int64_t *)indices->data = INT64_C(0x4242424242424242);   /* what a free place may hold */
    *(int64_t *)indices2->data = 2;
    assert_int_equal(ggml_backend_graph_compute(p.backend, graph), GGML_STATUS_SUCCESS);
    for (int i = 0; i < 4 * 32; i++) {
        assert_int_equal(((ggml_fp16_t *)to->data)[i], i / 32 == 2 ? 0x3c00 : 0);
    }
    /* One that is selected is an error, not a write somewhere. */
    *(int64_t *)indices2->data = 4;
    assert_int_equal(ggml_backend_graph_compute(p.backend, graph), GGML_STATUS_FAILED);
    ggml_backend_buffer_free(buffer);
    ggml_free(c);
}

static void options_at_run_time_are_checked(void **state)
{
    (void)state;
    assert_string_equal(p.set_option("epsilon", "7"),
                        "VSA_EPSILON is '7', must be above 0 and below 1");
    assert_string_equal(p.set_option("speed", "7"), "there is no option 'speed'");
    assert_string_equal(p.set_option("device", "1"),
                        "option 'device' is read from the environment, once");
    assert_non_null(p.set_option("epsilon", NULL));
    assert_null(p.set_option("epsilon", "0.1"));
    /* Together they are no policy: nothing is accepted until they are. */
    assert_null(p.set_option("bound", "strict"));
    assert_true(!accepts(&plain));
    assert_null(p.set_option("bound", "clt"));
    assert_true(accepts(&plain));
}

static void backends_come_and_go(void **state)
{
    (void)state;
    scene m;
    plugin_set(&p, (const char *const[]){"method=dense", NULL});
    scene_make(&m, &plain, 1, 0);
    scene_fill(&m, 1, 4.0f);
    for (int i = 0; i < 3; i++) {
        ggml_backend_t second = ggml_backend_dev_init(p.device, NULL);
        assert_non_null(second);
        assert_int_equal(ggml_backend_graph_compute(second, m.graph), GGML_STATUS_SUCCESS);
        ggml_backend_free(second);
        scene_compute(&m, &p);
        check_between(scene_worst(&m), 0, 2e-6);
    }
    /* The last one takes the device with it, the next one opens it again. */
    ggml_backend_free(p.backend);
    p.backend = ggml_backend_dev_init(p.device, NULL);
    scene_compute(&m, &p);
    check_between(scene_worst(&m), 0, 2e-6);
    scene_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_is_where_ggml_looks_for_it),
        cmocka_unit_test(what_vsa_cannot_do_is_declined),
        cmocka_unit_test(branches_that_are_not_selected_are_left_alone),
        cmocka_unit_test(options_at_run_time_are_checked),
        cmocka_unit_test(backends_come_and_go),
    };
    if (!plugin_open(&p, VSA_GGML_BACKEND)) {
        return 77;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    plugin_close(&p);
    return failed;
}
