/* The reference itself: what it is compared with is simpler still. */
#include "check.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

static void every_f16_survives(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float value = ref_f32_from_f16((uint16_t)bits);
        if (isnan(value)) {
            assert_true(isnan(ref_round(VSA_DTYPE_F16, value)));
            continue;
        }
        assert_int_equal(ref_f16_from_f32(value), bits);
    }
    check_near(ref_f32_from_f16(0x0001), 0x1p-24, 0);
    check_near(ref_f32_from_f16(0x3c00), 1, 0);
    check_near(ref_f32_from_f16(0x7bff), 65504, 0);
}

/* Half way between neighbours goes to the even one; a hair to either side does not. */
static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        double low = ref_f32_from_f16((uint16_t)bits);
        double high = ref_f32_from_f16((uint16_t)(bits + 1));
        float middle = (float)((low + high) / 2);
        assert_int_equal(ref_f16_from_f32(middle), bits + (bits & 1));
        assert_int_equal(ref_f16_from_f32(nextafterf(middle, 0)), bits);
        assert_int_equal(ref_f16_from_f32(nextafterf(middle, INFINITY)), bits + 1);
        assert_int_equal(ref_f16_from_f32(-middle), 0x8000 | (bits + (bits & 1)));
    }
    assert_int_equal(ref_f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(ref_f16_from_f32(65520.0f), 0x7c00);
    for (uint32_t bits = 0; bits < 0x7f7f; bits++) {
        double low = ref_f32_from_bf16((uint16_t)bits);
        double high = ref_f32_from_bf16((uint16_t)(bits + 1));
        float middle = (float)((low + high) / 2);
        assert_int_equal(ref_bf16_from_f32(middle), bits + (bits & 1));
        assert_int_equal(ref_bf16_from_f32(nextafterf(middle, INFINITY)), bits + 1);
    }
    assert_true(isnan(ref_round(VSA_DTYPE_BF16, NAN)));
}

static void fractions_round_to_nearest(void **state)
{
    (void)state;
    static const float fractions[] = { 0, 1e-9f, 0.02f, 0.025f, 0.05f, 0.25f, 0.5f, 0.999999f, 1 };
    for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++) {
        for (uint32_t n = 0; n < 100000; n += n < 1000 ? 1 : 997) {
            double exact = (double)fractions[f] * n;
            check_near(ref_fraction_of(fractions[f], n), exact, 0.5 + 1e-4);
        }
    }
    assert_int_equal(ref_fraction_of(1, 1u << 24), 1u << 24);
    assert_int_equal(ref_fraction_of(0.5f, 5), 3);   /* exactly half rounds up */
}

/* The exact set by its definition: a candidate is in when fewer than k candidates beat it. */
static void selection_matches_its_definition(void **state)
{
    (void)state;
    enum { LENGTH = 70 };
    ref_random random = { 3 };
    for (int round = 0; round < 300; round++) {
        uint32_t length = 1 + ref_random_below(&random, LENGTH);
        uint32_t group = 1 + ref_random_below(&random, 3);
        double logits[3][LENGTH], ranked[LENGTH];
        const double *heads[3] = { logits[0], logits[1], logits[2] };
        vsa_policy policy = { .sink_tokens = ref_random_below(&random, 20),
                              .window_tokens = ref_random_below(&random, 20),
                              .top_k = ref_random_below(&random, 40) };
        for (uint32_t h = 0; h < group; h++) {
            for (uint32_t i = 0; i < length; i++) {
                logits[h][i] = ref_random_below(&random, 5) * (i % 2 ? -1.0 : 1.0);   /* -0.0 too */
            }
        }
        for (uint32_t i = 0; i < length; i++) {
            ranked[i] = -INFINITY;
            for (uint32_t h = 0; h < group; h++) {
                double top = group == 1 ? 0 : -INFINITY;
                for (uint32_t j = 0; group > 1 && j < length; j++) {
                    top = fmax(top, logits[h][j]);
                }
                ranked[i] = fmax(ranked[i], logits[h][i] - top);
            }
        }
        uint8_t member[LENGTH];
        ref_exact_set set;
        ref_select(&policy, heads, group, length, &set, member);
        uint32_t members = 0;
        for (uint32_t i = 0; i < length; i++) {
            int always = i < policy.sink_tokens || i + policy.window_tokens >= length;
            uint32_t better = 0;
            for (uint32_t j = set.sink_end; j < set.window_begin; j++) {
                better += ranked[j] > ranked[i] || (ranked[j] == ranked[i] && j < i);
            }
            assert_int_equal(member[i], always || better < policy.top_k);
            members += member[i];
        }
        assert_int_equal(members, set.exact_count);
        assert_int_equal(members + set.residual_count, length);
    }
}

