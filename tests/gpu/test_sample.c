/*
 * The samples: distinct, outside the exact set, in the reference's order; uniform over the
 * residual; and budgets that follow the reference's.
 */
#include "harness.h"

enum { MAX_TOKENS = 3000, DIM = 32, SEQUENCES = 4, KV_HEADS = 2, GROUP = 2 };

static vsa_plan_create_info sample_plan(vsa_target target)
{
    return (vsa_plan_create_info){
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = KV_HEADS * GROUP, .kv_heads = KV_HEADS,
        .max_sequences = SEQUENCES, .max_queries = 2, .max_tokens = MAX_TOKENS,
        .kv = { .k.dtype = VSA_DTYPE_F32, .v.dtype = VSA_DTYPE_F32 },
        .policy = { .method = VSA_METHOD_VATTENTION, .target = target, .sink_tokens = 16,
                    .window_tokens = 32, .top_k_fraction = 0.02f, .base_samples = 64,
                    .base_fraction = 0.025f, .epsilon = 0.1f, .delta = 0.1f } };
}

/* Rows that were sampled, and how they compare with the reference. */
typedef struct tally {
    uint32_t rows, sampled, same_status, same_count, near_count, same_extensions;
    double samples, expected_samples;
} tally;

static void check_samples(const harness_data *data, const harness_result *result, uint32_t row,
                          uint64_t seed, uint32_t stream, tally *t)
{
    const vsa_certificate *c = &result->certificates[row];
    const int32_t *indices = result->indices + (size_t)row * result->index_capacity;
    harness_expected *e = harness_expect(data, row, seed, stream);
    harness_row at = harness_locate(data, row);
    t->rows++;
    t->same_status += VSA_CERTIFICATE_STATUS(c->status) == e->result.status;
    if (VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET) {
        t->sampled++;
        assert_int_equal(c->exact_tokens, e->set.exact_count);
        assert_int_equal(c->sampled_tokens % VSA_SAMPLE_GROUPS, 0);
        for (uint32_t i = 0; i < c->sampled_tokens; i++) {
            int32_t got = indices[c->exact_tokens + i];
            check_that(got == (int32_t)e->samples[i], "sequence %u head %u length %u: sample %u is "
                       "%d, reference %u", at.sequence, at.head, at.length, i, got, e->samples[i]);
        }
        check_that(indices[c->exact_tokens + c->sampled_tokens] == -1, "no end after the samples");
        assert_int_equal(indices[result->index_capacity - 1], -1);
    }
    if (VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET
        && e->result.status == VSA_CERTIFICATE_MET) {
        uint32_t got = c->sampled_tokens, want = e->result.sampled_tokens;
        t->samples += got;
        t->expected_samples += want;
        t->near_count += (got > want ? got - want : want - got) <= 2 * VSA_SAMPLE_GROUPS;
        if (got == want) {
            /* The same samples: everything else is the same up to f32. */
            t->same_count++;
            check_near(c->error_bound / e->result.error, 1, 2e-3);
            check_near(c->log_normaliser, e->result.log_normaliser, 1e-5);
            check_that(ref_relative_error_f32(result->out + (size_t)row * DIM, e->result.out, DIM)
                           <= 5e-6, "the estimate differs from the reference's");
            check_near(c->wanted_samples, e->result.wanted_samples,
                       VSA_SAMPLE_GROUPS);   /* a multiple of 32 may round either way */
        }
    }
    harness_expected_free(e);
}

