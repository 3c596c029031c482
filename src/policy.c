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

static const char *const method_names[] = {"none",   "dense",      "topk",  "topp",
                                           "sample", "vattention", "guided"};
static const char *const scorer_names[] = {"none", "exact", "page", "sign", "int8", "int4"};
static const char *const bound_names[] = {"none", "clt", "strict"};

#define NAME_OF(names, value) \
    ((unsigned)(value) < sizeof(names) / sizeof(names[0]) ? names[(unsigned)(value)] : "unknown")

/* NaN fails every comparison, so the conditions are written to accept. */
static int in_open(float value, float low, float high)
{
    return value > low && value < high;
}

static int is_fraction(float value)
{
    return value >= 0.0f && value <= 1.0f;
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
    return VSA_SUCCESS;
}

vsai_method_traits vsai_method(vsa_method method)
{
    static const vsai_method_traits traits[] = {
        [VSA_METHOD_DENSE] = {.supported = 1},
        [VSA_METHOD_TOP_K] = {.supported = 1, .scores = 1},
        [VSA_METHOD_SAMPLE] = {.supported = 1, .samples = 1},
        [VSA_METHOD_VATTENTION] = {.supported = 1, .scores = 1, .samples = 1},
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

    if (!vsai_method(policy->method).supported) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "method %s (%d) is not supported: this version has dense, topk, sample and "
                         "vattention",
                         NAME_OF(method_names, policy->method), (int)policy->method);
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
    if (!is_fraction(policy->top_k_fraction)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "top_k_fraction is %g, must be in [0, 1]",
                         (double)policy->top_k_fraction);
    }
    if (policy->scorer != VSA_SCORER_EXACT) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "scorer %s (%d) is not supported: this version has exact",
                         NAME_OF(scorer_names, policy->scorer), (int)policy->scorer);
    }
    if (policy->bound != VSA_BOUND_CLT) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "bound %s (%d) is not supported: this version has clt",
                         NAME_OF(bound_names, policy->bound), (int)policy->bound);
    }
    return vsai_method(policy->method).samples ? check_sampling(policy, log) : VSA_SUCCESS;
}
