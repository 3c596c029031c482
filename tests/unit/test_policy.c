/* Counts from fractions against the reference, defaults and refusals of a policy. */
#include "check.h"
#include "policy.h"
#include "reference.h"

#include <string.h>

static char said[1024];
static int  said_count;

static void listen(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    assert_int_equal(level, VSA_LOG_ERROR);
    strncpy(said, message, sizeof said - 1);
    said_count++;
}

static const vsa_log log_to_said = { .write = listen };

static void fractions_match_the_reference(void **state)
{
    (void)state;
    ref_random random = { 4 };
    for (int i = 0; i < 200000; i++) {
        float fraction = (float)ref_random_uniform(&random);
        uint32_t n = ref_random_below(&random, i % 2 ? 1u << 24 : 1000);
        assert_int_equal(vsai_fraction_of(n, vsai_fraction_bits(fraction)),
                         ref_fraction_of(fraction, n));
    }
    static const float edges[] = { 0, 1, 0.5f, 0x1p-33f, 0.99999994f };
    for (int i = 0; i < 5; i++) {
        for (uint32_t n = 0; n < 3000; n++) {
            assert_int_equal(vsai_fraction_of(n, vsai_fraction_bits(edges[i])),
                             ref_fraction_of(edges[i], n));
        }
    }
}

static const vsa_policy good = { .method = VSA_METHOD_VATTENTION, .scorer = VSA_SCORER_EXACT,
                                 .bound = VSA_BOUND_CLT, .target = VSA_TARGET_OUTPUT,
                                 .epsilon = 0.1f, .delta = 0.1f };

static void zero_means_the_default(void **state)
{
    (void)state;
    vsa_policy policy = { .epsilon = 0.1f, .delta = 0.1f };
    assert_int_equal(vsai_policy_check(&policy, &log_to_said), VSA_SUCCESS);
    assert_int_equal(policy.method, VSA_METHOD_VATTENTION);
    assert_int_equal(policy.scorer, VSA_SCORER_EXACT);
    assert_int_equal(policy.bound, VSA_BOUND_CLT);
    assert_int_equal(policy.target, VSA_TARGET_OUTPUT);
    policy = (vsa_policy){ .method = VSA_METHOD_DENSE };   /* needs neither epsilon nor delta */
    assert_int_equal(vsai_policy_check(&policy, &log_to_said), VSA_SUCCESS);
}

static void check_refusal(vsa_policy policy, vsa_result expected, const char *named)
{
    said[0] = 0;
    said_count = 0;
    vsa_result result = vsai_policy_check(&policy, &log_to_said);
    check_that(result == expected, "%s: %s", named, vsa_result_name(result));
    check_that(said_count == 1 && strstr(said, named) != NULL, "'%s' does not name %s", said,
               named);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const float bad[] = { 0, -0.1f, 1, 1.5f, NAN, INFINITY };
    for (int i = 0; i < 6; i++) {
        vsa_policy policy = good;
        policy.epsilon = bad[i];
        check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "epsilon");
        policy = good;
        policy.delta = bad[i];
        check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "delta");
    }
    static const float outside[] = { -0.01f, 1.01f, NAN };
    for (int i = 0; i < 3; i++) {
        vsa_policy policy = good;
        policy.top_k_fraction = outside[i];
        check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "top_k_fraction");
        policy = good;
        policy.base_fraction = outside[i];
        check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "base_fraction");
    }
    vsa_policy policy = good;
    policy.method = (vsa_method)7;
    check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "method");
    policy = good;
    policy.scorer = (vsa_scorer)6;
    check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "scorer");
    policy.scorer = VSA_SCORER_SIGN;
    policy.bound = VSA_BOUND_STRICT;
    policy.target = VSA_TARGET_DENOMINATOR;
    check_refusal(policy, VSA_ERROR_UNSUPPORTED_CONFIG, "scorer sign");
    policy = good;
    policy.bound = (vsa_bound)3;
    check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "bound");
    policy.bound = VSA_BOUND_STRICT;   /* of vattention: target denominator only */
    check_refusal(policy, VSA_ERROR_UNSUPPORTED_CONFIG, "target denominator");
    policy.method = VSA_METHOD_GUIDED;
    policy.value_floor = 0.5f;
    check_refusal(policy, VSA_ERROR_UNSUPPORTED_CONFIG, "value_floor");
    policy = good;
    policy.method = VSA_METHOD_SAMPLE;
    policy.bound = VSA_BOUND_STRICT;
    check_refusal(policy, VSA_ERROR_UNSUPPORTED_CONFIG, "scores nothing");
    const float bad_share[4] = { 0, -0.5f, 1.5f, NAN };
    for (int i = 0; i < 4; i++) {
        policy = good;
        policy.method = VSA_METHOD_TOP_P;
        policy.top_p = bad_share[i];
        check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "top_p");
    }
    const float bad_floor[3] = { -1, INFINITY, NAN };
    for (int i = 0; i < 3; i++) {
        policy = good;
        policy.value_floor = bad_floor[i];
        check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "value_floor");
    }
    policy = good;
    policy.carry_budget = 1;
    check_refusal(policy, VSA_ERROR_UNSUPPORTED_CONFIG, "method guided");
    policy.method = VSA_METHOD_GUIDED;
    policy.bound = VSA_BOUND_STRICT;
    check_refusal(policy, VSA_ERROR_UNSUPPORTED_CONFIG, "bound clt");
    policy.bound = VSA_BOUND_CLT;
    policy.carry_budget = 2;
    check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "carry_budget");
    policy = good;
    policy.target = (vsa_target)9;
    check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "target");
    policy = good;
    policy.on_miss = (vsa_miss_action)9;
    check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "on_miss");
    policy = good;
    policy.max_samples = 31;
    check_refusal(policy, VSA_ERROR_INVALID_ARGUMENT, "max_samples");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fractions_match_the_reference),
        cmocka_unit_test(zero_means_the_default),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
