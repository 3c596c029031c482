/* The tool's pure parts: numbers from text, rounding, statistics, the dense reference and generated
 * tensors. */
#include "check.h"

#include <stdbool.h>
#include <string.h>

#include "dense_reference.h"
#include "options.h"
#include "parse.h"
#include "rounding.h"
#include "stats.h"
#include "synthetic.h"
#include "trace.h"

static void numbers_are_whole_texts(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    " ",   "1 ", " 1",  "+1", "0x1",  "1,5",
                                      "inf", "nan", "1e", "--1", ".",  "1.2.3"};
    uint64_t count;
    double value;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_that(!parse_count(bad[i], &count), "count '%s'", bad[i]);
        check_that(!parse_real(bad[i], &value) || strcmp(bad[i], "+1") == 0, "real '%s'", bad[i]);
    }
    assert_true(parse_count("18446744073709551615", &count));
    assert_true(count == UINT64_MAX);
    assert_false(parse_count("18446744073709551616", &count));
    assert_false(parse_real("1e999", &value));
    assert_true(parse_real("-2.5e-3", &value));
    check_near(value, -0.0025, 0.0);
}

static void every_half_comes_back(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float half = rounding_f16_to_f32((uint16_t)bits);
        const float brain = rounding_bf16_to_f32((uint16_t)bits);

        check_that(isnan(half) || rounding_f32_to_f16(half) == bits, "f16 %x", bits);
        check_that(isnan(brain) || rounding_f32_to_bf16(brain) == bits, "bf16 %x", bits);
    }
}

static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint16_t half, brain;
    } rows[] = {
        {0x1p0f + 0x1p-11f, 0x3c00, 0x3f80}, /* f16 tie, down to even */
        {0x1p0f + 0x3p-11f, 0x3c02, 0x3f80}, /* f16 tie, up to even */
        {0x1p0f + 0x1p-11f + 0x1p-20f, 0x3c01, 0x3f80},
        {0x1p0f + 0x1p-8f, 0x3c04, 0x3f80}, /* bf16 tie, down to even */
        {0x1p0f + 0x3p-8f, 0x3c0c, 0x3f82}, /* bf16 tie, up to even */
        {65519.0f, 0x7bff, 0x4780},
        {65520.0f, 0x7c00, 0x4780}, /* f16: infinite */
        {0x1p-25f, 0x0000, 0x3300}, /* half of the smallest f16 */
        {0x3p-25f, 0x0002, 0x33c0},
        {-0.0f, 0x8000, 0x8000},
        {INFINITY, 0x7c00, 0x7f80},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_that(rounding_f32_to_f16(rows[i].value) == rows[i].half, "f16 of %a is %x",
                   (double)rows[i].value, rounding_f32_to_f16(rows[i].value));
        check_that(rounding_f32_to_bf16(rows[i].value) == rows[i].brain, "bf16 of %a is %x",
                   (double)rows[i].value, rounding_f32_to_bf16(rows[i].value));
    }
    assert_true(isnan(rounding_through(VSA_DTYPE_F16, NAN)));
    assert_true(isnan(rounding_through(VSA_DTYPE_BF16, NAN)));
}

static void statistics(void **state)
{
    (void)state;
    stats list = {0};

    for (int i = 100; i >= 1; i--) {
        assert_true(stats_add(&list, i));
    }
    stats_summary summary = stats_summarise(&list, 10.0);

    check_near(summary.mean, 50.5, 1e-12);
    check_near(summary.p95, 95.0, 0.0);
    check_near(summary.max, 100.0, 0.0);
    check_near(summary.coverage, 0.1, 1e-12);
    assert_true(stats_add(&list, NAN));
    summary = stats_summarise(&list, 10.0);
    assert_true(isinf(summary.max));
    check_near(summary.mean, 50.5, 1e-12);
    stats_destroy(&list);
}

static void dense_reference_of_two_tokens(void **state)
{
    (void)state;
    float k[2 * 32] = {0}, v[2 * 32] = {0}, q[32] = {0}, out[32] = {0};
    double weights[2], reference[32];

    q[0] = 2.0f;
    k[32] = 3.0f;
    v[0] = 1.0f;
    v[32 + 1] = 1.0f;
    const dense_row row = {.k = k,
                           .v = v,
                           .q = q,
                           .length_tokens = 2,
                           .head_dim_k = 32,
                           .head_dim_v = 32,
                           .softmax_scale = 0.5};
    const dense_truth truth = dense_reference(&row, weights, reference);
    const double w = exp(3.0), double_d = truth.log_normaliser + log(2.0);

    check_near(truth.log_normaliser, log(1.0 + w), 1e-14);
    check_near(truth.value_rms, 1.0, 1e-15);
    check_near(reference[0], 1.0 / (1.0 + w), 1e-15);
    check_near(reference[1], w / (1.0 + w), 1e-15);

    for (int c = 0; c < 32; c++) {
        out[c] = (float)(1.1 * reference[c]);
    }
    static const struct {
        vsa_target target;
        double value_floor, error, tolerance;
    } rows[] = {
        {VSA_TARGET_OUTPUT, 0.0, 0.1, 1e-6},
        {VSA_TARGET_NUMERATOR, 0.0, 1.2, 1e-6},
        {VSA_TARGET_DENOMINATOR, 0.0, 1.0, 1e-12},
        {VSA_TARGET_OUTPUT, 0.5, 0.1, 1e-6}, /* |out| is above half of value_rms */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_near(dense_reference_error(rows[i].target, 32, out, double_d, reference, truth,
                                         rows[i].value_floor),
                   rows[i].error, rows[i].tolerance);
    }
    const double norm = sqrt(1.0 + w * w) / (1.0 + w);

    check_near(dense_reference_error(VSA_TARGET_OUTPUT, 32, out, double_d, reference, truth, 4.0),
               0.1 * norm / 4.0, 1e-6);
    check_near(
        dense_reference_error(VSA_TARGET_NUMERATOR, 32, out, double_d, reference, truth, 4.0),
        1.2 * norm / 4.0, 1e-6);
}

