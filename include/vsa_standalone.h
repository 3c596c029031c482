/*
 * vsa_standalone.h - an instance, a device, a queue and memory for vsa, for programs that have no
 * Vulkan of their own: tools, tests, first steps. Uses only vsa.h and the Vulkan loader, which it
 * opens when it first needs it; it defines no vk* symbol and needs none at link time.
 *
 * The conventions of vsa.h hold. Every function here waits for the GPU before it returns.
 * Thread-safety: one thread at a time per vsa_standalone and everything made from it.
 * The Vulkan loader reads its usual environment variables; this code reads none.
 */
#ifndef VSA_STANDALONE_H
#define VSA_STANDALONE_H

#include "vsa.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------------- devices */

/* A device of this machine. */
typedef struct vsa_device_info {
    uint32_t index;               /* position in the loader's order */
    char     name[256];           /* VkPhysicalDeviceProperties::deviceName */
    char     driver[512];         /* "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)" */
    VkPhysicalDeviceType type;    /* vsa_device_type_name names it */
    uint32_t api_version;         /* the newest Vulkan that it has */
    vsa_device_report report;     /* whether vsa works on it */
} vsa_device_info;

/* Fills at most `capacity` entries; *out_count is the number of devices, which may be larger.
 * A machine with a loader but no driver gives 0 devices and success. */
VSA_API vsa_result vsa_standalone_list_devices(const vsa_log *log, vsa_device_info *out_devices,
                                               uint32_t capacity, uint32_t *out_count);

/* "discrete GPU", "integrated GPU", "virtual GPU", "CPU" or "other". */
VSA_API const char *vsa_device_type_name(VkPhysicalDeviceType type);

/* A device with a context on it. After VSA_ERROR_DEVICE_LOST everything that submits returns it again:
 * destroy it, and what was made from it, and make a new one. */
typedef struct vsa_standalone vsa_standalone;

/* Which device, and what for. */
typedef struct vsa_standalone_create_info {
    uint32_t    api_version;      /* REQUIRED: VSA_API_VERSION */
    /* Which device: all digits = an index, otherwise a part of a name, any case. NULL = the
     * first discrete GPU that works, else integrated, virtual, CPU. */
    const char *device;
    const char *cache_directory;  /* SPIR-V and pipelines are kept here; made if missing. NULL = none */
    /* 1: with VK_LAYER_KHRONOS_validation and synchronisation validation; a message of severity
     * warning or error goes to the log as an error and is counted. Fails with
     * VSA_ERROR_VULKAN if the layer is not installed. */
    int          validation;
    /* 1: for plans alone. A driver that compiles but cannot run anything is accepted,
     * VK_KHR_pipeline_executable_properties is enabled where the device has it, and what needs the
     * GPU to run fails with VSA_ERROR_UNSUPPORTED_CONFIG. */
    int          compile_only;
    vsa_compiler compiler;            /* 0 = the first that was built in */
    uint32_t     max_storage_range;   /* as in vsa_context_create_info */
    const VkAllocationCallbacks *allocator;   /* of host memory; NULL = the C library's */
    vsa_log      log;                 /* outlives it */
    /* Where Vulkan comes from, for programs that bring a loader or a driver of their own; it must
     * outlive the vsa_standalone. NULL = the system's loader. */
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
    /* Pipelines of a plan are created by this many threads, which end with the call; then
     * `allocator` and `log` must be thread-safe. 0 or 1 = by the calling thread alone. */
    uint32_t     thread_count;
} vsa_standalone_create_info;

/* Opens the loader, makes an instance, a device and a context. VSA_ERROR_VULKAN without a loader,
 * VSA_ERROR_DEVICE_UNSUITABLE without a device that matches and works. */
VSA_API vsa_result vsa_standalone_create(const vsa_standalone_create_info *info,
                                         vsa_standalone **out_standalone);
/* Its buffers and sessions must be destroyed first. */
VSA_API void vsa_standalone_destroy(vsa_standalone *standalone);

/* The device in use; lives as long as `standalone`. */
VSA_API const vsa_device_info *vsa_standalone_device(const vsa_standalone *standalone);
/* The context, for plans of one's own; owned by `standalone`. */
VSA_API vsa_context *vsa_standalone_context(const vsa_standalone *standalone);
/* Messages of the validation layer until now; 0 without `validation`. */
VSA_API uint32_t vsa_standalone_validation_count(const vsa_standalone *standalone);

/* The Vulkan objects behind it, for programs that record work of their own. Owned by
 * `standalone`. */
