/* What eval runs, and how it finds a density. */
#include "check.h"

#include <stdbool.h>
#include <string.h>

#include "eval_search.h"
#include "eval_sweep.h"
#include "options.h"

static size_t count_cases(const eval_sweep *sweep, int method, int scorer, int bound)
{
    size_t count = 0;

    for (size_t i = 0; i < sweep->count; i++) {
        const eval_case *entry = &sweep->cases[i];

        count += entry->method == method && entry->scorer == scorer && entry->bound == bound;
    }
    return count;
}

/* The sweep of a command line; how many of its cases this version is not known to have. */
static size_t make_sweep(int count, char *const *arguments, tool_options *options,
                         eval_sweep *sweep)
{
    size_t doubtful = 0;

    assert_int_equal(options_parse(options, COMMAND_EVAL, count, arguments), 0);
    assert_true(eval_sweep_make(options, sweep));
    for (size_t i = 0; i < sweep->count; i++) {
        doubtful += sweep->cases[i].is_doubtful;
    }
    return doubtful;
}

static void a_sweep_has_every_combination(void **state)
{
    (void)state;
    static const struct {
        int method, scorer;
        size_t clt, strict;
    } rows[] = {
        {VSA_METHOD_DENSE, VSA_SCORER_EXACT, 1, 0},
        {VSA_METHOD_TOP_K, VSA_SCORER_EXACT, 6, 0},
        {VSA_METHOD_TOP_P, VSA_SCORER_INT8, 5, 0},
        {VSA_METHOD_SAMPLE, VSA_SCORER_EXACT, 3 * 5, 0},
        {VSA_METHOD_VATTENTION, VSA_SCORER_EXACT, 3 * 5, 5},
        {VSA_METHOD_VATTENTION, VSA_SCORER_PAGE, 5, 0},
        {VSA_METHOD_VATTENTION, VSA_SCORER_INT4, 5, 5},
        {VSA_METHOD_GUIDED, VSA_SCORER_EXACT, 3 * 5, 3 * 5},
        {VSA_METHOD_GUIDED, VSA_SCORER_SIGN, 5, 0},
        {VSA_METHOD_GUIDED, VSA_SCORER_INT8, 5, 5},
    };
    tool_options options;
    eval_sweep sweep;

    assert_int_equal(make_sweep(0, NULL, &options, &sweep), 0);
    assert_int_equal(sweep.cases[0].method, VSA_METHOD_DENSE);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t clt = count_cases(&sweep, rows[i].method, rows[i].scorer, VSA_BOUND_CLT);
        const size_t strict = count_cases(&sweep, rows[i].method, rows[i].scorer, VSA_BOUND_STRICT);

        check_that(clt == rows[i].clt && strict == rows[i].strict, "row %zu: %zu and %zu", i, clt,
                   strict);
    }
    /* Exact; page and sign; int8 and int4. */
    assert_int_equal(sweep.count, 1 + 6 + 5 + 15 + 20 + 30 + 2 * 21 + 2 * 31);
    eval_sweep_destroy(&sweep);
}

static void options_narrow_a_sweep(void **state)
{
    (void)state;
    char *arguments[] = {(char *)"--method=vattention", (char *)"--target=numerator",
                         (char *)"--scorer=exact", (char *)"--top-k=100"};
    tool_options options;
    eval_sweep sweep;

    assert_int_equal(make_sweep(4, arguments, &options, &sweep), 0);
    assert_true(options_given(&options, "top-k"));
    assert_false(options_given(&options, "epsilon"));
    assert_int_equal(sweep.count, 5);
    for (size_t i = 0; i < sweep.count; i++) {
        const tool_options own = eval_case_options(&sweep.cases[i], &options);

        assert_int_equal(own.method, VSA_METHOD_VATTENTION);
        assert_int_equal(own.target, VSA_TARGET_NUMERATOR);
        assert_int_equal(own.top_k.count, 100);
        assert_false(own.top_k.is_fraction);
    }
    eval_sweep_destroy(&sweep);
}

/* What a default sweep leaves out is tried, and refused by the library, when it is asked for. */
static void what_is_asked_for_is_not_left_out(void **state)
{
    (void)state;
    char *sample[] = {(char *)"--method=sample", (char *)"--bound=strict"};
    char *output[] = {(char *)"--method=vattention", (char *)"--bound=strict",
                      (char *)"--target=output"};
    char *page[] = {(char *)"--method=guided", (char *)"--scorer=page", (char *)"--bound=strict"};
    char *floor[] = {(char *)"--value-floor=0.5", (char *)"--bound=strict"};
    char *strict[] = {(char *)"--bound=strict", (char *)"--scorer=exact"};
    char *beside[] = {(char *)"--value-floor=0.5"};
    tool_options options;
    eval_sweep sweep;

    assert_int_equal(make_sweep(2, sample, &options, &sweep), 3 * 5);
    assert_int_equal(sweep.count, 3 * 5);
    eval_sweep_destroy(&sweep);
    assert_int_equal(make_sweep(3, output, &options, &sweep), 5 * 5);
    eval_sweep_destroy(&sweep);
    assert_int_equal(make_sweep(3, page, &options, &sweep), 3 * 5);
    eval_sweep_destroy(&sweep);
    assert_true(make_sweep(2, floor, &options, &sweep) > 0);
    eval_sweep_destroy(&sweep);
    assert_int_equal(make_sweep(2, strict, &options, &sweep), 0);
    assert_int_equal(count_cases(&sweep, VSA_METHOD_SAMPLE, VSA_SCORER_EXACT, VSA_BOUND_STRICT), 0);
    assert_int_equal(count_cases(&sweep, VSA_METHOD_GUIDED, VSA_SCORER_EXACT, VSA_BOUND_STRICT),
                     3 * 5);
    eval_sweep_destroy(&sweep);
    assert_int_equal(make_sweep(1, beside, &options, &sweep), 0);
    assert_int_equal(count_cases(&sweep, VSA_METHOD_GUIDED, VSA_SCORER_EXACT, VSA_BOUND_STRICT), 0);
    eval_sweep_destroy(&sweep);
}

