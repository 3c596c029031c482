/* vsa_merge: what two parts of a context say together. docs/algorithm.md, "Merging". */
#include "check.h"
#include "reference.h"

#include <string.h>

enum { MAX_DIM = 8 };

static vsa_certificate estimated(vsa_target target, double log_normaliser, float error,
                                 float normaliser, float delta)
{
    return (vsa_certificate){ .status = VSA_CERTIFICATE_MET | VSA_BOUND_CLT << 8
                                        | (uint32_t)target << 16,
                              .error_bound = error, .delta = delta,
                              .log_normaliser = (float)log_normaliser, .length_tokens = 1000,
                              .exact_tokens = 100, .sampled_tokens = 64, .wanted_samples = 60,
                              .gathered_tokens = 164, .normaliser_bound = normaliser,
                              .epsilon = 0.1f };
}

static vsa_certificate exact(double log_normaliser, uint32_t length)
{
    return (vsa_certificate){ .status = VSA_CERTIFICATE_EXACT | VSA_BOUND_STRICT << 8
                                        | VSA_TARGET_OUTPUT << 16,
                              .log_normaliser = (float)log_normaliser, .length_tokens = length,
                              .exact_tokens = length };
}

static vsa_certificate empty(void)
{
    return (vsa_certificate){ .status = VSA_CERTIFICATE_EXACT, .log_normaliser = -INFINITY };
}

static vsa_certificate merge(const float *a, vsa_certificate ca, const float *b, vsa_certificate cb,
                             uint32_t dim, float epsilon, float *out)
{
    vsa_certificate c;
    assert_int_equal(vsa_merge(&(vsa_part){ a, &ca }, &(vsa_part){ b, &cb }, 1, dim, epsilon, out,
                               &c), VSA_SUCCESS);
    return c;
}

static void check_status(vsa_certificate c, vsa_certificate_status expected)
{
    assert_int_equal(VSA_CERTIFICATE_STATUS(c.status), expected);
}

/* ------------------------------------------------------------- exact parts */

static void exact_halves_are_the_whole(void **state)
{
    (void)state;
    enum { LENGTH = 600, DIM = 64 };
    static float v[LENGTH * DIM];
    static double logits[LENGTH];
    ref_random random = { 1 };
    for (uint32_t split = 1; split < LENGTH; split += 149) {
        for (int i = 0; i < LENGTH * DIM; i++) {
            v[i] = (float)(1 + ref_random_normal(&random));
        }
        for (int i = 0; i < LENGTH; i++) {
            logits[i] = 2 * ref_random_normal(&random) - 5;
        }
        double out[3][DIM];
        const double d = ref_attend(logits, v, DIM, DIM, LENGTH, out[0]);
        const double d1 = ref_attend(logits, v, DIM, DIM, split, out[1]);
        const double d2 = ref_attend(logits + split, v + (size_t)split * DIM, DIM, DIM,
                                     LENGTH - split, out[2]);
        float half[2][DIM], merged[DIM];
        for (int i = 0; i < DIM; i++) {
            half[0][i] = (float)out[1][i];
            half[1][i] = (float)out[2][i];
        }
        const vsa_certificate c = merge(half[0], exact(d1, split), half[1],
                                        exact(d2, LENGTH - split), DIM, 0.1f, merged);
        check_near(ref_relative_error_f32(merged, out[0], DIM), 0, 1e-6);
        check_near(c.log_normaliser, d, 1e-6);
        check_status(c, VSA_CERTIFICATE_EXACT);
        check_near(c.error_bound, 0, 0);
        check_near(c.normaliser_bound, 0, 0);
        check_near(c.delta, 0, 0);
        check_near(c.epsilon, 0, 0);
        assert_int_equal(c.length_tokens, LENGTH);
        assert_int_equal(c.exact_tokens, LENGTH);
        assert_int_equal(VSA_CERTIFICATE_FLAGS(c.status), VSA_CERTIFICATE_MERGED);
    }
}

static void a_part_without_tokens_changes_nothing(void **state)
{
    (void)state;
    const float out[3] = { 1, -2, 3e-20f }, nothing[3] = { 0, 0, 0 };
    const vsa_certificate full = estimated(VSA_TARGET_OUTPUT, 3, 0.07f, 0.02f, 0.05f);
    for (int order = 0; order < 2; order++) {
        float merged[3];
        const vsa_certificate c = order == 0
            ? merge(out, full, nothing, empty(), 3, 0.1f, merged)
            : merge(nothing, empty(), out, full, 3, 0.1f, merged);
        assert_memory_equal(merged, out, sizeof out);
        check_status(c, VSA_CERTIFICATE_MET);
        check_near(c.error_bound, 0.07f, 1e-8);
        check_near(c.normaliser_bound, 0.02f, 1e-9);
        check_near(c.log_normaliser, 3, 0);
        check_near(c.delta, 0.1, 1e-8);
        assert_int_equal(c.length_tokens, 1000);
    }
    float merged[3];
    vsa_certificate c = merge(nothing, empty(), nothing, empty(), 3, 0.1f, merged);
    check_status(c, VSA_CERTIFICATE_EXACT);
    assert_memory_equal(merged, nothing, sizeof nothing);
    assert_true(isinf(c.log_normaliser) && c.log_normaliser < 0);
}

