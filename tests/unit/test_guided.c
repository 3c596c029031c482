/* Method guided's reference: draws have the probabilities they claim, estimates are unbiased, error
 * terms bound or estimate the right thing, and the decisions follow. */
#include "check.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

enum { TOKENS = 600, DIM = 8, HEADS = 3, REPEATS = 3000 };

typedef struct example {
    double    logits[HEADS][TOKENS];
    const double *heads[HEADS];
    float     v[TOKENS * DIM];
    double    truth[HEADS][DIM], log_normaliser[HEADS], maximum[HEADS];
    ref_group group;
} example;

static const vsa_policy clt_policy = { .method = VSA_METHOD_GUIDED, .bound = VSA_BOUND_CLT,
                                       .target = VSA_TARGET_OUTPUT, .sink_tokens = 4,
                                       .window_tokens = 20, .base_samples = 64, .epsilon = 0.1f,
                                       .delta = 0.1f };

static example *make_example(uint32_t heads, double spread, double mean)
{
    example *e = calloc(1, sizeof *e);
    ref_random random = { 23 };
    for (uint32_t i = 0; i < TOKENS * DIM; i++) {
        e->v[i] = (float)(mean + ref_random_normal(&random));
    }
    for (uint32_t h = 0; h < heads; h++) {
        e->maximum[h] = -INFINITY;
        for (uint32_t i = 0; i < TOKENS; i++) {
            e->logits[h][i] = spread * ref_random_normal(&random);
            e->maximum[h] = fmax(e->maximum[h], e->logits[h][i]);
        }
        e->heads[h] = e->logits[h];
        e->log_normaliser[h] = ref_attend(e->logits[h], e->v, DIM, DIM, TOKENS, e->truth[h]);
    }
    e->group = (ref_group){ .logits = e->heads, .heads = heads, .v = e->v, .v_stride = DIM,
                            .head_dim = DIM, .length = TOKENS,
                            .key = { .stream = 1, .kv_head = 2, .length = TOKENS } };
    return e;
}

static double weight(const example *e, uint32_t head, uint32_t token)
{
    return exp(e->logits[head][token] - e->maximum[head]);
}

static void bins_of(const example *e, uint32_t head, ref_bins *bins)
{
    ref_bins_count(e->logits[head], 4, TOKENS - 20, e->maximum[head], bins);
}

/* ------------------------------------------------------------------ scales */

/* What a scale reads, by the bins and by nothing else. */
static void cost_of(const ref_bins *bins, double c, double *out_light, double *out_tokens,
                    double *out_squares)
{
    *out_light = *out_tokens = *out_squares = 0;
    for (uint32_t k = 0; k < REF_BINS; k++) {
        double w = exp(-(k + 0.5) / 16), p = c * w;
        *out_light += p < 0.5 ? bins->count[k] * p : 0;
        *out_tokens += bins->count[k] * (p < 0.5 ? p : 1);
        *out_squares += p < 0.5 ? bins->count[k] * w * w * (1 / p - 1) : 0;
    }
}

static void scales_solve_their_equations(void **state)
{
    (void)state;
    for (double spread = 0; spread < 9; spread += 0.5) {
        example *e = make_example(1, spread, 0);
        ref_bins bins;
        double light, tokens, squares, previous = 0;
        bins_of(e, 0, &bins);
        for (double samples = 16; samples < 200; samples *= 1.3) {
            ref_scale scale = ref_scale_for_samples(&bins, samples);
            if (scale.c == 0) {
                continue;   /* so few light tokens are left that they cannot make a sample */
            }
            assert_true(scale.c > previous);
            previous = scale.c;
            cost_of(&bins, scale.c, &light, &tokens, &squares);
            check_near(light, samples, 1e-9 * samples);
            check_near(scale.sampled, light, 1e-9 * light);
            check_near(scale.tokens, tokens, 1e-9 * tokens);

            ref_scale whole = ref_scale_for_tokens(&bins, tokens);
            check_near(whole.c / scale.c, 1, 1e-9);
            ref_scale again = ref_scale_for_squares(&bins, squares);
            check_near(again.c / scale.c, 1, 1e-9);
            ref_scale same = ref_scale_of(&bins, scale.c);
            check_near(same.tokens, tokens, 1e-9 * tokens);
            check_near(same.light * scale.c, light, 1e-9 * light);
        }
        assert_true(spread > 4 || previous > 0);
        free(e);
    }
}