static void densities_take_the_place_of_settings(void **state)
{
    (void)state;
    char *arguments[] = {(char *)"--density", (char *)"0.05,0.2", (char *)"--window=10"};
    tool_options options;
    eval_sweep sweep;

    assert_int_equal(make_sweep(3, arguments, &options, &sweep), 0);
    assert_int_equal(sweep.count, 5 * 2); /* not dense; bound clt, target output */
    for (size_t i = 0; i < sweep.count; i++) {
        eval_case *entry = &sweep.cases[i];

        assert_int_equal(entry->target_count, 1);
        assert_int_equal(entry->targets[0], VSA_TARGET_OUTPUT);
        check_near(entry->density, i % 2 == 0 ? 0.05 : 0.2, 0.0);
        eval_case_settle(entry, &options, 16000);
        assert_int_equal(entry->sink.count, i % 2 == 0 ? 50 : 200);
        assert_int_equal(entry->window.count, 10);
        assert_int_equal(entry->base.count, i % 2 == 0 ? 50 : 200);
        check_near(entry->top_k.fraction, entry->density * 0.375, 0.0);
    }
    eval_sweep_destroy(&sweep);
}

/* Places that read more: a larger k, a larger p, a smaller epsilon; all within their ranges. */
static void a_case_moves_from_least_to_most(void **state)
{
    (void)state;
    static const int methods[] = {VSA_METHOD_TOP_K, VSA_METHOD_TOP_P, VSA_METHOD_SAMPLE,
                                  VSA_METHOD_VATTENTION, VSA_METHOD_GUIDED};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        eval_case before = {.method = methods[i], .density = 0.1}, after = before;

        for (int step = 0; step <= 20; step++) {
            eval_case_move(&after, step / 20.0);
            check_that((float)after.epsilon < 1.0f && (float)after.top_p < 1.0f &&
                           after.top_k.fraction <= 1.0,
                       "method %d, step %d", methods[i], step);
            check_that(step == 0 || after.epsilon < before.epsilon || after.top_p > before.top_p ||
                           after.top_k.fraction > before.top_k.fraction,
                       "method %d, step %d does not move", methods[i], step);
            before = after;
        }
        const double start = eval_case_start(&after, 4096);

        check_that(start >= 0.0 && start <= 1.0, "method %d starts at %g", methods[i], start);
    }
}

/* Densities by place, as methods have them. */
static double steep(double place)
{
    return 0.01 + 0.99 * pow(place, 12.0);
}
static double falling_variance(double place)
{
    const double epsilon = 0.999 * pow(1e-4 / 0.999, place);

    return fmin(1.0, 0.004 + 3e-5 / (epsilon * epsilon));
}
static double in_steps(double place)
{
    return ceil(falling_variance(place) * 1000.0) / 1000.0;
}
static double not_quite_growing(double place)
{
    return falling_variance(place) * (1.0 + 0.01 * sin(500.0 * place));
}
static double never_small(double place)
{
    return 0.4 + 0.5 * place;
}
static double never_large(double place)
{
    return 0.04 * place;
}

static void a_search_finds_the_density(void **state)
{
    (void)state;
    static const struct {
        double (*density)(double place);
        double wanted;
        bool is_there;
    } rows[] = {
        {steep, 0.05, true},           {steep, 0.2, true},        {falling_variance, 0.05, true},
        {falling_variance, 0.5, true}, {in_steps, 0.05, true},    {not_quite_growing, 0.1, true},
        {never_small, 0.1, false},     {never_large, 0.1, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        eval_search search = {.density = rows[i].wanted, .start = 0.2};
        double place, best = -1.0;

        while (eval_search_next(&search, &place)) {
            check_that(place >= 0.0 && place <= 1.0, "row %zu: place %g", i, place);
            if (eval_search_add(&search, place, rows[i].density(place))) {
                best = place;
            }
        }
        check_that(search.count <= (rows[i].is_there ? 10u : 6u), "row %zu: %zu steps", i,
                   search.count);
        check_that(eval_density_is_near(rows[i].density(best), rows[i].wanted) == rows[i].is_there,
                   "row %zu: density %g", i, rows[i].density(best));
    }
    eval_search search = {.density = 0.1, .start = 0.5};

    assert_true(eval_search_add(&search, 0.5, 0.4));
    assert_true(eval_search_add(&search, 0.4, 0.2));
    assert_false(eval_search_add(&search, 0.45, 0.3));
}

static void lists_of_numbers(void **state)
{
    (void)state;
    char *good[] = {(char *)"--density=0.05,1e-1,.2"};
    tool_options options;

    assert_int_equal(options_parse(&options, COMMAND_EVAL, 1, good), 0);
    assert_int_equal(options.densities.count, 3);
    check_near(options.densities.items[1], 0.1, 0.0);
    check_near(options.top_p, 0.9, 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_has_every_combination),
        cmocka_unit_test(options_narrow_a_sweep),
        cmocka_unit_test(what_is_asked_for_is_not_left_out),
        cmocka_unit_test(densities_take_the_place_of_settings),
        cmocka_unit_test(a_case_moves_from_least_to_most),
        cmocka_unit_test(a_search_finds_the_density),
        cmocka_unit_test(lists_of_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
