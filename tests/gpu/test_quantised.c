/* Caches of Q8_0 and Q4_0 in all that gpu_dense and gpu_append leave out: the sparse methods,
 * scorers, 16-bit queries, what is not finite, and the count of bytes. */
#include "harness.h"
#include "raw.h"

#define F32 VSA_DTYPE_F32
#define F16 VSA_DTYPE_F16
#define Q8  VSA_DTYPE_Q8_0
#define Q4  VSA_DTYPE_Q4_0

enum { MAX_TOKENS = 1600, Q_HEADS = 6, KV_HEADS = 2, GROUP = Q_HEADS / KV_HEADS };

static vsa_plan_create_info plan_of(vsa_dtype k, vsa_dtype v, uint32_t dk, uint32_t dv)
{
    return (vsa_plan_create_info){
        .head_dim_k = dk, .head_dim_v = dv, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_sequences = 2, .max_queries = 2, .max_tokens = MAX_TOKENS,
        .kv = { .k.dtype = k, .v.dtype = v },
        .policy = { .method = VSA_METHOD_VATTENTION, .target = VSA_TARGET_OUTPUT,
                    .sink_tokens = 16, .window_tokens = 32, .top_k_fraction = 0.02f,
                    .base_samples = 64, .base_fraction = 0.025f, .epsilon = 0.1f,
                    .delta = 0.1f } };
}

static harness_data *data_of(const vsa_plan_create_info *plan)
{
    return harness_data_make(plan, 2, 2, (uint32_t[]){ MAX_TOKENS, 1101 }, &(harness_fill){
        .spread = 1, .value_mean = 1, .seed = 91 });
}

/* The sets, samples and estimates of the reference, which works on the values in the cache. */
static void vattention_is_the_reference(void **state)
{
    (void)state;
    static const struct {
        vsa_dtype k, v;
        uint32_t dk, dv, page_tokens;
        vsa_kv_order order;
    } cases[] = {
        { Q8, Q8, 64, 96, 0, VSA_KV_HEAD_MAJOR },
        { Q4, Q4, 96, 32, 16, VSA_KV_TOKEN_MAJOR },
        { Q8, F16, 128, 64, 0, VSA_KV_HEAD_MAJOR },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vsa_plan_create_info plan = plan_of(cases[i].k, cases[i].v, cases[i].dk, cases[i].dv);
        plan.kv.page_tokens = cases[i].page_tokens;
        harness_data *data = data_of(&plan);
        vsa_session *session = harness_session(harness_device, data, cases[i].order, 3, 0);
        uint32_t rows = 0, sampled = 0, same = 0;
        for (uint64_t seed = 0; seed < 2; seed++) {
            harness_result result = harness_run(session, data, 0, seed, 0, 0);
            for (uint32_t row = 0; row < result.row_count; row++, rows++) {
                const vsa_certificate *c = &result.certificates[row];
                harness_expected *e = harness_expect(data, row, seed, 0);
                if (VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET &&
                    e->result.status == VSA_CERTIFICATE_MET) {
                    sampled++;
                    assert_int_equal(c->exact_tokens, e->set.exact_count);
                    if (c->sampled_tokens == e->result.sampled_tokens) {
                        same++;
                        check_near(c->error_bound / e->result.error, 1, 2e-3);
                        check_between(ref_relative_error_f32(
                                          result.out + (size_t)row * result.head_dim,
                                          e->result.out, result.head_dim), 0, 5e-6);
                    }
                }
                harness_expected_free(e);
            }
            harness_result_free(&result);
        }
        check_that(sampled * 2 >= rows, "case %zu: %u of %u rows were sampled", i, sampled, rows);
        check_that(same * 10 >= sampled * 9, "case %zu: %u of %u budgets agree", i, same, sampled);
        vsa_session_destroy(session);
        harness_data_free(data);
    }
}

/* Bound strict rests on the largest |v| of `state`, which is read from the quantised values. */
static void guided_keeps_its_promise(void **state)
{
    (void)state;
    vsa_plan_create_info plan = plan_of(F16, Q4, 64, 64);
    plan.policy.method = VSA_METHOD_GUIDED;
    plan.policy.bound = VSA_BOUND_STRICT;
    plan.policy.epsilon = 0.3f;
    harness_data *data = data_of(&plan);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
    harness_result result = harness_run(session, data, 0, 4, 0, 0);
    uint32_t met = 0;
    for (uint32_t row = 0; row < result.row_count; row++) {
        const vsa_certificate *c = &result.certificates[row];
        double error = harness_error(data, &result, row);
        if (VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET) {
            met++;
            check_between(error, 0, (double)c->error_bound);
        } else {
            assert_int_equal(VSA_CERTIFICATE_STATUS(c->status), VSA_CERTIFICATE_EXACT);
            check_between(error, 0, 2e-6);
        }
    }
    check_that(met > 0, "no row of %u was sampled", result.row_count);
    harness_result_free(&result);
    vsa_session_destroy(session);
    harness_data_free(data);
}