static void the_last_bin_takes_the_rest(void **state)
{
    (void)state;
    const double logits[] = { 0, -0.0624, -0.0626, -31.9, -32.1, -1e9 };
    ref_bins bins;
    ref_bins_count(logits, 0, 6, 0, &bins);
    assert_int_equal(bins.count[0], 2);
    assert_int_equal(bins.count[1], 1);
    assert_int_equal(bins.count[510], 1);
    assert_int_equal(bins.count[511], 2);
}

/* ------------------------------------------------------------------ draws */

static void draws_have_their_probabilities(void **state)
{
    (void)state;
    example *e = make_example(HEADS, 1.5, 0);
    const double c[HEADS] = { 1, 0, 2.5 };   /* the second row is dense */
    uint32_t *counts = calloc(TOKENS, sizeof *counts);
    double expected = 0, variance = 0, total = 0, chi_square = 0;
    ref_guided_draw draw = { 0 };
    for (uint32_t seed = 0; seed < REPEATS; seed++) {
        e->group.key.seed = seed;
        ref_guided_draw_free(&draw);
        ref_guided_draw_stage(&clt_policy, &e->group, c, 0, &draw);
        for (uint32_t j = 0; j < draw.sample_count; j++) {
            counts[draw.samples[j]]++;
        }
        total += draw.sample_count;
    }
    uint32_t heavy = 0, light = 0;
    for (uint32_t i = 0; i < TOKENS; i++) {
        double p = fmax(c[0] * weight(e, 0, i), c[2] * weight(e, 2, i));
        int ends = i < 4 || i >= TOKENS - 20;
        assert_int_equal(draw.member[i], ends || p >= 0.5);
        if (draw.member[i]) {
            heavy += !ends;
            check_near(draw.probability[i], 1, 0);
            assert_int_equal(counts[i], 0);
            continue;
        }
        check_near(draw.probability[i], p, 0x1p-32);
        assert_true(draw.probability[i] >= p);   /* a sampled weight stays below 1 / c */
        light++;
        expected += p * REPEATS;
        variance += p * (1 - p) * REPEATS;
        double off = counts[i] - p * REPEATS;
        chi_square += off * off / (p * (1 - p) * REPEATS);
    }
    assert_int_equal(draw.heavy_count, heavy);
    assert_true(heavy > 0);
    check_near(total, expected, 4.5 * sqrt(variance));
    check_between(ref_chi_square_tail(chi_square, light), 1e-4, 1 - 1e-4);
    free(counts);
    ref_guided_draw_free(&draw);
    free(e);
}

/* Bound clt: a larger scale only adds tokens. Bound strict: each stage draws afresh. */
static void stages_nest_or_are_fresh(void **state)
{
    (void)state;
    example *e = make_example(1, 1, 0);
    const double small[1] = { 1 }, large[1] = { 3 };
    ref_guided_draw a, b, fresh;
    ref_guided_draw_stage(&clt_policy, &e->group, small, 0, &a);
    ref_guided_draw_stage(&clt_policy, &e->group, large, 1, &b);
    vsa_policy policy = clt_policy;
    policy.bound = VSA_BOUND_STRICT;
    ref_guided_draw_stage(&policy, &e->group, small, 1, &fresh);
    uint8_t in_b[TOKENS] = { 0 }, in_a[TOKENS] = { 0 };
    uint32_t common = 0;
    double by_chance = 0;
    for (uint32_t j = 0; j < b.sample_count; j++) {
        assert_int_equal(in_b[b.samples[j]], 0);
        in_b[b.samples[j]] = 1;
    }
    for (uint32_t j = 0; j < a.sample_count; j++) {
        assert_true(in_b[a.samples[j]] || b.member[a.samples[j]]);
        in_a[a.samples[j]] = 1;
    }
    for (uint32_t j = 0; j < fresh.sample_count; j++) {
        common += in_a[fresh.samples[j]];
        by_chance += fresh.probability[fresh.samples[j]];
    }
    check_near(common, by_chance, 5 * sqrt(by_chance));
    assert_true(common < fresh.sample_count);
    ref_guided_draw_free(&a);
    ref_guided_draw_free(&b);
    ref_guided_draw_free(&fresh);
    free(e);
}

