/* Dense attention against double precision: every shape, type and layout. */
#include "harness.h"

/* f32 accumulation over rounded inputs, whatever the storage type. */
#define TOLERANCE 2e-6

/* Runs one step densely and checks every row; returns the worst error. */
static double check_step(const harness_data *data, vsa_session *session, const char *name)
{
    harness_result result = harness_run(session, data, 1, 1, 0, 0);
    double worst = 0, truth[REF_MAX_DIM];
    for (uint32_t row = 0; row < result.row_count; row++) {
        harness_row at = harness_locate(data, row);
        const vsa_certificate *c = &result.certificates[row];
        if (at.length == 0) {
            continue;
        }
        double log_normaliser = harness_truth(data, row, truth);
        double error = ref_relative_error_f32(result.out + (size_t)row * result.head_dim, truth,
                                              result.head_dim);
        check_that(error <= TOLERANCE, "%s: sequence %u query %u head %u of %u tokens: error %g",
                   name, at.sequence, at.query, at.head, at.length, error);
        check_that(VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_EXACT, "%s: status %u",
                   name, c->status & 0xff);
        check_near(c->error_bound, 0, 0);
        check_near(c->delta, 0, 0);
        check_near(c->log_normaliser, log_normaliser, 2e-6 * (1 + fabs(log_normaliser)));
        assert_int_equal(c->length_tokens, at.length);
        assert_int_equal(c->exact_tokens, at.length);
        assert_int_equal(c->sampled_tokens, 0);
        worst = fmax(worst, error);
    }
    harness_result_free(&result);
    return worst;
}

typedef struct shape_case {
    const char *name;
    uint32_t q_heads, kv_heads, dk, dv;
    vsa_dtype k, v;
    vsa_kv_order order;
    uint32_t page_tokens;
    float scale, softcap;
} shape_case;

#define F32  VSA_DTYPE_F32
#define F16  VSA_DTYPE_F16
#define BF16 VSA_DTYPE_BF16
#define Q8   VSA_DTYPE_Q8_0
#define Q4   VSA_DTYPE_Q4_0
#define HM   VSA_KV_HEAD_MAJOR
#define TM   VSA_KV_TOKEN_MAJOR

/* Every value of every axis at least once; axes that share code are combined. */
static const shape_case shape_cases[] = {
    { "mha f32",              3, 3, 64, 64, F32, F32, HM, 0, 0, 0 },
    { "gqa 4 f16",            8, 2, 128, 128, F16, F16, HM, 0, 0, 0 },
    { "gqa 8 bf16 paged",     8, 1, 96, 96, BF16, BF16, HM, 16, 0, 0 },
    { "mqa 12 f16/f32",       12, 1, 80, 64, F16, F32, TM, 0, 0, 0 },
    { "192/128 bf16/f16 tm",  4, 2, 192, 128, BF16, F16, TM, 64, 0, 0 },
    { "256 f32/bf16",         2, 2, 256, 256, F32, BF16, TM, 0, 0, 0 },
    { "32 f16/bf16 softcap",  2, 1, 32, 32, F16, BF16, HM, 128, 0.25f, 5 },
    { "40/72 scale softcap",  4, 4, 40, 72, F32, F16, TM, 8, 0.07f, 30 },
    { "mha q8_0",             3, 3, 64, 64, Q8, Q8, HM, 0, 0, 0 },
    { "gqa 4 q4_0 tm",        8, 2, 128, 128, Q4, Q4, TM, 0, 0, 0 },
    { "32 q8_0/q4_0 paged",   6, 3, 32, 32, Q8, Q4, HM, 16, 0, 0 },
    { "96/160 q4_0/q8_0 tm",  5, 5, 96, 160, Q4, Q8, TM, 1, 0.1f, 20 },
    { "256 q8_0/f16",         2, 2, 256, 256, Q8, F16, HM, 0, 0, 0 },
    { "192/224 bf16/q4_0 tm", 8, 1, 192, 224, BF16, Q4, TM, 64, 0, 0 },
    { "40/32 f32/q8_0",       4, 2, 40, 32, F32, Q8, HM, 0, 0, 0 },
    { "96/72 q4_0/f16",       2, 1, 96, 72, Q4, F16, TM, 8, 0, 0 },
};

static void shapes_types_and_layouts(void **state)
{
    (void)state;
    static const uint32_t lengths[] = { 1, 31, 32, 33, 100, 641 };
    for (size_t i = 0; i < sizeof shape_cases / sizeof *shape_cases; i++) {
        const shape_case *s = &shape_cases[i];
        vsa_plan_create_info plan = { .head_dim_k = s->dk, .head_dim_v = s->dv,
                                      .q_heads = s->q_heads, .kv_heads = s->kv_heads,
                                      .max_tokens = 700, .softmax_scale = s->scale,
                                      .logit_softcap = s->softcap,
                                      .kv = { .page_tokens = s->page_tokens,
                                              .k.dtype = s->k, .v.dtype = s->v },
                                      .policy.method = VSA_METHOD_DENSE };
        harness_data *data = harness_data_make(&plan, 6, 2, lengths, &(harness_fill){
            .spread = 2, .value_mean = 0.5, .seed = i });
        vsa_session *session = harness_session(harness_device, data, s->order, (uint32_t)i, 0);
        check_step(data, session, s->name);
        vsa_session_destroy(session);
        harness_data_free(data);
    }
}