/* ------------------------------------------------------------- validity */

/* The truth of one part, and what an adversary lets be estimated of it. */
typedef struct part {
    double out[MAX_DIM], normaliser;
    float estimate[MAX_DIM];
    vsa_certificate certificate;
} part;

typedef struct game {
    ref_random random;
    vsa_target target;
    uint32_t dim;
    double largest_error, largest_normaliser;   /* bounds drawn up to these */
    int corners;                                /* every error at its bound */
} game;

static double norm(const double *x, uint32_t dim)
{
    double sum = 0;
    for (uint32_t i = 0; i < dim; i++) {
        sum += x[i] * x[i];
    }
    return sqrt(sum);
}

/* In [-1, 1]; mostly an end. */
static double play(game *g)
{
    if (g->corners || ref_random_below(&g->random, 2) == 0) {
        return ref_random_below(&g->random, 2) == 0 ? -1 : 1;
    }
    return 2 * ref_random_uniform(&g->random) - 1;
}

static void make_truth(game *g, part *parts, uint32_t count)
{
    static const double gaps[] = { 0, 1, 4, 20, 60 };
    const double gap = gaps[ref_random_below(&g->random, 5)];
    const uint32_t kind = ref_random_below(&g->random, 5);
    for (uint32_t p = 0; p < count; p++) {
        const double size = exp(ref_random_normal(&g->random));
        for (uint32_t i = 0; i < g->dim; i++) {
            parts[p].out[i] = size * (ref_random_normal(&g->random) + (kind == 1 ? 3 : 0));
            if (p > 0 && kind == 2) {          /* parallel, at times opposite */
                parts[p].out[i] = size * (p % 2 ? -1 : 1) * parts[0].out[i];
            } else if (p > 0 && kind == 3) {   /* nearly the same */
                parts[p].out[i] = parts[0].out[i] * (1 + 0.01 * ref_random_normal(&g->random));
            } else if (p > 0 && kind == 4) {
                parts[p].out[i] = 0;
            }
        }
        parts[p].normaliser = exp(ref_random_normal(&g->random)
                                  + gap * (ref_random_uniform(&g->random) - 0.5));
    }
}

/* A direction worth erring in: along an output, a difference of outputs, or any. */
static void choose_direction(game *g, const part *parts, uint32_t count, double *direction)
{
    const part *a = &parts[ref_random_below(&g->random, count)];
    const part *b = &parts[ref_random_below(&g->random, count)];
    const uint32_t kind = ref_random_below(&g->random, 3);
    for (uint32_t i = 0; i < g->dim; i++) {
        direction[i] = kind == 0 ? a->out[i]
                       : kind == 1 ? a->out[i] - b->out[i] : ref_random_normal(&g->random);
    }
    const double length = norm(direction, g->dim);
    for (uint32_t i = 0; i < g->dim; i++) {
        direction[i] = length > 0 ? direction[i] / length : 0;
    }
}

/* Errs, and certifies exactly that much. */
static void make_estimate(game *g, const part *parts, uint32_t count, part *p)
{
    const double d = play(g) * g->largest_normaliser * ref_random_uniform(&g->random);
    const double e = play(g) * g->largest_error * ref_random_uniform(&g->random);
    const float log_normaliser = (float)log(p->normaliser * (1 + d));
    const double estimated_normaliser = exp((double)log_normaliser);
    const double ratio = g->target == VSA_TARGET_NUMERATOR ? p->normaliser / estimated_normaliser
                                                           : 1;
    const double size = norm(p->out, g->dim);
    double direction[MAX_DIM], off[MAX_DIM];
    choose_direction(g, parts, count, direction);
    for (uint32_t i = 0; i < g->dim; i++) {
        p->estimate[i] = (float)(ratio * (p->out[i] + e * size * direction[i]));
        off[i] = p->estimate[i] / ratio - p->out[i];
    }
    const double d_bound = fabs(estimated_normaliser / p->normaliser - 1);
    const double e_bound = g->target == VSA_TARGET_DENOMINATOR ? d_bound
                           : size > 0 ? norm(off, g->dim) / size : 0;
    p->certificate = estimated(g->target, log_normaliser, nextafterf((float)e_bound, 1),
                               nextafterf((float)d_bound, 1), 0.01f);
    if (e_bound == 0 && d_bound == 0) {
        p->certificate.error_bound = p->certificate.normaliser_bound = 0;
    }
}

typedef struct outcome {
    double error, normaliser_error;         /* actual */
    double rounding, normaliser_rounding;   /* what f32 adds */
    vsa_certificate certificate;
} outcome;

