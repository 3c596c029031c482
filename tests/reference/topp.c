/* Method topp: how many candidates hold the wanted share of every row's weight. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>

static double maximum_of(const double *logits, uint32_t length)
{
    double maximum = -INFINITY;
    for (uint32_t i = 0; i < length; i++) {
        maximum = fmax(maximum, logits[i]);
    }
    return maximum;
}

/* In units of 2^-31 of the row's largest weight. */
static uint64_t fixed_weight(double logit, double maximum)
{
    return (uint64_t)(exp(logit - maximum) * 0x1p31 + 0.5);
}

/* The smallest k for one row. */
static uint32_t row_count(double top_p, const double *logits, uint32_t length,
                          const ref_ranked *order, uint32_t count)
{
    double maximum = maximum_of(logits, length);
    uint64_t total = 0, candidates = 0;
    for (uint32_t i = 0; i < length; i++) {
        total += fixed_weight(logits[i], maximum);
    }
    for (uint32_t i = 0; i < count; i++) {
        candidates += fixed_weight(logits[order[i].token], maximum);
    }
    double wanted = top_p * (double)total - (double)(total - candidates);
    uint32_t k = 0;
    while (k < count && wanted > 0) {
        /* A run of equal ranks counts with its mean weight. */
        uint32_t end = k;
        uint64_t mass = 0;
        while (end < count && order[end].value == order[k].value) {
            mass += fixed_weight(logits[order[end++].token], maximum);
        }
        if ((double)mass >= wanted) {
            return k + (uint32_t)ceil(wanted / (double)mass * (end - k));
        }
        wanted -= (double)mass;
        k = end;
    }
    return k;
}

uint32_t ref_top_p_count(double top_p, const double *const *logits, uint32_t group_count,
                         uint32_t length, const ref_ranked *order, uint32_t count)
{
    uint32_t k = 0;
    for (uint32_t head = 0; head < group_count && k < count; head++) {
        uint32_t own = top_p >= 1 ? count : row_count(top_p, logits[head], length, order, count);
        k = own > k ? own : k;
    }
    return k;
}
