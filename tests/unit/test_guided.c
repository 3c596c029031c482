/* Method guided's reference: draws have the probabilities they claim, estimates are unbiased, error
 * terms bound or estimate the right thing, and the decisions follow. */
#include "check.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

enum { TOKENS = 600, DIM = 8, HEADS = 3, REPEATS = 3000, SINK = 4, WINDOW = 20 };

typedef struct example {
    double    logits[HEADS][TOKENS];
    const double *heads[HEADS];
    float     v[TOKENS * DIM];
    double    truth[HEADS][DIM], log_normaliser[HEADS], reference[HEADS];
    ref_probe probe;       /* of every candidate */
    ref_group group;
} example;

static const vsa_policy clt_policy = { .method = VSA_METHOD_GUIDED, .bound = VSA_BOUND_CLT,
                                       .target = VSA_TARGET_OUTPUT, .sink_tokens = SINK,
                                       .window_tokens = WINDOW, .base_samples = 64, .epsilon = 0.1f,
                                       .delta = 0.1f };

static example *make_example(uint32_t heads, double spread, double mean)
{
    example *e = calloc(1, sizeof *e);
    ref_random random = { 23 };
    for (uint32_t i = 0; i < TOKENS * DIM; i++) {
        e->v[i] = (float)(mean + ref_random_normal(&random));
    }
    e->group.key = (ref_draw_key){ .stream = 1, .kv_head = 2, .length = TOKENS };
    ref_probe_make(&e->group.key, SINK, TOKENS - WINDOW, &e->probe);
    for (uint32_t h = 0; h < heads; h++) {
        for (uint32_t i = 0; i < TOKENS; i++) {
            e->logits[h][i] = spread * ref_random_normal(&random);
        }
        e->reference[h] = ref_probe_reference(&e->probe, e->logits[h]);
        e->heads[h] = e->logits[h];
        e->log_normaliser[h] = ref_attend(e->logits[h], e->v, DIM, DIM, TOKENS, e->truth[h]);
    }
    e->group = (ref_group){ .logits = e->heads, .heads = heads, .v = e->v, .v_stride = DIM,
                            .head_dim = DIM, .length = TOKENS, .key = e->group.key };
    return e;
}

static double weight(const example *e, uint32_t head, uint32_t token)
{
    return exp(e->logits[head][token] - e->reference[head]);
}

static void bins_of(const example *e, uint32_t head, ref_bins *bins)
{
    ref_bins_count(&e->probe, e->logits[head], bins);
}

/* ------------------------------------------------------------------ probe */

static void a_short_probe_takes_every_candidate(void **state)
{
    (void)state;
    static const uint32_t ranges[][2] = {
        { 0, 1 }, { 16, 17 }, { 16, 2064 }, { 8, 2055 }, { 4, 580 }, { 3, 2048 }, { 2040, 4088 },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        uint32_t first = ranges[i][0], end = ranges[i][1];
        ref_probe probe;
        ref_probe_make(&(ref_draw_key){ .seed = i, .length = end }, first, end, &probe);
        assert_int_equal(probe.step, 1);
        assert_int_equal(probe.count, end - first);
        for (uint32_t j = 0; j < probe.count; j++) {
            assert_int_equal(probe.tokens[j], first + j);
        }
    }
}

/* Elsewhere one run of neighbours in each stratum, all of it but for the ends. */
static void a_long_probe_takes_one_run_of_each_stratum(void **state)
{
    (void)state;
    static const uint32_t ranges[][2] = {
        { 16, 2065 }, { 17, 2064 }, { 16, 12000 }, { 5, 65499 }, { 1000, 1048576 },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        uint32_t first = ranges[i][0], end = ranges[i][1];
        uint32_t first_run = first / 8, end_run = (end + 7) / 8;
        for (uint32_t seed = 0; seed < 20; seed++) {
            ref_probe probe;
            ref_probe_make(&(ref_draw_key){ .seed = seed, .length = end + 64 }, first, end, &probe);
            uint32_t step = probe.step, at = 0;
            assert_int_equal(step, (end_run - first_run + 255) / 256);
            for (uint32_t j = 0; j * step < end_run - first_run; j++) {
                uint32_t begin = first_run + j * step, stop = begin + step;
                if (at == probe.count || probe.tokens[at] / 8 >= stop) {
                    /* Only the last stratum is cut off, and may have its run behind the end. */
                    assert_true(stop > end_run);
                    continue;
                }
                uint32_t run = probe.tokens[at] / 8;
                assert_true(run >= begin);
                for (uint32_t token = run * 8; token < run * 8 + 8; token++) {
                    if (token >= first && token < end) {
                        assert_int_equal(probe.tokens[at++], token);
                    }
                }
            }
            assert_int_equal(at, probe.count);
            assert_true(probe.count <= 2048);
        }
    }
}

