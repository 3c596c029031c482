/*
 * The keyed permutation of docs/algorithm.md, "Draws": every weakness that a cheaper one has shown
 * (too few rounds, affine maps) fails one of these. Seeds are fixed, so a pass is a pass for ever.
 */
#include "check.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

static ref_permutation keyed(uint64_t seed, uint32_t length)
{
    ref_permutation permutation;
    ref_permutation_init(&permutation, seed, 0, 0, 0, length);
    return permutation;
}

/* Pins the definition: these numbers must never change. */
static void known_answers(void **state)
{
    (void)state;
    assert_int_equal(ref_mix32(0), 0);
    assert_int_equal(ref_mix32(1), 0x688990c0u);
    ref_permutation permutation;
    ref_permutation_init(&permutation, 0x0123456789abcdefu, 7, 2, 3, 1000);
    static const uint32_t expected[8] = { 229, 499, 932, 824, 734, 102, 420, 922 };
    for (uint32_t c = 0; c < 8; c++) {
        assert_int_equal(ref_permute(&permutation, c), expected[c]);
    }
}

static void check_bijection(uint32_t length, uint64_t seed, uint8_t *seen)
{
    ref_permutation permutation = keyed(seed, length);
    memset(seen, 0, length);
    for (uint32_t c = 0; c < length; c++) {
        uint32_t x = ref_permute(&permutation, c);
        check_that(x < length, "length %u: perm(%u) = %u", length, c, x);
        check_that(!seen[x], "length %u: %u is drawn twice", length, x);
        seen[x] = 1;
    }
}

static void it_is_a_bijection(void **state)
{
    (void)state;
    uint8_t *seen = malloc((1u << 17) + 1);
    for (uint32_t length = 1; length <= 4096; length++) {
        check_bijection(length, length, seen);
    }
    for (uint32_t bits = 12; bits <= 17; bits++) {
        for (uint32_t delta = 0; delta < 3; delta++) {
            check_bijection((1u << bits) - 1 + delta, bits, seen);
        }
    }
    free(seen);
}

/* Pearson's statistic of inclusion counts. Without replacement its mean is n - 1 after division by
 * 1 - b/n, as for a multinomial. */
static double inclusion_probability(uint32_t length, uint32_t begin, uint32_t end, uint32_t trials)
{
    uint32_t *count = calloc(length, sizeof *count);
    for (uint32_t trial = 0; trial < trials; trial++) {
        ref_permutation permutation = keyed(trial, length);
        for (uint32_t c = begin; c < end; c++) {
            count[ref_permute(&permutation, c)]++;
        }
    }
    double share = (double)(end - begin) / length, expected = trials * share, statistic = 0;
    for (uint32_t i = 0; i < length; i++) {
        statistic += (count[i] - expected) * (count[i] - expected);
    }
    statistic *= (length - 1.0) / length / (trials * share * (1 - share));
    free(count);
    return ref_chi_square_tail(statistic, length - 1.0);
}

static void every_token_is_equally_likely(void **state)
{
    (void)state;
    static const uint32_t lengths[] = { 5, 37, 100, 256, 1000, 1025 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint32_t n = lengths[i];
        check_between(inclusion_probability(n, 0, (n + 9) / 10, 20000), 1e-4, 1 - 1e-4);
        /* The extension alone. */
        check_between(inclusion_probability(n, (n + 9) / 10, (n + 3) / 4, 20000), 1e-4, 1 - 1e-4);
    }
}

enum { PAIR_LENGTH = 64, PAIR_SAMPLES = 8, PAIR_TRIALS = 20000 };