static harness_result run_dense(raw_layer *l, const harness_data *data)
{
    harness_result r = { .row_count = harness_row_count(data), .head_dim = data->plan.head_dim_v };
    size_t size = (size_t)r.row_count * r.head_dim * sizeof *r.out;
    r.out = malloc(size);
    r.certificates = malloc(r.row_count * sizeof *r.certificates);
    check_ok(vsa_buffer_fill(l->out, 0x7fc00000u));   /* NaN */
    check_ok(vsa_buffer_fill(l->certificates, 0xffffffffu));
    VkCommandBuffer cmd = raw_begin();
    vsa_step step = { .sequence_count = data->sequence_count, .query_count = data->query_count,
                      .max_length_tokens = data->plan.max_tokens };
    check_ok(vsa_cmd_dense(l->layer, cmd, &step));
    raw_end();
    check_ok(vsa_buffer_read(l->out, 0, r.out, size));
    check_ok(vsa_buffer_read(l->certificates, 0, r.certificates,
                             r.row_count * sizeof *r.certificates));
    return r;
}

static raw_layer *dense_layer(vsa_plan_create_info *plan, uint32_t new_tokens)
{
    plan->policy = (vsa_policy){ .method = VSA_METHOD_DENSE };
    vsa_kv_layout_init(&plan->kv, VSA_KV_TOKEN_MAJOR, plan->kv.k.dtype, plan->kv.v.dtype,
                       plan->head_dim_k, plan->head_dim_v, KV_HEADS, plan->max_tokens, 0);
    return raw_layer_make(plan, new_tokens);
}

/* `state` of a cache that holds the data's keys in `k`; the caller frees it. */
static uint8_t *state_of(const harness_data *data, vsa_scorer scorer, vsa_dtype k, size_t *out_size)
{
    vsa_plan_create_info plan = data->plan;
    plan.policy.method = VSA_METHOD_GUIDED;
    plan.policy.scorer = scorer;
    vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, k, F16, plan.head_dim_k, plan.head_dim_v,
                       KV_HEADS, plan.max_tokens, 8);
    raw_layer *l = raw_layer_make(&plan, 1);
    vsa_plan_requirements needs;
    vsa_plan_get_requirements(l->plan, &needs);
    uint8_t *state = malloc(needs.state.size);
    raw_write_data(l, data);
    check_ok(vsa_buffer_fill(l->state, 0));
    VkCommandBuffer cmd = raw_begin();
    vsa_step step = { .sequence_count = 2, .max_length_tokens = plan.max_tokens };
    check_ok(vsa_cmd_index(l->layer, cmd, &step, 0, plan.max_tokens));
    raw_end();
    check_ok(vsa_buffer_read(l->state, 0, state, needs.state.size));
    raw_layer_destroy(l);
    *out_size = needs.state.size;
    return state;
}

/* Scorers keep the same of quantised keys as of the values that those stand for. */
static void scorers_read_the_same_keys(void **state)
{
    (void)state;
    static const vsa_scorer scorers[] = { VSA_SCORER_SIGN, VSA_SCORER_INT4, VSA_SCORER_PAGE };
    static const vsa_dtype types[] = { Q8, Q4 };
    for (int t = 0; t < 2; t++) {
        vsa_plan_create_info plan = plan_of(types[t], F16, 96, 32);
        plan.max_tokens = 45;
        harness_data *data = harness_data_make(&plan, 2, 1, (uint32_t[]){ 45, 33 }, &(harness_fill){
            .spread = 1, .value_mean = 1, .seed = 94 });
        for (size_t i = 0; i < sizeof scorers / sizeof *scorers; i++) {
            size_t size, plain_size;
            uint8_t *quantised = state_of(data, scorers[i], types[t], &size);
            uint8_t *plain = state_of(data, scorers[i], F32, &plain_size);
            assert_int_equal(size, plain_size);
            assert_true(size > 0);
            assert_memory_equal(quantised, plain, size);
            free(quantised);
            free(plain);
        }
        harness_data_free(data);
    }
}