/* Folds the parts in their order. */
static outcome fold(const game *g, const part *parts, uint32_t count)
{
    float out[MAX_DIM];
    vsa_certificate c = parts[0].certificate;
    memcpy(out, parts[0].estimate, sizeof out);
    double truth[MAX_DIM] = { 0 }, total = 0, sizes = 0, rounding = 0;
    for (uint32_t p = 0; p < count; p++) {
        if (p > 0) {
            assert_int_equal(vsa_merge(&(vsa_part){ out, &c },
                                       &(vsa_part){ parts[p].estimate, &parts[p].certificate }, 1,
                                       g->dim, 0.1f, out, &c), VSA_SUCCESS);
        }
        total += parts[p].normaliser;
        sizes += parts[p].normaliser * norm(parts[p].out, g->dim);
        rounding += 1e-6 + 6e-8 * fabs(c.log_normaliser);
    }
    double off[MAX_DIM];
    const double ratio = g->target == VSA_TARGET_NUMERATOR ? total / exp(c.log_normaliser) : 1;
    for (uint32_t i = 0; i < g->dim; i++) {
        for (uint32_t p = 0; p < count; p++) {
            truth[i] += parts[p].normaliser / total * parts[p].out[i];
        }
        off[i] = out[i] / ratio - truth[i];
    }
    const double size = norm(truth, g->dim);
    outcome w = { .certificate = c, .normaliser_rounding = rounding,
                  .rounding = g->target != VSA_TARGET_DENOMINATOR && size > 0
                                  ? rounding * sizes / (total * size) : rounding };
    w.normaliser_error = fabs(exp(c.log_normaliser - log(total)) - 1);
    w.error = g->target == VSA_TARGET_DENOMINATOR ? w.normaliser_error
              : size > 0 ? norm(off, g->dim) / size : 0;
    return w;
}

static void bounds_hold_against_an_adversary(void **state)
{
    (void)state;
    enum { TRIALS = 40000 };
    for (int target = VSA_TARGET_DENOMINATOR; target <= VSA_TARGET_OUTPUT; target++) {
        game g = { .random = { (uint64_t)target }, .target = (vsa_target)target };
        uint32_t finite = 0;
        double tightest = 0, tightest_normaliser = 0;
        for (int trial = 0; trial < TRIALS; trial++) {
            static const double largest[] = { 0, 0.003, 0.1, 0.6 };
            const uint32_t count = trial % 2 ? 2 : 2 + ref_random_below(&g.random, 5);
            part parts[6];
            g.dim = 1 + ref_random_below(&g.random, MAX_DIM);
            g.corners = ref_random_below(&g.random, 2) == 0;
            g.largest_error = largest[ref_random_below(&g.random, 4)];
            g.largest_normaliser = largest[ref_random_below(&g.random, 4)];
            make_truth(&g, parts, count);
            for (uint32_t p = 0; p < count; p++) {
                make_estimate(&g, parts, count, &parts[p]);
            }
            const outcome w = fold(&g, parts, count);
            const double error = w.certificate.error_bound;
            const double normaliser = w.certificate.normaliser_bound;
            check_that(w.error <= error + w.rounding,
                       "target %d, trial %d: error %.9g, bound %.9g", target, trial, w.error,
                       error);
            check_that(w.normaliser_error <= normaliser + w.normaliser_rounding,
                       "target %d, trial %d: error of D %.9g, bound %.9g", target, trial,
                       w.normaliser_error, normaliser);
            assert_int_equal(VSA_CERTIFICATE_STATUS(w.certificate.status),
                             w.certificate.error_bound <= 0.1f ? VSA_CERTIFICATE_MET
                                                               : VSA_CERTIFICATE_MISSED);
            if (!isinf(error)) {
                finite++;
                tightest = error > 1e-3 ? fmax(tightest, (w.error - w.rounding) / error) : tightest;
                tightest_normaliser = normaliser > 1e-3
                    ? fmax(tightest_normaliser,
                           (w.normaliser_error - w.normaliser_rounding) / normaliser)
                    : tightest_normaliser;
            }
        }
        /* The bounds can be reached, and there are any. */
        check_between(tightest, 0.98, 1);
        check_between(tightest_normaliser, 0.98, 1);
        check_between(finite / (double)TRIALS, 0.6, 1);
    }
}

static void a_light_part_costs_nothing(void **state)
{
    (void)state;
    float out[2] = { 3, 4 };
    const float other[2] = { -50, 7 };
    vsa_certificate c = estimated(VSA_TARGET_OUTPUT, 0, 0.09f, 0.03f, 0.001f);
    for (int i = 0; i < 50; i++) {
        const vsa_certificate light = estimated(VSA_TARGET_OUTPUT, -100, 0.5f, 0.5f, 0.001f);
        c = merge(out, c, other, light, 2, 0.1f, out);
        check_near(c.error_bound, 0.09f, 1e-8);
        check_near(c.normaliser_bound, 0.03f, 1e-8);
        check_status(c, VSA_CERTIFICATE_MET);
        check_near(c.delta, 0.002 * (i + 2), 1e-7);
    }
    check_near(out[0], 3, 0);
    check_near(out[1], 4, 0);
}

