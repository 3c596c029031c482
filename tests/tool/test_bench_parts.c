/* The pure parts of vsa bench: its input, the reference of sampled rows, cases, and fits. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "bench_case.h"
#include "bench_fit.h"
#include "bench_input.h"
#include "bench_truth.h"
#include "rounding.h"

enum { DIM = 64, Q_HEADS = 4, KV_HEADS = 2 };

static void open_input(double logit_std, bench_input *out_input)
{
    const tool_options options = {
        .q_heads = Q_HEADS, .kv_heads = KV_HEADS, .head_dim = DIM, .logit_std = logit_std};

    assert_int_equal(bench_input_open(&options, out_input), 0);
}

/* ------------------------------------------------------------------- input */

static void rows_do_not_depend_on_the_chunk(void **state)
{
    (void)state;
    enum { TOKENS = 300 };
    static float whole[TOKENS * DIM], part[TOKENS * DIM];
    bench_input input;

    open_input(1.0, &input);
    for (int plane = BENCH_K; plane <= BENCH_V; plane++) {
        bench_input_rows(&input, (bench_plane)plane, 1, 1, 0, TOKENS, whole);
        for (uint32_t i = 0; i < TOKENS; i++) {
            bench_input_rows(&input, (bench_plane)plane, 1, 1, i, 1, part);
            assert_memory_equal(part, whole + (size_t)i * DIM, DIM * sizeof(float));
        }
        bench_input_rows(&input, (bench_plane)plane, 0, 1, 0, TOKENS, part);
        assert_memory_not_equal(part, whole, sizeof whole);
        bench_input_rows(&input, (bench_plane)plane, 1, 0, 0, TOKENS, part);
        assert_memory_not_equal(part, whole, sizeof whole);
    }
    bench_input_destroy(&input);
}

static void values_are_exact_and_normal(void **state)
{
    (void)state;
    enum { TOKENS = 4096, COUNT = TOKENS * DIM };
    float *rows = malloc(COUNT * sizeof *rows);
    bench_input input;

    assert_non_null(rows);
    open_input(1.0, &input);
    for (int plane = BENCH_K; plane <= BENCH_V; plane++) {
        double sum = 0.0, square = 0.0;

        bench_input_rows(&input, (bench_plane)plane, 0, 0, 7, TOKENS, rows);
        for (int i = 0; i < COUNT; i++) {
            const double value = (double)rows[i];

            assert_true(rounding_through(VSA_DTYPE_F16, rows[i]) == rows[i]);
            assert_true(rounding_through(VSA_DTYPE_BF16, rows[i]) == rows[i]);
            sum += value;
            square += value * value;
        }
        const double mean = sum / COUNT;

        check_near(mean, plane == BENCH_K ? 0.0 : 0.5, 0.02);
        check_near(square / COUNT - mean * mean, 1.0, 0.02);
    }
    free(rows);
    bench_input_destroy(&input);
}

static void logits_have_the_deviation(void **state)
{
    (void)state;
    enum { TOKENS = 8192 };
    static float k[TOKENS * DIM], q[Q_HEADS * DIM];

    for (double deviation = 1.0; deviation <= 2.0; deviation += 1.0) {
        double sum = 0.0, square = 0.0, fourth = 0.0;
        bench_input input;

        open_input(deviation, &input);
        bench_input_rows(&input, BENCH_K, 0, 1, 0, TOKENS, k);
        bench_input_queries(&input, 0, 3, q);
        for (size_t i = 0; i < TOKENS; i++) {
            double logit = 0.0;

            for (size_t c = 0; c < DIM; c++) {
                logit += input.scale * (double)q[2 * DIM + c] * (double)k[i * DIM + c];
            }
            sum += logit;
            square += logit * logit;
            fourth += logit * logit * logit * logit;
        }
        const double variance = square / TOKENS - sum * sum / TOKENS / TOKENS;

        check_near(sqrt(variance), deviation, 0.04 * deviation);
        /* 3 for a normal distribution. */
        check_near(fourth / TOKENS / (variance * variance), 3.0, 0.35);
        bench_input_destroy(&input);
    }
}

