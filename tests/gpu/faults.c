#include "faults.h"

#include "vsa_standalone.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fault_plan armed;
static uint32_t calls, fail_at;
static int lost;
static long live_objects, live_memory;
static char where[64];

void fault_arm(const fault_plan *plan, uint32_t n)
{
    armed = *plan;
    calls = 0;
    fail_at = n;
    lost = 0;
    live_objects = live_memory = 0;
    where[0] = 0;
}

int fault_disarm(void)
{
    armed.kind = FAULT_NONE;
    return where[0] != 0;
}

const char *fault_where(void)
{
    return where;
}

long fault_live_objects(void)
{
    return live_objects;
}

long fault_live_memory(void)
{
    return live_memory;
}

static int strikes(fault_kind kind, const char *name)
{
    if (armed.kind != kind || kind == FAULT_NONE) {
        return 0;
    }
    calls++;
    if (calls != fail_at && !(armed.persistent && calls > fail_at)) {
        return 0;
    }
    if (where[0] == 0) {
        snprintf(where, sizeof where, "%s", name);
    }
    return 1;
}

/* ------------------------------------------------------------- host memory */

static void *VKAPI_PTR allocate(void *user, size_t size, size_t alignment,
                                VkSystemAllocationScope scope)
{
    (void)user;
    (void)scope;
    if (strikes(FAULT_HOST_MEMORY, "pfnAllocation")) {
        return NULL;
    }
    void *memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory != NULL) {
        memset(memory, 0xa5, size);
        live_memory++;
    }
    return memory;
}

static void VKAPI_PTR release(void *user, void *memory)
{
    (void)user;
    if (memory != NULL) {
        live_memory--;
        free(memory);
    }
}

static void *VKAPI_PTR reallocate(void *user, void *memory, size_t size, size_t alignment,
                                  VkSystemAllocationScope scope)
{
    (void)user, (void)memory, (void)size, (void)alignment, (void)scope;
    abort();   /* the library never reallocates, the driver does not get this table */
}

const VkAllocationCallbacks fault_allocator = { .pfnAllocation = allocate,
                                                .pfnReallocation = reallocate,
                                                .pfnFree = release };

#ifdef VSA_TEST_WRAPS_CALLOC
/* ld --wrap=calloc: every calloc of the objects that are linked in, not of shared libraries. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return strikes(FAULT_HOST_MEMORY, "calloc") ? NULL : __real_calloc(count, size);
}
#endif

/* ------------------------------------------------------------------ Vulkan */

static PFN_vkGetInstanceProcAddr real_instance_proc;
static PFN_vkGetDeviceProcAddr real_device_proc;

static VkResult fault(fault_kind kind, const char *name)
{
    if (lost && (kind == FAULT_SUBMIT || kind == FAULT_WAIT)) {
        return VK_ERROR_DEVICE_LOST;
    }
    if (!strikes(kind, name)) {
        return VK_SUCCESS;
    }
    lost |= armed.code == VK_ERROR_DEVICE_LOST;
    return armed.code;
}

#define REAL(name) static PFN_vk##name real_##name