static void equal_parts_keep_their_bound(void **state)
{
    (void)state;
    /* Exact D and parallel outputs: errors can only add up to the same share. */
    const float out[2] = { 3, 4 }, twice[2] = { 6, 8 };
    float merged[2];
    vsa_certificate half = estimated(VSA_TARGET_OUTPUT, 1, 0.1f, 0, 0.05f);
    vsa_certificate c = merge(out, half, twice, half, 2, 0.2f, merged);
    check_near(c.error_bound, 0.1f, 1e-8);
    check_near(c.delta, 0.1, 1e-8);   /* D is exact: one statement each */
    check_near(c.normaliser_bound, 0, 0);
    check_near(merged[0], 4.5, 1e-6);
    check_near(c.log_normaliser, 1 + log(2), 1e-7);

    half = estimated(VSA_TARGET_DENOMINATOR, 1, 0.1f, 0.1f, 0.05f);
    c = merge(out, half, twice, half, 2, 0.1f, merged);
    check_status(c, VSA_CERTIFICATE_MET);
    check_near(c.error_bound, 0.1f, 0);
    check_near(c.normaliser_bound, 0.1f, 0);
    check_near(c.delta, 0.1, 1e-8);   /* D is the target */
}

static void a_numerator_needs_no_shares(void **state)
{
    (void)state;
    const float out[2] = { 3, 4 }, other[2] = { 4, -3 };
    float merged[2];
    vsa_certificate a = estimated(VSA_TARGET_NUMERATOR, 1, 0.1f, 0.4f, 0.05f);
    const vsa_certificate c = merge(out, a, other, a, 2, 0.2f, merged);
    a.normaliser_bound = 0;
    check_near(merge(out, a, other, a, 2, 0.2f, merged).error_bound, c.error_bound, 0);
    check_near(c.normaliser_bound, 0.4f, 1e-8);
    /* At right angles and of one length: both err towards the sum, by a tenth of themselves. */
    check_between(c.error_bound, 0.1, 0.17);
    a = estimated(VSA_TARGET_OUTPUT, 1, 0.1f, 0.4f, 0.05f);
    assert_true(merge(out, a, other, a, 2, 0.2f, merged).error_bound > 2 * c.error_bound);
}

static void the_order_does_not_matter(void **state)
{
    (void)state;
    game g = { .random = { 5 }, .target = VSA_TARGET_OUTPUT, .dim = 4, .largest_error = 0.1,
               .largest_normaliser = 0.05 };
    for (int trial = 0; trial < 2000; trial++) {
        part p[3];
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 4; j++) {
                p[i].out[j] = 2 + ref_random_normal(&g.random);
            }
            p[i].normaliser = exp(2 * ref_random_normal(&g.random));
            make_estimate(&g, p, 1, &p[i]);
        }
        if (trial % 3 == 0) {
            p[trial / 3 % 3].certificate = exact(log(p[trial / 3 % 3].normaliser), 77);
        }
        float left[4], right[4], inner[4];
        vsa_certificate c = merge(p[0].estimate, p[0].certificate, p[1].estimate,
                                  p[1].certificate, 4, 0.3f, inner);
        const vsa_certificate l = merge(inner, c, p[2].estimate, p[2].certificate, 4, 0.3f, left);
        c = merge(p[1].estimate, p[1].certificate, p[2].estimate, p[2].certificate, 4, 0.3f, inner);
        const vsa_certificate r = merge(p[0].estimate, p[0].certificate, inner, c, 4, 0.3f, right);
        for (int j = 0; j < 4; j++) {
            check_near(left[j], right[j], 2e-6);
        }
        check_near(l.log_normaliser, r.log_normaliser, 1e-6);
        check_near(l.delta, r.delta, 1e-7);
        check_near(l.normaliser_bound, r.normaliser_bound, 1e-6);
        /* Which part is uncertain together with which does matter, a little. */
        check_that(isinf(l.error_bound) || isinf(r.error_bound)
                       || fabs(log(l.error_bound / r.error_bound)) < log(2.5),
                   "trial %d: bounds %.9g and %.9g", trial, l.error_bound, r.error_bound);
        assert_int_equal(l.status & 0xff0000ff, r.status & 0xff0000ff);
        assert_int_equal(l.length_tokens, r.length_tokens);
        assert_int_equal(l.gathered_tokens, r.gathered_tokens);
    }
}

/* ------------------------------------------------------------- what a row ends as */

