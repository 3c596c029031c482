/*
 * kernel_times.h - how long kernels take, each name once.
 */
#ifndef VSA_TOOL_KERNEL_TIMES_H
#define VSA_TOOL_KERNEL_TIMES_H

#include "vsa_standalone.h"

struct cJSON;

enum { KERNEL_TIMES_MAX = 128 };

typedef struct kernel_times {
    uint32_t count;
    vsa_kernel_time kernels[KERNEL_TIMES_MAX];
} kernel_times;

/* Kernels of the same name are summed up. */
void kernel_times_add(kernel_times *sum, const vsa_kernel_time *items, uint32_t count);

/* Of each kernel of `times` the less of what both say; those that `other` lacks stay. */
void kernel_times_keep_less(kernel_times *times, const kernel_times *other);

/* The longest first. */
void kernel_times_sort(kernel_times *times);

/* A field for each kernel. `object` may be NULL after memory ran out. */
void kernel_times_to_json(const kernel_times *times, struct cJSON *object);

#endif