/* One plan, one sequence, lengths around every boundary that kernels have. */
static void lengths_around_boundaries(void **state)
{
    (void)state;
    static const uint32_t lengths[] = { 1, 2, 7, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511,
                                        512, 513, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 5000 };
    vsa_plan_create_info plan = { .head_dim_k = 32, .head_dim_v = 32, .q_heads = 2, .kv_heads = 1,
                                  .max_tokens = 5000, .kv = { .k.dtype = F32, .v.dtype = F32 },
                                  .policy.method = VSA_METHOD_DENSE };
    harness_data *data = harness_data_make(&plan, 1, 1, (uint32_t[]){ 5000 }, &(harness_fill){
        .spread = 1, .value_mean = 0.5, .seed = 5 });
    vsa_session *session = harness_session(harness_device, data, HM, 0, 0);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        data->lengths[0] = lengths[i];
        check_step(data, session, "lengths");
    }
    vsa_session_destroy(session);
    harness_data_free(data);
}

/* Logits of hundreds: exp must be taken of differences only. */
static void large_logits(void **state)
{
    (void)state;
    vsa_plan_create_info plan = { .head_dim_k = 32, .head_dim_v = 32, .q_heads = 2, .kv_heads = 1,
                                  .max_tokens = 5000, .kv = { .k.dtype = F32, .v.dtype = F32 },
                                  .policy.method = VSA_METHOD_DENSE };
    harness_data *data = harness_data_make(&plan, 1, 1, (uint32_t[]){ 300 }, &(harness_fill){
        .spread = 1, .value_mean = 0.5, .seed = 6 });
    for (uint32_t i = 0; i < 300; i++) {
        /* Multiples of 1/4 up to 1000 times the scale: exact in f32, whatever the order of sums. */
        float *k = harness_k(data, 0, 0, i);
        memset(k, 0, 32 * sizeof *k);
        k[0] = (float)(i % 7) * 0.25f;
        k[2] = 1;
    }
    float *q = data->q;
    memset(q, 0, 64 * sizeof *q);
    q[0] = q[32] = 4 / data->plan.softmax_scale;
    q[2] = 900 / data->plan.softmax_scale;
    q[34] = -900 / data->plan.softmax_scale;
    vsa_session *session = harness_session(harness_device, data, HM, 0, 0);
    harness_result result = harness_run(session, data, 1, 0, 0, 0);
    for (uint32_t row = 0; row < 2; row++) {
        /* A logit of 900 has a rounding error of 900 * 2^-24 in f32, and so has its weight. */
        check_between(harness_error(data, &result, row), 0, 900 * 0x1p-23);
        double truth[32];
        check_near(result.certificates[row].log_normaliser, harness_truth(data, row, truth), 2e-3);
    }
    harness_result_free(&result);
    vsa_session_destroy(session);
    harness_data_free(data);
}

/* Strides that are multiples of 4 bytes only, padded rows, K and V interleaved differently. */
static void narrow_strides(void **state)
{
    (void)state;
    vsa_plan_create_info plan = { .head_dim_k = 40, .head_dim_v = 64, .q_heads = 4, .kv_heads = 2,
                                  .max_tokens = 150, .max_sequences = 2,
                                  .kv = { .k.dtype = F16, .v.dtype = BF16 },
                                  .policy.method = VSA_METHOD_DENSE };
    plan.kv.k = (vsa_plane_layout){ .dtype = F16, .token_stride = 84,
                                    .head_stride = 150 * 84 + 12,
                                    .block_stride = 2 * (150 * 84 + 12) + 20 };
    plan.kv.v = (vsa_plane_layout){ .dtype = BF16, .token_stride = 2 * 132,
                                    .head_stride = 132, .block_stride = 150 * 264 + 4 };
    harness_data *data = harness_data_make(&plan, 2, 1, (uint32_t[]){ 150, 77 }, &(harness_fill){
        .spread = 1, .value_mean = 0.5, .seed = 7 });
    vsa_session *session = harness_session(harness_device, data, HM, 0, 0);
    check_step(data, session, "narrow strides");
    vsa_session_destroy(session);

    /* Paged, the table longer than needed. */
    data->plan.kv.page_tokens = 16;
    data->plan.kv.table_stride = 13;
    data->plan.kv.k.head_stride = 16 * 84 + 4;
    data->plan.kv.k.block_stride = 2 * (16 * 84 + 4) + 12;
    data->plan.kv.v.block_stride = 16 * 264 + 4;
    session = harness_session(harness_device, data, HM, 9, 0);
    check_step(data, session, "narrow strides, paged");
    vsa_session_destroy(session);
    harness_data_free(data);
}

