/* Counts from fractions and the exact set: sink, window and top-k in a total order. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint32_t ref_fraction_of(float fraction, uint32_t n)
{
    double scaled = floor((double)fraction * 4294967296.0 + 0.5);
    uint64_t f = scaled > 4294967295.0 ? 4294967295u : (uint64_t)scaled;
    uint64_t product = n * f;
    return (uint32_t)(product >> 32) + ((uint32_t)product >= 0x80000000u ? 1u : 0u);
}

static uint32_t minimum(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t maximum(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

void ref_exact_counts(const vsa_policy *policy, uint32_t length, ref_exact_set *out)
{
    out->length = length;
    uint32_t sink = maximum(policy->sink_tokens, ref_fraction_of(policy->sink_fraction, length));
    uint32_t tail = maximum(policy->window_tokens,
                            ref_fraction_of(policy->window_fraction, length));
    out->sink_end = minimum(sink, length);
    uint32_t window = minimum(tail, length);
    out->window_begin = maximum(length - window, out->sink_end);
    uint32_t candidates = out->window_begin - out->sink_end;
    uint32_t wish = maximum(policy->top_k, ref_fraction_of(policy->top_k_fraction, length));
    if (policy->method == VSA_METHOD_SAMPLE || policy->method == VSA_METHOD_TOP_P) {
        wish = 0;   /* topp: until ref_select has ranked the candidates */
    }
    out->top_k = minimum(candidates, wish);
    out->residual_count = candidates - out->top_k;
    out->exact_count = length - out->residual_count;
}

/* Value descending, index ascending; -0.0 == +0.0 as `<` sees it. */
static int compare(const void *left, const void *right)
{
    const ref_ranked *a = left, *b = right;
    if (a->value != b->value) {
        return a->value > b->value ? -1 : 1;
    }
    return a->token < b->token ? -1 : 1;
}

void ref_select(const vsa_policy *policy, const double *const *logits, uint32_t group_count,
                uint32_t length, ref_exact_set *out, uint8_t *member)
{
    ref_exact_counts(policy, length, out);
    memset(member, 1, length);
    uint32_t candidates = out->window_begin - out->sink_end;
    ref_ranked *order = malloc((candidates + 1) * sizeof *order);
    for (uint32_t c = 0; c < candidates; c++) {
        order[c] = (ref_ranked){ -INFINITY, out->sink_end + c };
    }
    for (uint32_t head = 0; head < group_count; head++) {
        double row_maximum = 0;   /* a group of one head ranks by the logit itself */
        if (group_count > 1) {
            row_maximum = -INFINITY;
            for (uint32_t i = 0; i < length; i++) {
                row_maximum = fmax(row_maximum, logits[head][i]);
            }
        }
        for (uint32_t c = 0; c < candidates; c++) {
            double value = logits[head][order[c].token] - row_maximum;
            order[c].value = fmax(order[c].value, value);
        }
    }
    qsort(order, candidates, sizeof *order, compare);
    if (policy->method == VSA_METHOD_TOP_P) {
        out->top_k = ref_top_p_count((double)policy->top_p, logits, group_count, length, order,
                                     candidates);
        out->residual_count = candidates - out->top_k;
        out->exact_count = length - out->residual_count;
    }
    for (uint32_t c = out->top_k; c < candidates; c++) {
        member[order[c].token] = 0;
    }
    free(order);
}
