/*
 * 64K tokens, one sequence, one KV head. A driver that silently ends an invocation's loops after
 * 65,535 iterations (lavapipe of Mesa 22) would lose the tail of the context: here the tail
 * decides.
 */
#include "harness.h"

enum { TOKENS = 65536, TAIL = 3000, HEAVY = 900, DIM = 64 };

static vsa_plan_create_info long_plan(void)
{
    return (vsa_plan_create_info){
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = 2, .kv_heads = 1, .max_tokens = TOKENS,
        .kv = { .k.dtype = VSA_DTYPE_F16, .v.dtype = VSA_DTYPE_F16 },
        .policy = { .method = VSA_METHOD_VATTENTION, .target = VSA_TARGET_OUTPUT,
                    .sink_tokens = 16, .window_tokens = 16, .top_k = 1200, .base_samples = 128,
                    .epsilon = 0.1f, .delta = 0.1f } };
}

/* Heavy tokens, outside the window, hold half of the softmax and point another way than the rest;
 * the last rows of V differ from all others too. */
static harness_data *long_data(void)
{
    vsa_plan_create_info plan = long_plan();
    harness_data *data = harness_data_make(&plan, 1, 1, (uint32_t[]){ TOKENS }, &(harness_fill){
        .spread = 0.5, .value_mean = 1, .seed = 12 });
    ref_random random = { 6 };
    for (uint32_t i = 0; i < HEAVY; i++) {
        uint32_t token = TOKENS - TAIL + ref_random_below(&random, TAIL - 100);
        float *k = harness_k(data, 0, 0, token), *v = harness_v(data, 0, 0, token);
        k[0] = k[1] = ref_round(VSA_DTYPE_F16, (float)(4 + 0.1 * ref_random_normal(&random)));
        for (uint32_t c = 0; c < DIM; c++) {
            v[c] = ref_round(VSA_DTYPE_F16, (float)(-3 + 0.5 * ref_random_normal(&random)));
        }
    }
    for (uint32_t token = TOKENS - 40; token < TOKENS; token++) {
        for (uint32_t c = 0; c < DIM; c++) {
            harness_v(data, 0, 0, token)[c] = 200;
        }
    }
    return data;
}

static void the_tail_is_read(void **state)
{
    (void)state;
    harness_data *data = long_data();
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, TOKENS);
    double truth[2][DIM], without[DIM];
    for (uint32_t row = 0; row < 2; row++) {
        harness_truth(data, row, truth[row]);
        /* The inputs do what they are for: without the last token the result is another one. */
        data->lengths[0] = TOKENS - 1;
        harness_truth(data, row, without);
        data->lengths[0] = TOKENS;
        assert_true(ref_relative_error(without, truth[row], DIM) > 1e-4);
    }

    harness_result dense = harness_run(session, data, 1, 0, 0, 0);
    for (uint32_t row = 0; row < 2; row++) {
        check_between(ref_relative_error_f32(dense.out + row * DIM, truth[row], DIM), 0, 2e-6);
        assert_int_equal(dense.certificates[row].exact_tokens, TOKENS);
    }
    harness_result_free(&dense);

    harness_result sparse = harness_run(session, data, 0, 4, 0, TOKENS);
    for (uint32_t row = 0; row < 2; row++) {
        const vsa_certificate *c = &sparse.certificates[row];
        harness_expected *e = harness_expect(data, row, 4, 0);
        assert_int_equal(VSA_CERTIFICATE_STATUS(c->status), VSA_CERTIFICATE_MET);
        assert_int_equal(e->result.status, VSA_CERTIFICATE_MET);
        check_between(ref_relative_error_f32(sparse.out + row * DIM, truth[row], DIM), 0,
                      2 * data->plan.policy.epsilon);
        assert_int_equal(c->exact_tokens, e->set.exact_count);
        /* f32 scores may order the last members of the top-k otherwise; the heavy are all in. */
        const int32_t *indices = sparse.indices + (size_t)row * TOKENS;
        uint32_t next = 0, common = 0, heavy = 0, expected_heavy = 0;
        for (uint32_t i = 0; i < TOKENS; i++) {
            int got = next < c->exact_tokens && indices[next] == (int32_t)i;
            int is_heavy = harness_k(data, 0, 0, i)[0] > 3;
            next += (uint32_t)got;
            common += got && e->member[i];
            heavy += is_heavy && got;
            expected_heavy += is_heavy && e->member[i];
        }
        assert_int_equal(next, c->exact_tokens);
        assert_true(expected_heavy > HEAVY / 2);
        assert_int_equal(heavy, expected_heavy);
        assert_true(common + 4 >= c->exact_tokens);
        /* Draws reach all of [0, 64K), and are the reference's unless the sets differ. */
        uint32_t same = 0, last = 0;
        for (uint32_t i = 0; i < c->sampled_tokens; i++) {
            uint32_t token = (uint32_t)indices[c->exact_tokens + i];
            assert_true(token < TOKENS);
            same += token == e->samples[i];
            last = token > last ? token : last;
        }
        assert_true(common < c->exact_tokens || same == c->sampled_tokens);
        assert_true(last > TOKENS / 16 * 15);
        harness_expected_free(e);
    }
    harness_result_free(&sparse);
    vsa_session_destroy(session);
    harness_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_tail_is_read) };
    return cmocka_run_group_tests_name("long", tests, harness_setup, harness_teardown);
}
