/* Host memory through the application's VkAllocationCallbacks, or the C library. */
#ifndef VSAI_ALLOC_H
#define VSAI_ALLOC_H

#include "vsa.h"

/* NULL `callbacks` means the C library. Memory is zeroed. NULL when out of memory or count 0. */
void *vsai_calloc(const VkAllocationCallbacks *callbacks, size_t count, size_t size);
void vsai_free(const VkAllocationCallbacks *callbacks, void *memory);

#endif
