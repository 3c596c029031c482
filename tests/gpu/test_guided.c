/* Methods guided and topp, and bound strict: the same sets, draws, estimates and decisions as the
 * double-precision reference, and promises that hold. */
#include "harness.h"
#include "raw.h"

enum { MAX_TOKENS = 3000, DIM = 64, SEQUENCES = 3, QUERIES = 2, CAPACITY = MAX_TOKENS };

static vsa_plan_create_info plan_of(vsa_method method, vsa_bound bound, vsa_target target)
{
    return (vsa_plan_create_info){
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = 6, .kv_heads = 2,
        .max_sequences = SEQUENCES, .max_queries = QUERIES, .max_tokens = MAX_TOKENS,
        .kv = { .k.dtype = VSA_DTYPE_F32, .v.dtype = VSA_DTYPE_F16 },
        .policy = { .method = method, .bound = bound, .target = target, .sink_tokens = 16,
                    .window_tokens = 48, .top_k_fraction = 0.02f, .top_p = 0.8f,
                    .base_samples = 64, .base_fraction = 0.025f, .epsilon = 0.1f,
                    .delta = 0.1f } };
}

static harness_data *data_of(const vsa_plan_create_info *plan, double spread)
{
    return harness_data_make(plan, SEQUENCES, QUERIES, (uint32_t[]){ 3000, 2100, 900 },
                             &(harness_fill){ .spread = spread, .value_mean = 1.0, .seed = 71 });
}

/* The reference's results for the group that begins at `row`. */
typedef struct expected_group {
    double *logits[8];
    ref_row_result results[8];
    double needs[8];   /* of policies with carry_budget */
    ref_guided_draw draw;
    uint32_t heads;
} expected_group;

/* `carried` (by head) may be NULL. */
static void expect_group(const harness_data *data, uint32_t row, uint64_t seed, uint32_t stream,
                         const ref_carried *carried, expected_group *e)
{
    harness_row at = harness_locate(data, row);
    e->heads = data->plan.q_heads / data->plan.kv_heads;
    for (uint32_t h = 0; h < e->heads; h++) {
        e->logits[h] = harness_logits(data, row + h);
    }
    const ref_group group = { .logits = (const double *const *)e->logits, .heads = e->heads,
                              .v = harness_v(data, at.sequence, at.kv_head, 0), .v_stride = DIM,
                              .head_dim = DIM, .length = at.length,
                              .key = { .seed = seed, .stream = stream, .sequence = at.sequence,
                                       .kv_head = at.kv_head, .length = at.length } };
    if (carried != NULL) {
        ref_decode_carrying(&data->plan.policy, &group, carried, e->needs, e->results, &e->draw);
    } else {
        ref_decode_guided(&data->plan.policy, &group, e->results, &e->draw);
    }
}

static void free_group(expected_group *e)
{
    for (uint32_t h = 0; h < e->heads; h++) {
        free(e->logits[h]);
    }
    ref_guided_draw_free(&e->draw);
}

/* Is what the row read what the reference's last stage read, in the same order? */
static int same_indices(const harness_result *result, uint32_t row, const ref_guided_draw *draw,
                        uint32_t length)
{
    const int32_t *at = result->indices + (size_t)row * result->index_capacity;
    for (uint32_t i = 0; i < length; i++) {
        if (draw->member[i] && *at++ != (int32_t)i) {
            return 0;
        }
    }
    for (uint32_t i = 0; i < draw->sample_count; i++) {
        if (*at++ != (int32_t)draw->samples[i]) {
            return 0;
        }
    }
    return *at == -1;
}

typedef struct guided_case {
    vsa_bound bound;
    vsa_target target;
    float epsilon, floor;
    double spread;
    uint32_t max_samples;    /* not 0: misses are reported */
    uint32_t tokens;         /* of one sequence, not 0: an input of its own, and 32 base samples */
    int flat;                /* all values are of one length, which both sides then know exactly */
    uint32_t least_outgrown; /* rows whose scale grows so that the keys are scanned again */
    uint32_t least_few;      /* rows that fewer than 8 samples meet */
} guided_case;