/* What the cache keeps is a value that it keeps again. */
static void quantised_rows_stay(void **state)
{
    (void)state;
    enum { TOKENS = 500 };
    static const struct {
        vsa_dtype type;
        double steps; /* per largest magnitude of a block */
    } types[] = {{VSA_DTYPE_Q8_0, 127.0}, {VSA_DTYPE_Q4_0, 8.0}};
    static float exact[TOKENS * DIM], rows[TOKENS * DIM], again[TOKENS * DIM];

    for (size_t t = 0; t < 2; t++) {
        bench_input input;

        open_input(1.0, &input);
        bench_input_rows(&input, BENCH_V, 0, 0, 0, TOKENS, exact);
        input.kv_type = types[t].type;
        bench_input_rows(&input, BENCH_V, 0, 0, 0, TOKENS, rows);
        memcpy(again, rows, sizeof again);
        rounding_row(types[t].type, again, TOKENS * DIM);
        assert_memory_equal(again, rows, sizeof again);
        for (size_t i = 0; i < TOKENS * DIM; i += 32) {
            double most = 0.0;

            for (size_t j = i; j < i + 32; j++) {
                most = fmax(most, fabs((double)exact[j]));
            }
            /* Half a step and what the f16 step is off; of 16 codes from -8 to 7, a whole one at the
             * far end. */
            for (size_t j = i; j < i + 32; j++) {
                check_near(rows[j], exact[j], (t == 0 ? 0.55 : 1.01) * most / types[t].steps);
            }
        }
        bench_input_destroy(&input);
    }
}

/* ------------------------------------------------------------------- truth */

static void truth_is_the_dense_reference(void **state)
{
    (void)state;
    enum { TOKENS = 5000, STEPS = 3, LAYERS = 2, ROWS = 7 };
    float *k = malloc(TOKENS * DIM * sizeof *k), *v = malloc(TOKENS * DIM * sizeof *v);
    double *weights = malloc(TOKENS * sizeof *weights), out[DIM];
    float q[Q_HEADS * DIM];
    bench_input input;
    bench_truth truth;

    assert_true(k && v && weights);
    open_input(2.0, &input);
    assert_true(bench_truth_make(&input, TOKENS, STEPS, LAYERS, ROWS, &truth));
    assert_int_equal(truth.count, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        const bench_check *check = &truth.checks[i];
        const uint32_t kv_head = check->head / (Q_HEADS / KV_HEADS);

        assert_true(check->step < STEPS && check->layer == check->step % LAYERS);
        assert_true(i == 0 || check[-1].step * Q_HEADS + check[-1].head <
                                  check->step * Q_HEADS + check->head);
        bench_input_rows(&input, BENCH_K, check->layer, kv_head, 0, TOKENS, k);
        bench_input_rows(&input, BENCH_V, check->layer, kv_head, 0, TOKENS, v);
        bench_input_queries(&input, check->layer, check->step, q);

        const dense_row row = {.k = k,
                               .v = v,
                               .q = q + (size_t)check->head * DIM,
                               .length_tokens = TOKENS,
                               .head_dim_k = DIM,
                               .head_dim_v = DIM,
                               .softmax_scale = input.scale};
        const dense_truth whole = dense_reference(&row, weights, out);

        check_near(check->truth.log_normaliser, whole.log_normaliser, 1e-12);
        check_near(check->truth.value_rms, whole.value_rms, 1e-12);
        for (int c = 0; c < DIM; c++) {
            check_near(check->out[c], out[c], 1e-13);
        }
    }
    bench_truth_destroy(&truth);

    /* All rows, when more are asked for. */
    assert_true(bench_truth_make(&input, 10, STEPS, LAYERS, 1000, &truth));
    assert_int_equal(truth.count, STEPS * Q_HEADS);
    for (uint32_t i = 0; i < truth.count; i++) {
        assert_int_equal(truth.checks[i].step * Q_HEADS + truth.checks[i].head, i);
    }
    bench_truth_destroy(&truth);
    bench_input_destroy(&input);
    free(k);
    free(v);
    free(weights);
}