/* Where in its stratum a run lies says nothing about where it does in another KV head. */
static void probes_of_heads_are_decorrelated(void **state)
{
    (void)state;
    enum { FIRST = 16, STEP = 8, END = FIRST + 256 * 8 * STEP };
    double table[STEP][STEP] = { 0 }, total = 0, chi_square = 0;
    for (uint32_t seed = 0; seed < 100; seed++) {
        ref_probe probes[2];
        for (uint32_t head = 0; head < 2; head++) {
            ref_draw_key key = { .seed = seed, .kv_head = head, .length = END + 64 };
            ref_probe_make(&key, FIRST, END, &probes[head]);
            assert_int_equal(probes[head].step, STEP);
            assert_int_equal(probes[head].count, 2048);
        }
        for (uint32_t j = 0; j < 2048; j += 8, total++) {
            table[(probes[0].tokens[j] - FIRST) / 8 % STEP]
                 [(probes[1].tokens[j] - FIRST) / 8 % STEP]++;
        }
    }
    double expected = total / (STEP * STEP);
    for (uint32_t i = 0; i < STEP * STEP; i++) {
        double off = table[i / STEP][i % STEP] - expected;
        chi_square += off * off / expected;
    }
    check_between(ref_chi_square_tail(chi_square, STEP * STEP - 1), 1e-4, 1 - 1e-4);
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
            check_near(same.squares, squares, 1e-9 * squares);
        }
        assert_true(spread > 4 || previous > 0);
        free(e);
    }
}

static void the_last_bin_takes_the_rest(void **state)
{
    (void)state;
    const double logits[] = { 99, 5, 4.9376, 4.9374, -26.9, -27.1, -1e9 };
    ref_probe probe;
    ref_bins bins;
    ref_probe_make(&(ref_draw_key){ 0 }, 1, 7, &probe);
    check_near(ref_probe_reference(&probe, logits), 5, 0);
    probe.step = 3;   /* what a token of the probe stands for */
    ref_bins_count(&probe, logits, &bins);
    assert_int_equal(bins.count[0], 6);
    assert_int_equal(bins.count[1], 3);
    assert_int_equal(bins.count[510], 3);
    assert_int_equal(bins.count[511], 6);
}

/* Where light tokens weigh next to nothing, it takes no 24 of them to begin with. */
static void negligible_tokens_need_no_sample(void **state)
{
    (void)state;
    example *e = make_example(1, 6, 0);
    ref_bins bins;
    bins_of(e, 0, &bins);
    ref_scale base = ref_scale_for_tokens(&bins, 64), enough = ref_scale_for_samples(&bins, 24);
    double all = ref_scale_of(&bins, 1e-30).light, share = base.light / all;
    check_between(share, 1e-9, 0.01);
    assert_true(base.c > 0 && (enough.c <= 0 || enough.c > base.c));
    check_near(ref_first_scale(&bins, 64, 300, share * 1.001).c, base.c, 0);
    double careful = ref_first_scale(&bins, 64, 144, share * 0.999).c;
    check_near(careful, enough.c > 0 && enough.tokens < 144 ? enough.c
                                                            : ref_scale_for_tokens(&bins, 144).c,
               1e-12 * careful);
    assert_true(careful > base.c);
    free(e);
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
    vsa_policy unshrunk = clt_policy;
    unshrunk.target = VSA_TARGET_NUMERATOR;
    for (double samples = 40; samples < 100; samples *= 1.5) {
        example *e = make_example(1, 0.8, 1.5);
        ref_bins bins;
        moments m, shrunk;
        bins_of(e, 0, &bins);
        double c = ref_scale_for_samples(&bins, samples).c;
        repeat(e, &clt_policy, c, NULL, 0, &shrunk);
        repeat(e, &unshrunk, c, NULL, 0, &m);
        assert_true(shrunk.error2 < m.error2);
        assert_true(shrunk.above <= m.above);
        check_between(m.variance / m.error2, 0.9, 1.1);
        for (uint32_t i = 0; i < DIM; i++) {   /* a ratio estimate: biased by less than its noise */
            check_near(m.out[i], e->truth[0][i], 0.2 * sqrt(m.out2[i]));
        }
        check_that(ref_binomial_tail(m.above, REPEATS, 0.1) > 1e-3, "%u of %d", m.above, REPEATS);
        free(e);
    }
}

