#include "validate_times.h"

#include <stdlib.h>
#include <string.h>

static const vsa_kernel_time *find(const validate_times *times, const char *kernel)
{
    for (uint32_t i = 0; i < times->count; i++) {
        if (strcmp(times->kernels[i].kernel, kernel) == 0) {
            return &times->kernels[i];
        }
    }
    return NULL;
}

void validate_times_add(validate_times *sum, const vsa_kernel_time *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const vsa_kernel_time *known = find(sum, items[i].kernel);

        if (known) {
            sum->kernels[known - sum->kernels].ms += items[i].ms;
        } else if (sum->count < VALIDATE_MAX_KERNELS) {
            sum->kernels[sum->count++] = items[i];
        }
    }
}

void validate_times_keep_less(validate_times *times, const validate_times *other)
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

void validate_times_sort(validate_times *times)
{
    qsort(times->kernels, times->count, sizeof times->kernels[0], longer);
}