static void attention_of_small_cases(void **state)
{
    (void)state;
    const float v[] = { 1, 2, 3, 4, 5, 6 };
    double logits[] = { log(1), log(2), log(5) }, out[2];
    check_near(ref_attend(logits, v, 2, 2, 3, out), log(8), 1e-15);
    check_near(out[0], (1 * 1 + 2 * 3 + 5 * 5) / 8.0, 1e-15);
    check_near(out[1], (1 * 2 + 2 * 4 + 5 * 6) / 8.0, 1e-15);
    assert_true(isnan(ref_attend(logits, v, 2, 2, 0, out)));
    check_near(out[0], 0, 0);
    logits[1] = INFINITY;
    assert_true(isnan(ref_attend(logits, v, 2, 2, 3, out)));
    check_near(out[1], 0, 0);
    /* The logits' offset does not matter, however large. */
    double large[] = { 5000, 5000 + log(3) };
    check_near(ref_attend(large, v, 2, 2, 2, out), 5000 + log(4), 1e-9);
    check_near(out[0], (1 + 3 * 3) / 4.0, 1e-12);

    const float q[] = { 1, -2 }, k[] = { 3, 1, -1, 9, 2, 0, -1, 9 };
    ref_logits(q, k, 4, 2, 2, 0.5, 0, logits);
    check_near(logits[0], 0.5, 0);
    check_near(logits[1], 1, 0);
    ref_logits(q, k, 4, 2, 2, 0.5, 2, logits);
    check_near(logits[1], 2 * tanh(0.5), 1e-15);
}

static void base_sample_sizes(void **state)
{
    (void)state;
    vsa_policy policy = { .base_samples = 64, .base_fraction = 0.025f, .base_max_samples = 256 };
    assert_int_equal(ref_base_samples(&policy, 0), 0);
    assert_int_equal(ref_base_samples(&policy, 128), 0);    /* 2 * 64 reaches N */
    assert_int_equal(ref_base_samples(&policy, 129), 64);
    assert_int_equal(ref_base_samples(&policy, 4000), 128);  /* 100, rounded up */
    assert_int_equal(ref_base_samples(&policy, 1000000), 256);
    policy.max_samples = 100;
    assert_int_equal(ref_base_samples(&policy, 1000000), 96);
    policy.max_samples = 5;
    assert_int_equal(ref_base_samples(&policy, 1000000), 32);
    policy.max_samples = 0;
    policy.base_max_samples = 70;
    assert_int_equal(ref_base_samples(&policy, 1000000), 96);
}

/* Top-p by its definition: k candidates hold the share in every row, k - 1 do not in some row. */
static double share_of(const double *logits, uint32_t length, const uint8_t *member)
{
    double all = 0, held = 0;
    for (uint32_t i = 0; i < length; i++) {
        all += exp(logits[i]);
        held += member[i] ? exp(logits[i]) : 0;
    }
    return held / all;
}

