#include "kernel_times.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const vsa_kernel_time *find(const kernel_times *times, const char *kernel)
{
    for (uint32_t i = 0; i < times->count; i++) {
        if (strcmp(times->kernels[i].kernel, kernel) == 0) {
            return &times->kernels[i];
        }
    }
    return NULL;
}

void kernel_times_add(kernel_times *sum, const vsa_kernel_time *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const vsa_kernel_time *known = find(sum, items[i].kernel);

        if (known) {
            sum->kernels[known - sum->kernels].ms += items[i].ms;
        } else if (sum->count < KERNEL_TIMES_MAX) {
            sum->kernels[sum->count++] = items[i];
        }
    }
}

void kernel_times_keep_less(kernel_times *times, const kernel_times *other)
{
    for (uint32_t i = 0; i < times->count; i++) {
        const vsa_kernel_time *known = find(other, times->kernels[i].kernel);

        if (known && known->ms < times->kernels[i].ms) {
            times->kernels[i].ms = known->ms;
        }
    }
}

static int longer(const void *a, const void *b)
{
    const double x = ((const vsa_kernel_time *)a)->ms, y = ((const vsa_kernel_time *)b)->ms;

    return (x < y) - (x > y);
}

void kernel_times_sort(kernel_times *times)
{
    qsort(times->kernels, times->count, sizeof times->kernels[0], longer);
}

void kernel_times_to_json(const kernel_times *times, cJSON *object)
{
    for (uint32_t i = 0; i < times->count; i++) {
        cJSON_AddNumberToObject(object, times->kernels[i].kernel, times->kernels[i].ms);
    }
}
