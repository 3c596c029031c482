/*
 * stats.h - mean, 95th percentile, maximum and coverage of a list of errors.
 */
#ifndef VSA_TOOL_STATS_H
#define VSA_TOOL_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised = empty. */
typedef struct stats {
    double *values;
    size_t count, capacity;
} stats;

/* False when memory is out. */
bool stats_add(stats *list, double value);
void stats_destroy(stats *list);

typedef struct stats_summary {
    double mean; /* of the finite values; 0 if there is none */
    double p95;  /* nearest rank: ceil(.95 n) of the values in ascending order */
    double max;
    double coverage; /* share of values that are <= the limit */
} stats_summary;

/* Sorts the values. */
stats_summary stats_summarise(stats *list, double limit);

#endif