static void top_p_is_the_smallest_set(void **state)
{
    (void)state;
    enum { LENGTH = 200 };
    ref_random random = { 8 };
    uint32_t partial = 0;
    for (int round = 0; round < 300; round++) {
        uint32_t length = 20 + ref_random_below(&random, LENGTH - 20);
        uint32_t group = 1 + ref_random_below(&random, 3);
        double logits[3][LENGTH];
        const double *heads[3] = { logits[0], logits[1], logits[2] };
        vsa_policy policy = { .method = VSA_METHOD_TOP_P,
                              .top_p = 0.5f + 0.49f * (float)ref_random_uniform(&random),
                              .sink_tokens = ref_random_below(&random, 5),
                              .window_tokens = ref_random_below(&random, 10) };
        for (uint32_t h = 0; h < group; h++) {
            for (uint32_t i = 0; i < length; i++) {
                logits[h][i] = 2 * ref_random_normal(&random);
            }
        }
        uint8_t member[LENGTH], smaller[LENGTH];
        ref_exact_set set, less;
        ref_select(&policy, heads, group, length, &set, member);
        for (uint32_t h = 0; h < group; h++) {
            assert_true(share_of(logits[h], length, member) >= (double)policy.top_p - 1e-6);
        }
        if (set.top_k == 0) {
            continue;
        }
        partial += set.residual_count > 0;
        vsa_policy fixed = policy;
        fixed.method = VSA_METHOD_TOP_K;
        fixed.top_k = set.top_k;
        ref_select(&fixed, heads, group, length, &less, smaller);
        assert_memory_equal(member, smaller, length);
        assert_int_equal(set.exact_count, less.exact_count);
        fixed.top_k--;
        ref_select(&fixed, heads, group, length, &less, smaller);
        double lowest = 1;
        for (uint32_t h = 0; h < group; h++) {
            lowest = fmin(lowest, share_of(logits[h], length, smaller));
        }
        assert_true(lowest < (double)policy.top_p + 1e-6);
    }
    assert_true(partial > 200);
}

/* A run of equal ranks counts with its mean weight; p = 1 is everything. */
static void top_p_of_ties(void **state)
{
    (void)state;
    double logits[100];
    const double *heads[1] = { logits };
    uint8_t member[100];
    ref_exact_set set;
    vsa_policy policy = { .method = VSA_METHOD_TOP_P, .top_p = 0.5f };
    for (uint32_t i = 0; i < 100; i++) {
        logits[i] = 0;
    }
    ref_select(&policy, heads, 1, 100, &set, member);
    assert_int_equal(set.top_k, 50);
    policy.top_p = 0.501f;
    ref_select(&policy, heads, 1, 100, &set, member);
    assert_int_equal(set.top_k, 51);
    policy.sink_tokens = 60;
    ref_select(&policy, heads, 1, 100, &set, member);
    assert_int_equal(set.top_k, 0);
    policy.top_p = 1;
    logits[99] = -100;   /* its weight is less than the fixed point shows */
    ref_select(&policy, heads, 1, 100, &set, member);
    assert_int_equal(set.residual_count, 0);
}

enum { TOKENS = 2000, DIM = 16 };

typedef struct example {
    double   logits[TOKENS];
    float    v[TOKENS * DIM];
    uint8_t  member[TOKENS];
    uint32_t samples[TOKENS];
    ref_exact_set set;
    ref_row  row;
} example;

static example *make_example(const vsa_policy *policy, double spread, double mean)
{
    example *e = calloc(1, sizeof *e);
    ref_random random = { 9 };
    for (uint32_t i = 0; i < TOKENS; i++) {
        e->logits[i] = spread * ref_random_normal(&random);
        for (uint32_t c = 0; c < DIM; c++) {
            e->v[i * DIM + c] = (float)(mean + ref_random_normal(&random));
        }
    }
    const double *heads[1] = { e->logits };
    ref_select(policy, heads, 1, TOKENS, &e->set, e->member);
    ref_permutation permutation;
    ref_permutation_init(&permutation, 1, 2, 3, 4, TOKENS);
    ref_draw(&permutation, e->member, TOKENS, e->samples);
    e->row = (ref_row){ e->logits, e->v, DIM, DIM, TOKENS, e->member, e->set.residual_count,
                        e->samples };
    return e;
}

