#include "policy.h"

#include <math.h>

uint32_t vsai_fraction_bits(float fraction)
{
    const double scaled = floor((double)fraction * 4294967296.0 + 0.5);
    return scaled >= 4294967295.0 ? UINT32_MAX : (uint32_t)scaled;
}

uint32_t vsai_fraction_of(uint32_t count, uint32_t fraction_bits)
{
    return (uint32_t)(((uint64_t)count * fraction_bits + 0x80000000u) >> 32);
}


/* NaN fails every comparison, so the conditions are written to accept. */
static int in_open(float value, float low, float high)
{
    return value > low && value < high;
}

static int is_fraction(float value)
{
    return value >= 0.0f && value <= 1.0f;
}

/* Which statements the bound strict can make: docs/algorithm.md. */
static vsa_result check_strict(const vsa_policy *policy, const vsa_log *log)
{
    if (policy->method == VSA_METHOD_SAMPLE) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "bound strict needs a bound on every weight, method sample scores nothing: "
                         "use vattention or guided");
    }
    if (policy->method == VSA_METHOD_VATTENTION && policy->target != VSA_TARGET_DENOMINATOR) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "bound strict with method vattention covers target denominator (1), not "
                         "%d: use method guided", (int)policy->target);
    }
    if (policy->scorer == VSA_SCORER_PAGE || policy->scorer == VSA_SCORER_SIGN) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "bound strict needs a bound on every weight, scorer %s has none: use exact, "
                         "int8 or int4", policy->scorer == VSA_SCORER_PAGE ? "page" : "sign");
    }
    if (policy->value_floor > 0.0f) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "value_floor is %g with bound strict, must be 0: v_rms is an estimate",
                         (double)policy->value_floor);
    }
    return VSA_SUCCESS;
}

static vsa_result check_sampling(const vsa_policy *policy, const vsa_log *log)
{
    if (!in_open(policy->epsilon, 0.0f, 1.0f)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "epsilon is %g, must be in (0, 1)",
                         (double)policy->epsilon);
    }
    if (!in_open(policy->delta, 0.0f, 1.0f)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "delta is %g, must be in (0, 1)",
                         (double)policy->delta);
    }
    if (!is_fraction(policy->base_fraction)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "base_fraction is %g, must be in [0, 1]",
                         (double)policy->base_fraction);
    }
    if (policy->max_samples != 0 && policy->max_samples < VSA_SAMPLE_GROUPS) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "max_samples is %u, must be 0 or >= %u",
                         policy->max_samples, VSA_SAMPLE_GROUPS);
    }
    if (!(policy->value_floor >= 0.0f) || !isfinite(policy->value_floor)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "value_floor is %g, must be finite and >= 0",
                         (double)policy->value_floor);
    }
    return policy->bound == VSA_BOUND_STRICT ? check_strict(policy, log) : VSA_SUCCESS;
}

vsai_method_traits vsai_method(vsa_method method)
{
    static const vsai_method_traits traits[] = {
        [VSA_METHOD_DENSE] = {.known = 1},
        [VSA_METHOD_TOP_K] = {.known = 1, .scores = 1, .ranks = 1},
        [VSA_METHOD_TOP_P] = {.known = 1, .scores = 1, .ranks = 1, .top_p = 1},
        [VSA_METHOD_SAMPLE] = {.known = 1, .samples = 1},
        [VSA_METHOD_VATTENTION] = {.known = 1, .scores = 1, .ranks = 1, .samples = 1},
        [VSA_METHOD_GUIDED] = {.known = 1, .scores = 1, .samples = 1, .guided = 1},
    };

    return (unsigned)method < sizeof(traits) / sizeof(traits[0]) ? traits[(unsigned)method]
                                                                 : (vsai_method_traits){0};
}

vsa_result vsai_policy_check(vsa_policy *policy, const vsa_log *log)
{
    policy->method = policy->method == 0 ? VSA_METHOD_VATTENTION : policy->method;
    policy->scorer = policy->scorer == 0 ? VSA_SCORER_EXACT : policy->scorer;
    policy->bound = policy->bound == 0 ? VSA_BOUND_CLT : policy->bound;
    policy->target = policy->target == 0 ? VSA_TARGET_OUTPUT : policy->target;

    if (!vsai_method(policy->method).known) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "method is %d, must be 1 to 6",
                         (int)policy->method);
    }
    if (policy->target < VSA_TARGET_DENOMINATOR || policy->target > VSA_TARGET_OUTPUT) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "target is %d, must be 1 to 3",
                         (int)policy->target);
    }
    if (policy->on_miss != VSA_MISS_DENSE && policy->on_miss != VSA_MISS_REPORT) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "on_miss is %d, must be 0 or 1",
                         (int)policy->on_miss);
    }
    if (policy->method == VSA_METHOD_DENSE) {
        return VSA_SUCCESS;
    }
    if (!is_fraction(policy->top_k_fraction) || !is_fraction(policy->sink_fraction) ||
        !is_fraction(policy->window_fraction)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "top_k_fraction, sink_fraction and window_fraction are %g, %g and %g, must "
                         "be in [0, 1]", (double)policy->top_k_fraction,
                         (double)policy->sink_fraction, (double)policy->window_fraction);
    }
    if (policy->scorer < VSA_SCORER_EXACT || policy->scorer > VSA_SCORER_INT4) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "scorer is %d, must be 1 to 5",
                         (int)policy->scorer);
    }
    if (policy->bound != VSA_BOUND_CLT && policy->bound != VSA_BOUND_STRICT) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "bound is %d, must be 1 or 2",
                         (int)policy->bound);
    }
    if (policy->method == VSA_METHOD_TOP_P && !(policy->top_p > 0.0f && policy->top_p <= 1.0f)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "top_p is %g, must be in (0, 1]",
                         (double)policy->top_p);
    }
    if (policy->carry_budget > 1) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "carry_budget is %u, must be 0 or 1",
                         policy->carry_budget);
    }
    if (policy->carry_budget != 0 &&
        (policy->method != VSA_METHOD_GUIDED || policy->bound != VSA_BOUND_CLT)) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "carry_budget is for method guided (6) with bound clt (1), not for method %d "
                         "with bound %d", (int)policy->method, (int)policy->bound);
    }
    return vsai_method(policy->method).samples ? check_sampling(policy, log) : VSA_SUCCESS;
}