/* Standard deviation of one query's logits. */
static double logit_deviation(const trace *input)
{
    const trace_layer *layer = &input->layers[0];
    double sum = 0.0, square = 0.0;

    for (uint32_t i = 0; i < layer->tokens; i++) {
        double logit = 0.0;

        for (uint32_t c = 0; c < layer->head_dim_k; c++) {
            logit += trace_scale(input, layer) * (double)layer->q[c] *
                     (double)layer->k[(size_t)i * layer->head_dim_k + c];
        }
        sum += logit;
        square += logit * logit;
    }
    const double mean = sum / layer->tokens;

    return sqrt(square / layer->tokens - mean * mean);
}

static void synthetic_logits_have_the_named_deviation(void **state)
{
    (void)state;
    static const char *const specifications[] = {
        "gaussian:tokens=8192,queries=1,std=2",
        "uniform:tokens=8192,queries=1,std=2",
        "laplace:tokens=8192,queries=1,std=2",
        "outlier:tokens=8192,queries=1,std=2",
        "aligned:tokens=8192,queries=1,std=2",
        "bimodal:tokens=8192,queries=1,std=1,high=0.5,gap=3.4641", /* 1 + gap^2 / 4 */
    };

    for (size_t i = 0; i < sizeof specifications / sizeof *specifications; i++) {
        trace input;

        assert_int_equal(synthetic_make(specifications[i], &input), 0);
        check_near(logit_deviation(&input), 2.0, 0.1);
        trace_destroy(&input);
    }
}

static void defaults_of_the_policy(void **state)
{
    (void)state;
    tool_options options;

    assert_int_equal(options_parse(&options, COMMAND_DECODE, 0, NULL), 0);
    vsa_policy policy = options_policy(&options);

    assert_int_equal(policy.method, VSA_METHOD_VATTENTION);
    assert_int_equal(policy.target, VSA_TARGET_OUTPUT);
    assert_int_equal(policy.on_miss, VSA_MISS_DENSE);
    assert_int_equal(policy.sink_tokens, 128);
    assert_int_equal(policy.window_tokens, 128);
    assert_int_equal(policy.top_k, 0);
    check_near((double)policy.top_k_fraction, 0.02, 1e-9);
    assert_int_equal(policy.base_samples, 64);
    check_near((double)policy.base_fraction, 0.025, 1e-9);
    assert_int_equal(policy.base_max_samples, 256);
    check_near((double)policy.epsilon, 0.1, 1e-8);
    check_near((double)policy.delta, 0.1, 1e-8);

    char *counts[] = {(char *)"--top-k", (char *)"100", (char *)"--base=96"};

    assert_int_equal(options_parse(&options, COMMAND_DECODE, 3, counts), 0);
    policy = options_policy(&options);
    assert_int_equal(policy.top_k, 100);
    check_near((double)policy.top_k_fraction, 0.0, 0.0);
    assert_int_equal(policy.base_samples, 96);
    check_near((double)policy.base_fraction, 0.0, 0.0);
    assert_int_equal(policy.base_max_samples, 0);

    char *fractions[] = {(char *)"--top-k=1e-1", (char *)"--base", (char *)"0.05"};

    assert_int_equal(options_parse(&options, COMMAND_DECODE, 3, fractions), 0);
    policy = options_policy(&options);
    assert_int_equal(policy.top_k, 0);
    check_near((double)policy.top_k_fraction, 0.1, 1e-8);
    assert_int_equal(policy.base_samples, 2);
    check_near((double)policy.base_fraction, 0.05, 1e-8);
    assert_int_equal(policy.base_max_samples, 0);
}

static void the_last_queries_keep_their_lengths(void **state)
{
    (void)state;
    trace all, last;

    assert_int_equal(synthetic_make("local:tokens=64,queries=8,dim=32", &all), 0);
    assert_int_equal(synthetic_make("local:tokens=64,queries=8,dim=32", &last), 0);
    trace_keep_queries(&last, 3);

    const trace_layer *from = &all.layers[0], *to = &last.layers[0];

    assert_int_equal(to->queries, 3);
    assert_int_equal(trace_length(to, 0), trace_length(from, 5));
    for (uint32_t h = 0; h < from->q_heads; h++) {
        assert_memory_equal(to->q + (size_t)h * 3 * 32, from->q + ((size_t)h * 8 + 5) * 32,
                            3 * 32 * sizeof(float));
    }
    trace_keep_queries(&last, 4);
    assert_int_equal(to->queries, 3);
    trace_destroy(&all);
    trace_destroy(&last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_texts),
        cmocka_unit_test(every_half_comes_back),
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(statistics),
        cmocka_unit_test(dense_reference_of_two_tokens),
        cmocka_unit_test(synthetic_logits_have_the_named_deviation),
        cmocka_unit_test(defaults_of_the_policy),
        cmocka_unit_test(the_last_queries_keep_their_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