/* All of the residual sampled: nothing is left to be uncertain about. */
static void a_full_sample_is_exact(void **state)
{
    (void)state;
    vsa_policy policy = { .method = VSA_METHOD_VATTENTION, .sink_tokens = 16, .window_tokens = 16,
                          .top_k = 48, .epsilon = 0.1f, .delta = 0.1f };
    for (int target = VSA_TARGET_DENOMINATOR; target <= VSA_TARGET_OUTPUT; target++) {
        policy.target = (vsa_target)target;
        example *e = make_example(&policy, 1, 0.5);
        ref_estimate estimate;
        double out[DIM];
        uint32_t all = e->set.residual_count;
        assert_int_equal(all % REF_GROUPS, 0);
        double log_normaliser = ref_attend(e->logits, e->v, DIM, DIM, TOKENS, out);
        ref_evaluate(&policy, &e->row, all, 0, &estimate);
        check_near(ref_relative_error(estimate.out, out, DIM), 0, 1e-12);
        check_near(estimate.shift + log(estimate.denominator), log_normaliser, 1e-12);
        check_near(estimate.error, 0, 1e-6);
        assert_int_equal(estimate.action, REF_ACTION_MET);
        free(e);
    }
}

static void rules_in_their_order(void **state)
{
    (void)state;
    vsa_policy policy = { .method = VSA_METHOD_VATTENTION, .target = VSA_TARGET_OUTPUT,
                          .sink_tokens = 16, .window_tokens = 16, .top_k = 40,
                          .base_samples = 64, .epsilon = 0.2f, .delta = 0.1f };
    ref_row_result result;
    example *e = make_example(&policy, 1, 0.5);
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_MET);
    check_between(result.error, 1e-3, 0.2);
    assert_true(result.extensions > 0);
    assert_int_equal(result.exact_tokens, 72);

    /* Rule 5: a cap, reported. */
    policy.max_samples = 100;
    policy.on_miss = VSA_MISS_REPORT;
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_MISSED);
    assert_int_equal(result.sampled_tokens, 96);
    assert_true(result.error > 0.2 && result.wanted_samples > 96);
    policy.on_miss = VSA_MISS_DENSE;
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_EXACT);
    assert_int_equal(result.exact_tokens, TOKENS);

    /* Rule 4: the budget reaches half of the residual. */
    policy.max_samples = 0;
    policy.on_miss = VSA_MISS_REPORT;
    policy.epsilon = 0.01f;
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_EXACT);

    /* Rule 2: a heavy token that the exact set missed. It counts N / b times in D as well, so the
     * rule can only speak when b / N is above epsilon / 2. */
    policy.epsilon = 0.2f;
    policy.base_samples = 256;
    e->logits[e->samples[3]] = 12;
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_EXACT);
    assert_int_equal(result.extensions, 0);

    /* Rule 1 comes first. */
    e->logits[e->samples[3]] = NAN;
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_INVALID);
    free(e);

    /* A residual too small to sample. */
    policy.top_k = 1900;
    e = make_example(&policy, 1, 0.5);
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_EXACT);
    assert_int_equal(result.sampled_tokens, 0);
    free(e);
}

/* The error of D beside that of the target. */
static void the_normaliser_has_its_own_bound(void **state)
{
    (void)state;
    for (int method = VSA_METHOD_SAMPLE; method <= VSA_METHOD_VATTENTION; method++) {
        vsa_policy policy = { .method = (vsa_method)method, .sink_tokens = 16, .window_tokens = 16,
                              .top_k = 48, .epsilon = 0.1f, .delta = 0.1f };
        example *e = make_example(&policy, 1, 0.5);
        ref_estimate estimates[3];
        for (int t = 0; t < 3; t++) {
            policy.target = (vsa_target)(VSA_TARGET_DENOMINATOR + t);
            ref_evaluate(&policy, &e->row, 256, 0, &estimates[t]);
            check_near(estimates[t].normaliser_error, estimates[0].error, 1e-15);
        }
        assert_true(estimates[0].error > 0.01);
        assert_true(estimates[2].error != estimates[0].error);
        free(e);
    }
}