/* Draws and budgets over lengths, seeds, streams, sequences and queries. */
static void check_target(vsa_target target)
{
    static const uint32_t lengths[3][SEQUENCES] = { { 3000, 2999, 1025, 2048 },
                                                    { 700, 1500, 2500, 513 },
                                                    { 2222, 1111, 1999, 2777 } };
    tally t = { 0 };
    vsa_plan_create_info plan = sample_plan(target);
    harness_data *data = harness_data_make(&plan, SEQUENCES, 2, lengths[0], &(harness_fill){
        .spread = 1, .value_mean = 1, .seed = (uint64_t)target });
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, MAX_TOKENS);
    for (uint32_t i = 0; i < 9; i++) {
        uint64_t seed = i < 3 ? 0 : i < 6 ? i : 0xfedcba9876543210u + i;
        memcpy(data->lengths, lengths[i % 3], sizeof lengths[0]);
        harness_result result = harness_run(session, data, 0, seed, i * 1000, MAX_TOKENS);
        for (uint32_t row = 0; row < result.row_count; row++) {
            check_samples(data, &result, row, seed, i * 1000, &t);
        }
        harness_result_free(&result);
    }
    /* f32 may decide a comparison or a rounding to 32 differently, and after that other samples
     * are seen; that is rare, and does not move the mean. */
    check_that(t.sampled >= t.rows / 2, "only %u of %u rows were sampled", t.sampled, t.rows);
    check_that(t.same_status >= t.rows - 1 - t.rows / 100, "%u of %u statuses agree", t.same_status,
               t.rows);
    check_that(t.same_count * 100 >= t.sampled * 98, "%u of %u budgets agree", t.same_count,
               t.sampled);
    check_that(t.near_count * 100 >= t.sampled * 99, "%u of %u budgets are within 64", t.near_count,
               t.sampled);
    check_near(t.samples / t.expected_samples, 1, 0.02);
    vsa_session_destroy(session);
    harness_data_free(data);
}

static void denominator_budgets(void **state)
{
    (void)state;
    check_target(VSA_TARGET_DENOMINATOR);
}

static void numerator_budgets(void **state)
{
    (void)state;
    check_target(VSA_TARGET_NUMERATOR);
}

static void output_budgets(void **state)
{
    (void)state;
    check_target(VSA_TARGET_OUTPUT);
}

/* Over seeds, every token of the residual is drawn equally often. */
static void uniform_over_the_residual(void **state)
{
    (void)state;
    enum { LENGTH = 700, SEEDS = 60 };
    vsa_plan_create_info plan = sample_plan(VSA_TARGET_OUTPUT);
    uint32_t lengths[SEQUENCES] = { LENGTH, LENGTH, LENGTH, LENGTH };
    harness_data *data = harness_data_make(&plan, SEQUENCES, 1, lengths, &(harness_fill){
        .spread = 1, .value_mean = 1, .seed = 3 });
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        for (uint32_t h = 0; h < KV_HEADS; h++) {   /* one cache for all, and so one exact set */
            memcpy(harness_k(data, s, h, 0), data->k, MAX_TOKENS * DIM * sizeof(float));
            memcpy(harness_v(data, s, h, 0), data->v, MAX_TOKENS * DIM * sizeof(float));
        }
    }
    for (uint32_t row = 0; row < harness_row_count(data); row++) {
        memcpy(data->q + (size_t)row * DIM, data->q + (row % GROUP) * DIM, DIM * sizeof(float));
    }
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, MAX_TOKENS);
    harness_expected *e = harness_expect(data, 0, 0, 0);
    uint32_t base = ref_base_samples(&plan.policy, e->set.residual_count);
    uint32_t count[LENGTH] = { 0 }, groups = 0, listed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        harness_result result = harness_run(session, data, 0, seed, 5, MAX_TOKENS);
        /* The base sample of every group, or the count would depend on what was drawn. A dense row
         * lists every token instead; its draws are taken from the reference. */
        for (uint32_t row = 0; row < result.row_count; row += GROUP, groups++) {
            const vsa_certificate *c = &result.certificates[row];
            const int32_t *samples = result.indices + (size_t)row * MAX_TOKENS + c->exact_tokens;
            harness_expected *dense = NULL;
            if (VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET) {
                listed++;
            } else {
                dense = harness_expect(data, row, seed, 5);
            }
            for (uint32_t i = 0; i < base; i++) {
                count[dense ? dense->samples[i] : (uint32_t)samples[i]]++;
            }
            harness_expected_free(dense);
        }
        harness_result_free(&result);
    }
    assert_true(listed > groups / 2);
    double share = (double)base / e->set.residual_count, trials = groups;
    double statistic = 0;
    for (uint32_t i = 0; i < LENGTH; i++) {
        if (e->member[i]) {
            assert_int_equal(count[i], 0);
        } else {
            statistic += (count[i] - trials * share) * (count[i] - trials * share);
        }
    }
    statistic *= (e->set.residual_count - 1.0) / e->set.residual_count
                 / (trials * share * (1 - share));
    check_between(ref_chi_square_tail(statistic, e->set.residual_count - 1.0), 1e-3, 1 - 1e-3);
    harness_expected_free(e);
    vsa_session_destroy(session);
    harness_data_free(data);
}

