/* One verified step: what certificates say, what on_miss does, and that nothing but the inputs
 * decides the result. */
#include "harness.h"

enum { MAX_TOKENS = 2048, DIM_K = 64, DIM_V = 40, Q_HEADS = 4, KV_HEADS = 2, CAPACITY = 2048 };

static vsa_plan_create_info standard_plan(void)
{
    return (vsa_plan_create_info){
        .head_dim_k = DIM_K, .head_dim_v = DIM_V, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_sequences = 3, .max_queries = 4, .max_tokens = MAX_TOKENS,
        .kv = { .k.dtype = VSA_DTYPE_F16, .v.dtype = VSA_DTYPE_BF16 },
        .policy = { .method = VSA_METHOD_VATTENTION, .target = VSA_TARGET_OUTPUT,
                    .sink_tokens = 16, .window_tokens = 32, .top_k_fraction = 0.02f,
                    .base_samples = 64, .base_fraction = 0.025f, .base_max_samples = 256,
                    .epsilon = 0.1f, .delta = 0.1f } };
}

static const uint32_t standard_lengths[3] = { 2048, 1501, 1000 };

static harness_data *standard_data(const vsa_plan_create_info *plan, double spread, double mean)
{
    return harness_data_make(plan, 3, 4, standard_lengths, &(harness_fill){
        .spread = spread, .value_mean = mean, .seed = 21 });
}

/* What every certificate must satisfy, whatever the policy. */
static void check_certificate(const harness_data *data, const harness_result *result, uint32_t row)
{
    const vsa_policy *policy = &data->plan.policy;
    const vsa_certificate *c = &result->certificates[row];
    harness_row at = harness_locate(data, row);
    ref_exact_set set;
    ref_exact_counts(policy, at.length, &set);
    double truth[REF_MAX_DIM];
    double log_normaliser = harness_truth(data, row, truth);
    double error = harness_error(data, result, row);

    assert_int_equal(VSA_CERTIFICATE_BOUND(c->status), VSA_BOUND_CLT);
    assert_int_equal(VSA_CERTIFICATE_TARGET(c->status), policy->target);
    assert_int_equal(c->length_tokens, at.length);
    switch (VSA_CERTIFICATE_STATUS(c->status)) {
    case VSA_CERTIFICATE_EXACT:
        check_between(error, 0, 2e-6);
        check_near(c->error_bound, 0, 0);
        check_near(c->delta, 0, 0);
        assert_int_equal(c->exact_tokens, at.length);
        assert_int_equal(c->sampled_tokens, 0);
        check_near(c->log_normaliser, log_normaliser, 1e-5);
        break;
    case VSA_CERTIFICATE_MET:
    case VSA_CERTIFICATE_MISSED:
        check_near(c->delta, policy->delta, 0);
        assert_int_equal(c->exact_tokens, set.exact_count);
        assert_int_equal(c->sampled_tokens % VSA_SAMPLE_GROUPS, 0);
        assert_int_equal(c->wanted_samples % VSA_SAMPLE_GROUPS, 0);
        assert_true(c->sampled_tokens >= VSA_SAMPLE_GROUPS);
        assert_true(c->sampled_tokens * 2 < set.residual_count);
        assert_true(policy->max_samples == 0 || c->sampled_tokens <= policy->max_samples);
        if (VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET) {
            check_between(c->error_bound, 0, policy->epsilon);
        } else {
            assert_true(c->error_bound > policy->epsilon);
            assert_true(c->wanted_samples > 0);
        }
        /* Twice the certified error is far out in the tail of a correct estimate. */
        check_between(error, 0, 2.5 * (double)c->error_bound);
        check_near(c->log_normaliser, log_normaliser, 0.5);
        break;
    default:
        fail_msg("row %u: status %u", row, c->status & 0xff);
    }
}

