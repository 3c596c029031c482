/* What the files of standalone share: its Vulkan tables, and one-off submissions. */
#ifndef VSAI_STANDALONE_H
#define VSAI_STANDALONE_H

#include "alloc.h"
#include "log.h"
#include "vsa_standalone.h"

#include <stdatomic.h>

/* Tables of its own, because the pointers of a global loader may be the host program's as well. */
#define VSAI_INSTANCE_FUNCTIONS(X)           \
    X(DestroyInstance)                       \
    X(EnumeratePhysicalDevices)              \
    X(GetPhysicalDeviceProperties)           \
    X(GetPhysicalDeviceProperties2)          \
    X(GetPhysicalDeviceFeatures)             \
    X(GetPhysicalDeviceFeatures2)            \
    X(GetPhysicalDeviceQueueFamilyProperties) \
    X(GetPhysicalDeviceMemoryProperties)     \
    X(EnumerateDeviceExtensionProperties)    \
    X(CreateDevice)                          \
    X(GetDeviceProcAddr)

#define VSAI_DEVICE_FUNCTIONS(X) \
    X(DestroyDevice)             \
    X(DeviceWaitIdle)            \
    X(GetDeviceQueue)            \
    X(QueueSubmit)               \
    X(CreateFence)               \
    X(DestroyFence)              \
    X(ResetFences)               \
    X(WaitForFences)             \
    X(CreateCommandPool)         \
    X(DestroyCommandPool)        \
    X(ResetCommandPool)          \
    X(AllocateCommandBuffers)    \
    X(BeginCommandBuffer)        \
    X(EndCommandBuffer)          \
    X(CmdPipelineBarrier)        \
    X(CmdCopyBuffer)             \
    X(CmdFillBuffer)             \
    X(CmdResetQueryPool)         \
    X(CmdWriteTimestamp)         \
    X(CreateQueryPool)           \
    X(DestroyQueryPool)          \
    X(GetQueryPoolResults)       \
    X(CreateBuffer)              \
    X(DestroyBuffer)             \
    X(GetBufferMemoryRequirements) \
    X(AllocateMemory)            \
    X(FreeMemory)                \
    X(BindBufferMemory)          \
    X(MapMemory)

#define VSAI_MEMBER(name) PFN_vk##name name;

typedef struct vsai_instance {
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger;
    PFN_vkDestroyDebugUtilsMessengerEXT DestroyDebugUtilsMessengerEXT;
    VSAI_INSTANCE_FUNCTIONS(VSAI_MEMBER)
} vsai_instance;

typedef struct vsai_device_functions {
    VSAI_DEVICE_FUNCTIONS(VSAI_MEMBER)
    PFN_vkGetMemoryHostPointerPropertiesEXT GetMemoryHostPointerPropertiesEXT;   /* or NULL */
} vsai_device_functions;

#undef VSAI_MEMBER

struct vsa_standalone {
    const VkAllocationCallbacks *allocator;   /* NULL or &allocator_storage */
    VkAllocationCallbacks allocator_storage;
    vsa_log  log;
    atomic_uint validation_count;

    vsai_instance instance;
    VkPhysicalDevice physical_device;
    vsa_device_info info;
    VkPhysicalDeviceMemoryProperties memory;
    VkDeviceSize max_allocation_size;
    VkDeviceSize import_alignment;   /* 0 = host memory cannot be imported */
    uint32_t queue_family;
    uint64_t timestamp_mask;    /* 0 = the queue has no timestamps */
    double   timestamp_period;  /* ns */

    VkDevice device;
    vsai_device_functions vk;
    VkQueue  queue;
    VkCommandPool   pool;
    VkCommandBuffer cmd;
    VkFence  fence;
    int      lost;              /* sticky */
    int      compile_only;      /* no fence, pool and cmd */

    vsa_buffer *staging;        /* made when first needed */
    vsa_directory_cache *cache;
    vsa_context *context;
};

/* ---- loader.c */

/* vkGetInstanceProcAddr of the system's Vulkan loader, which stays open; NULL when there is none.
 * Thread-safe. */
PFN_vkGetInstanceProcAddr vsai_loader_open(void);

/* ---- instance.c */

/* Makes an instance, by `given` or, when that is NULL, by the loader that it opens. `standalone`
 * may be NULL (no validation, C allocator). A machine without a driver gives VSA_SUCCESS and a
 * NULL handle. */
vsa_result vsai_instance_create(vsa_standalone *standalone, const vsa_log *log,
                                PFN_vkGetInstanceProcAddr given, int validation,
                                vsai_instance *out_instance);
void vsai_instance_destroy(vsai_instance *instance, const VkAllocationCallbacks *allocator);

/* ---- devices.c */

void vsai_device_describe(const vsai_instance *instance, VkPhysicalDevice device, uint32_t index,
                          vsa_device_info *out_info);
/* All physical devices; free *out_devices with vsai_free(NULL, ...). */
vsa_result vsai_devices_enumerate(const vsai_instance *instance, const vsa_log *log,
                                  VkPhysicalDevice **out_devices, uint32_t *out_count);
/* The family to compute on; 0 when there is none. */
int vsai_device_queue_family(const vsai_instance *instance, VkPhysicalDevice device,
                             uint32_t *out_family, uint32_t *out_timestamp_bits);

/* ---- submit.c */

/* Starts the one command buffer, with everything done before visible to it. */
vsa_result vsai_submit_begin(vsa_standalone *standalone, VkCommandBuffer *out_cmd);
/* Makes the writes visible to the host, submits and waits. */
vsa_result vsai_submit_end(vsa_standalone *standalone);

/* ---- buffer.c */

struct vsa_buffer {
    vsa_standalone *standalone;
    VkBuffer        buffer;
    VkDeviceMemory  memory;
    VkDeviceSize    size;      /* a multiple of 4 */
    void           *mapped;    /* coherent; NULL = staged */
};

typedef enum vsai_placement {
    VSAI_PLACE_DEVICE = 0,  /* device-local, mapped only where that costs nothing */
    VSAI_PLACE_UPLOAD,      /* mapped, written by the host */
    VSAI_PLACE_READBACK     /* mapped and cached, read by the host */
} vsai_placement;

vsa_result vsai_buffer_create(vsa_standalone *standalone, VkDeviceSize size,
                              VkBufferUsageFlags usage, vsai_placement placement,
                              const char *name, vsa_buffer **out_buffer);
VkDeviceSize vsai_buffer_size(const vsa_buffer *buffer);

/* Many small writes in few submissions: ask for the place of each piece, fill it, then flush.
 * A piece is at most VSAI_SCATTER_PIECE bytes. */
#define VSAI_SCATTER_PIECE   65536u
#define VSAI_SCATTER_REGIONS 1024u

typedef struct vsai_scatter {
    vsa_buffer  *buffer;
    size_t       used;    /* bytes of the staging buffer */
    uint32_t     region_count;
    VkBufferCopy regions[VSAI_SCATTER_REGIONS];
} vsai_scatter;

void vsai_scatter_begin(vsai_scatter *scatter, vsa_buffer *buffer);
/* NULL on an error, which was logged and is kept in *status. `offset` and `size` must lie inside
 * the buffer. */
void *vsai_scatter_place(vsai_scatter *scatter, VkDeviceSize offset, size_t size,
                         vsa_result *status);
vsa_result vsai_scatter_flush(vsai_scatter *scatter);

#endif
