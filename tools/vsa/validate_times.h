/*
 * validate_times.h - how long kernels take, each name once.
 */
#ifndef VSA_TOOL_VALIDATE_TIMES_H
#define VSA_TOOL_VALIDATE_TIMES_H

#include "vsa_standalone.h"

enum { VALIDATE_MAX_KERNELS = 128 };

typedef struct validate_times {
    uint32_t count;
    vsa_kernel_time kernels[VALIDATE_MAX_KERNELS];
} validate_times;

/* Kernels of the same name are summed up. */
void validate_times_add(validate_times *sum, const vsa_kernel_time *items, uint32_t count);

/* Of each kernel of `times` the less of what both say; those that `other` lacks stay. */
void validate_times_keep_less(validate_times *times, const validate_times *other);

/* The longest first. */
void validate_times_sort(validate_times *times);

#endif
