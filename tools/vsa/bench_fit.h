/*
 * bench_fit.h - cost against length, fitted to the rows of a case. Pure.
 */
#ifndef VSA_TOOL_BENCH_FIT_H
#define VSA_TOOL_BENCH_FIT_H

#include <stddef.h>

typedef struct bench_fit {
    double
        exponent; /* p of time = a length^p: least squares of the logarithms. NaN below 2 lengths */
    double fixed; /* c >= 0 and b >= 0 of time = c + b length, least squares of the relative */
    double per_token; /* error. NaN below 3 lengths */
} bench_fit;

/* `times` in the unit of the result, all positive. */
bench_fit bench_fit_make(const double *lengths, const double *times, size_t count);

#endif