typedef struct vsa_vulkan_handles {
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;   /* of the loader in use */
    VkInstance       instance;          /* Vulkan 1.2 */
    VkPhysicalDevice physical_device;   /* that vsa_standalone_device describes */
    VkDevice         device;            /* with the features that vsa asks for */
    VkQueue          queue;             /* of compute; also used by `standalone` */
    uint32_t         queue_family;      /* of `queue` */
} vsa_vulkan_handles;

/* Fills *out_handles. Submit to the queue only while no call on `standalone` is running. */
VSA_API void vsa_standalone_handles(const vsa_standalone *standalone,
                                    vsa_vulkan_handles *out_handles);

/* Bytes per second, read and written together, that vkCmdCopyBuffer moves between two device-local
 * buffers of 256 MiB (less on a device with under 2 GiB): the median of 9 copies after some to warm
 * up, by GPU timestamps, or by the clock around the submission on a queue without them. */
VSA_API vsa_result vsa_standalone_copy_bandwidth(vsa_standalone *standalone,
                                                 double *out_bytes_per_second);

/* A vsa_cache over files in a directory: one file per key, written beside and renamed into
 * place. The directory and its parents are made when missing. */
typedef struct vsa_directory_cache vsa_directory_cache;
/* `log` may be NULL. */
VSA_API vsa_result vsa_directory_cache_create(const char *path, const vsa_log *log,
                                              vsa_directory_cache **out_cache);
/* The contexts that use it must be destroyed first. The files stay. */
VSA_API void vsa_directory_cache_destroy(vsa_directory_cache *cache);
/* For vsa_context_create_info::cache. Thread-safe, also between processes. */
VSA_API vsa_cache vsa_directory_cache_callbacks(vsa_directory_cache *cache);

/* A vsa_parallel for contexts of one's own: up to `thread_count` threads, the calling one among them,
 * for as long as a call lasts. Where threads cannot be started the others do their work. 0 or 1 gives
 * none. Holds no memory. */
VSA_API vsa_parallel vsa_threads(uint32_t thread_count);

/* -------------------------------------------------------------------- buffers */

/* A device buffer that the host can fill and read. K and V live in device-local memory and are
 * staged where the host cannot map it. */
typedef struct vsa_buffer vsa_buffer;
/* `usage` is added to what every buffer has: STORAGE_BUFFER, TRANSFER_SRC and TRANSFER_DST. Contents
 * are undefined. */
VSA_API vsa_result vsa_buffer_create(vsa_standalone *standalone, VkDeviceSize size,
                                     VkBufferUsageFlags usage, vsa_buffer **out_buffer);

/* Who a mapped buffer is for. */
typedef enum vsa_mapped_use {
    VSA_MAPPED_WRITE = 0,   /* written by the host, read by the GPU */
    VSA_MAPPED_READ  = 1,   /* read by the host: cached memory, where there is some */
    VSA_MAPPED_USE_MAX_ENUM = 0x7fffffff
} vsa_mapped_use;

/* A buffer that the host has mapped, coherent, on every device: for what is exchanged at each step.
 * `usage` as above. */
VSA_API vsa_result vsa_buffer_create_mapped(vsa_standalone *standalone, VkDeviceSize size,
                                            VkBufferUsageFlags usage, vsa_mapped_use use,
                                            vsa_buffer **out_buffer);

/* What address and size of memory to import must be multiples of; 0 = the device lacks
 * VK_EXT_external_memory_host. */
VSA_API VkDeviceSize vsa_standalone_import_alignment(const vsa_standalone *standalone);
/* The program's own memory as a buffer, not copied: it must stay mapped as it is until the buffer
 * has been destroyed. Host writes before a submission are visible to it.
 * VSA_ERROR_UNSUPPORTED_CONFIG when the device cannot, or not this memory. */
VSA_API vsa_result vsa_buffer_import(vsa_standalone *standalone, void *memory, VkDeviceSize size,
                                     VkBufferUsageFlags usage, vsa_buffer **out_buffer);
/* Where the host has the buffer; NULL when it is staged: vsa_buffer_create alone makes such. */
VSA_API void *vsa_buffer_mapped(const vsa_buffer *buffer);

/* No layer that is still in use may be bound to it. */
VSA_API void vsa_buffer_destroy(vsa_buffer *buffer);
/* The whole buffer, ready for vsa_layer_buffers. */
VSA_API VkDescriptorBufferInfo vsa_buffer_info(const vsa_buffer *buffer);
/* Bytes [offset, offset + size) from `data`. */
VSA_API vsa_result vsa_buffer_write(vsa_buffer *buffer, VkDeviceSize offset, const void *data,
                                    size_t size);
/* Bytes [offset, offset + size) to `data`. */
VSA_API vsa_result vsa_buffer_read(vsa_buffer *buffer, VkDeviceSize offset, void *data,
                                   size_t size);
/* The whole buffer with one word. */
VSA_API vsa_result vsa_buffer_fill(vsa_buffer *buffer, uint32_t word);

