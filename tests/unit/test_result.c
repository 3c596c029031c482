/* Result names, pinned values, the version. */
#include "check.h"
#include "vsa.h"

#include <string.h>

static void names_and_values_are_pinned(void **state)
{
    (void)state;
    static const struct {
        vsa_result result;
        int        value;
        const char *name;
    } rows[] = {
        { VSA_SUCCESS, 0, "VSA_SUCCESS" },
        { VSA_ERROR_INVALID_ARGUMENT, -1, "VSA_ERROR_INVALID_ARGUMENT" },
        { VSA_ERROR_VERSION_MISMATCH, -2, "VSA_ERROR_VERSION_MISMATCH" },
        { VSA_ERROR_OUT_OF_HOST_MEMORY, -3, "VSA_ERROR_OUT_OF_HOST_MEMORY" },
        { VSA_ERROR_OUT_OF_DEVICE_MEMORY, -4, "VSA_ERROR_OUT_OF_DEVICE_MEMORY" },
        { VSA_ERROR_DEVICE_UNSUITABLE, -5, "VSA_ERROR_DEVICE_UNSUITABLE" },
        { VSA_ERROR_UNSUPPORTED_CONFIG, -6, "VSA_ERROR_UNSUPPORTED_CONFIG" },
        { VSA_ERROR_BUFFER_TOO_SMALL, -7, "VSA_ERROR_BUFFER_TOO_SMALL" },
        { VSA_ERROR_SHADER, -8, "VSA_ERROR_SHADER" },
        { VSA_ERROR_DEVICE_LOST, -9, "VSA_ERROR_DEVICE_LOST" },
        { VSA_ERROR_VULKAN, -10, "VSA_ERROR_VULKAN" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(rows[i].result, rows[i].value);
        assert_string_equal(vsa_result_name(rows[i].result), rows[i].name);
    }
}

static void unknown_results_have_a_name_too(void **state)
{
    (void)state;
    static const int unknown[] = { 1, -11, 12345, VSA_RESULT_MAX_ENUM };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        const char *name = vsa_result_name((vsa_result)unknown[i]);
        assert_non_null(name);
        assert_true(strlen(name) > 0);
        assert_int_not_equal(strncmp(name, "VSA_", 4), 0);
    }
}

static void version_matches_the_header(void **state)
{
    (void)state;
    assert_int_equal(vsa_version(), VSA_API_VERSION);
    assert_int_equal(VSA_API_VERSION >> 16, VSA_VERSION_MAJOR);
    assert_int_equal(VSA_API_VERSION >> 8 & 0xff, VSA_VERSION_MINOR);
    assert_int_equal(VSA_API_VERSION & 0xff, VSA_VERSION_PATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_pinned),
        cmocka_unit_test(unknown_results_have_a_name_too),
        cmocka_unit_test(version_matches_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