/* |out| near 0: the floor is what errors are relative to. */
static void floors_are_what_errors_are_relative_to(void **state)
{
    (void)state;
    vsa_policy policy = { .method = VSA_METHOD_VATTENTION, .target = VSA_TARGET_OUTPUT,
                          .sink_tokens = 16, .window_tokens = 16, .top_k = 40,
                          .base_samples = 64, .epsilon = 0.2f, .delta = 0.1f };
    ref_row_result result;
    example *e = make_example(&policy, 1, 0);
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_EXACT);
    assert_int_equal(result.flags, VSA_CERTIFICATE_UNATTAINABLE);

    double out[DIM], rms2 = 0, all = 0;
    ref_attend(e->logits, e->v, DIM, DIM, TOKENS, out);
    for (uint32_t i = 0; i < TOKENS; i++) {
        double weight = exp(e->logits[i]);
        all += weight;
        for (uint32_t c = 0; c < DIM; c++) {
            rms2 += weight * (double)e->v[i * DIM + c] * (double)e->v[i * DIM + c];
        }
    }
    rms2 /= all;
    policy.value_floor = 0.5f;
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_MET);
    assert_int_equal(result.flags, VSA_CERTIFICATE_FLOORED);
    double difference2 = 0;
    for (uint32_t c = 0; c < DIM; c++) {
        difference2 += (result.out[c] - out[c]) * (result.out[c] - out[c]);
    }
    check_between(sqrt(difference2), 0, 0.2 * 0.5 * sqrt(rms2));
    ref_estimate estimate;
    ref_evaluate(&policy, &e->row, result.sampled_tokens, 3, &estimate);
    check_near(estimate.size2 / (0.25 * rms2), 1, 0.1);
    free(e);
}

static void strict_samples_end_with_blocks(void **state)
{
    (void)state;
    vsa_policy policy = { .method = VSA_METHOD_VATTENTION, .bound = VSA_BOUND_STRICT,
                          .target = VSA_TARGET_DENOMINATOR, .sink_tokens = 16,
                          .window_tokens = 16, .top_k = 40, .base_samples = 65,
                          .epsilon = 0.1f, .delta = 0.1f };
    ref_row_result result;
    example *e = make_example(&policy, 0.5, 0.5);
    double out[DIM], truth = ref_attend(e->logits, e->v, DIM, DIM, TOKENS, out);
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_MET);
    assert_int_equal(result.path[0], 128);
    assert_int_equal(result.sampled_tokens % 64, 0);
    check_near(result.error, 0.1, 1e-7);
    check_near(result.normaliser_bound, result.error, 0);
    check_near(exp(result.log_normaliser - truth), 1, 0.1);

    policy.max_samples = 191;
    policy.epsilon = 0.03f;
    policy.on_miss = VSA_MISS_REPORT;
    ref_decode_row(&policy, &e->row, &result);
    assert_int_equal(result.status, VSA_CERTIFICATE_MISSED);
    assert_int_equal(result.sampled_tokens, 128);
    assert_true(isinf(result.error));
    free(e);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The effective rank looks at pairs inside the same 8 groups alone: those of one block that point
 * the same way lower it, those of different blocks do not. */
static void ranks_look_at_blocks_of_groups(void **state)
{
    (void)state;
    static const double centre[REF_MAX_DIM] = { 0 };
    ref_sums *groups = calloc(REF_GROUPS, sizeof *groups);
    ref_spread spread;
    double rank[2];
    for (int together = 0; together < 2; together++) {
        for (uint32_t g = 0; g < REF_GROUPS; g++) {
            /* Pairs of opposite groups: their mean is 0. */
            uint32_t direction = together ? g / 8 : g % 8 / 2 * 4 + g / 8;
            memset(&groups[g], 0, sizeof groups[g]);
            groups[g].value[direction] = g % 2 ? 1 : -1;
        }
        ref_group_spread(groups, REF_GROUPS, centre, 2, 64, 0.1, &spread);
        /* 32 groups of size^2 4; each has 7 others of its block, all or 1 of them parallel. */
        double T = 4 * 32.0 / 31, t2 = 16 * (together ? 7 : 1) / 7.0 - T * T / (32 * 32);
        check_near(spread.trace, T, 1e-12);
        check_near(spread.rank, fmax(0.7 * T * T / t2, 1), 1e-12);
        rank[together] = spread.rank;
    }
    assert_true(rank[0] > rank[1]);
    /* 13 groups: one block of 8, one of 5. */
    for (uint32_t g = 0; g < 13; g++) {
        memset(groups[g].value, 0, sizeof groups[g].value);
        groups[g].value[0] = g < 6 ? 1 : g < 12 ? -1 : 0;
    }
    ref_group_spread(groups, 13, centre, 1, 64, 0.1, &spread);
    double T = 12 / 12.0, t2 = (8 * 7 + 4 * 3) / (8 * 7.0 + 5 * 4) - T * T / (13 * 13);
    check_near(spread.trace, T, 1e-12);
    check_near(spread.rank, fmax(0.7 * T * T / t2, 1), 1e-12);
    free(groups);
}