/* Sum over pairs of squared deviations from the expected number of joint draws. */
static double pair_statistic(uint64_t seed, ref_random *shuffle)
{
    static uint32_t count[PAIR_LENGTH][PAIR_LENGTH];
    memset(count, 0, sizeof count);
    for (uint32_t trial = 0; trial < PAIR_TRIALS; trial++) {
        uint32_t drawn[PAIR_LENGTH];
        if (shuffle != NULL) {   /* Fisher and Yates: what an exact sample would give */
            for (uint32_t i = 0; i < PAIR_LENGTH; i++) {
                drawn[i] = i;
            }
            for (uint32_t i = 0; i < PAIR_SAMPLES; i++) {
                uint32_t j = i + ref_random_below(shuffle, PAIR_LENGTH - i), kept = drawn[i];
                drawn[i] = drawn[j];
                drawn[j] = kept;
            }
        } else {
            ref_permutation permutation = keyed(seed + trial, PAIR_LENGTH);
            for (uint32_t i = 0; i < PAIR_SAMPLES; i++) {
                drawn[i] = ref_permute(&permutation, i);
            }
        }
        for (uint32_t i = 0; i < PAIR_SAMPLES; i++) {
            for (uint32_t j = 0; j < i; j++) {
                uint32_t low = drawn[i] < drawn[j] ? drawn[i] : drawn[j];
                count[low][drawn[i] + drawn[j] - low]++;
            }
        }
    }
    double expected = PAIR_TRIALS * (PAIR_SAMPLES * (PAIR_SAMPLES - 1.0))
                      / (PAIR_LENGTH * (PAIR_LENGTH - 1.0));
    double statistic = 0;
    for (uint32_t i = 0; i < PAIR_LENGTH; i++) {
        for (uint32_t j = i + 1; j < PAIR_LENGTH; j++) {
            statistic += (count[i][j] - expected) * (count[i][j] - expected) / expected;
        }
    }
    return statistic;
}

static void every_pair_is_equally_likely(void **state)
{
    (void)state;
    enum { REPLICATES = 40 };
    ref_random random = { 1 };
    double mean = 0, square = 0;
    for (int i = 0; i < REPLICATES; i++) {
        double statistic = pair_statistic(0, &random);
        mean += statistic / REPLICATES;
        square += statistic * statistic / REPLICATES;
    }
    double deviation = sqrt(square - mean * mean);
    for (uint64_t i = 0; i < 5; i++) {
        check_near(pair_statistic(i << 40, NULL), mean, 4 * deviation);
    }
}

static double sorted(ref_random *r, uint32_t i, uint32_t n)
{
    (void)r;
    return (double)i / n;
}

static double halves(ref_random *r, uint32_t i, uint32_t n)
{
    (void)r;
    return i < n / 2;
}

static double alternating(ref_random *r, uint32_t i, uint32_t n)
{
    (void)r, (void)n;
    return i % 2;
}

static double page_periodic(ref_random *r, uint32_t i, uint32_t n)
{
    (void)r, (void)n;
    return i % 64 < 8;
}

static double heavy(ref_random *r, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    return exp(1.5 * ref_random_normal(r));
}

/* The sample mean's variance over seeds against (1 - b/n) S^2 / b. */
static void check_variance(double (*model)(ref_random *, uint32_t, uint32_t), uint32_t length,
                           uint32_t begin, uint32_t end, const char *name)
{
    enum { TRIALS = 10000 };
    ref_random random = { 11 };
    double *value = malloc(length * sizeof *value), mean = 0, spread = 0;
    for (uint32_t i = 0; i < length; i++) {
        value[i] = model(&random, i, length);
        mean += value[i] / length;
    }
    for (uint32_t i = 0; i < length; i++) {
        spread += (value[i] - mean) * (value[i] - mean) / (length - 1.0);
    }
    double b = end - begin, m1 = 0, m2 = 0, m4 = 0;
    double expected = (1 - b / length) * spread / b;
    for (uint32_t trial = 0; trial < TRIALS; trial++) {
        ref_permutation permutation = keyed(0xabc00000u + trial, length);
        double sum = 0;
        for (uint32_t c = begin; c < end; c++) {
            sum += value[ref_permute(&permutation, c)];
        }
        double deviation2 = (sum / b - mean) * (sum / b - mean);
        m1 += (sum / b - mean) / TRIALS;
        m2 += deviation2 / TRIALS;
        m4 += deviation2 * deviation2 / TRIALS;
    }
    double ratio = m2 / expected, ratio_error = sqrt((m4 - m2 * m2) / TRIALS) / expected;
    check_that(fabs(ratio - 1) <= 4 * ratio_error, "%s, n %u, draws %u to %u: variance ratio %.4f "
               "+- %.4f", name, length, begin, end, ratio, ratio_error);
    check_that(fabs(m1) <= 4 * sqrt(expected / TRIALS), "%s, n %u: biased by %g", name, length, m1);
    free(value);
}

static void structured_populations_are_sampled_fairly(void **state)
{
    (void)state;
    static const struct {
        double (*model)(ref_random *, uint32_t, uint32_t);
        const char *name;
    } populations[] = { { sorted, "sorted" },
                        { halves, "halves" },
                        { alternating, "alternating" },
                        { page_periodic, "page-periodic" },
                        { heavy, "heavy" } };
    static const uint32_t lengths[] = { 512, 4096, 3000 };
    for (size_t p = 0; p < sizeof populations / sizeof *populations; p++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            check_variance(populations[p].model, lengths[i], 0, 64, populations[p].name);
            check_variance(populations[p].model, lengths[i], 64, 160, populations[p].name);
        }
    }
}