static void epsilon_decides(void **state)
{
    (void)state;
    const float out[2] = { 3, 4 };
    float merged[2];
    vsa_certificate a = estimated(VSA_TARGET_OUTPUT, 0, 0.4f, 0, 0.05f);
    a.status = (a.status & ~0xffu) | VSA_CERTIFICATE_MISSED;
    /* Missed by a half that hardly counts. */
    vsa_certificate c = merge(out, a, out, exact(5, 10), 2, 0.1f, merged);
    check_status(c, VSA_CERTIFICATE_MET);
    check_between(c.error_bound, 1e-3, 5e-3);
    check_near(c.epsilon, 0.1f, 0);
    assert_int_equal(VSA_CERTIFICATE_BOUND(c.status), VSA_BOUND_CLT);
    assert_int_equal(VSA_CERTIFICATE_TARGET(c.status), VSA_TARGET_OUTPUT);
    assert_int_equal(c.length_tokens, 1010);
    assert_int_equal(c.exact_tokens, 110);
    assert_int_equal(c.sampled_tokens, 64);
    assert_int_equal(c.wanted_samples, 60);
    assert_int_equal(c.gathered_tokens, 164);
    check_status(merge(out, a, out, exact(5, 10), 2, 1e-3f, merged), VSA_CERTIFICATE_MISSED);
    /* Both met 0.1, the whole does not: their D is uncertain and they differ. */
    const float other[2] = { -3, 1 };
    a = estimated(VSA_TARGET_OUTPUT, 0, 0.1f, 0.1f, 0.05f);
    check_status(merge(out, a, other, a, 2, 0.1f, merged), VSA_CERTIFICATE_MISSED);
}

static void the_weaker_bound_and_all_flags_remain(void **state)
{
    (void)state;
    const float out[1] = { 2 };
    float merged[1];
    vsa_certificate a = estimated(VSA_TARGET_NUMERATOR, 0, 0.1f, 0.1f, 0.05f), b = a;
    a.status |= (uint32_t)VSA_CERTIFICATE_UNATTAINABLE << 24;
    b.status ^= (VSA_BOUND_CLT ^ VSA_BOUND_STRICT) << 8;
    b.status |= (uint32_t)VSA_CERTIFICATE_HEAVY_SAMPLE << 24;
    vsa_certificate c = merge(out, a, out, b, 1, 0.1f, merged);
    assert_int_equal(VSA_CERTIFICATE_BOUND(c.status), VSA_BOUND_CLT);
    assert_int_equal(VSA_CERTIFICATE_FLAGS(c.status),
                     VSA_CERTIFICATE_UNATTAINABLE | VSA_CERTIFICATE_HEAVY_SAMPLE
                     | VSA_CERTIFICATE_MERGED);
    assert_int_equal(VSA_CERTIFICATE_BOUND(merge(out, b, out, b, 1, 0.1f, merged).status),
                     VSA_BOUND_STRICT);
    c = exact(0, 10);
    c.status ^= (VSA_BOUND_CLT ^ VSA_BOUND_STRICT) << 8;
    assert_int_equal(VSA_CERTIFICATE_BOUND(merge(out, b, out, c, 1, 0.1f, merged).status),
                     VSA_BOUND_STRICT);
}

static void deltas_add_up(void **state)
{
    (void)state;
    const float out[1] = { 2 };
    float merged[1];
    const vsa_certificate a = estimated(VSA_TARGET_OUTPUT, 0, 0.1f, 0.1f, 0.1f);
    vsa_certificate c = merge(out, a, out, exact(0, 1), 1, 0.3f, merged);
    check_near(c.delta, 0.2, 1e-7);
    c = merge(out, a, out, a, 1, 0.3f, merged);
    check_near(c.delta, 0.4, 1e-7);
    c = merge(merged, c, out, a, 1, 0.3f, merged);
    check_near(c.delta, 0.6, 1e-7);   /* the merged part's statements hold together */
    c = merge(merged, c, merged, c, 1, 0.3f, merged);
    check_near(c.delta, 1, 0);        /* nothing is left */
    check_status(c, VSA_CERTIFICATE_MISSED);
    assert_true(isinf(c.error_bound) && isinf(c.normaliser_bound));
    check_near(merged[0], 2, 0);
}

static void what_is_unknown_stays_unknown(void **state)
{
    (void)state;
    static const float nothing[] = { INFINITY, 1, 7, NAN, -1 };
    const float out[1] = { 2 };
    float merged[1];
    const vsa_certificate good = estimated(VSA_TARGET_OUTPUT, 0, 0.1f, 0.1f, 0.01f);
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        vsa_certificate bad = good;
        bad.error_bound = nothing[i];
        vsa_certificate c = merge(out, good, out, bad, 1, 0.3f, merged);
        check_status(c, VSA_CERTIFICATE_MISSED);
        assert_true(isinf(c.error_bound) && c.error_bound > 0);
        check_near(c.normaliser_bound, 0.1f, 1e-7);
        check_near(merged[0], 2, 0);

        bad = good;
        bad.normaliser_bound = nothing[i];
        c = merge(out, good, out, bad, 1, 0.3f, merged);
        assert_true(isinf(c.normaliser_bound) && c.normaliser_bound > 0);
        /* Equal outputs: whatever the shares, their mean is the same. */
        check_near(c.error_bound, 0.1f, 1e-7);
        const float other[1] = { 3 };
        c = merge(out, good, other, bad, 1, 0.99f, merged);
        check_between(c.error_bound, 0.2, 0.9);
        const float opposite[1] = { -3 };
        assert_true(isinf(merge(out, good, opposite, bad, 1, 0.99f, merged).error_bound));

        bad = good;
        bad.delta = nothing[i] > 1 ? 1 : nothing[i];
        c = merge(out, good, out, bad, 1, 0.3f, merged);
        check_near(c.delta, 1, 0);
        check_status(c, VSA_CERTIFICATE_MISSED);
    }
    vsa_certificate floored = good;
    floored.status |= (uint32_t)VSA_CERTIFICATE_FLOORED << 24;
    vsa_certificate c = merge(out, floored, out, good, 1, 0.3f, merged);
    check_status(c, VSA_CERTIFICATE_MISSED);
    assert_true(isinf(c.error_bound));
    check_near(c.normaliser_bound, 0.1f, 1e-7);
    assert_true(VSA_CERTIFICATE_FLAGS(c.status) & VSA_CERTIFICATE_FLOORED);
}