/* Gaussian errors of a known covariance: shrinking lowers the mean squared error for truths near to
 * and far from the exact set's mean, and no fewer results are as near as 90% of the estimates are. */
static void shrinking_helps_wherever_the_truth_is(void **state)
{
    (void)state;
    enum { DRAWS = 20000, CHANNELS = 32 };
    static const double decays[] = { 1, 0.9, 0.7 }, distances[] = { 0, 0.5, 1, 2, 4, 16 };
    ref_random random = { 5 };
    double *own = malloc(DRAWS * sizeof *own), *shrunk = malloc(DRAWS * sizeof *shrunk);
    for (size_t i = 0; i < sizeof decays / sizeof *decays; i++) {
        double trace = 0, squares = 0, deviation[CHANNELS];
        for (uint32_t c = 0; c < CHANNELS; c++) {
            double variance = pow(decays[i], c);
            deviation[c] = sqrt(variance);
            trace += variance;
            squares += variance * variance;
        }
        double rank = 0.7 * trace * trace / squares;
        for (size_t j = 0; j < 2 * sizeof distances / sizeof *distances; j++) {
            /* Away from the mean in the noisiest channel, or evenly in all. */
            double away = distances[j / 2] * sqrt(trace), mean_own = 0, mean_shrunk = 0;
            ref_sums exact = { .weight = 2 };
            for (uint32_t c = 0; c < CHANNELS; c++) {
                exact.value[c] = 2 - 2 * (j % 2 ? away / sqrt(CHANNELS) : c == 0 ? away : 0);
            }
            for (uint32_t draw = 0; draw < DRAWS; draw++) {
                double out[REF_MAX_DIM];
                own[draw] = shrunk[draw] = 0;
                for (uint32_t c = 0; c < CHANNELS; c++) {
                    double error = deviation[c] * ref_random_normal(&random);
                    out[c] = 1 + error;   /* the truth is 1 */
                    own[draw] += error * error;
                }
                ref_shrink(out, &exact, CHANNELS, trace, rank);
                for (uint32_t c = 0; c < CHANNELS; c++) {
                    shrunk[draw] += (out[c] - 1) * (out[c] - 1);
                }
                mean_own += own[draw] / DRAWS;
                mean_shrunk += shrunk[draw] / DRAWS;
            }
            assert_true(mean_shrunk < mean_own);
            uint32_t outside = 0;
            qsort(own, DRAWS, sizeof *own, ascending);
            for (uint32_t draw = 0; draw < DRAWS; draw++) {
                outside += shrunk[draw] > own[DRAWS / 10 * 9];
            }
            check_that(ref_binomial_tail(outside, DRAWS, 0.1) > 1e-3, "%g, %g: %u of %d outside",
                       decays[i], away, outside, DRAWS);
        }
    }
    free(own);
    free(shrunk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_survives),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(fractions_round_to_nearest),
        cmocka_unit_test(selection_matches_its_definition),
        cmocka_unit_test(top_p_is_the_smallest_set),
        cmocka_unit_test(top_p_of_ties),
        cmocka_unit_test(attention_of_small_cases),
        cmocka_unit_test(base_sample_sizes),
        cmocka_unit_test(a_full_sample_is_exact),
        cmocka_unit_test(rules_in_their_order),
        cmocka_unit_test(the_normaliser_has_its_own_bound),
        cmocka_unit_test(floors_are_what_errors_are_relative_to),
        cmocka_unit_test(strict_samples_end_with_blocks),
        cmocka_unit_test(ranks_look_at_blocks_of_groups),
        cmocka_unit_test(shrinking_helps_wherever_the_truth_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
