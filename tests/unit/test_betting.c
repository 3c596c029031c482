/* "Strict denominator": the bets are fair to whoever takes the other side, and win in the end. */
#include "check.h"
#include "reference.h"

#include <stdlib.h>

enum { POPULATION = 1500, DRAWS = 704, REPEATS = 4000 };

static const double epsilon = 0.1;

/* Values in [0, 1]: `heavy` of 1, the others small. */
static double make_population(double *x, uint32_t heavy)
{
    ref_random random = { 17 };
    double sum = 0;
    for (uint32_t i = 0; i < POPULATION; i++) {
        x[i] = i < heavy ? 1 : 0.3 * ref_random_uniform(&random);
        sum += x[i];
    }
    return sum;
}

static void shuffle(double *x, ref_random *random)
{
    for (uint32_t i = POPULATION - 1; i > 0; i--) {
        uint32_t j = ref_random_below(random, i + 1);
        double swapped = x[i];
        x[i] = x[j];
        x[j] = swapped;
    }
}

static void blocks_tile_the_draws(void **state)
{
    (void)state;
    uint32_t end = 0, blocks = 0;
    while (end < 1u << 23) {
        uint32_t size = ref_bet_block(end);
        assert_int_equal(size % 64, 0);
        check_that(end < 2048 ? size == 64 : 16 * size <= end && 32 * size > end,
                   "block of %u at %u", size, end);
        assert_int_equal(ref_bet_round_up(end + 1), end + size);
        assert_int_equal(ref_bet_round_up(end + size), end + size);
        end += size;
        blocks++;
    }
    assert_true(blocks <= 256);
}

/* At the true sum the wealth is worth what it began with, or less, at every block's end; and by
 * Ville's inequality it rarely gets far. */
static void wealth_is_a_supermartingale(void **state)
{
    (void)state;
    static const uint32_t heavies[] = { 0, 3, 300 };
    static const uint32_t ends[] = { 64, 128, 320, DRAWS };
    for (int h = 0; h < 3; h++) {
        double x[POPULATION], truth = make_population(x, heavies[h]);
        ref_random random = { 5 };
        for (int below = 0; below < 2; below++) {
            double sum[4] = { 0 }, squares[4] = { 0 };
            uint32_t reached = 0;
            for (int i = 0; i < REPEATS; i++) {
                shuffle(x, &random);
                double highest = 0;
                for (int e = 0; e < 4; e++) {
                    double wealth = exp(ref_bet_evidence(x, ends[e], POPULATION, 20, epsilon, truth,
                                                         below));
                    sum[e] += wealth;
                    squares[e] += wealth * wealth;
                    highest = fmax(highest, wealth);
                }
                reached += highest >= 10;
            }
            for (int e = 0; e < 4; e++) {
                double mean = sum[e] / REPEATS;
                double error = sqrt((squares[e] / REPEATS - mean * mean) / REPEATS);
                check_that(mean <= 1 + 4 * error + 1e-12, "heavy %u, side %d, %u draws: %g +- %g",
                           heavies[h], below, ends[e], mean, error);
            }
            check_that(ref_binomial_tail(reached, REPEATS, 0.1) > 1e-4,
                       "%u of %d reached 10 times the stake", reached, REPEATS);
        }
    }
}

/* A sum that is wrong by more than the sample says loses, more the farther off it is. */
static void wrong_sums_are_rejected(void **state)
{
    (void)state;
    double x[POPULATION], truth = make_population(x, 3);
    ref_random random = { 6 };
    shuffle(x, &random);
    double previous = -INFINITY;
    for (double factor = 1.1; factor < 1.6; factor += 0.1) {
        double found = ref_bet_evidence(x, DRAWS, POPULATION, 20, epsilon, truth * factor, 1);
        assert_true(found > previous);
        previous = found;
    }
    assert_true(previous > 5);
    assert_true(isinf(ref_bet_evidence(x, DRAWS, POPULATION, 20, epsilon, POPULATION, 1)));
    assert_true(isinf(ref_bet_evidence(x, DRAWS, POPULATION, 20, epsilon, 1, 0)));
}

static void promise_and_budget(void **state)
{
    (void)state;
    static const double delta = 0.2;
    double x[POPULATION], truth = make_population(x, 20);
    ref_random random = { 7 };
    uint32_t failures = 0, accepted = 0;
    for (int i = 0; i < REPEATS; i++) {
        shuffle(x, &random);
        ref_bet_result bet;
        uint32_t draws = 64;
        for (;;) {
            ref_bet(x, draws, POPULATION, 20, epsilon, delta, &bet);
            assert_int_equal(bet.broken, 0);
            if (fmin(bet.evidence_high, bet.evidence_low) >= log(2 / delta)) {
                break;
            }
            assert_true(bet.wanted > draws);
            draws = ref_bet_round_up(bet.wanted);
            if (2 * draws >= POPULATION) {
                draws = 0;
                break;
            }
        }
        if (draws == 0) {
            continue;
        }
        double estimate = 20, total = 20 + truth;
        for (uint32_t j = 0; j < draws; j++) {
            estimate += x[j] * POPULATION / draws;
        }
        accepted++;
        failures += fabs(estimate / total - 1) > epsilon;
    }
    assert_true(accepted > REPEATS / 2);
    check_that(ref_binomial_tail(failures, REPEATS, delta) > 1e-4, "%u failures", failures);
    x[5] = 1.5;
    ref_bet_result bet;
    ref_bet(x, 64, POPULATION, 20, epsilon, delta, &bet);
    assert_int_equal(bet.broken, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_tile_the_draws),
        cmocka_unit_test(wealth_is_a_supermartingale),
        cmocka_unit_test(wrong_sums_are_rejected),
        cmocka_unit_test(promise_and_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
