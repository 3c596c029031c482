/*
 * faults.h - Vulkan and host memory that fail on request: the n-th call of a kind fails, and
 * perhaps all that follow. What is created is counted, so that nothing can stay behind unseen; what
 * a failed call was to write is filled with rubbish, because Vulkan leaves it undefined.
 *
 * The library under test is given fault_get_instance_proc_addr and fault_allocator. The driver
 * beneath allocates for itself, so that only the library's own allocations are counted. Where the
 * linker can (VSA_TEST_WRAPS_CALLOC), calloc of the library fails as well. One thread at a time.
 */
#ifndef VSA_FAULTS_H
#define VSA_FAULTS_H

#include "vsa.h"

typedef enum fault_kind {
    FAULT_NONE = 0,
    FAULT_HOST_MEMORY,     /* an allocation of the library returns NULL */
    FAULT_DEVICE_MEMORY,   /* vkAllocateMemory */
    FAULT_PIPELINE,        /* vkCreateComputePipelines */
    FAULT_SUBMIT,          /* vkQueueSubmit */
    FAULT_WAIT,            /* vkWaitForFences */
    FAULT_CALL             /* every other function that returns a VkResult */
} fault_kind;

typedef struct fault_plan {
    fault_kind kind;
    VkResult   code;       /* what the call returns; unused for FAULT_HOST_MEMORY */
    int        persistent; /* every later call of the kind fails, too */
} fault_plan;

/* Resets all counts; the n-th call of the kind fails, n from 1. */
void fault_arm(const fault_plan *plan, uint32_t n);
/* No fault from here on; returns 1 if one was met since fault_arm. */
int fault_disarm(void);
/* The function, or the allocation, that failed first; "" if none did. */
const char *fault_where(void);

/* Made and not destroyed or freed since fault_arm. */
long fault_live_objects(void);
long fault_live_memory(void);

/* vkGetInstanceProcAddr of the system's loader, with the faults in it. After a call has returned
 * VK_ERROR_DEVICE_LOST every submit and wait of any device does, until fault_arm. */
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fault_get_instance_proc_addr(VkInstance instance,
                                                                      const char *name);
extern const VkAllocationCallbacks fault_allocator;

#endif