/* Strides that are multiples of 2 bytes only: each of them an odd number of half words or not. */
static void odd_strides(void **state)
{
    (void)state;
    static const uint32_t pads[][3] = { { 2, 2, 0 }, { 2, 0, 2 }, { 0, 2, 2 } };   /* bytes per
                                                                       token, head and block */
    for (size_t i = 0; i < sizeof pads / sizeof *pads; i++) {
        uint32_t page_tokens = i == 1 ? 0 : 8, block_tokens = page_tokens ? page_tokens : 75;
        uint32_t token = 68 + pads[i][0], head = block_tokens * token + pads[i][1];
        vsa_plan_create_info plan = { .head_dim_k = 64, .head_dim_v = 64, .q_heads = 3,
                                      .kv_heads = 3, .max_tokens = 75, .max_sequences = 2,
                                      .policy.method = VSA_METHOD_DENSE };
        plan.kv = (vsa_kv_layout){ .page_tokens = page_tokens, .table_stride = 10 };
        plan.kv.k = (vsa_plane_layout){ .dtype = Q8, .token_stride = token, .head_stride = head,
                                        .block_stride = 3 * head + pads[i][2] };
        head = 36 + pads[i][1];   /* heads within tokens */
        token = 3 * head + pads[i][0];
        plan.kv.v = (vsa_plane_layout){ .dtype = Q4, .token_stride = token, .head_stride = head,
                                        .block_stride = block_tokens * token + pads[i][2] };
        harness_data *data = harness_data_make(&plan, 2, 1, (uint32_t[]){ 75, 38 },
                                               &(harness_fill){ .spread = 1, .value_mean = 0.5,
                                                                .seed = 70 + i });
        vsa_session *session = harness_session(harness_device, data, HM, 6, 0);
        check_step(data, session, "odd strides");
        vsa_session_destroy(session);
        harness_data_free(data);
    }
}

/* K and V that one descriptor cannot hold, and rows that lie across the ends of segments. */
static void segments(void **state)
{
    (void)state;
    if (!harness_has_segments()) {
        skip();
    }
    vsa_standalone *standalone = NULL;
    check_ok(harness_open(&(vsa_standalone_create_info){ .max_storage_range = 300000 },
                          &standalone));
    static const uint32_t pages[] = { 0, 16, 0, 16 };
    static const vsa_dtype k_types[] = { F16, F16, Q8, F16 }, v_types[] = { F32, F32, Q8, Q4 };
    for (int i = 0; i < 4; i++) {
        vsa_plan_create_info plan = { .head_dim_k = 96, .head_dim_v = i < 2 ? 64 : 160,
                                      .q_heads = 4, .kv_heads = 2, .max_tokens = 1500,
                                      .kv = { .page_tokens = pages[i], .k.dtype = k_types[i],
                                              .v.dtype = v_types[i] },
                                      .policy.method = VSA_METHOD_DENSE };
        harness_data *data = harness_data_make(&plan, 2, 1, (uint32_t[]){ 1500, 1100 },
                                               &(harness_fill){ .spread = 1, .value_mean = 0.5,
                                                                .seed = 8 });
        vsa_session *session = harness_session(standalone, data, i % 2 ? HM : TM, 3, 0);
        check_step(data, session, "segments");
        vsa_session_destroy(session);
        harness_data_free(data);
    }
    harness_close(standalone);
}

/* The smallest bound on a dispatch: the same step cut into many. */
static void bounded_dispatches(void **state)
{
    (void)state;
    static const uint32_t lengths[] = { 5000, 2048, 300, 4097 };
    vsa_plan_create_info plan = { .head_dim_k = 32, .head_dim_v = 32, .q_heads = 4, .kv_heads = 2,
                                  .max_tokens = 5000, .max_dispatch_tokens = 2048,
                                  .policy.method = VSA_METHOD_DENSE };
    harness_data *data = harness_data_make(&plan, 4, 3, lengths, &(harness_fill){
        .spread = 1, .value_mean = 0.5, .seed = 9 });
    vsa_session *session = harness_session(harness_device, data, HM, 0, 0);
    check_step(data, session, "bounded dispatches");
    vsa_session_destroy(session);
    harness_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_types_and_layouts), cmocka_unit_test(lengths_around_boundaries),
        cmocka_unit_test(large_logits),             cmocka_unit_test(narrow_strides),
        cmocka_unit_test(odd_strides),              cmocka_unit_test(segments),
        cmocka_unit_test(bounded_dispatches),
    };
    return cmocka_run_group_tests_name("dense", tests, harness_setup, harness_teardown);
}
