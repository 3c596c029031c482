/* Tunings divide the work differently and change nothing but the rounding of f32 sums. Also the one
 * place where a CPU driver runs what real GPUs get by default. */
#include "harness.h"

static const vsa_tuning tunings[] = {
    { 128, 16, 4, 1, 4 },     /* what GPUs get for few query heads */
    { 8, 4, 8, 2, 256 },      /* what CPU drivers get */
    { 32, 4, 4, 2, 256 },
    { 64, 2, 2, 2, 1 },       /* queries in shared memory, as all below */
    { 128, 8, 2, 1, 4 },      /* what GPUs get for many query heads */
    { 32, 32, 8, 3, 2 },      /* more lanes than a row has chunks */
};

enum { TUNINGS = sizeof tunings / sizeof *tunings };

static vsa_plan_create_info tuned_plan(const vsa_tuning *tuning, uint32_t group,
                                       uint32_t head_dim_k, uint32_t head_dim_v)
{
    return (vsa_plan_create_info){
        .head_dim_k = head_dim_k, .head_dim_v = head_dim_v, .q_heads = 2 * group, .kv_heads = 2,
        .max_sequences = 2, .max_queries = 2, .max_tokens = 1500,
        .kv = { .k.dtype = VSA_DTYPE_F16, .v.dtype = VSA_DTYPE_BF16 },
        .policy = { .method = VSA_METHOD_VATTENTION, .sink_tokens = 16, .window_tokens = 32,
                    .top_k = 40, .base_samples = 64, .epsilon = 0.2f, .delta = 0.1f },
        .tuning = *tuning };
}

static void check_tunings(uint32_t group, uint32_t head_dim_k, uint32_t head_dim_v, size_t count)
{
    static const uint32_t lengths[] = { 1500, 901 };
    enum { CAPACITY = 1500 };
    harness_result first = { 0 };

    for (size_t i = 0; i < count; i++) {
        vsa_plan_create_info plan = tuned_plan(&tunings[i], group, head_dim_k, head_dim_v);
        harness_data *data = harness_data_make(&plan, 2, 2, lengths, &(harness_fill){
            .spread = 1, .value_mean = 1, .seed = 3 });
        vsa_session *session =
            harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, CAPACITY);
        harness_result dense = harness_run(session, data, 1, 1, 2, 0);
        for (uint32_t row = 0; row < dense.row_count; row++) {
            check_between(harness_error(data, &dense, row), 0, 2e-6);
        }
        harness_result sparse = harness_run(session, data, 0, 1, 2, CAPACITY);
        uint32_t met = 0;
        for (uint32_t row = 0; i > 0 && row < sparse.row_count; row++) {
            const vsa_certificate *a = &first.certificates[row];
            const vsa_certificate *b = &sparse.certificates[row];
            met += VSA_CERTIFICATE_STATUS(b->status) == VSA_CERTIFICATE_MET;
            assert_int_equal(a->exact_tokens, b->exact_tokens);
            /* A budget may round to the next multiple of 32. */
            check_near(a->sampled_tokens, b->sampled_tokens, 32);
            uint32_t shared = a->exact_tokens + (a->sampled_tokens < b->sampled_tokens
                                                     ? a->sampled_tokens : b->sampled_tokens);
            assert_memory_equal(first.indices + (size_t)row * CAPACITY,
                                sparse.indices + (size_t)row * CAPACITY, shared * sizeof(int32_t));
            if (a->sampled_tokens == b->sampled_tokens) {
                check_near(a->error_bound, b->error_bound, 1e-4 * (double)a->error_bound);
                for (uint32_t c = 0; c < head_dim_v; c++) {
                    check_near(first.out[row * head_dim_v + c], sparse.out[row * head_dim_v + c],
                               2e-5);
                }
            }
        }
        if (i == 0) {
            first = sparse;
        } else {
            assert_true(met > sparse.row_count / 2);
            harness_result_free(&sparse);
        }
        harness_result_free(&dense);
        vsa_session_destroy(session);
        harness_data_free(data);
    }
    harness_result_free(&first);
}

static void even_head_sizes(void **state)
{
    (void)state;
    check_tunings(3, 128, 64, TUNINGS);
}

static void odd_head_sizes(void **state)
{
    (void)state;
    check_tunings(3, 72, 104, 2);
}

/* Two blocks of heads, the second half empty. */
static void many_heads(void **state)
{
    (void)state;
    check_tunings(12, 72, 64, TUNINGS);
}

static void bad_tunings_are_refused(void **state)
{
    (void)state;
    static const vsa_tuning bad[] = {
        { .workgroup = 48 }, { .workgroup = 256 }, { .workgroup = 4 }, { .lanes = 3 },
        { .lanes = 64 }, { 16, 32, 0, 0, 0 }, { .repeat = 9 }, { .value_chunks = 5 },
        { .query_chunks = 257 },
        { 128, 1, 8, 1, 4 },   /* shared memory */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vsa_plan_create_info plan = tuned_plan(&bad[i], 3, 64, 64);
        vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F16, VSA_DTYPE_F16, 64, 64, 2,
                           1500, 0);
        vsa_plan *created = NULL;
        harness_listen();
        assert_int_equal(vsa_plan_create(vsa_standalone_context(harness_device), &plan, &created),
                         VSA_ERROR_INVALID_ARGUMENT);
        assert_null(created);
        assert_non_null(strstr(harness_heard(), "tuning"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(even_head_sizes),
        cmocka_unit_test(odd_head_sizes),
        cmocka_unit_test(many_heads),
        cmocka_unit_test(bad_tunings_are_refused),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
