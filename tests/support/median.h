#ifndef VSA_SUPPORT_MEDIAN_H
#define VSA_SUPPORT_MEDIAN_H

#include <stdint.h>

/* Sorts `values`, of which there is at least one. */
double median(double *values, uint32_t count);

#endif