/* All values of length 1. */
static void shorten_values(example *e)
{
    for (uint32_t i = 0; i < TOKENS; i++) {
        double size2 = 0;
        for (uint32_t c = 0; c < DIM; c++) {
            size2 += (double)e->v[i * DIM + c] * (double)e->v[i * DIM + c];
        }
        for (uint32_t c = 0; c < DIM; c++) {
            e->v[i * DIM + c] /= (float)sqrt(size2);
        }
    }
    for (uint32_t h = 0; h < e->group.heads; h++) {
        ref_attend(e->logits[h], e->v, DIM, DIM, TOKENS, e->truth[h]);
    }
}

/* Whatever was drawn: no probability is in it. */
static void the_rest_bounds_the_error(void **state)
{
    (void)state;
    uint32_t finite = 0, few = 0, fewest = TOKENS;
    for (double spread = 1; spread < 9; spread++) {
        example *e = make_example(1, spread, 0.3);
        shorten_values(e);
        for (double samples = 0.01; samples < 30; samples *= 3) {
            ref_bins bins;
            bins_of(e, 0, &bins);
            double c = ref_scale_for_samples(&bins, samples).c;
            for (uint32_t seed = 0; seed < 40 && c > 0; seed++) {
                ref_guided_draw draw;
                ref_guided_estimate estimate;
                e->group.key.seed = seed;
                ref_guided_draw_stage(&clt_policy, &e->group, &c, 0, &draw);
                ref_guided_evaluate(&clt_policy, &e->group, 0, &draw, c, NULL, 0, &estimate);
                double error = ref_relative_error(estimate.out, e->truth[0], DIM);
                assert_true(estimate.error <= estimate.rest_error);
                if (isfinite(estimate.rest_error)) {
                    finite++;
                    check_between(error, 0, estimate.rest_error + 1e-6);
                }
                if (draw.sample_count < 8 && estimate.light_weight > 0) {
                    few++;
                    check_that(!(estimate.error < estimate.rest_error), "%g of few samples",
                               estimate.error);
                }
                fewest = draw.sample_count < fewest ? draw.sample_count : fewest;
                ref_guided_draw_free(&draw);
            }
        }
        free(e);
    }
    assert_int_equal(fewest, 0);
    check_that(finite > 500 && few > 500, "%u finite, %u with few samples", finite, few);
}