static void outputs_that_cancel_have_no_relative_error(void **state)
{
    (void)state;
    const float out[2] = { 2, 1 }, opposite[2] = { -2, -1 }, zero[2] = { 0, 0 };
    float merged[2];
    const vsa_certificate a = estimated(VSA_TARGET_OUTPUT, 0, 0.1f, 0, 0.01f);
    vsa_certificate c = merge(out, a, opposite, a, 2, 0.3f, merged);
    assert_memory_equal(merged, zero, sizeof zero);
    assert_true(isinf(c.error_bound));
    check_status(c, VSA_CERTIFICATE_MISSED);
    c = merge(zero, a, zero, a, 2, 0.3f, merged);   /* both are zero for sure */
    check_near(c.error_bound, 0, 0);
    check_status(c, VSA_CERTIFICATE_MET);
    c = merge(zero, a, out, a, 2, 0.3f, merged);
    check_near(c.error_bound, 0.1f, 1e-8);
    check_near(merged[0], 1, 0);
}

static void a_failed_part_fails_the_whole(void **state)
{
    (void)state;
    const float out[2] = { 2, 1 }, zero[2] = { 0, 0 };
    const vsa_certificate good = estimated(VSA_TARGET_OUTPUT, 0, 0.1f, 0.1f, 0.01f);
    vsa_certificate invalid = { .status = VSA_CERTIFICATE_INVALID | VSA_BOUND_CLT << 8,
                                .error_bound = INFINITY, .log_normaliser = -INFINITY,
                                .length_tokens = 5 };
    const vsa_certificate none = { 0 };
    vsa_certificate strange = good;
    strange.status = (strange.status & ~0xffu) | 77;
    vsa_certificate nan_d = good, infinite_d = good;
    nan_d.log_normaliser = NAN;
    infinite_d.log_normaliser = INFINITY;
    const struct {
        vsa_certificate a, b;
        vsa_certificate_status expected;
    } cases[] = {
        { good, invalid, VSA_CERTIFICATE_INVALID }, { good, none, VSA_CERTIFICATE_NONE },
        { good, strange, VSA_CERTIFICATE_NONE },    { invalid, none, VSA_CERTIFICATE_NONE },
        { invalid, invalid, VSA_CERTIFICATE_INVALID }, { none, none, VSA_CERTIFICATE_NONE },
        { exact(0, 3), invalid, VSA_CERTIFICATE_INVALID },
        { empty(), none, VSA_CERTIFICATE_NONE },    { good, nan_d, VSA_CERTIFICATE_INVALID },
        { good, infinite_d, VSA_CERTIFICATE_INVALID },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int order = 0; order < 2; order++) {
            float merged[2] = { 9, 9 };
            const vsa_certificate c = merge(out, order ? cases[i].b : cases[i].a, out,
                                            order ? cases[i].a : cases[i].b, 2, 0.3f, merged);
            check_status(c, cases[i].expected);
            assert_memory_equal(merged, zero, sizeof zero);
            assert_true(isinf(c.error_bound) && isinf(c.normaliser_bound));
            assert_true(isinf(c.log_normaliser) && c.log_normaliser < 0);
            assert_int_equal(vsa_certificates_check(&c, 1, NULL), 0);
        }
    }
    const float bad[2] = { 1, INFINITY }, worse[2] = { NAN, 1 };
    float merged[2];
    check_status(merge(out, good, bad, good, 2, 0.3f, merged), VSA_CERTIFICATE_INVALID);
    check_status(merge(worse, good, out, good, 2, 0.3f, merged), VSA_CERTIFICATE_INVALID);
    assert_memory_equal(merged, zero, sizeof zero);
}

/* ------------------------------------------------------------- arithmetic and arguments */