static vsa_certificate_summary check_policy(const vsa_policy *policy, double spread, double mean)
{
    vsa_plan_create_info plan = standard_plan();
    plan.policy = *policy;
    harness_data *data = standard_data(&plan, spread, mean);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
    harness_result result = harness_run(session, data, 0, 5, 1, 0);
    for (uint32_t row = 0; row < result.row_count; row++) {
        check_certificate(data, &result, row);
    }
    vsa_certificate_summary summary;
    vsa_certificates_check(result.certificates, result.row_count, &summary);
    uint64_t read, dense;
    vsa_plan_count_bytes(vsa_session_plan(session), result.certificates, result.row_count, &read,
                         &dense);
    /* At most the scan of K, the samples and everything once more. */
    assert_true(read > 0 && read <= 2 * dense);
    if (summary.exact == summary.rows) {
        assert_true(read >= dense);
    }
    harness_result_free(&result);
    vsa_session_destroy(session);
    harness_data_free(data);
    return summary;
}

static void the_promise_is_kept(void **state)
{
    (void)state;
    vsa_policy policy = standard_plan().policy;
    vsa_certificate_summary s = check_policy(&policy, 1, 1);
    assert_int_equal(s.met + s.exact, s.rows);
    assert_true(s.met > s.rows / 2);
    check_between(s.worst_error_bound, 0.01, 0.1);
    check_between(s.density, 0.05, 0.7);
}

/* A relative target on values that cancel cannot be met by sampling: the rows go dense. */
static void what_cannot_be_met_goes_dense(void **state)
{
    (void)state;
    vsa_policy policy = standard_plan().policy;
    vsa_certificate_summary s = check_policy(&policy, 0.5, 0);
    assert_int_equal(s.exact, s.rows);
    check_near(s.density, 1, 1e-12);
}

/* A cap with on_miss REPORT: MISSED, said so, within the cap; with DENSE: never MISSED. */
static void a_cap_is_reported_or_made_good(void **state)
{
    (void)state;
    vsa_policy policy = standard_plan().policy;
    policy.max_samples = 100;
    policy.on_miss = VSA_MISS_REPORT;
    vsa_certificate_summary s = check_policy(&policy, 1, 1);
    assert_true(s.missed > s.rows / 2);
    assert_int_equal(s.missed + s.met + s.exact, s.rows);
    assert_true(s.worst_error_bound > 0.1f);
    policy.on_miss = VSA_MISS_DENSE;
    s = check_policy(&policy, 1, 1);
    assert_int_equal(s.missed, 0);
    assert_true(s.exact > s.rows / 2);
    assert_int_equal(s.met + s.exact, s.rows);
}

static void short_rows_are_exact(void **state)
{
    (void)state;
    vsa_plan_create_info plan = standard_plan();
    harness_data *data = standard_data(&plan, 1, 1);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, CAPACITY);
    static const uint32_t lengths[][3] = { { 4, 5, 6 }, { 17, 48, 49 }, { 100, 176, 181 } };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(data->lengths, lengths[i], sizeof lengths[i]);
        harness_result result = harness_run(session, data, 0, 5, 1, CAPACITY);
        for (uint32_t row = 0; row < result.row_count; row++) {
            uint32_t length = harness_locate(data, row).length;
            check_certificate(data, &result, row);
            if (length < 170) {
                assert_int_equal(VSA_CERTIFICATE_STATUS(result.certificates[row].status),
                                 VSA_CERTIFICATE_EXACT);
                for (uint32_t t = 0; t < length; t++) {
                    assert_int_equal(result.indices[(size_t)row * CAPACITY + t], t);
                }
                assert_int_equal(result.indices[(size_t)row * CAPACITY + length], -1);
            }
        }
        harness_result_free(&result);
    }
    vsa_session_destroy(session);
    harness_data_free(data);
}