/* With few samples a row is met by what the rest weighs, or it asks for a sample to judge by. */
static void few_samples_decide_nothing_alone(void **state)
{
    (void)state;
    uint32_t met = 0, extended = 0;
    for (double spread = 0.5; spread < 9; spread += 0.5) {
        example *e = make_example(1, spread, 1);
        ref_bins bins;
        bins_of(e, 0, &bins);
        double c = ref_scale_for_samples(&bins, 1.5).c;
        double enough = ref_scale_for_samples(&bins, 24).c;
        for (uint32_t seed = 0; seed < 40 && c > 0; seed++) {
            ref_guided_draw draw;
            ref_guided_estimate r;
            e->group.key.seed = seed;
            ref_guided_draw_stage(&clt_policy, &e->group, &c, 0, &draw);
            ref_guided_evaluate(&clt_policy, &e->group, 0, &draw, c, NULL, 0, &r);
            if (draw.sample_count >= 8 || r.light_weight <= 0) {
                ref_guided_draw_free(&draw);
                continue;
            }
            check_that(!(r.error < r.rest_error), "%g", r.error);
            if (r.action == REF_ACTION_MET) {
                met++;
                assert_true(r.rest_error <= 0.1);
            } else {
                assert_true(r.rest_error > 0.1);
                check_near(r.next.c, fmax(enough, 2 * c), 1e-12 * r.next.c);
                assert_int_equal(r.action, 2 * r.next.tokens >= TOKENS - SINK - WINDOW
                                               ? REF_ACTION_DENSE : REF_ACTION_EXTEND);
                extended++;
            }
            /* A floor's promise is relative to other lengths: the rest says nothing. */
            vsa_policy floored = clt_policy;
            floored.value_floor = 0.1f;
            ref_guided_evaluate(&floored, &e->group, 0, &draw, c, NULL, 0, &r);
            assert_true(isinf(r.error));
            ref_guided_draw_free(&draw);
        }
        free(e);
    }
    check_that(met > 100 && extended > 100, "%u met, %u extended", met, extended);
}

/* Bound strict, whatever was drawn: at most all light tokens are off, by all that they can be. */
static void strict_errors_have_a_limit(void **state)
{
    (void)state;
    example *e = make_example(1, 5, 1);
    vsa_policy policy = clt_policy;
    policy.bound = VSA_BOUND_STRICT;
    const double centre[REF_MAX_DIM] = { 0 };
    ref_bins bins;
    double radius = 0;
    uint32_t limited = 0;
    for (uint32_t i = 0; i < TOKENS; i++) {
        double size2 = 0;
        for (uint32_t c = 0; c < DIM; c++) {
            size2 += (double)e->v[i * DIM + c] * (double)e->v[i * DIM + c];
        }
        radius = fmax(radius, sqrt(size2));
    }
    bins_of(e, 0, &bins);
    double c = ref_scale_for_samples(&bins, 2).c;
    for (uint32_t seed = 0; seed < 100; seed++) {
        ref_guided_draw draw;
        ref_guided_estimate r;
        e->group.key.seed = seed;
        ref_guided_draw_stage(&policy, &e->group, &c, 1, &draw);
        ref_guided_evaluate(&policy, &e->group, 0, &draw, c, centre, 1, &r);
        double l = 0;
        for (uint32_t j = 0; j < draw.sample_count; j++) {
            l += weight(e, 0, draw.samples[j]) / draw.probability[draw.samples[j]];
        }
        double most = (r.light_weight + l) * radius / r.denominator;
        double length = sqrt(ref_dot(r.out, r.out, DIM));
        check_between(r.error, 0, most / (length - most) * (1 + 1e-9));
        check_between(ref_relative_error(r.out, e->truth[0], DIM), 0, r.error);
        limited += r.error > most / (length - most) * (1 - 1e-9);
        ref_guided_draw_free(&draw);
    }
    assert_true(limited > 50);
    free(e);
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
        cmocka_unit_test(a_short_probe_takes_every_candidate),
        cmocka_unit_test(a_long_probe_takes_one_run_of_each_stratum),
        cmocka_unit_test(probes_of_heads_are_decorrelated),
        cmocka_unit_test(negligible_tokens_need_no_sample),
        cmocka_unit_test(scales_solve_their_equations),
        cmocka_unit_test(the_last_bin_takes_the_rest),
        cmocka_unit_test(draws_have_their_probabilities),
        cmocka_unit_test(stages_nest_or_are_fresh),
        cmocka_unit_test(strict_estimates_are_unbiased_and_bounded),
        cmocka_unit_test(clt_variance_is_right_in_the_mean),
        cmocka_unit_test(the_rest_bounds_the_error),
        cmocka_unit_test(few_samples_decide_nothing_alone),
        cmocka_unit_test(strict_errors_have_a_limit),
        cmocka_unit_test(rows_end_as_they_say),
        cmocka_unit_test(limits_and_fallbacks),
        cmocka_unit_test(floors_help_where_outputs_vanish),
        cmocka_unit_test(strict_stages_meet_their_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
