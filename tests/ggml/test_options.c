/* Options by name and by environment; the versions of ggml. */
#define _POSIX_C_SOURCE 200112L
#include "check.h"
#include "options.h"
#include "version.h"

#include <stdlib.h>
#include <string.h>

static vsai_ggml_options options;
static vsai_ggml_error error;

static int set(const char *name, const char *value)
{
    error.sentence[0] = 0;
    return vsai_ggml_options_set(&options, name, value, &error);
}

static int reset(void **state)
{
    (void)state;
    vsai_ggml_options_default(&options);
    return 0;
}

static void words_numbers_and_fractions_are_read(void **state)
{
    (void)state;
    assert_true(set("method", "guided"));
    assert_int_equal(options.policy.method, VSA_METHOD_GUIDED);
    assert_true(set("scorer", "int4") && set("bound", "strict") && set("target", "numerator"));
    assert_int_equal(options.policy.scorer, VSA_SCORER_INT4);
    assert_int_equal(options.policy.bound, VSA_BOUND_STRICT);
    assert_int_equal(options.policy.target, VSA_TARGET_NUMERATOR);
    assert_true(set("epsilon", ".02") && set("delta", "5e-2"));
    assert_float_equal(options.policy.epsilon, 0.02f, 1e-9f);
    assert_float_equal(options.policy.delta, 0.05f, 1e-9f);
    assert_true(set("seed", "18446744073709551615"));
    assert_true(options.seed == UINT64_MAX);
    assert_true(set("min_tokens", "0") && set("max_samples", "64") && set("verify", "1"));
    assert_int_equal(options.min_tokens, 0);
    assert_int_equal(options.policy.max_samples, 64);
    assert_int_equal(options.verify, 1);
    assert_true(set("device", "llvmpipe"));
    assert_string_equal(options.device, "llvmpipe");
}

static void counts_and_fractions_replace_each_other(void **state)
{
    (void)state;
    assert_true(set("top_k", "0.25"));
    assert_int_equal(options.policy.top_k, 0);
    assert_float_equal(options.policy.top_k_fraction, 0.25f, 0);
    assert_true(set("top_k", "40"));
    assert_int_equal(options.policy.top_k, 40);
    assert_float_equal(options.policy.top_k_fraction, 0, 0);
    assert_true(set("sink", "0.5") && set("window", "1.0") && set("base_samples", "7"));
    assert_int_equal(options.policy.sink_tokens, 0);
    assert_float_equal(options.policy.window_fraction, 1, 0);
    assert_int_equal(options.policy.base_samples, 7);
    assert_float_equal(options.policy.base_fraction, 0, 0);
}

static void layers_are_a_list(void **state)
{
    (void)state;
    assert_true(set("dense_layers", "0,3,1023"));
    assert_true(vsai_ggml_options_layer_is_dense(&options, 0));
    assert_true(!vsai_ggml_options_layer_is_dense(&options, 1));
    assert_true(vsai_ggml_options_layer_is_dense(&options, 3));
    assert_true(vsai_ggml_options_layer_is_dense(&options, 1023));
    assert_true(!vsai_ggml_options_layer_is_dense(&options, 4000000000u));
    assert_true(set("dense_layers", ""));
    assert_true(!vsai_ggml_options_layer_is_dense(&options, 0));
}

