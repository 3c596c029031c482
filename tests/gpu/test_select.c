/*
 * The exact set against the reference, token by token, on scores that f32 holds exactly: small
 * integers times a power of two, so that every tie is a tie.
 */
#include "harness.h"

enum { MAX_TOKENS = 5000, DIM = 32, PATTERNS = 8 };

/* Every row samples 32 tokens and stops, whatever comes out: its indices show the exact set. */
static vsa_plan_create_info select_plan(uint32_t group, uint32_t top_k, float fraction)
{
    return (vsa_plan_create_info){
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = group, .kv_heads = 1,
        .max_tokens = MAX_TOKENS, .softmax_scale = 0.125f,
        .kv = { .k.dtype = VSA_DTYPE_F16, .v.dtype = VSA_DTYPE_F16 },
        .policy = { .method = VSA_METHOD_VATTENTION, .target = VSA_TARGET_DENOMINATOR,
                    .on_miss = VSA_MISS_REPORT, .sink_tokens = 5, .window_tokens = 11,
                    .top_k = top_k, .top_k_fraction = fraction, .base_samples = 32,
                    .max_samples = 32, .epsilon = 0.99f, .delta = 0.1f } };
}

/* One channel decides; the others add integers where the pattern says so. */
static void fill_pattern(harness_data *d, uint32_t sequence, int pattern, ref_random *random)
{
    for (uint32_t i = 0; i < MAX_TOKENS; i++) {
        float *k = harness_k(d, sequence, 0, i);
        memset(k, 0, DIM * sizeof *k);
        switch (pattern) {
        case 0:   /* random, few ties */
            for (uint32_t c = 0; c < DIM; c++) {
                k[c] = (float)((int)ref_random_below(random, 17) - 8);
            }
            break;
        case 1:   /* all equal */
            k[0] = 3;
            break;
        case 2:   /* three values: ties by the thousand */
            k[ref_random_below(random, 3)] = (float)ref_random_below(random, 3);
            break;
        case 3:   /* zeros of both signs, and one value below */
            for (uint32_t c = 0; c < DIM; c++) {
                k[c] = i % 3 == 0 ? -0.0f : 0.0f;
            }
            k[1] = ref_random_below(random, 50) == 0 ? -1.0f : k[1];
            break;
        case 4:   /* all negative */
            k[0] = -1 - (float)ref_random_below(random, 100);
            k[1] = k[2] = k[3] = k[0];
            break;
        case 5:   /* ascending in steps: the window's neighbours win */
            k[0] = (float)(i / 8);
            break;
        case 6:   /* descending: the sink's neighbours win */
            k[0] = (float)((MAX_TOKENS - i) / 3);
            break;
        default:  /* positive and negative, far apart */
            k[0] = (ref_random_below(random, 2) ? 1.0f : -1.0f)
                   * (float)(1u << ref_random_below(random, 12));
        }
    }
}

/* Integers with distinct signs, so that heads of a group disagree. */
static void fill_queries(harness_data *d, ref_random *random)
{
    for (uint32_t row = 0; row < harness_row_count(d); row++) {
        float *q = d->q + (size_t)row * DIM;
        for (uint32_t c = 0; c < DIM; c++) {
            q[c] = (float)((int)ref_random_below(random, 5) - 2);
        }
        q[0] = row % 2 ? -1 : 1;
        if (row % d->plan.q_heads == 0) {
            q[0] = 1;
        }
    }
}

static uint32_t sampled_rows;   /* whose exact set was seen */