/* Streams, sequences and KV heads draw unrelated samples from the same residual. */
static void streams_decorrelate(void **state)
{
    (void)state;
    enum { LENGTH = 2000, STREAMS = 12, COUNT = STREAMS * SEQUENCES * KV_HEADS };
    vsa_plan_create_info plan = sample_plan(VSA_TARGET_OUTPUT);
    uint32_t lengths[SEQUENCES] = { LENGTH, LENGTH, LENGTH, LENGTH };
    harness_data *data = harness_data_make(&plan, SEQUENCES, 1, lengths, &(harness_fill){
        .spread = 0.5, .value_mean = 2, .seed = 4 });
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        for (uint32_t h = 0; h < KV_HEADS; h++) {
            memcpy(harness_k(data, s, h, 0), data->k, MAX_TOKENS * DIM * sizeof(float));
            memcpy(harness_v(data, s, h, 0), data->v, MAX_TOKENS * DIM * sizeof(float));
        }
    }
    for (uint32_t row = 0; row < harness_row_count(data); row++) {
        memcpy(data->q + (size_t)row * DIM, data->q + (row % GROUP) * DIM, DIM * sizeof(float));
    }
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, MAX_TOKENS);
    harness_expected *e = harness_expect(data, 0, 1, 0);
    uint32_t base = ref_base_samples(&plan.policy, e->set.residual_count), found = 0;
    uint8_t (*drawn)[LENGTH] = calloc(COUNT, sizeof *drawn);
    for (uint32_t stream = 0; stream < STREAMS; stream++) {
        harness_result result = harness_run(session, data, 0, 1, stream, MAX_TOKENS);
        for (uint32_t row = 0; row < result.row_count; row += GROUP) {
            const vsa_certificate *c = &result.certificates[row];
            assert_int_equal(VSA_CERTIFICATE_STATUS(c->status), VSA_CERTIFICATE_MET);
            for (uint32_t i = 0; i < base; i++) {
                drawn[found][result.indices[(size_t)row * MAX_TOKENS + c->exact_tokens + i]] = 1;
            }
            found++;
        }
        harness_result_free(&result);
    }
    assert_int_equal(found, COUNT);
    double overlap = 0, pairs = 0, worst = 0;
    for (uint32_t a = 0; a < COUNT; a++) {
        for (uint32_t b = 0; b < a; b++) {
            double common = 0;
            for (uint32_t i = 0; i < LENGTH; i++) {
                common += drawn[a][i] && drawn[b][i];
            }
            overlap += common;
            worst = fmax(worst, common);
            pairs++;
        }
    }
    double share = (double)base / e->set.residual_count, mean = base * share;
    double variance = base * share * (1 - share) * (e->set.residual_count - base)
                      / (e->set.residual_count - 1.0);
    check_near(overlap / pairs, mean, 4 * sqrt(variance / pairs));
    assert_true(worst <= mean + 8 * sqrt(variance));
    free(drawn);
    harness_expected_free(e);
    vsa_session_destroy(session);
    harness_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(denominator_budgets),
        cmocka_unit_test(numerator_budgets),
        cmocka_unit_test(output_budgets),
        cmocka_unit_test(uniform_over_the_residual),
        cmocka_unit_test(streams_decorrelate),
    };
    return cmocka_run_group_tests_name("sample", tests, harness_setup, harness_teardown);
}