static harness_data *case_data(const guided_case *c, const vsa_plan_create_info *plan)
{
    harness_data *data;
    if (c->tokens == 0) {
        return data_of(plan, c->spread);
    }
    data = harness_data_make(plan, 1, QUERIES, &c->tokens,
                             &(harness_fill){ .spread = c->spread, .value_mean = 1.0, .seed = 73 });
    for (uint32_t head = 0; c->flat && head < plan->kv_heads; head++) {
        for (uint32_t i = 0; i < c->tokens * DIM; i++) {
            float *v = harness_v(data, 0, head, 0) + i;
            *v = *v < 0 ? -1.0f : 1.0f;
        }
    }
    return data;
}

static void guided_is_the_reference(void **state)
{
    (void)state;
    static const guided_case cases[] = {
        { VSA_BOUND_CLT, VSA_TARGET_OUTPUT, .epsilon = 0.1f, .spread = 1 },
        { VSA_BOUND_CLT, VSA_TARGET_OUTPUT, .epsilon = 0.04f, .spread = 2 },
        { VSA_BOUND_CLT, VSA_TARGET_NUMERATOR, .epsilon = 0.1f, .spread = 0.5, .max_samples = 200 },
        { VSA_BOUND_CLT, VSA_TARGET_OUTPUT, .epsilon = 0.1f, .spread = 1, .floor = 0.5f },
        { VSA_BOUND_CLT, VSA_TARGET_DENOMINATOR, .epsilon = 0.1f, .spread = 1 },
        { VSA_BOUND_STRICT, VSA_TARGET_OUTPUT, .epsilon = 0.3f, .spread = 2 },
        /* The probe is a part of the candidates. */
        { VSA_BOUND_CLT, VSA_TARGET_OUTPUT, .epsilon = 0.1f, .spread = 1.5, .tokens = 12500 },
        { VSA_BOUND_STRICT, VSA_TARGET_OUTPUT, .epsilon = 0.2f, .spread = 1.5, .tokens = 12500 },
        { VSA_BOUND_CLT, VSA_TARGET_OUTPUT, .epsilon = 0.03f, .spread = 0.5, .tokens = 12500,
          .least_outgrown = 24 },
        /* Sharp: what the light tokens weigh says more than their sample. */
        { VSA_BOUND_CLT, VSA_TARGET_OUTPUT, .epsilon = 0.1f, .spread = 4, .tokens = 6000,
          .flat = 1 },
        { VSA_BOUND_CLT, VSA_TARGET_OUTPUT, .epsilon = 0.1f, .spread = 16, .tokens = 6000,
          .flat = 1, .least_few = 8 },
        { VSA_BOUND_CLT, VSA_TARGET_OUTPUT, .epsilon = 0.1f, .spread = 12, .tokens = 2500,
          .least_few = 4 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const guided_case *c = &cases[i];
        vsa_plan_create_info plan = plan_of(VSA_METHOD_GUIDED, c->bound, c->target);
        plan.policy.epsilon = c->epsilon;
        plan.policy.value_floor = c->floor;
        plan.policy.max_samples = c->max_samples;
        plan.policy.on_miss = c->max_samples != 0 ? VSA_MISS_REPORT : VSA_MISS_DENSE;
        if (c->tokens != 0) {
            plan.max_tokens = c->tokens;
            plan.policy.base_samples = 32;
            plan.policy.base_fraction = 0;
        }
        harness_data *data = case_data(c, &plan);
        vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0,
                                               plan.max_tokens);
        uint32_t rows = 0, same = 0, sampled = 0, dense = 0, missed = 0, outgrown = 0, few = 0;
        for (uint64_t seed = 0; seed < 4; seed++) {
            harness_result result = harness_run(session, data, 0, seed, 3, plan.max_tokens);
            for (uint32_t first = 0; first < result.row_count; first += 3) {
                expected_group e;
                expect_group(data, first, seed, 3, NULL, &e);
                uint32_t length = harness_locate(data, first).length;
                for (uint32_t h = 0; h < 3; h++, rows++) {
                    uint32_t row = first + h;
                    const vsa_certificate *got = &result.certificates[row];
                    const ref_row_result *want = &e.results[h];
                    vsa_certificate_status status = VSA_CERTIFICATE_STATUS(got->status);
                    assert_int_equal(VSA_CERTIFICATE_BOUND(got->status), c->bound);
                    assert_int_equal(got->length_tokens, length);
                    assert_true(got->gathered_tokens >= got->sampled_tokens);
                    if (status == VSA_CERTIFICATE_EXACT) {
                        dense++;
                        check_between(harness_error(data, &result, row), 0, 2e-6);
                        check_near(got->normaliser_bound, 0, 0);
                        same += want->status == status;
                        continue;
                    }
                    missed += status == VSA_CERTIFICATE_MISSED;
                    sampled++;
                    check_that(status == VSA_CERTIFICATE_MET
                                   ? got->error_bound <= c->epsilon
                                   : status == VSA_CERTIFICATE_MISSED
                                         && got->error_bound > c->epsilon,
                               "row %u: status %d, bound %g", row, (int)status,
                               (double)got->error_bound);
                    /* D is known exactly, but for the rounding of the largest logit and of the sum
                     * of both: 2 ulp of f32, of what is up to 64 here. */
                    double truth[REF_MAX_DIM], log_d = harness_truth(data, row, truth);
                    check_near(got->log_normaliser, log_d, fmax(1e-5, 0x1p-22 * fabs(log_d)));
                    check_near(got->normaliser_bound, 0, 0);
                    /* A probability next to its hash, or a logit next to the edge of its bin,
                     * may round to the other side. */
                    if (status == want->status && same_indices(&result, row, &e.draw, length)) {
                        same++;
                        outgrown += got->sampled_tokens > 16 * want->path[0];
                        int is_few = status == VSA_CERTIFICATE_MET && got->sampled_tokens < 8;
                        few += is_few;
                        assert_int_equal(got->sampled_tokens, want->sampled_tokens);
                        assert_int_equal(got->exact_tokens, want->exact_tokens);
                        assert_int_equal(VSA_CERTIFICATE_FLAGS(got->status), want->flags);
                        assert_int_equal(got->gathered_tokens, want->gathered_tokens);
                        check_that(ref_relative_error_f32(result.out + (size_t)row * DIM,
                                                          want->out, DIM) <= 1e-5,
                                   "row %u differs from the reference's estimate", row);
                        /* What the light tokens weigh is a difference of sums of about D, in f32;
                         * the largest |v| of those read may be taken as larger. */
                        double slack = c->least_few > 0 ? 1e-6 : 1e-9;
                        check_between(got->error_bound, 0.995 * want->error - slack,
                                      (is_few && !c->flat ? 2 : 1.005) * want->error + slack);
                        if (is_few) {   /* no probability is in this bound */
                            check_between(harness_error(data, &result, row), 0,
                                          (double)got->error_bound + 1e-5);
                        }
                    }
                }
                free_group(&e);
            }
            harness_result_free(&result);
        }
        check_that(same * 10 >= rows * 8, "case %zu: %u of %u rows as the reference", i, same,
                   rows);
        check_that(sampled * 2 > rows || c->max_samples, "case %zu: %u of %u sampled, %u dense", i,
                   sampled, rows, dense);
        check_that(outgrown >= c->least_outgrown && few >= c->least_few,
                   "case %zu: %u outgrown, %u with few samples", i, outgrown, few);
        assert_true(c->max_samples != 0 || missed == 0);
        vsa_session_destroy(session);
        harness_data_free(data);
    }
}