/* Q4_0 takes the queries in another order than all other types. Also counts the bytes. */
static void queries_of_16_bits(void **state)
{
    (void)state;
    static const vsa_dtype types[][2] = { { Q4, Q8 }, { Q8, Q4 } };
    for (int i = 0; i < 2; i++) {
        vsa_plan_create_info plan = plan_of(types[i][0], types[i][1], 96, 64);
        plan.max_tokens = 301;
        plan.q_dtype = i == 0 ? F16 : VSA_DTYPE_BF16;
        raw_layer *l = dense_layer(&plan, 1);
        harness_data *data = harness_data_make(&plan, 2, 2, (uint32_t[]){ 301, 77 },
                                               &(harness_fill){ .spread = 1, .value_mean = 0.5,
                                                                .seed = 92 });
        ref_round_array(plan.q_dtype, data->q, (size_t)harness_row_count(data) * 96);
        raw_write_data(l, data);
        harness_result result = run_dense(l, data);
        uint64_t tokens = 0, read, dense;
        for (uint32_t row = 0; row < result.row_count; row++) {
            check_between(harness_error(data, &result, row), 0, 2e-6);
            tokens += row % GROUP == 0 ? harness_locate(data, row).length : 0;
        }
        vsa_plan_count_bytes(l->plan, result.certificates, result.row_count, &read, &dense);
        assert_int_equal(dense, tokens * (i == 0 ? 3 * 18 + 2 * 34 : 3 * 34 + 2 * 18));
        assert_int_equal(read, dense);
        harness_result_free(&result);
        harness_data_free(data);
        raw_layer_destroy(l);
    }
}

/* What cannot be quantised is not hidden: rows that attend to it are INVALID, others are not. */
static void what_is_not_finite_is_flagged(void **state)
{
    (void)state;
    static const float bad[] = { NAN, INFINITY, -INFINITY, 3e38f };
    vsa_plan_create_info plan = plan_of(Q8, Q4, 64, 32);
    plan.max_tokens = 40;
    raw_layer *l = dense_layer(&plan, 1);
    harness_data *data = harness_data_make(&plan, 2, 1, (uint32_t[]){ 40, 23 }, &(harness_fill){
        .spread = 1, .value_mean = 0.5, .seed = 93 });
    enum { NEW_K = 2 * KV_HEADS * 64, NEW_V = 2 * KV_HEADS * 32 };
    for (size_t i = 0; i < 2 * sizeof bad / sizeof *bad; i++) {
        float new_k[NEW_K], new_v[NEW_V];
        for (int c = 0; c < NEW_K; c++) {
            new_k[c] = (float)(c % 7) - 3;
        }
        for (int c = 0; c < NEW_V; c++) {
            new_v[c] = (float)(c % 5) - 2;
        }
        /* Sequence 1, KV head 1, somewhere in the second block of K or in the only one of V. */
        *(i % 2 == 0 ? &new_k[3 * 64 + 32 + 11] : &new_v[3 * 32 + 19]) = bad[i / 2];
        raw_write_data(l, data);
        raw_write_floats(l->new_k, F32, new_k, NEW_K);
        raw_write_floats(l->new_v, F32, new_v, NEW_V);
        VkCommandBuffer cmd = raw_begin();
        vsa_step step = { .sequence_count = 2, .max_length_tokens = 40 };
        check_ok(vsa_cmd_append(l->layer, cmd, &step, 1));
        raw_end();
        harness_result result = run_dense(l, data);
        for (uint32_t row = 0; row < result.row_count; row++) {
            int hit = row >= Q_HEADS + GROUP;
            check_that(VSA_CERTIFICATE_STATUS(result.certificates[row].status)
                           == (hit ? VSA_CERTIFICATE_INVALID : VSA_CERTIFICATE_EXACT),
                       "%s with %g: row %u has status %u", i % 2 == 0 ? "K" : "V",
                       (double)bad[i / 2], row, result.certificates[row].status & 0xff);
            for (uint32_t c = 0; hit && c < 32; c++) {
                check_near(result.out[row * 32 + c], 0, 0);
            }
        }
        harness_result_free(&result);
    }
    harness_data_free(data);
    raw_layer_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vattention_is_the_reference),
        cmocka_unit_test(guided_keeps_its_promise),
        cmocka_unit_test(scorers_read_the_same_keys),
        cmocka_unit_test(queries_of_16_bits),
        cmocka_unit_test(what_is_not_finite_is_flagged),
    };
    return cmocka_run_group_tests_name("quantised", tests, raw_setup, raw_teardown);
}