/* ------------------------------------------------------------------ estimates */

/* Sums over seeds of what a stage concludes for one c. */
typedef struct moments {
    double out[DIM], out2[DIM];
    double error2, variance;   /* means of |error|^2 and of V */
    uint32_t above;            /* certified errors below the actual ones */
} moments;

static void repeat(example *e, const vsa_policy *policy, double c, const double *centre,
                   uint32_t stage, moments *m)
{
    memset(m, 0, sizeof *m);
    for (uint32_t seed = 0; seed < REPEATS; seed++) {
        ref_guided_draw draw;
        ref_guided_estimate estimate;
        e->group.key.seed = seed;
        ref_guided_draw_stage(policy, &e->group, &c, stage, &draw);
        ref_guided_evaluate(policy, &e->group, 0, &draw, c, centre, stage, &estimate);
        check_near(estimate.shift + log(estimate.denominator), e->log_normaliser[0], 1e-9);
        double error2 = 0, size2 = ref_dot(estimate.out, estimate.out, DIM);
        for (uint32_t i = 0; i < DIM; i++) {
            double off = estimate.out[i] - e->truth[0][i];
            m->out[i] += estimate.out[i] / REPEATS;
            m->out2[i] += off * off / REPEATS;
            error2 += off * off;
        }
        double truth2 = ref_dot(e->truth[0], e->truth[0], DIM);
        m->above += sqrt(error2 / truth2) > estimate.error;
        m->error2 += error2 / REPEATS;
        if (policy->bound == VSA_BOUND_CLT) {
            /* error = sqrt(q V / size^2), size^2 = |out|^2 - V */
            ref_sums groups[REF_GROUPS];
            ref_spread spread;
            memset(groups, 0, sizeof groups);
            for (uint32_t j = 0; j < draw.sample_count; j++) {
                uint32_t i = draw.samples[j];
                ref_sums_add(&groups[j % REF_GROUPS], e->v + i * DIM, DIM,
                             weight(e, 0, i) / draw.probability[i]);
            }
            ref_group_spread(groups, REF_GROUPS, estimate.light_mean, 1, DIM,
                             (double)policy->delta, &spread);
            double ratio = estimate.error * estimate.error / spread.quantile;
            m->variance += size2 * ratio / (1 + ratio) / REPEATS;
        }
        ref_guided_draw_free(&draw);
    }
}

/* An estimate with a fixed centre is unbiased, whatever the centre. */
static void strict_estimates_are_unbiased_and_bounded(void **state)
{
    (void)state;
    example *e = make_example(1, 1, 0.5);
    vsa_policy policy = clt_policy;
    policy.bound = VSA_BOUND_STRICT;
    double centre[REF_MAX_DIM] = { 0 };
    for (int round = 0; round < 2; round++) {
        moments m;
        repeat(e, &policy, 4, centre, 1, &m);
        for (uint32_t i = 0; i < DIM; i++) {
            check_near(m.out[i], e->truth[0][i], 4.5 * sqrt(m.out2[i] / REPEATS));
            centre[i] = e->truth[0][i] + (i % 2 ? 0.2 : -0.3);
        }
        assert_int_equal(m.above, 0);   /* its delta is 0.09 */
    }
    free(e);
}