/* Steps that begin with what the steps before needed: the reference's samples, from one query on to
 * the next, most rows done with the first; nothing is known of a sequence that begins anew. */
static void budgets_are_carried(void **state)
{
    (void)state;
    enum { STEPS = 8, HEADS = 6, GROUP = 3, LEARNT = 3, TOKENS = 6000 };
    vsa_plan_create_info plan = plan_of(VSA_METHOD_GUIDED, VSA_BOUND_CLT, VSA_TARGET_OUTPUT);
    plan.policy.carry_budget = 1;
    plan.policy.base_samples = 32;
    plan.policy.base_fraction = 0;
    plan.max_sequences = 2;
    plan.max_tokens = TOKENS;
    harness_data *data = harness_data_make(&plan, 2, QUERIES, (uint32_t[]){ TOKENS, 4000 },
                                           &(harness_fill){ .spread = 1, .value_mean = 1.0,
                                                            .seed = 79 });
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, TOKENS);
    ref_carried carried[2][HEADS] = { 0 };
    uint32_t rows = 0, same = 0, late = 0, once = 0, cold_once = 0;
    for (uint64_t seed = 0; seed < 2 * STEPS; seed++) {
        if (seed == STEPS) {   /* the same cache, written anew */
            check_ok(harness_data_write(session, data));
            memset(carried, 0, sizeof carried);
        }
        harness_result result = harness_run(session, data, 0, seed, 5, TOKENS);
        for (uint32_t first = 0; first < result.row_count; first += GROUP) {
            const harness_row at = harness_locate(data, first);
            ref_carried *heads = &carried[at.sequence][at.head];
            expected_group e;
            expect_group(data, first, seed, 5, heads, &e);
            for (uint32_t h = 0; h < GROUP; h++, rows++) {
                const vsa_certificate *got = &result.certificates[first + h];
                const ref_row_result *want = &e.results[h];
                assert_int_equal(VSA_CERTIFICATE_STATUS(got->status), VSA_CERTIFICATE_MET);
                if (want->status == VSA_CERTIFICATE_MET
                    && same_indices(&result, first + h, &e.draw, at.length)) {
                    same++;
                    assert_int_equal(got->gathered_tokens, want->gathered_tokens);
                    check_between(got->error_bound, 0.995 * want->error, 1.005 * want->error);
                }
                if (at.query == QUERIES - 1) {
                    /* The device's own error: its f32 quantiles are off by up to 0.5%, and a
                     * budget that is off by as much would be another sample. */
                    double off = want->error / (double)got->error_bound;
                    ref_carry_learn(&heads[h], e.needs[h] * off * off);
                }
                int at_once = got->gathered_tokens == got->exact_tokens + got->sampled_tokens;
                late += seed % STEPS >= LEARNT;
                once += at_once && seed % STEPS >= LEARNT;
                cold_once += at_once && seed % STEPS == 0;
            }
            free_group(&e);
        }
        harness_result_free(&result);
    }
    check_that(same * 10 >= rows * 8, "%u of %u rows as the reference", same, rows);
    check_that(cold_once == 0, "%u rows needed no extension in a first step", cold_once);
    check_that(once * 10 >= late * 8, "%u of %u rows done at once", once, late);
    vsa_session_destroy(session);
    harness_data_free(data);
}