/* Returns VkResult and makes nothing. */
#define CALL(name, kind, parameters, arguments)                              \
    REAL(name);                                                              \
    static VKAPI_ATTR VkResult VKAPI_CALL my_##name parameters               \
    {                                                                        \
        const VkResult failed = fault(kind, "vk" #name);                     \
        return failed ? failed : real_##name arguments;                      \
    }

/* Makes one object that `out` points to. */
#define MAKE(name, kind, parameters, arguments)                              \
    REAL(name);                                                              \
    static VKAPI_ATTR VkResult VKAPI_CALL my_##name parameters               \
    {                                                                        \
        const VkResult failed = fault(kind, "vk" #name);                     \
        if (failed) {                                                        \
            memset(out, 0xab, sizeof *out);                                  \
            return failed;                                                   \
        }                                                                    \
        const VkResult result = real_##name arguments;                       \
        live_objects += result == VK_SUCCESS;                                \
        return result;                                                       \
    }

#define DESTROY(name, Owner, Type)                                                           \
    REAL(name);                                                                              \
    static VKAPI_ATTR void VKAPI_CALL my_##name(Owner owner, Type object,                    \
                                                const VkAllocationCallbacks *allocator)      \
    {                                                                                        \
        (void)allocator;                                                                     \
        live_objects -= object != VK_NULL_HANDLE;                                            \
        real_##name(owner, object, NULL);                                                    \
    }

#define MAKE_ON_DEVICE(name)                                                                 \
    MAKE(Create##name, FAULT_CALL,                                                           \
         (VkDevice device, const Vk##name##CreateInfo *info,                                 \
          const VkAllocationCallbacks *allocator, Vk##name *out),                            \
         (device, info, (allocator = NULL), out))                                            \
    DESTROY(Destroy##name, VkDevice, Vk##name)

MAKE_ON_DEVICE(ShaderModule)
MAKE_ON_DEVICE(PipelineLayout)
MAKE_ON_DEVICE(DescriptorSetLayout)
MAKE_ON_DEVICE(DescriptorPool)
MAKE_ON_DEVICE(PipelineCache)
MAKE_ON_DEVICE(Fence)
MAKE_ON_DEVICE(CommandPool)
MAKE_ON_DEVICE(QueryPool)
MAKE_ON_DEVICE(Buffer)
DESTROY(DestroyPipeline, VkDevice, VkPipeline)
DESTROY(FreeMemory, VkDevice, VkDeviceMemory)

MAKE(AllocateMemory, FAULT_DEVICE_MEMORY,
     (VkDevice device, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *allocator,
      VkDeviceMemory *out),
     (device, info, (allocator = NULL), out))
MAKE(CreateInstance, FAULT_CALL,
     (const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *out),
     (info, (allocator = NULL), out))
MAKE(CreateDevice, FAULT_CALL,
     (VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
      const VkAllocationCallbacks *allocator, VkDevice *out),
     (physical, info, (allocator = NULL), out))

/* Vulkan 1.2, 10.6: pipelines that were not created are VK_NULL_HANDLE. */
REAL(CreateComputePipelines);
static VKAPI_ATTR VkResult VKAPI_CALL my_CreateComputePipelines(
    VkDevice device, VkPipelineCache cache, uint32_t count,
    const VkComputePipelineCreateInfo *infos, const VkAllocationCallbacks *allocator,
    VkPipeline *out)
{
    const VkResult failed = fault(FAULT_PIPELINE, "vkCreateComputePipelines");
    (void)allocator;
    if (failed) {
        memset(out, 0, count * sizeof *out);
        return failed;
    }
    const VkResult result = real_CreateComputePipelines(device, cache, count, infos, NULL, out);
    live_objects += result == VK_SUCCESS ? (long)count : 0;
    return result;
}

REAL(DestroyInstance);
static VKAPI_ATTR void VKAPI_CALL my_DestroyInstance(VkInstance instance,
                                                     const VkAllocationCallbacks *allocator)
{
    (void)allocator;
    live_objects -= instance != VK_NULL_HANDLE;
    real_DestroyInstance(instance, NULL);
}

REAL(DestroyDevice);
static VKAPI_ATTR void VKAPI_CALL my_DestroyDevice(VkDevice device,
                                                   const VkAllocationCallbacks *allocator)
{
    (void)allocator;
    live_objects -= device != VK_NULL_HANDLE;
    real_DestroyDevice(device, NULL);
}

/* Freed with their pools. */
CALL(AllocateDescriptorSets, FAULT_CALL,
     (VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out),
     (device, info, out))
CALL(AllocateCommandBuffers, FAULT_CALL,
     (VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out),
     (device, info, out))
CALL(BindBufferMemory, FAULT_CALL,
     (VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset),
     (device, buffer, memory, offset))
CALL(MapMemory, FAULT_CALL,
     (VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size,
      VkMemoryMapFlags flags, void **out),
     (device, memory, offset, size, flags, out))
CALL(ResetCommandPool, FAULT_CALL,
     (VkDevice device, VkCommandPool pool, VkCommandPoolResetFlags flags), (device, pool, flags))
CALL(BeginCommandBuffer, FAULT_CALL, (VkCommandBuffer cmd, const VkCommandBufferBeginInfo *info),
     (cmd, info))
CALL(EndCommandBuffer, FAULT_CALL, (VkCommandBuffer cmd), (cmd))
CALL(ResetFences, FAULT_CALL, (VkDevice device, uint32_t count, const VkFence *fences),
     (device, count, fences))
CALL(GetQueryPoolResults, FAULT_CALL,
     (VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count, size_t size, void *data,
      VkDeviceSize stride, VkQueryResultFlags flags),
     (device, pool, first, count, size, data, stride, flags))
CALL(GetPipelineCacheData, FAULT_CALL,
     (VkDevice device, VkPipelineCache cache, size_t *size, void *data),
     (device, cache, size, data))
CALL(EnumeratePhysicalDevices, FAULT_CALL,
     (VkInstance instance, uint32_t *count, VkPhysicalDevice *devices),
     (instance, count, devices))
CALL(EnumerateDeviceExtensionProperties, FAULT_CALL,
     (VkPhysicalDevice physical, const char *layer, uint32_t *count,
      VkExtensionProperties *properties),
     (physical, layer, count, properties))
CALL(QueueSubmit, FAULT_SUBMIT,
     (VkQueue queue, uint32_t count, const VkSubmitInfo *infos, VkFence fence),
     (queue, count, infos, fence))

REAL(WaitForFences);
static VKAPI_ATTR VkResult VKAPI_CALL my_WaitForFences(VkDevice device, uint32_t count,
                                                       const VkFence *fences, VkBool32 all,
                                                       uint64_t timeout)
{
    const int was_lost = lost;
    const VkResult failed = fault(FAULT_WAIT, "vkWaitForFences");
    if (lost && !was_lost) {
        /* A lost device works on nothing any more; this one does. */
        real_WaitForFences(device, count, fences, all, timeout);
    }
    return failed ? failed : real_WaitForFences(device, count, fences, all, timeout);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL my_GetDeviceProcAddr(VkDevice device,
                                                                     const char *name);

typedef struct wrapped {
    const char *name;
    PFN_vkVoidFunction mine;
    PFN_vkVoidFunction *real;
} wrapped;

#define ROW(name) \
    { "vk" #name, (PFN_vkVoidFunction)my_##name, (PFN_vkVoidFunction *)&real_##name }
#define MADE(name) ROW(Create##name), ROW(Destroy##name)

static const wrapped of_device[] = {
    MADE(ShaderModule), MADE(PipelineLayout), MADE(DescriptorSetLayout), MADE(DescriptorPool),
    MADE(PipelineCache), MADE(Fence), MADE(CommandPool), MADE(QueryPool), MADE(Buffer),
    ROW(DestroyPipeline), ROW(FreeMemory), ROW(AllocateMemory), ROW(CreateComputePipelines),
    ROW(DestroyDevice), ROW(AllocateDescriptorSets), ROW(AllocateCommandBuffers),
    ROW(BindBufferMemory), ROW(MapMemory), ROW(ResetCommandPool), ROW(BeginCommandBuffer),
    ROW(EndCommandBuffer), ROW(ResetFences), ROW(GetQueryPoolResults), ROW(GetPipelineCacheData),
    ROW(QueueSubmit), ROW(WaitForFences),
};

static const wrapped of_instance[] = {
    MADE(Instance), ROW(CreateDevice), ROW(EnumeratePhysicalDevices),
    ROW(EnumerateDeviceExtensionProperties),
    { "vkGetDeviceProcAddr", (PFN_vkVoidFunction)my_GetDeviceProcAddr,
      (PFN_vkVoidFunction *)&real_device_proc },
};

static PFN_vkVoidFunction replace(const wrapped *rows, size_t count, const char *name,
                                  PFN_vkVoidFunction real)
{
    for (size_t i = 0; real != NULL && i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            *rows[i].real = real;
            return rows[i].mine;
        }
    }
    return real;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL my_GetDeviceProcAddr(VkDevice device,
                                                                     const char *name)
{
    return replace(of_device, sizeof of_device / sizeof *of_device, name,
                   real_device_proc(device, name));
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fault_get_instance_proc_addr(VkInstance instance,
                                                                      const char *name)
{
    if (real_instance_proc == NULL) {
        void *loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
        void *found = loader ? dlsym(loader, "vkGetInstanceProcAddr") : NULL;
        memcpy(&real_instance_proc, &found, sizeof found);
        if (real_instance_proc == NULL) {
            return NULL;
        }
    }
    return replace(of_instance, sizeof of_instance / sizeof *of_instance, name,
                   real_instance_proc(instance, name));
}