/* ------------------------------------------------------------------- session */

/* A plan and `layer_count` layers with all their buffers: KV caches filled from host arrays, and
 * decode steps whose inputs and outputs are host arrays of f32. */
typedef struct vsa_session vsa_session;

/* What a session is made for. */
typedef struct vsa_session_create_info {
    /* REQUIRED. A zero kv.k.token_stride makes the session lay the cache out itself, from
     * kv.k.dtype, kv.v.dtype (0 = F16) and kv.page_tokens. q_dtype, out_dtype and new_dtype must
     * be 0 or F32. */
    const vsa_plan_create_info *plan;
    vsa_kv_order order;          /* of a cache that the session lays out */
    uint32_t     layer_count;    /* 0 = 1 */
    /* Paged caches: physical pages are dealt in an order shuffled by this seed; 0 = in order. */
    uint32_t     page_shuffle;
    uint32_t     index_capacity; /* per row, for vsa_session_step_result::indices; 0 = none */
    /* The session whose caches this one uses, for plans that are to be compared on the same K and
     * V; it must outlive this one. Same layout, head sizes, kv_heads, max_sequences and max_tokens,
     * at least as many layers; `page_shuffle` is not used. Each session has a `state` of its own,
     * which does not learn what is written later through another. NULL = caches of its own. */
    const vsa_session *cache_of;
} vsa_session_create_info;

/* Creates the plan and allocates every buffer. Caches hold nothing until they are written. */
VSA_API vsa_result vsa_session_create(vsa_standalone *standalone,
                                      const vsa_session_create_info *info,
                                      vsa_session **out_session);
/* Sessions on its caches must be destroyed first. */
VSA_API void vsa_session_destroy(vsa_session *session);
/* Owned by the session. */
VSA_API const vsa_plan *vsa_session_plan(const vsa_session *session);
/* Bytes of device memory that the session holds. */
VSA_API uint64_t vsa_session_memory_size(const vsa_session *session);

/* Writes tokens [first_token, first_token + token_count) of one sequence's cache from
 * k[kv_head * k_head_stride + token * head_dim_k + channel] and v likewise (strides in elements;
 * token counts from 0 at first_token), rounded to the cache's types as vsa_dtype says. */
VSA_API vsa_result vsa_session_write_kv(vsa_session *session, uint32_t layer, uint32_t sequence,
                                        uint32_t first_token, uint32_t token_count,
                                        const float *k, size_t k_head_stride,
                                        const float *v, size_t v_head_stride);

/* One step of decode on one layer. */
typedef struct vsa_session_step {
    uint32_t layer;              /* below layer_count */
    uint32_t sequence_count;     /* 0 = 1 */
    uint32_t query_count;        /* 0 = 1 */
    const uint32_t *lengths;     /* REQUIRED: [sequence_count], after the append */
    const float *new_k, *new_v;  /* [sequence][new_tokens][kv_head][channel]; NULL = no append */
    uint32_t new_tokens;         /* per sequence; 0 = no append */
    const float *q;              /* [sequence][query][q_head][channel]; NULL = only append */
    uint64_t seed;               /* as in vsa_step */
    uint32_t stream;             /* as in vsa_step */
    int      dense;              /* 1 = exact attention instead of the plan's method */
} vsa_session_step;

/* One kernel of a step. */
typedef struct vsa_kernel_time {
    const char *kernel;   /* as in vsa_plan_pipeline; static */
    double      ms;       /* see vsa_kernel_marks */
} vsa_kernel_time;

/* Where results go; every pointer may be NULL. */
typedef struct vsa_session_step_result {
    float           *out;           /* [sequence][query][q_head][channel] */
    vsa_certificate *certificates;  /* [sequence][query][q_head] */
    int32_t         *indices;       /* [sequence][query][q_head][index_capacity] */
    double gpu_ms;                  /* set by the call: whole step, from timestamps; 0 if the
                                       queue has none */
    double stage_ms[VSA_TIMESTAMP_COUNT];  /* set by the call: [i] ends at timestamp i; [0] is the
                                              append */
    vsa_kernel_time *kernel_times;  /* [kernel_capacity], in the order of the step; the timestamps
                                       take time of their own */
    uint32_t kernel_capacity;       /* of kernel_times; 128 hold any step */
    uint32_t kernel_count;          /* set by the call: entries filled; 0 if the queue has no
                                       timestamps */
} vsa_session_step_result;

/* Append, then attend: one submission. */
VSA_API vsa_result vsa_session_run(vsa_session *session, const vsa_session_step *step,
                                   vsa_session_step_result *result);

#ifdef __cplusplus
}
#endif

#endif /* VSA_STANDALONE_H */