/* Every row within epsilon of the truth: nothing in `strict` is approximate. */
static void strict_holds(void **state)
{
    (void)state;
    static const struct { vsa_method method; vsa_target target; float epsilon; } cases[] = {
        { VSA_METHOD_VATTENTION, VSA_TARGET_DENOMINATOR, 0.2f },
        { VSA_METHOD_GUIDED, VSA_TARGET_OUTPUT, 0.3f },
        { VSA_METHOD_GUIDED, VSA_TARGET_NUMERATOR, 0.3f },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vsa_plan_create_info plan = plan_of(cases[i].method, VSA_BOUND_STRICT, cases[i].target);
        plan.policy.epsilon = cases[i].epsilon;
        harness_data *data = data_of(&plan, 1.5);
        vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
        uint32_t met = 0, rows = 0;
        for (uint64_t seed = 0; seed < 10; seed++) {
            harness_result result = harness_run(session, data, 0, seed, 1, 0);
            for (uint32_t row = 0; row < result.row_count; row++, rows++) {
                const vsa_certificate *c = &result.certificates[row];
                double truth[REF_MAX_DIM];
                double log_d = harness_truth(data, row, truth);
                double error = cases[i].target == VSA_TARGET_DENOMINATOR
                                   ? fabs(expm1((double)c->log_normaliser - log_d))
                                   : harness_error(data, &result, row);
                assert_int_equal(VSA_CERTIFICATE_BOUND(c->status), VSA_BOUND_STRICT);
                assert_int_equal(VSA_CERTIFICATE_FLAGS(c->status) & VSA_CERTIFICATE_BOUND_BROKEN,
                                 0);
                if (VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET) {
                    met++;
                    check_between(error, 0, (double)c->error_bound + 2e-6);
                } else {
                    assert_int_equal(VSA_CERTIFICATE_STATUS(c->status), VSA_CERTIFICATE_EXACT);
                }
            }
            harness_result_free(&result);
        }
        check_that(met * 2 > rows, "case %zu: %u of %u met", i, met, rows);
        vsa_session_destroy(session);
        harness_data_free(data);
    }
}