/* ------------------------------------------------------------ cases and fits */

static void parse(tool_options *options, int count, char **arguments, bench_cases *cases)
{
    assert_int_equal(options_parse(options, COMMAND_BENCH, count, arguments), 0);
    bench_cases_make(options, cases);
}

static void cases_are_what_is_left_open(void **state)
{
    (void)state;
    char *one[] = {"--method", "vattention", "--scorer=exact"};
    char *some[] = {"--methods", "sample,dense,topk", "--scorer", "exact", "--tokens", "4K,1M,300"};
    tool_options options;
    bench_cases cases;

    parse(&options, 0, NULL, &cases);
    assert_int_equal(cases.count, 2 + 4 * 5); /* 4 methods score, with 5 scorers */
    for (size_t i = 0; i < cases.count; i++) {
        assert_false(cases.items[i].is_named);
    }
    parse(&options, 3, one, &cases);
    assert_int_equal(cases.count, 2);
    assert_int_equal(cases.items[0].method, VSA_METHOD_DENSE); /* always */
    assert_false(cases.items[0].is_named);
    assert_int_equal(cases.items[1].method, VSA_METHOD_VATTENTION);
    assert_true(cases.items[1].is_named);
    parse(&options, 6, some, &cases);
    assert_int_equal(cases.count, 3);
    assert_int_equal(cases.items[0].method, VSA_METHOD_DENSE);
    assert_true(cases.items[0].is_named);
    assert_int_equal(cases.items[1].method, VSA_METHOD_TOP_K);
    assert_int_equal(cases.items[2].method, VSA_METHOD_SAMPLE);
    assert_int_equal(options.lengths.count, 3);
    assert_int_equal(options.lengths.items[0], 4096);
    assert_int_equal(options.lengths.items[1], 1048576);
    assert_int_equal(options.lengths.items[2], 300);
}

static void fits_recover_what_they_fit(void **state)
{
    (void)state;
    const double lengths[] = {4096, 8192, 32768, 65536};
    double line[4], power[4], falling[4] = {4, 3, 2, 1};
    bench_fit fit;

    for (int i = 0; i < 4; i++) {
        line[i] = 5.0 + 0.25 * lengths[i];
        power[i] = 3.0 * pow(lengths[i], 1.5);
    }
    fit = bench_fit_make(lengths, line, 4);
    check_near(fit.fixed, 5.0, 1e-6);
    check_near(fit.per_token, 0.25, 1e-9);
    fit = bench_fit_make(lengths, power, 4);
    check_near(fit.exponent, 1.5, 1e-12);
    check_near(fit.fixed, 0.0, 0.0); /* a negative one would fit better */
    fit = bench_fit_make(lengths, falling, 4);
    assert_true(fit.exponent < 0.0 && fit.fixed > 0.0);
    check_near(fit.per_token, 0.0, 0.0);
    fit = bench_fit_make(lengths, line, 2);
    assert_true(isfinite(fit.exponent) && isnan(fit.fixed));
    fit = bench_fit_make(lengths, line, 1);
    assert_true(isnan(fit.exponent) && isnan(fit.fixed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_do_not_depend_on_the_chunk),
        cmocka_unit_test(values_are_exact_and_normal),
        cmocka_unit_test(logits_have_the_deviation),
        cmocka_unit_test(quantised_rows_stay),
        cmocka_unit_test(truth_is_the_dense_reference),
        cmocka_unit_test(cases_are_what_is_left_open),
        cmocka_unit_test(fits_recover_what_they_fit),
    };
    return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}