static void bad_values_change_nothing_and_are_named(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"method", "fast"}, {"method", ""}, {"scorer", "Exact"}, {"epsilon", "0"},
        {"epsilon", "1"}, {"epsilon", "-0.1"}, {"epsilon", "nan"}, {"epsilon", "0,1"},
        {"epsilon", "1e-60"}, {"epsilon", "0.1x"}, {"delta", "1.5"}, {"top_p", "0.0"},
        {"top_p", "1.01"}, {"top_k", "1.5"}, {"top_k", "-1"}, {"top_k", "16777217"},
        {"top_k", " 3"}, {"top_k", "."}, {"max_samples", "0.5"}, {"verify", "2"},
        {"seed", "18446744073709551616"}, {"dense_layers", "1,,2"}, {"dense_layers", "1,"},
        {"dense_layers", "1024"}, {"dense_layers", "a"}, {"min_tokens", "-5"},
        {"device_type", "cpu"}, {"epsilon", "1e"}, {"epsilon", "e-1"}};
    vsai_ggml_options before;
    memcpy(&before, &options, sizeof before);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char name[40] = "VSA_";
        for (size_t c = 0; bad[i][0][c] != 0; c++) {
            name[4 + c] = bad[i][0][c] == '_' ? '_' : (char)(bad[i][0][c] - 'a' + 'A');
        }
        check_that(!set(bad[i][0], bad[i][1]), "%s '%s' was taken", bad[i][0], bad[i][1]);
        check_that(strstr(error.sentence, name) == error.sentence, "'%s' does not begin with %s",
                   error.sentence, name);
        assert_memory_equal(&before, &options, sizeof before);
    }
    assert_true(!set("epsilonn", "0.1"));
    assert_string_equal(error.sentence, "there is no option 'epsilonn'");
    char path[600];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    assert_true(!set("summary", path));
    assert_memory_equal(&before, &options, sizeof before);
}

static void what_does_not_go_together_is_said(void **state)
{
    (void)state;
    assert_true(vsai_ggml_options_check(&options, &error));
    assert_true(set("bound", "strict"));
    assert_true(!vsai_ggml_options_check(&options, &error));
    assert_true(set("target", "denominator"));
    assert_true(vsai_ggml_options_check(&options, &error));
    assert_true(set("scorer", "sign"));
    assert_true(!vsai_ggml_options_check(&options, &error));
    assert_true(set("scorer", "int8") && set("max_samples", "31"));
    assert_true(!vsai_ggml_options_check(&options, &error));
}

static void the_environment_is_read_and_empty_means_unset(void **state)
{
    (void)state;
    setenv("VSA_EPSILON", "0.25", 1);
    setenv("VSA_DENSE_LAYERS", "2", 1);
    setenv("VSA_METHOD", "", 1);
    assert_true(vsai_ggml_options_from_environment(&options, &error));
    assert_float_equal(options.policy.epsilon, 0.25f, 0);
    assert_int_equal(options.policy.method, VSA_METHOD_VATTENTION);
    assert_true(vsai_ggml_options_layer_is_dense(&options, 2));
    setenv("VSA_EPSILON", "2", 1);
    assert_true(!vsai_ggml_options_from_environment(&options, &error));
    assert_string_equal(error.sentence, "VSA_EPSILON is '2', must be above 0 and below 1");
    unsetenv("VSA_EPSILON");
    unsetenv("VSA_DENSE_LAYERS");
    unsetenv("VSA_METHOD");
}

static void only_tested_versions_of_ggml_pass(void **state)
{
    (void)state;
    assert_true(vsai_ggml_version_is_tested("0.27"));
    assert_true(vsai_ggml_version_is_tested("0.27.0"));
    assert_true(vsai_ggml_version_is_tested("0.27.3-dev"));
    assert_true(!vsai_ggml_version_is_tested("0.26.9"));
    assert_true(!vsai_ggml_version_is_tested("0.270.0"));
    assert_true(!vsai_ggml_version_is_tested("1.27.0"));
    assert_true(!vsai_ggml_version_is_tested("0.2"));
    assert_true(!vsai_ggml_version_is_tested(""));
    assert_true(!vsai_ggml_version_is_tested(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(words_numbers_and_fractions_are_read, reset),
        cmocka_unit_test_setup(counts_and_fractions_replace_each_other, reset),
        cmocka_unit_test_setup(layers_are_a_list, reset),
        cmocka_unit_test_setup(bad_values_change_nothing_and_are_named, reset),
        cmocka_unit_test_setup(what_does_not_go_together_is_said, reset),
        cmocka_unit_test_setup(the_environment_is_read_and_empty_means_unset, reset),
        cmocka_unit_test(only_tested_versions_of_ggml_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