/* Bets on the same draws: the same number of them, and the same verdict. */
static void strict_denominator_is_the_reference(void **state)
{
    (void)state;
    vsa_plan_create_info plan = plan_of(VSA_METHOD_VATTENTION, VSA_BOUND_STRICT,
                                        VSA_TARGET_DENOMINATOR);
    plan.policy.epsilon = 0.2f;
    harness_data *data = data_of(&plan, 1.5);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
    uint32_t rows = 0, same = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        harness_result result = harness_run(session, data, 0, seed, 4, 0);
        for (uint32_t row = 0; row < result.row_count; row++, rows++) {
            harness_expected *e = harness_expect(data, row, seed, 4);
            const vsa_certificate *c = &result.certificates[row];
            same += VSA_CERTIFICATE_STATUS(c->status) == e->result.status
                    && c->sampled_tokens == e->result.sampled_tokens
                    && c->gathered_tokens == e->result.gathered_tokens;
            harness_expected_free(e);
        }
        harness_result_free(&result);
    }
    check_that(same * 100 >= rows * 95, "%u of %u rows as the reference", same, rows);
    vsa_session_destroy(session);
    harness_data_free(data);
}

static void top_p_is_the_smallest_set(void **state)
{
    (void)state;
    static const float shares[] = { 0.3f, 0.8f, 0.99f, 1.0f };
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        vsa_plan_create_info plan = plan_of(VSA_METHOD_TOP_P, VSA_BOUND_CLT, VSA_TARGET_OUTPUT);
        plan.policy.top_p = shares[i];
        harness_data *data = data_of(&plan, 1.5);
        vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0,
                                               CAPACITY);
        harness_result result = harness_run(session, data, 0, 1, 2, CAPACITY);
        uint32_t same = 0;
        for (uint32_t row = 0; row < result.row_count; row++) {
            const vsa_certificate *c = &result.certificates[row];
            harness_expected *e = harness_expect(data, row, 1, 2);
            if (shares[i] == 1.0f) {
                assert_int_equal(VSA_CERTIFICATE_STATUS(c->status), VSA_CERTIFICATE_EXACT);
                check_between(harness_error(data, &result, row), 0, 2e-6);
                same++;
            } else {
                assert_int_equal(VSA_CERTIFICATE_STATUS(c->status), VSA_CERTIFICATE_MISSED);
                assert_true(isinf(c->error_bound));
                /* Weights are summed in other orders: the last token may differ. */
                int64_t gap = (int64_t)c->exact_tokens - e->set.exact_count;
                check_between((double)gap, -1, 1);
                if (gap == 0) {
                    same++;
                    check_that(ref_relative_error_f32(result.out + (size_t)row * DIM,
                                                      e->result.out, DIM) <= 5e-6,
                               "row %u differs from the reference", row);
                }
            }
            harness_expected_free(e);
        }
        assert_true(same * 10 >= result.row_count * 9);
        harness_result_free(&result);
        vsa_session_destroy(session);
        harness_data_free(data);
    }
}

/* Neither the cache's layout, which turns the grids of the kernels that stream K, nor the size of
 * their dispatches is part of the result; of the rows some go dense. */
static void layouts_give_the_same_bits(void **state)
{
    (void)state;
    static const vsa_scorer scorers[] = { VSA_SCORER_EXACT, VSA_SCORER_INT8 };
    for (size_t i = 0; i < sizeof scorers / sizeof *scorers; i++) {
        vsa_plan_create_info plan = plan_of(VSA_METHOD_GUIDED, VSA_BOUND_CLT, VSA_TARGET_OUTPUT);
        plan.policy.scorer = scorers[i];
        plan.policy.epsilon = 0.02f;
        harness_data *data = data_of(&plan, 1);
        vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
        harness_result flat = harness_run(session, data, 0, 3, 0, 0);
        vsa_session_destroy(session);
        data->plan.kv.page_tokens = 32;
        data->plan.max_dispatch_tokens = 2048;
        session = harness_session(harness_device, data, VSA_KV_TOKEN_MAJOR, 77, 0);
        harness_result paged = harness_run(session, data, 0, 3, 0, 0);
        vsa_session_destroy(session);
        uint32_t met = 0, dense = 0;
        for (uint32_t row = 0; row < flat.row_count; row++) {
            const uint32_t status = VSA_CERTIFICATE_STATUS(flat.certificates[row].status);
            met += status == VSA_CERTIFICATE_MET;
            dense += status == VSA_CERTIFICATE_EXACT;
        }
        check_that(met > 0 && dense > 0, "%u rows met, %u dense", met, dense);
        assert_memory_equal(flat.out, paged.out, flat.row_count * DIM * sizeof(float));
        harness_result_free(&flat);
        harness_result_free(&paged);
        harness_data_free(data);
    }
}