/* V estimates the variance, with values that know nothing of the weights. */
static void clt_variance_is_right_in_the_mean(void **state)
{
    (void)state;
    for (double samples = 40; samples < 100; samples *= 1.5) {
        example *e = make_example(1, 0.8, 1.5);
        ref_bins bins;
        moments m;
        bins_of(e, 0, &bins);
        repeat(e, &clt_policy, ref_scale_for_samples(&bins, samples).c, NULL, 0, &m);
        check_between(m.variance / m.error2, 0.9, 1.1);
        for (uint32_t i = 0; i < DIM; i++) {   /* a ratio estimate: biased by less than its noise */
            check_near(m.out[i], e->truth[0][i], 0.2 * sqrt(m.out2[i]));
        }
        check_that(ref_binomial_tail(m.above, REPEATS, 0.1) > 1e-3, "%u of %d", m.above, REPEATS);
        free(e);
    }
}

/* ------------------------------------------------------------------ decisions */

static double actual_error(const example *e, uint32_t head, const ref_row_result *result)
{
    return ref_relative_error(result->out, e->truth[head], DIM);
}

static void rows_end_as_they_say(void **state)
{
    (void)state;
    example *e = make_example(HEADS, 1.5, 1);
    vsa_policy policy = clt_policy;
    uint32_t met = 0, failures = 0;
    for (uint32_t seed = 0; seed < 300; seed++) {
        ref_row_result results[HEADS];
        ref_guided_draw draw;
        e->group.key.seed = seed;
        ref_decode_guided(&policy, &e->group, results, &draw);
        for (uint32_t h = 0; h < HEADS; h++) {
            const ref_row_result *r = &results[h];
            check_near(r->normaliser_bound, 0, 0);
            check_near(r->log_normaliser, e->log_normaliser[h], 1e-9);
            if (r->status == VSA_CERTIFICATE_EXACT) {
                check_near(actual_error(e, h, r), 0, 1e-12);
                continue;
            }
            assert_int_equal(r->status, VSA_CERTIFICATE_MET);
            assert_true(r->error <= 0.1);
            assert_int_equal(r->sampled_tokens, draw.sample_count);
            assert_int_equal(r->exact_tokens, 24 + draw.heavy_count);
            assert_true(r->gathered_tokens >= r->exact_tokens + r->sampled_tokens);
            met++;
            failures += actual_error(e, h, r) > 0.1;
        }
        ref_guided_draw_free(&draw);
    }
    assert_true(met > 600);
    check_that(ref_binomial_tail(failures, met, 0.1) > 1e-3, "%u of %u", failures, met);
    free(e);
}

static void limits_and_fallbacks(void **state)
{
    (void)state;
    example *e = make_example(1, 1, 1.5);
    ref_row_result r;
    vsa_policy policy = clt_policy;
    policy.epsilon = 0.05f;

    /* A cap, reported; a row that it does not stop goes on up to it. */
    policy.max_samples = 96;
    policy.on_miss = VSA_MISS_REPORT;
    ref_decode_guided(&policy, &e->group, &r, NULL);
    assert_int_equal(r.status, VSA_CERTIFICATE_MISSED);
    assert_int_equal(r.extensions, 1);
    check_between(r.sampled_tokens + r.exact_tokens - 24, 96 - 40, 96 + 40);
    assert_true(r.error > 0.05 && r.wanted_samples > 96);
    policy.on_miss = VSA_MISS_DENSE;
    ref_decode_guided(&policy, &e->group, &r, NULL);
    assert_int_equal(r.status, VSA_CERTIFICATE_EXACT);
    assert_int_equal(r.flags, 0);

    /* More than half of the candidates would be needed. */
    policy = clt_policy;
    policy.epsilon = 0.01f;
    ref_decode_guided(&policy, &e->group, &r, NULL);
    assert_int_equal(r.status, VSA_CERTIFICATE_EXACT);
    assert_int_equal(r.flags, VSA_CERTIFICATE_UNATTAINABLE);
    assert_true(r.gathered_tokens > 0);

    /* D is exact. */
    policy.target = VSA_TARGET_DENOMINATOR;
    ref_decode_guided(&policy, &e->group, &r, NULL);
    assert_int_equal(r.status, VSA_CERTIFICATE_MET);
    check_near(r.error, 0, 0);

    /* The base sample would be half of the candidates. */
    policy = clt_policy;
    policy.window_tokens = 500;
    ref_decode_guided(&policy, &e->group, &r, NULL);
    assert_int_equal(r.status, VSA_CERTIFICATE_EXACT);
    assert_int_equal(r.gathered_tokens, 0);

    e->logits[0][100] = NAN;
    ref_decode_guided(&clt_policy, &e->group, &r, NULL);
    assert_int_equal(r.status, VSA_CERTIFICATE_INVALID);
    free(e);
}

