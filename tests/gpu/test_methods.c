/* The methods beside dense and vattention: sample, which scores nothing, and topk, which promises
 * nothing. */
#include "harness.h"

enum { MAX_TOKENS = 1500, DIM = 64, SEQUENCES = 3, QUERIES = 2, CAPACITY = 1500 };

static harness_data *method_data(vsa_method method)
{
    vsa_plan_create_info plan = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = 4, .kv_heads = 2,
        .max_sequences = SEQUENCES, .max_queries = QUERIES, .max_tokens = MAX_TOKENS,
        .kv = { .k.dtype = VSA_DTYPE_F32, .v.dtype = VSA_DTYPE_F16 },
        .policy = { .method = method, .target = VSA_TARGET_OUTPUT, .sink_tokens = 16,
                    .window_tokens = 48, .top_k = 30, .top_k_fraction = 0.05f, .base_samples = 64,
                    .base_fraction = 0.025f, .epsilon = 0.1f, .delta = 0.1f } };
    return harness_data_make(&plan, SEQUENCES, QUERIES, (uint32_t[]){ 1500, 900, 301 },
                             &(harness_fill){ .spread = 0.7, .value_mean = 1.5, .seed = 61 });
}

/* Indices of a row: the reference's exact set, then `samples` draws, then -1. */
static void check_indices(const harness_result *result, uint32_t row, const harness_expected *e,
                          uint32_t samples)
{
    const int32_t *at = result->indices + (size_t)row * CAPACITY;
    for (uint32_t i = 0; i < e->set.length; i++) {
        if (e->member[i]) {
            assert_int_equal(*at++, i);
        }
    }
    for (uint32_t i = 0; i < samples; i++) {
        assert_int_equal(*at++, e->samples[i]);
    }
    assert_int_equal(*at, -1);
}

static void sample_needs_no_scores(void **state)
{
    (void)state;
    harness_data *data = method_data(VSA_METHOD_SAMPLE);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, CAPACITY);
    uint32_t met = 0, same = 0, rows = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        harness_result result = harness_run(session, data, 0, seed, 2, CAPACITY);
        for (uint32_t row = 0; row < result.row_count; row++, rows++) {
            const vsa_certificate *c = &result.certificates[row];
            harness_expected *e = harness_expect(data, row, seed, 2);
            vsa_certificate_status status = VSA_CERTIFICATE_STATUS(c->status);
            assert_true(status == VSA_CERTIFICATE_MET || status == VSA_CERTIFICATE_EXACT);
            assert_int_equal(e->set.exact_count, 16 + 48);
            if (status == VSA_CERTIFICATE_MET) {
                met++;
                assert_int_equal(c->exact_tokens, 16 + 48);
                check_indices(&result, row, e, c->sampled_tokens);
                check_between(c->error_bound, 0, 0.1f);
            } else {
                check_between(harness_error(data, &result, row), 0, 2e-6);
            }
            if (status == e->result.status && c->sampled_tokens == e->result.sampled_tokens) {
                same++;
                check_that(ref_relative_error_f32(result.out + (size_t)row * DIM, e->result.out,
                                                  DIM) <= 5e-6,
                           "row %u differs from the reference's estimate", row);
                check_near(c->error_bound, e->result.error, 2e-3 * e->result.error);
            }
            harness_expected_free(e);
        }
        harness_result_free(&result);
    }
    assert_true(met * 2 > rows);
    assert_true(same * 100 >= rows * 97);
    vsa_session_destroy(session);
    harness_data_free(data);
}

static void top_k_says_that_it_promises_nothing(void **state)
{
    (void)state;
    harness_data *data = method_data(VSA_METHOD_TOP_K);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, CAPACITY);
    /* 100 tokens are sink, window, and 30 of the 36 in between; 94 are all of the context. */
    static const uint32_t lengths[2][SEQUENCES] = { { 1500, 900, 301 }, { 100, 94, 50 } };
    for (int i = 0; i < 2; i++) {
        memcpy(data->lengths, lengths[i], sizeof lengths[i]);
        harness_result result = harness_run(session, data, 0, 1, 2, CAPACITY);
        for (uint32_t row = 0; row < result.row_count; row++) {
            const vsa_certificate *c = &result.certificates[row];
            harness_expected *e = harness_expect(data, row, 1, 2);
            vsa_certificate_status status = VSA_CERTIFICATE_STATUS(c->status);
            assert_int_equal(status, e->result.status);
            assert_int_equal(status, e->set.residual_count > 0 ? VSA_CERTIFICATE_MISSED
                                                               : VSA_CERTIFICATE_EXACT);
            assert_int_equal(c->exact_tokens, e->set.exact_count);
            assert_int_equal(c->sampled_tokens, 0);
            check_near(c->log_normaliser, e->result.log_normaliser, 1e-5);
            check_that(ref_relative_error_f32(result.out + (size_t)row * DIM, e->result.out, DIM)
                           <= 5e-6, "row %u differs from the reference", row);
            if (status == VSA_CERTIFICATE_MISSED) {
                assert_true(isinf(c->error_bound) && c->error_bound > 0);
                check_indices(&result, row, e, 0);
            }
            harness_expected_free(e);
        }
        vsa_certificate_summary summary;
        assert_int_equal(vsa_certificates_check(result.certificates, result.row_count, &summary),
                         0);
        harness_result_free(&result);
    }
    vsa_session_destroy(session);
    harness_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_needs_no_scores),
        cmocka_unit_test(top_k_says_that_it_promises_nothing),
    };
    return cmocka_run_group_tests_name("methods", tests, harness_setup, harness_teardown);
}
