#include "stats.h"

#include <math.h>
#include <stdlib.h>

#include "array.h"

bool stats_add(stats *list, double value)
{
    double *values = array_reserve(list->values, list->count, 1, &list->capacity, sizeof *values);

    if (!values) {
        return false;
    }
    list->values = values;
    /* NaN has no place in an order; it is as bad as an error can be. */
    values[list->count++] = isnan(value) ? HUGE_VAL : value;
    return true;
}

void stats_destroy(stats *list)
{
    free(list->values);
    *list = (stats){0};
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

stats_summary stats_summarise(stats *list, double limit)
{
    stats_summary summary = {0};
    const size_t count = list->count;
    size_t finite = 0, covered = 0;

    if (count == 0) {
        return summary;
    }
    double *values = list->values;

    qsort(values, count, sizeof *values, ascending);
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            summary.mean += values[i];
            finite++;
        }
        covered += values[i] <= limit;
    }
    summary.mean = finite ? summary.mean / (double)finite : 0.0;
    summary.p95 = values[(count * 95 + 99) / 100 - 1];
    summary.max = values[count - 1];
    summary.coverage = (double)covered / (double)count;
    return summary;
}