/* Equal weights everywhere: top-p takes the share of the tokens, guided samples uniformly. */
static void equal_scores(void **state)
{
    (void)state;
    vsa_plan_create_info plan = plan_of(VSA_METHOD_TOP_P, VSA_BOUND_CLT, VSA_TARGET_OUTPUT);
    harness_data *data = data_of(&plan, 1);
    for (uint32_t row = 0; row < harness_row_count(data); row++) {
        memset((float *)(uintptr_t)harness_q(data, row), 0, DIM * sizeof(float));
    }
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
    harness_result result = harness_run(session, data, 0, 1, 2, 0);
    for (uint32_t row = 0; row < result.row_count; row++) {
        uint32_t length = harness_locate(data, row).length;
        check_between(result.certificates[row].exact_tokens, floor(0.8 * length),
                      ceil(0.8 * length) + 1);
    }
    harness_result_free(&result);
    vsa_session_destroy(session);

    data->plan.policy.method = VSA_METHOD_GUIDED;
    session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
    result = harness_run(session, data, 0, 1, 2, 0);
    uint32_t met = 0;
    for (uint32_t row = 0; row < result.row_count; row++) {
        const vsa_certificate *c = &result.certificates[row];
        if (VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET) {
            met++;
            assert_int_equal(c->exact_tokens, 64);
            check_between(harness_error(data, &result, row), 0, 0.25);
        }
    }
    assert_true(met * 2 > result.row_count);
    harness_result_free(&result);
    vsa_session_destroy(session);
    harness_data_free(data);
}

/* `state` follows V: a value written late, overwritten, or indexed by hand bounds the error. */
static void strict_state_follows_the_cache(void **state)
{
    (void)state;
    vsa_plan_create_info plan = plan_of(VSA_METHOD_GUIDED, VSA_BOUND_STRICT, VSA_TARGET_OUTPUT);
    plan.policy.epsilon = 0.3f;
    harness_data *data = data_of(&plan, 1.5);
    data->sequence_count = 1;
    data->query_count = 1;
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, 0);
    harness_result before = harness_run(session, data, 0, 1, 1, 0);
    /* One huge value in the window: no estimate changes but R. */
    float *huge = harness_v(data, 0, 0, data->lengths[0] - 1);
    float kept = huge[0];
    huge[0] = 30000.0f;
    check_ok(vsa_session_write_kv(session, 0, 0, data->lengths[0] - 1, 1,
                                  harness_k(data, 0, 0, data->lengths[0] - 1),
                                  (size_t)MAX_TOKENS * DIM, huge, (size_t)MAX_TOKENS * DIM));
    harness_result with = harness_run(session, data, 0, 1, 1, 0);
    huge[0] = kept;
    check_ok(vsa_session_write_kv(session, 0, 0, data->lengths[0] - 1, 1,
                                  harness_k(data, 0, 0, data->lengths[0] - 1),
                                  (size_t)MAX_TOKENS * DIM, huge, (size_t)MAX_TOKENS * DIM));
    harness_result after = harness_run(session, data, 0, 1, 1, 0);
    uint32_t looser = 0;
    for (uint32_t row = 0; row < before.row_count; row++) {
        looser += with.certificates[row].gathered_tokens > before.certificates[row].gathered_tokens
                  || VSA_CERTIFICATE_STATUS(with.certificates[row].status)
                         != VSA_CERTIFICATE_STATUS(before.certificates[row].status)
                  || with.certificates[row].error_bound > before.certificates[row].error_bound;
    }
    assert_int_equal(looser, 3);   /* the rows of KV head 0 */
    assert_memory_equal(before.certificates, after.certificates,
                        before.row_count * sizeof *before.certificates);
    assert_memory_equal(before.out, after.out, before.row_count * DIM * sizeof(float));
    harness_result_free(&before);
    harness_result_free(&with);
    harness_result_free(&after);
    vsa_session_destroy(session);
    harness_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guided_is_the_reference),
        cmocka_unit_test(strict_denominator_is_the_reference),
        cmocka_unit_test(budgets_are_carried),
        cmocka_unit_test(strict_holds),
        cmocka_unit_test(layouts_give_the_same_bits),
        cmocka_unit_test(top_p_is_the_smallest_set),
        cmocka_unit_test(equal_scores),
        cmocka_unit_test(strict_state_follows_the_cache),
    };
    return cmocka_run_group_tests_name("guided", tests, harness_setup, harness_teardown);
}