static void extremes_stay_finite(void **state)
{
    (void)state;
    static const double logs[] = { -3e38, -1000, -100, -1e-30, 0, 100, 1000, 3e38 };
    static const float values[] = { 0, 1e-45f, 1e-30f, 1, 1e30f, 3.4e38f, -3.4e38f };
    enum { LOGS = sizeof logs / sizeof *logs, VALUES = sizeof values / sizeof *values };
    for (int i = 0; i < LOGS * LOGS * VALUES * VALUES; i++) {
        const double first = logs[i % LOGS], second = logs[i / LOGS % LOGS];
        const float a[2] = { values[i / (LOGS * LOGS) % VALUES], 0 };
        const float b[2] = { values[i / (LOGS * LOGS * VALUES)], 0 };
        for (int target = VSA_TARGET_DENOMINATOR; target <= VSA_TARGET_OUTPUT; target++) {
            float out[2];
            const vsa_certificate c = merge(
                a, estimated((vsa_target)target, first, 0.1f, 0.1f, 0.01f), b,
                estimated((vsa_target)target, second, 0.2f, 0.2f, 0.01f), 2, 0.1f, out);
            assert_true(isfinite(out[0]) && out[1] == 0);
            check_between(out[0], fmin(a[0], b[0]), fmax(a[0], b[0]));
            check_near(c.log_normaliser, fmax(first, second), 1 + 1e-6 * fabs(fmax(first, second)));
            check_between(c.normaliser_bound, 0.1f, 0.2f);
            assert_false(isnan(c.error_bound));
            if (fabs(first - second) >= 999) {   /* one of them is all there is */
                const float only = first > second ? a[0] : b[0];
                check_near(out[0], only, 0);
                if (only != 0) {
                    check_near(c.error_bound, first > second ? 0.1f : 0.2f, 1e-7);
                }
            }
        }
    }
}

static void no_certificate_makes_a_nan(void **state)
{
    (void)state;
    ref_random random = { 9 };
    for (int trial = 0; trial < 200000; trial++) {
        vsa_certificate c[2], merged;
        float out[2][2], sum[2];
        for (int i = 0; i < 2; i++) {
            uint32_t words[12];
            for (int j = 0; j < 12; j++) {
                words[j] = (uint32_t)ref_random_bits(&random);
            }
            memcpy(&c[i], words, sizeof words);
            c[i].status = (c[i].status & 0xff000000u) | VSA_TARGET_OUTPUT << 16
                          | VSA_BOUND_CLT << 8 | ref_random_below(&random, 6);
            for (int j = 0; j < 2; j++) {
                out[i][j] = (float)ref_random_normal(&random);
            }
            if (trial % 2) {
                c[i].error_bound = (float)ref_random_uniform(&random);
                c[i].delta = 0.1f * (float)ref_random_uniform(&random);
            }
        }
        assert_int_equal(vsa_merge(&(vsa_part){ out[0], &c[0] }, &(vsa_part){ out[1], &c[1] }, 1, 2,
                                   0.5f, sum, &merged), VSA_SUCCESS);
        assert_true(isfinite(sum[0]) && isfinite(sum[1]));
        assert_false(isnan(merged.error_bound) || isnan(merged.normaliser_bound));
        assert_false(isnan(merged.delta) || isnan(merged.log_normaliser) || isnan(merged.epsilon));
        check_between(merged.delta, 0, 1);
        assert_int_equal(merged.reserved, 0);
    }
}

static void a_part_can_be_merged_into_itself(void **state)
{
    (void)state;
    enum { ROWS = 3, DIM = 5 };
    float a[ROWS * DIM], b[ROWS * DIM], apart[ROWS * DIM];
    vsa_certificate ca[ROWS], cb[ROWS], c[ROWS];
    ref_random random = { 3 };
    for (int i = 0; i < ROWS * DIM; i++) {
        a[i] = (float)ref_random_normal(&random);
        b[i] = (float)ref_random_normal(&random);
    }
    for (int i = 0; i < ROWS; i++) {
        ca[i] = estimated(VSA_TARGET_OUTPUT, i, 0.1f, 0.05f, 0.01f);
        cb[i] = estimated(VSA_TARGET_OUTPUT, 1 - i, 0.05f, 0.1f, 0.02f);
    }
    cb[1] = (vsa_certificate){ .status = VSA_CERTIFICATE_INVALID };
    const vsa_part first = { a, ca }, second = { b, cb };
    assert_int_equal(vsa_merge(&first, &second, ROWS, DIM, 0.1f, apart, c), VSA_SUCCESS);
    for (int order = 0; order < 2; order++) {
        float out[ROWS * DIM];
        vsa_certificate into[ROWS];
        memcpy(out, order ? b : a, sizeof out);
        memcpy(into, order ? cb : ca, sizeof into);
        const vsa_part own = { out, into };
        assert_int_equal(vsa_merge(order ? &first : &own, order ? &own : &second, ROWS, DIM, 0.1f,
                                   out, into), VSA_SUCCESS);
        assert_memory_equal(out, apart, sizeof out);
        assert_memory_equal(into, c, sizeof into);
    }
}