/* Overlap of the first b draws under two keys is hypergeometric. */
static void neighbouring_keys_are_independent(void **state)
{
    (void)state;
    enum { LENGTH = 1000, SAMPLES = 100, TRIALS = 4000 };
    static const char *const what[] = { "seed", "seed's high word", "stream", "sequence",
                                        "kv head" };
    uint8_t in_first[LENGTH];
    for (int neighbour = 0; neighbour < 5; neighbour++) {
        double m1 = 0, m2 = 0;
        for (uint32_t trial = 0; trial < TRIALS; trial++) {
            uint64_t seed = trial * 2;
            ref_permutation a, b;
            ref_permutation_init(&a, seed, 4, 4, 4, LENGTH);
            ref_permutation_init(&b, seed + (neighbour == 0) + ((uint64_t)(neighbour == 1) << 32),
                                 4 + (neighbour == 2), 4 + (neighbour == 3), 4 + (neighbour == 4),
                                 LENGTH);
            memset(in_first, 0, sizeof in_first);
            double overlap = 0;
            for (uint32_t c = 0; c < SAMPLES; c++) {
                in_first[ref_permute(&a, c)] = 1;
            }
            for (uint32_t c = 0; c < SAMPLES; c++) {
                overlap += in_first[ref_permute(&b, c)];
            }
            m1 += overlap / TRIALS;
            m2 += overlap * overlap / TRIALS;
        }
        double share = (double)SAMPLES / LENGTH, mean = SAMPLES * share;
        double variance = SAMPLES * share * (1 - share) * (LENGTH - SAMPLES) / (LENGTH - 1.0);
        check_that(fabs(m1 - mean) <= 4 * sqrt(variance / TRIALS), "%s: mean overlap %g, not %g",
                   what[neighbour], m1, mean);
        check_that(fabs((m2 - m1 * m1) / variance - 1) <= 4 * sqrt(2.0 / TRIALS),
                   "%s: variance of the overlap %g, not %g", what[neighbour], m2 - m1 * m1,
                   variance);
    }
}

/* The accepted draws of one length say nothing about the next one's. */
static void lengths_are_independent(void **state)
{
    (void)state;
    enum { SAMPLES = 100, TRIALS = 3000 };
    double m1 = 0, expected = 0;
    for (uint32_t trial = 0; trial < TRIALS; trial++) {
        uint32_t length = 1000 + trial % 200;
        uint8_t in_first[1300] = { 0 };
        ref_permutation a = keyed(trial, length), b = keyed(trial, length + 1);
        for (uint32_t c = 0; c < SAMPLES; c++) {
            in_first[ref_permute(&a, c)] = 1;
        }
        for (uint32_t c = 0; c < SAMPLES; c++) {
            m1 += in_first[ref_permute(&b, c)];
        }
        expected += (double)SAMPLES * SAMPLES / (length + 1);
    }
    check_near(m1, expected, 4 * sqrt(expected));
}

static void draws_skip_the_exact_set(void **state)
{
    (void)state;
    enum { LENGTH = 300 };
    ref_permutation permutation = keyed(5, LENGTH);
    uint8_t member[LENGTH] = { 0 }, seen[LENGTH] = { 0 };
    uint32_t drawn[LENGTH], residual = 0;
    for (uint32_t i = 0; i < LENGTH; i++) {
        member[i] = i < 10 || i % 7 == 0;
        residual += !member[i];
    }
    assert_int_equal(ref_draw(&permutation, member, LENGTH, drawn), residual);
    for (uint32_t i = 0; i < residual; i++) {
        assert_false(member[drawn[i]]);
        assert_false(seen[drawn[i]]);
        seen[drawn[i]] = 1;
    }
    uint32_t prefix[50];
    assert_int_equal(ref_draw(&permutation, member, 50, prefix), 50);
    assert_memory_equal(prefix, drawn, sizeof prefix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(it_is_a_bijection),
        cmocka_unit_test(every_token_is_equally_likely),
        cmocka_unit_test(every_pair_is_equally_likely),
        cmocka_unit_test(structured_populations_are_sampled_fairly),
        cmocka_unit_test(neighbouring_keys_are_independent),
        cmocka_unit_test(lengths_are_independent),
        cmocka_unit_test(draws_skip_the_exact_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