static void check_row(const harness_data *data, const harness_result *result, uint32_t row)
{
    harness_row at = harness_locate(data, row);
    const vsa_certificate *c = &result->certificates[row];
    const int32_t *indices = result->indices + (size_t)row * result->index_capacity;
    harness_expected *e = harness_expect(data, row, 7, 3);
    int sampled = VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MET
                  || VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_MISSED;
    check_that(sampled == (e->result.status != VSA_CERTIFICATE_EXACT),
               "sequence %u head %u length %u: status %u, reference %d", at.sequence, at.head,
               at.length, c->status & 0xff, e->result.status);
    assert_int_equal(c->length_tokens, at.length);
    if (sampled) {
        sampled_rows++;
        check_that(c->exact_tokens == e->set.exact_count, "sequence %u length %u: %u exact tokens, "
                   "reference %u", at.sequence, at.length, c->exact_tokens, e->set.exact_count);
        uint32_t next = 0;
        for (uint32_t i = 0; i < at.length; i++) {
            if (e->member[i]) {
                check_that(indices[next] == (int32_t)i, "sequence %u head %u length %u: exact[%u] "
                           "is %d, reference %u", at.sequence, at.head, at.length, next,
                           indices[next], i);
                next++;
            }
        }
    } else {
        for (uint32_t i = 0; i < at.length; i++) {
            assert_int_equal(indices[i], i);
        }
        assert_int_equal(c->exact_tokens, at.length);
    }
    harness_expected_free(e);
}

static void check_plan(uint32_t group, uint32_t top_k, float fraction, const uint32_t *lengths,
                       size_t length_count)
{
    vsa_plan_create_info plan = select_plan(group, top_k, fraction);
    uint32_t all[PATTERNS];
    ref_random random = { group * 100 + top_k };
    for (int s = 0; s < PATTERNS; s++) {
        all[s] = MAX_TOKENS;
    }
    harness_data *data = harness_data_make(&plan, PATTERNS, 1, all, &(harness_fill){
        .value_mean = 0.5 });
    for (int s = 0; s < PATTERNS; s++) {
        fill_pattern(data, (uint32_t)s, s, &random);
    }
    fill_queries(data, &random);
    vsa_session *session = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 0, MAX_TOKENS);
    uint32_t rows = 0;
    sampled_rows = 0;
    for (size_t i = 0; i < length_count; i++) {
        for (int s = 0; s < PATTERNS; s++) {
            /* The same lengths for every pattern, in another order: no sequence leans on the
             * longest one's. */
            data->lengths[s] = lengths[(i + (size_t)s) % length_count];
        }
        harness_result result = harness_run(session, data, 0, 7, 3, MAX_TOKENS);
        for (uint32_t row = 0; row < result.row_count; row++) {
            check_row(data, &result, row);
        }
        rows += result.row_count;
        harness_result_free(&result);
    }
    assert_true(sampled_rows > rows / 4);
    vsa_session_destroy(session);
    harness_data_free(data);
}

/* Around the kernels' chunks of 1024 and 2048, and down to a residual of nothing. */
static const uint32_t boundary_lengths[] = { 1, 15, 17, 60, 140, 150, 1023, 1024, 1025, 2047, 2048,
                                             2049, 3000, 4096, 4999, 5000 };

static void one_head(void **state)
{
    (void)state;
    check_plan(1, 60, 0, boundary_lengths, sizeof boundary_lengths / sizeof *boundary_lengths);
}

static void a_group_of_four(void **state)
{
    (void)state;
    check_plan(4, 60, 0, boundary_lengths, sizeof boundary_lengths / sizeof *boundary_lengths);
}

static void no_top_k(void **state)
{
    (void)state;
    check_plan(1, 0, 0, (const uint32_t[]){ 100, 1040, 5000 }, 3);
}

static void a_fraction_of_the_length(void **state)
{
    (void)state;
    check_plan(4, 3, 0.37f, (const uint32_t[]){ 130, 1024, 1027, 2500, 5000 }, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_head),
        cmocka_unit_test(a_group_of_four),
        cmocka_unit_test(no_top_k),
        cmocka_unit_test(a_fraction_of_the_length),
    };
    return cmocka_run_group_tests_name("select", tests, harness_setup, harness_teardown);
}