static void counts_saturate(void **state)
{
    (void)state;
    const float out[1] = { 2 };
    float merged[1];
    const vsa_certificate big = exact(0, UINT32_MAX - 5);
    const vsa_certificate c = merge(out, big, out, exact(0, 6), 1, 0.1f, merged);
    assert_int_equal(c.length_tokens, UINT32_MAX);
    assert_int_equal(merge(out, big, out, exact(0, 5), 1, 0.1f, merged).exact_tokens, UINT32_MAX);
    assert_int_equal(merge(out, big, out, exact(0, 4), 1, 0.1f, merged).exact_tokens,
                     UINT32_MAX - 1);
}

static void bad_arguments_write_nothing(void **state)
{
    (void)state;
    const float out[2] = { 2, 3 };
    vsa_certificate good[2] = { estimated(VSA_TARGET_OUTPUT, 0, 0.1f, 0.1f, 0.01f), exact(0, 5) };
    vsa_certificate c[2];
    float merged[2] = { 7, 7 };
    const vsa_part rows_part = { out, good }, no_out = { NULL, good }, no_rows = { out, NULL };
    memset(c, 0x55, sizeof c);
    const vsa_certificate before = c[0];
#define CHECK_REFUSED(first, second, rows, dim, epsilon, to, to_rows)                            \
    assert_int_equal(vsa_merge(first, second, rows, dim, epsilon, to, to_rows),                  \
                     VSA_ERROR_INVALID_ARGUMENT)
    CHECK_REFUSED(NULL, &rows_part, 2, 1, 0.1f, merged, c);
    CHECK_REFUSED(&rows_part, NULL, 2, 1, 0.1f, merged, c);
    CHECK_REFUSED(&no_out, &rows_part, 2, 1, 0.1f, merged, c);
    CHECK_REFUSED(&rows_part, &no_out, 2, 1, 0.1f, merged, c);
    CHECK_REFUSED(&no_rows, &rows_part, 2, 1, 0.1f, merged, c);
    CHECK_REFUSED(&rows_part, &no_rows, 2, 1, 0.1f, merged, c);
    CHECK_REFUSED(&rows_part, &rows_part, 2, 1, 0.1f, NULL, c);
    CHECK_REFUSED(&rows_part, &rows_part, 2, 1, 0.1f, merged, NULL);
    CHECK_REFUSED(&rows_part, &rows_part, 2, 0, 0.1f, merged, c);
    CHECK_REFUSED(&rows_part, &rows_part, 2, 1, 0, merged, c);
    CHECK_REFUSED(&rows_part, &rows_part, 2, 1, 1, merged, c);
    CHECK_REFUSED(&rows_part, &rows_part, 2, 1, NAN, merged, c);
    /* The second row differs: the first is not merged either. */
    vsa_certificate other[2] = { good[0], good[0] }, here[2] = { good[0], good[0] };
    other[1].status ^= (VSA_TARGET_OUTPUT ^ VSA_TARGET_NUMERATOR) << 16;
    const vsa_part mixed = { out, other }, same = { out, here };
    CHECK_REFUSED(&same, &mixed, 2, 1, 0.1f, merged, c);
    other[1].status &= ~0xff0000u;   /* no target at all, against an exact row */
    CHECK_REFUSED(&rows_part, &mixed, 2, 1, 0.1f, merged, c);
    CHECK_REFUSED(&mixed, &rows_part, 2, 1, 0.1f, merged, c);
#undef CHECK_REFUSED
    check_near(merged[0], 7, 0);
    check_near(merged[1], 7, 0);
    assert_memory_equal(&c[0], &before, sizeof before);
    assert_memory_equal(&c[1], &before, sizeof before);
    /* Exact rows go with every target. */
    other[1].status = (other[1].status & ~0xff0000u) | VSA_TARGET_NUMERATOR << 16;
    assert_int_equal(vsa_merge(&rows_part, &mixed, 2, 1, 0.1f, merged, c), VSA_SUCCESS);
    assert_int_equal(VSA_CERTIFICATE_TARGET(c[1].status), VSA_TARGET_NUMERATOR);
    assert_int_equal(vsa_merge(NULL, NULL, 0, 1, 0.1f, NULL, NULL), VSA_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_halves_are_the_whole),
        cmocka_unit_test(a_part_without_tokens_changes_nothing),
        cmocka_unit_test(bounds_hold_against_an_adversary),
        cmocka_unit_test(a_light_part_costs_nothing),
        cmocka_unit_test(equal_parts_keep_their_bound),
        cmocka_unit_test(a_numerator_needs_no_shares),
        cmocka_unit_test(the_order_does_not_matter),
        cmocka_unit_test(epsilon_decides),
        cmocka_unit_test(the_weaker_bound_and_all_flags_remain),
        cmocka_unit_test(deltas_add_up),
        cmocka_unit_test(what_is_unknown_stays_unknown),
        cmocka_unit_test(outputs_that_cancel_have_no_relative_error),
        cmocka_unit_test(a_failed_part_fails_the_whole),
        cmocka_unit_test(extremes_stay_finite),
        cmocka_unit_test(no_certificate_makes_a_nan),
        cmocka_unit_test(a_part_can_be_merged_into_itself),
        cmocka_unit_test(counts_saturate),
        cmocka_unit_test(bad_arguments_write_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
