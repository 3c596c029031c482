#include "alloc.h"

#include <stdlib.h>
#include <string.h>

void *vsai_calloc(const VkAllocationCallbacks *callbacks, size_t count, size_t size)
{
    if (count == 0 || size == 0 || count > SIZE_MAX / size) {
        return NULL;
    }
    if (!callbacks) {
        return calloc(count, size);
    }
    /* 16: the alignment that malloc gives. */
    void *memory = callbacks->pfnAllocation(callbacks->pUserData, count * size, 16,
                                            VK_SYSTEM_ALLOCATION_SCOPE_OBJECT);
    if (memory) {
        memset(memory, 0, count * size);
    }
    return memory;
}

void vsai_free(const VkAllocationCallbacks *callbacks, void *memory)
{
    if (!memory) {
        return;
    }
    if (callbacks) {
        callbacks->pfnFree(callbacks->pUserData, memory);
    } else {
        free(memory);
    }
}