static int same_certificate(const vsa_certificate *a, const vsa_certificate *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The same inputs give the same bits: in one session, in another, and with a plan that runs dense
 * steps in between. */
static void it_is_deterministic(void **state)
{
    (void)state;
    vsa_plan_create_info plan = standard_plan();
    harness_data *data = standard_data(&plan, 1.5, 0.7);
    harness_result results[3];
    for (int i = 0; i < 3; i += 2) {
        vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0,
                                               CAPACITY);
        results[i] = harness_run(session, data, 0, 9, 2, CAPACITY);
        if (i == 0) {
            harness_result dense = harness_run(session, data, 1, 0, 0, 0);
            harness_result_free(&dense);
            results[1] = harness_run(session, data, 0, 9, 2, CAPACITY);
            /* Another seed draws other samples. */
            harness_result other = harness_run(session, data, 0, 10, 2, CAPACITY);
            assert_memory_not_equal(other.out, results[0].out,
                                    other.row_count * DIM_V * sizeof(float));
            harness_result_free(&other);
        }
        vsa_session_destroy(session);
    }
    for (int i = 1; i < 3; i++) {
        size_t rows = results[0].row_count;
        assert_memory_equal(results[0].out, results[i].out, rows * DIM_V * sizeof(float));
        assert_memory_equal(results[0].certificates, results[i].certificates,
                            rows * sizeof(vsa_certificate));
        assert_memory_equal(results[0].indices, results[i].indices,
                            rows * CAPACITY * sizeof(int32_t));
    }
    for (int i = 0; i < 3; i++) {
        harness_result_free(&results[i]);
    }
    harness_data_free(data);
}

/* Row for row, a step of several sequences and queries equals steps of one query each. */
static void rows_do_not_disturb_each_other(void **state)
{
    (void)state;
    vsa_plan_create_info plan = standard_plan();
    harness_data *data = standard_data(&plan, 1.5, 0.7);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
    harness_result all = harness_run(session, data, 0, 9, 2, 0);
    for (uint32_t query = 0; query < data->query_count; query++) {
        float q[3 * Q_HEADS * DIM_K], out[3 * Q_HEADS * DIM_V];
        vsa_certificate certificates[3 * Q_HEADS];
        uint32_t lengths[3];
        for (uint32_t s = 0; s < 3; s++) {
            lengths[s] = data->lengths[s] - (data->query_count - 1 - query);
            memcpy(q + s * Q_HEADS * DIM_K,
                   harness_q(data, (s * data->query_count + query) * Q_HEADS),
                   Q_HEADS * DIM_K * sizeof *q);
        }
        vsa_session_step step = { .sequence_count = 3, .lengths = lengths, .q = q, .seed = 9,
                                  .stream = 2 };
        check_ok(vsa_session_run(session, &step, &(vsa_session_step_result){
            .out = out, .certificates = certificates }));
        for (uint32_t i = 0; i < 3 * Q_HEADS; i++) {
            uint32_t row = (i / Q_HEADS * data->query_count + query) * Q_HEADS + i % Q_HEADS;
            check_that(same_certificate(&certificates[i], &all.certificates[row]),
                       "row %u's certificate depends on its neighbours", row);
            check_that(memcmp(out + i * DIM_V, all.out + (size_t)row * DIM_V,
                              DIM_V * sizeof *out) == 0,
                       "row %u's output depends on its neighbours", row);
        }
    }
    /* The first sequence alone. */
    float out[4 * Q_HEADS * DIM_V];
    vsa_session_step step = { .query_count = 4, .lengths = data->lengths, .q = data->q, .seed = 9,
                              .stream = 2 };
    check_ok(vsa_session_run(session, &step, &(vsa_session_step_result){ .out = out }));
    assert_memory_equal(out, all.out, sizeof out);
    harness_result_free(&all);
    vsa_session_destroy(session);
    harness_data_free(data);
}