/* |out| near 0: only a floor makes the target attainable. */
static void floors_help_where_outputs_vanish(void **state)
{
    (void)state;
    example *e = make_example(1, 1, 0);
    ref_row_result r;
    vsa_policy policy = clt_policy;
    policy.epsilon = 0.2f;
    ref_decode_guided(&policy, &e->group, &r, NULL);
    assert_int_equal(r.status, VSA_CERTIFICATE_EXACT);
    assert_int_equal(r.flags, VSA_CERTIFICATE_UNATTAINABLE);
    policy.value_floor = 0.5f;
    ref_decode_guided(&policy, &e->group, &r, NULL);
    assert_int_equal(r.status, VSA_CERTIFICATE_MET);
    assert_int_equal(r.flags, VSA_CERTIFICATE_FLOORED);
    double difference2 = 0, rms2 = 0, D = 0;
    for (uint32_t i = 0; i < DIM; i++) {
        difference2 += (r.out[i] - e->truth[0][i]) * (r.out[i] - e->truth[0][i]);
    }
    for (uint32_t i = 0; i < TOKENS; i++) {
        D += weight(e, 0, i);
        for (uint32_t c = 0; c < DIM; c++) {
            double v = (double)e->v[i * DIM + c];
            rms2 += weight(e, 0, i) * v * v;
        }
    }
    check_between(sqrt(difference2), 0, 0.2 * 0.5 * sqrt(rms2 / D));
    free(e);
}

/* The next stage's scale is what its own formulas want, about the centre it will have. */
static void strict_stages_meet_their_target(void **state)
{
    (void)state;
    example *e = make_example(1, 1.5, 4);
    vsa_policy policy = clt_policy;
    policy.bound = VSA_BOUND_STRICT;
    uint32_t second = 0, met = 0;
    for (uint32_t seed = 0; seed < 200; seed++) {
        ref_row_result r;
        e->group.key.seed = seed;
        ref_decode_guided(&policy, &e->group, &r, NULL);
        if (r.status == VSA_CERTIFICATE_MET) {
            met++;
            second += r.extensions == 1;
            check_between(actual_error(e, 0, &r), 0, 0.1);
            check_between(r.error, 0.05, 0.1);
        }
    }
    check_that(met >= 190 && second * 10 >= met * 8, "met %u, in stage 1 %u", met, second);
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_solve_their_equations),
        cmocka_unit_test(the_last_bin_takes_the_rest),
        cmocka_unit_test(draws_have_their_probabilities),
        cmocka_unit_test(stages_nest_or_are_fresh),
        cmocka_unit_test(strict_estimates_are_unbiased_and_bounded),
        cmocka_unit_test(clt_variance_is_right_in_the_mean),
        cmocka_unit_test(rows_end_as_they_say),
        cmocka_unit_test(limits_and_fallbacks),
        cmocka_unit_test(floors_help_where_outputs_vanish),
        cmocka_unit_test(strict_stages_meet_their_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