/* The cache's layout is not part of the result. */
static void layouts_give_the_same_bits(void **state)
{
    (void)state;
    vsa_plan_create_info plan = standard_plan();
    harness_data *data = standard_data(&plan, 1, 1);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, CAPACITY);
    harness_result flat = harness_run(session, data, 0, 3, 0, CAPACITY);
    vsa_session_destroy(session);
    data->plan.kv.page_tokens = 32;
    session = harness_session(harness_device, data, VSA_KV_TOKEN_MAJOR, 77, CAPACITY);
    harness_result paged = harness_run(session, data, 0, 3, 0, CAPACITY);
    vsa_session_destroy(session);
    assert_memory_equal(flat.out, paged.out, flat.row_count * DIM_V * sizeof(float));
    assert_memory_equal(flat.indices, paged.indices,
                        (size_t)flat.row_count * CAPACITY * sizeof(int32_t));
    harness_result_free(&flat);
    harness_result_free(&paged);
    harness_data_free(data);
}

typedef struct smoke_case {
    uint32_t q_heads, kv_heads, dk, dv;
    vsa_dtype k, v;
    vsa_target target;
    float softcap;
    uint32_t max_dispatch_tokens;
} smoke_case;

/* Other shapes, types and targets: certificates and estimates against the reference's. */
static void shapes_and_types(void **state)
{
    (void)state;
    static const smoke_case cases[] = {
        { 12, 1, 80, 96, VSA_DTYPE_BF16, VSA_DTYPE_F16, VSA_TARGET_OUTPUT, 0, 2048 },
        { 2, 2, 256, 256, VSA_DTYPE_F32, VSA_DTYPE_F32, VSA_TARGET_NUMERATOR, 0, 0 },
        { 8, 1, 192, 128, VSA_DTYPE_F16, VSA_DTYPE_BF16, VSA_TARGET_DENOMINATOR, 20, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const smoke_case *c = &cases[i];
        vsa_plan_create_info plan = standard_plan();
        plan.head_dim_k = c->dk;
        plan.head_dim_v = c->dv;
        plan.q_heads = c->q_heads;
        plan.kv_heads = c->kv_heads;
        plan.kv.k.dtype = c->k;
        plan.kv.v.dtype = c->v;
        plan.logit_softcap = c->softcap;
        plan.max_dispatch_tokens = c->max_dispatch_tokens;
        plan.policy.target = c->target;
        harness_data *data = harness_data_make(&plan, 2, 2, standard_lengths, &(harness_fill){
            .spread = 1, .value_mean = 1, .seed = i });
        vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
        harness_result result = harness_run(session, data, 0, 5, 1, 0);
        uint32_t same = 0;
        for (uint32_t row = 0; row < result.row_count; row++) {
            harness_expected *e = harness_expect(data, row, 5, 1);
            const vsa_certificate *got = &result.certificates[row];
            if (got->sampled_tokens == e->result.sampled_tokens) {
                same++;
                assert_int_equal(VSA_CERTIFICATE_STATUS(got->status), e->result.status);
                check_that(ref_relative_error_f32(result.out + (size_t)row * c->dv, e->result.out,
                                                  c->dv) <= 5e-6,
                           "case %zu row %u differs from the reference's estimate", i, row);
                check_near(got->error_bound, e->result.error, 2e-3 * e->result.error);
            }
            harness_expected_free(e);
        }
        check_that(same * 100 >= result.row_count * 90, "case %zu: %u of %u budgets agree", i, same,
                   result.row_count);
        harness_result_free(&result);
        vsa_session_destroy(session);
        harness_data_free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_promise_is_kept),
        cmocka_unit_test(what_cannot_be_met_goes_dense),
        cmocka_unit_test(a_cap_is_reported_or_made_good),
        cmocka_unit_test(short_rows_are_exact),
        cmocka_unit_test(it_is_deterministic),
        cmocka_unit_test(rows_do_not_disturb_each_other),
        cmocka_unit_test(layouts_give_the_same_bits),
        cmocka_unit_test(shapes_and_types),
    };
    return cmocka_run_group_tests_name("vattention", tests, harness_setup, harness_teardown);
}
