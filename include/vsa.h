/*
 * vsa.h - verified sparse attention decoding on Vulkan compute.
 *
 * The library records compute dispatches into a VkCommandBuffer that the application owns. It
 * never submits, waits, allocates device memory or reads back.
 *
 *   context   binds the library to one VkDevice                      (thread-safe)
 *   plan      immutable: shapes, KV layout and policy -> pipelines   (thread-safe)
 *   layer     one layer's buffers bound to a plan                    (immutable once created)
 *   vsa_cmd_* record one stage, or a whole decode step               (see each function)
 *
 * Valid for every declaration below:
 *  - Sizes, offsets and strides are in bytes (..._size, ..._offset, ..._stride); lengths are in
 *    tokens (..._tokens); counts of anything else end in _count.
 *  - A zero-initialised struct is valid input: 0 or NULL means the default, or none. Fields
 *    marked REQUIRED must be set.
 *  - What a create-info points to need only live until the call returns.
 *  - Out-parameters are set to NULL first; on an error nothing is leaked. Destroy functions
 *    accept NULL.
 *  - An error returns a code and, through the context's log, one sentence that names the thing
 *    and the limit. Nothing aborts, exits, prints, throws or reads the environment.
 *
 * Notation: q heads, KV heads, group = q_heads / kv_heads query heads that share one KV head;
 * s_i = softmax_scale * q.k_i the logit of token i, w_i = exp(s_i), D = sum w_i the softmax
 * normaliser, out = sum w_i v_i / D. vAttention is arXiv 2510.05688.
 */
#ifndef VSA_H
#define VSA_H

#include <stddef.h>
#include <stdint.h>

/* Types only: with VK_NO_PROTOTYPES (volk) no vk* symbol is referenced. */
#include <vulkan/vulkan_core.h>

/* The one place where the version is written: CMakeLists.txt parses these lines. */
#define VSA_VERSION_MAJOR 0
#define VSA_VERSION_MINOR 1   /* before 1.0 a higher one may change structs */
#define VSA_VERSION_PATCH 0   /* neither structs nor behaviour that is documented */
/* What create infos carry as api_version: major << 16 | minor << 8 | patch. */
#define VSA_API_VERSION \
    ((VSA_VERSION_MAJOR << 16) | (VSA_VERSION_MINOR << 8) | VSA_VERSION_PATCH)

#if defined(VSA_SHARED) && defined(_WIN32)
#  ifdef VSA_BUILDING
#    define VSA_API __declspec(dllexport)
#  else
#    define VSA_API __declspec(dllimport)
#  endif
#elif defined(VSA_SHARED)
#  define VSA_API __attribute__((visibility("default")))
#else
#  define VSA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ results */

/* Values are pinned: never renumbered, only appended. Negative means error. */
typedef enum vsa_result {
    VSA_SUCCESS                     = 0,
    VSA_ERROR_INVALID_ARGUMENT      = -1,  /* a documented precondition was broken */
    VSA_ERROR_VERSION_MISMATCH      = -2,  /* header and library differ */
    VSA_ERROR_OUT_OF_HOST_MEMORY    = -3,
    VSA_ERROR_OUT_OF_DEVICE_MEMORY  = -4,
    VSA_ERROR_DEVICE_UNSUITABLE     = -5,  /* the device lacks something required */
    VSA_ERROR_UNSUPPORTED_CONFIG    = -6,  /* shape, type or policy has no kernel here */
    VSA_ERROR_BUFFER_TOO_SMALL      = -7,
    VSA_ERROR_SHADER                = -8,  /* GLSL or pipeline compilation failed */
    VSA_ERROR_DEVICE_LOST           = -9,  /* destroy and recreate the context */
    VSA_ERROR_VULKAN                = -10, /* any other VkResult: the log names it */
    VSA_RESULT_MAX_ENUM             = 0x7fffffff
} vsa_result;

/* A static string such as "VSA_ERROR_SHADER"; never NULL. */
VSA_API const char *vsa_result_name(vsa_result result);

/* Version of the library that is linked, encoded as VSA_API_VERSION. */
VSA_API uint32_t vsa_version(void);

/* ------------------------------------------------------------ host callbacks */

/* How much a message matters. */
typedef enum vsa_log_level {
    VSA_LOG_NONE  = 0,  /* of no message */
    VSA_LOG_ERROR = 1,  /* why a call failed: one per failed call */
    VSA_LOG_WARN  = 2,  /* the call succeeds with less, e.g. a cache that cannot be written */
    VSA_LOG_INFO  = 3,  /* one line per object: device, driver, compiler */
    VSA_LOG_DEBUG = 4,  /* every shader that is compiled */
    VSA_LOG_LEVEL_MAX_ENUM = 0x7fffffff
} vsa_log_level;

/* Called on whichever thread calls the library: must be thread-safe. `message` has no trailing
 * newline and is valid only during the call. */
typedef struct vsa_log {
    void (*write)(void *user, vsa_log_level level, const char *message);  /* NULL = silence */
    void *user;                /* handed to `write` */
    vsa_log_level max_level;   /* messages above it are not formatted; 0 = VSA_LOG_WARN */
} vsa_log;

/* Storage for SPIR-V and driver pipeline data; where the bytes live is the application's choice.
 * A damaged, truncated or foreign blob is a miss, never an error. Must be thread-safe. */
typedef struct vsa_cache {
    /* Copies at most `capacity` bytes and returns the blob's whole size; 0 = miss. */
    size_t (*get)(void *user, const uint8_t key[32], void *data, size_t capacity);
    /* Keeps a copy of the blob, or does not. A later put under the same key replaces it. */
    void   (*put)(void *user, const uint8_t key[32], const void *data, size_t size);
    void *user;   /* handed to both */
} vsa_cache;

/* Threads of the application, for work that divides. The library starts none of its own. */
typedef struct vsa_parallel {
    /* Calls job(data, i) once for every i below `count`, in any order and on any threads, and
     * returns when all calls have returned. NULL = one after the other on the calling thread. Must
     * be thread-safe. */
    void (*run)(void *user, uint32_t count, void (*job)(void *data, uint32_t index), void *data);
    void *user;   /* handed to `run` */
} vsa_parallel;

/* ---------------------------------------------------------- device discovery */

/* What to enable before vkCreateDevice. Strings are static. */
typedef struct vsa_device_requirements {
    uint32_t           api_version;              /* minimum: VK_API_VERSION_1_2 */
    const char *const *extensions;               /* required device extensions */
    uint32_t           extension_count;          /* of `extensions` */
    const char *const *optional_extensions;      /* enable when the device has them */
    uint32_t           optional_extension_count; /* of `optional_extensions` */
} vsa_device_requirements;

/* The same for every device. Pure. */
VSA_API void vsa_get_device_requirements(vsa_device_requirements *out_requirements);

/* ORs the feature bits the library needs into the application's structs, never clearing any, so
 * that they merge with what other libraries need. Each pointer may be NULL. Pure. */
VSA_API void vsa_require_features(VkPhysicalDeviceFeatures2 *features,
                                  VkPhysicalDeviceVulkan11Features *features11,
                                  VkPhysicalDeviceVulkan12Features *features12);

/* Verdict on a physical device, from what it reports. Pure: no Vulkan call is made. */
typedef enum vsa_verdict {
    VSA_VERDICT_WORKS  = 0,
    VSA_VERDICT_SLOW   = 1,   /* works on a slower path: `slow` says why */
    VSA_VERDICT_CANNOT = 2,   /* `missing` names what is lacking */
    VSA_VERDICT_MAX_ENUM = 0x7fffffff
} vsa_verdict;

#define VSA_MAX_REASONS 8   /* entries of vsa_device_report::missing and slow */

/* What vsa_check_device finds. */
typedef struct vsa_device_report {
    vsa_verdict verdict;                        /* the worst of the reasons below */
    uint32_t    missing_count, slow_count;      /* entries below that are filled */
    char        missing[VSA_MAX_REASONS][96];   /* e.g. "maxComputeWorkGroupInvocations 128 < 256" */
    char        slow[VSA_MAX_REASONS][96];      /* what a faster path would need */
} vsa_device_report;

/* Pure: `properties` and `features` are what Vulkan says of a physical device. */
VSA_API void vsa_check_device(const VkPhysicalDeviceProperties *properties,
                              const VkPhysicalDeviceFeatures *features,
                              vsa_device_report *out_report);

/* ------------------------------------------------------------------- context */

/* The library on one VkDevice. Any number of them may live on one device. Shaders are compiled once
 * for all plans; their SPIR-V stays in host memory, about 0.3 MB a method. */
typedef struct vsa_context vsa_context;

/* Who turns GLSL into SPIR-V. A build without one of them returns VSA_ERROR_UNSUPPORTED_CONFIG. */
typedef enum vsa_compiler {
    VSA_COMPILER_DEFAULT  = 0,  /* the first that was built in: shaderc, glslang, embedded */
    VSA_COMPILER_SHADERC  = 1,
    VSA_COMPILER_GLSLANG  = 2,
    VSA_COMPILER_EMBEDDED = 3,  /* SPIR-V made when the library was built */
    VSA_COMPILER_MAX_ENUM = 0x7fffffff
} vsa_compiler;

/* A device that the application made and lends. What is imported must outlive the context. */
typedef struct vsa_context_create_info {
    uint32_t                  api_version;       /* REQUIRED: VSA_API_VERSION */

    /* Imported Vulkan objects: borrowed, never destroyed. */
    PFN_vkGetInstanceProcAddr get_instance_proc_addr; /* REQUIRED: the loader's, volk's, ... */
    VkInstance                instance;          /* REQUIRED: created with apiVersion 1.2 or more */
    VkPhysicalDevice          physical_device;   /* REQUIRED: that `device` was created from */
    VkDevice                  device;            /* REQUIRED: any queues */
    uint32_t                  vulkan_api_version; /* VkApplicationInfo::apiVersion; 0 = 1.2 */

    /* What was enabled on `device`: only these are used, whatever the device could do. */
    const VkPhysicalDeviceFeatures2 *enabled_features; /* the pNext chain is read */
    const char *const        *enabled_extensions; /* names of device extensions */
    uint32_t                  enabled_extension_count; /* of enabled_extensions */

    const VkAllocationCallbacks *allocator;      /* also serves the library's host memory */
    VkPipelineCache           pipeline_cache;    /* the caller's own, optional */
    vsa_cache                 cache;             /* both functions, or neither */
    vsa_log                   log;               /* outlives the context */
    vsa_compiler              compiler;          /* 0 = the first that was built in */
    /* Largest storage-buffer range to bind; 0 = the device's maxStorageBufferRange. A smaller
     * value makes K and V bind as segments earlier. */
    uint32_t                  max_storage_range;
    /* The pipelines of a plan are created through it, one a job: allocator, cache and log are then
     * called on its threads, and pipeline_cache must not be externally synchronised. */
    vsa_parallel              parallel;
} vsa_context_create_info;

/* Touches no VkQueue. Thread-safety: safe. */
VSA_API vsa_result vsa_context_create(const vsa_context_create_info *info,
                                      vsa_context **out_context);

/* All plans must be destroyed first. Legal after device loss. */
VSA_API void vsa_context_destroy(vsa_context *context);

/* ------------------------------------------------------------ KV cache layout */

/*
 * What is written is rounded to nearest even. Q8_0 and Q4_0, for K and V alone, get the bits of
 * ggml's reference quantizers (quantize_row_q8_0_ref and quantize_row_q4_0_ref, every operation
 * rounded to f32), with two cases fixed in which those depend on the machine:
 *  - all values of a block below 2^-100: the bits of a block of zeros;
 *  - an infinity or NaN in a block: scale NaN (0x7e00), every code that of 0, so that all 32 values
 *    read as NaN and rows that attend to them are INVALID.
 * A scale of 65520 or more becomes infinite, as in ggml: such rows are INVALID too.
 */
typedef enum vsa_dtype {
    VSA_DTYPE_F32  = 1,
    VSA_DTYPE_F16  = 2,
    VSA_DTYPE_BF16 = 3,
    VSA_DTYPE_Q8_0 = 4,  /* 32 values per block: an f16 scale and 32 int8 (ggml's Q8_0) */
    VSA_DTYPE_Q4_0 = 5,  /* 32 values per block: an f16 scale and 16 bytes of nibbles (ggml's Q4_0) */
    VSA_DTYPE_MAX_ENUM = 0x7fffffff
} vsa_dtype;

/* Bytes of one row of `count` channels; 0 when the type cannot hold that many. */
VSA_API uint32_t vsa_dtype_row_size(vsa_dtype dtype, uint32_t count);

/*
 * Where the application keeps K (or V): read in place. Channel c of token t of KV head h of
 * sequence s starts at
 *
 *   page_tokens == 0:  s * block_stride + h * head_stride + t * token_stride
 *   page_tokens  > 0:  table[s * table_stride + t / page_tokens] * block_stride
 *                      + h * head_stride + (t % page_tokens) * token_stride
 *
 * bytes plus c * sizeof(dtype), from the start of the bound range. Channels are contiguous. In rows
 * of Q8_0 and Q4_0 block c / 32 follows block c / 32 - 1, without padding: head sizes are multiples
 * of 32.
 * block_stride is explicit, so interleaved K/V pools are representable. Strides must be multiples
 * of 4, or of 2 where the dtype is Q8_0 or Q4_0, and the range's offset and size of 4. When all
 * strides are multiples of 16 a faster kernel is used; those of Q8_0 and Q4_0 do not count. One
 * plane (K or V of one layer) may span up to 16 GiB.
 */
typedef struct vsa_plane_layout {
    vsa_dtype dtype;          /* REQUIRED */
    uint32_t  token_stride;   /* between tokens, at least a row */
    uint32_t  head_stride;    /* between KV heads */
    uint64_t  block_stride;   /* between physical pages, or between sequences */
} vsa_plane_layout;

/* Where both planes of a cache are. A list of cells, as ggml's cache has it, is a page table with
 * page_tokens 1: entry i of a sequence is the cell of its i-th token, block_stride the size of a
 * cell (examples/ggml_cache.c). */
typedef struct vsa_kv_layout {
    uint32_t         page_tokens;   /* 0 = contiguous; otherwise a power of two */
    uint32_t         table_stride;  /* uint32 entries per sequence in the page table */
    vsa_plane_layout k;             /* head_dim_k channels */
    vsa_plane_layout v;             /* head_dim_v channels */
} vsa_kv_layout;

/* Of a layout that vsa_kv_layout_init fills. */
typedef enum vsa_kv_order {
    VSA_KV_HEAD_MAJOR  = 0,   /* [kv_head][token][channel] inside a sequence or page */
    VSA_KV_TOKEN_MAJOR = 1,   /* [token][kv_head][channel], ggml's order */
    VSA_KV_ORDER_MAX_ENUM = 0x7fffffff
} vsa_kv_order;

/* Fills a layout without gaps: one block per sequence of max_tokens, or, when page_tokens is not 0,
 * blocks of page_tokens and ceil(max_tokens / page_tokens) table entries per sequence. Pure. */
VSA_API void vsa_kv_layout_init(vsa_kv_layout *out_layout, vsa_kv_order order, vsa_dtype k_dtype,
                                vsa_dtype v_dtype, uint32_t head_dim_k, uint32_t head_dim_v,
                                uint32_t kv_heads, uint32_t max_tokens, uint32_t page_tokens);

/* Offset of a token's row, exactly as the shaders compute it; `page_table` is read only when
 * paged. Pure. */
VSA_API uint64_t vsa_kv_offset(const vsa_kv_layout *layout, const vsa_plane_layout *plane,
                               const uint32_t *page_table, uint32_t sequence, uint32_t kv_head,
                               uint32_t token);

/* -------------------------------------------------------------------- policy */

/* What decides which tokens are read. Rows of TOP_K and TOP_P carry no guarantee: they end as
 * MISSED with an infinite error_bound, whatever on_miss says. */
typedef enum vsa_method {
    VSA_METHOD_DENSE      = 1,  /* every token: the yardstick and the fallback */
    VSA_METHOD_TOP_K      = 2,  /* sink + window + top-k, no guarantee */
    VSA_METHOD_TOP_P      = 3,  /* sink + window + the smallest set with mass p, no guarantee */
    VSA_METHOD_SAMPLE     = 4,  /* sink + window + adaptive uniform sample; scores nothing, so
                                   heavy tokens outside the two can go unseen, and then its
                                   certificate is wrong */
    VSA_METHOD_VATTENTION = 5,  /* sink + window + top-k + adaptive uniform sample of the rest */
    VSA_METHOD_GUIDED     = 6,  /* sink + window + adaptive sample with probability proportional to
                                   the scorer's estimate; tokens that reach probability 1 are
                                   the top-k */
    VSA_METHOD_MAX_ENUM   = 0x7fffffff
} vsa_method;

/* How keys are scored when tokens are picked. */
typedef enum vsa_scorer {
    VSA_SCORER_EXACT = 1,  /* q.k over the whole of K: reads half of what dense reads */
    VSA_SCORER_PAGE  = 2,  /* per-page channel statistics kept in `state` */
    VSA_SCORER_SIGN  = 3,  /* 1-bit rotated keys and a scale kept in `state` */
    VSA_SCORER_INT8  = 4,  /* quantised copy of K in `state`, with a bound on each score */
    VSA_SCORER_INT4  = 5,
    VSA_SCORER_MAX_ENUM = 0x7fffffff
} vsa_scorer;

/* Which inequality the certificate rests on: docs/algorithm.md. STRICT needs a bound on every
 * weight, hence a scorer: VATTENTION has it for target DENOMINATOR (betting, Waudby-Smith and
 * Ramdas), GUIDED for all targets (Bernstein in Hilbert space, Pinelis 1994). */
typedef enum vsa_bound {
    VSA_BOUND_CLT    = 1,  /* asymptotic: central limit theorem, finite-population corrected */
    VSA_BOUND_STRICT = 2,  /* holds at every sample size */
    VSA_BOUND_MAX_ENUM = 0x7fffffff
} vsa_bound;

/* What the error is measured on. */
typedef enum vsa_target {
    VSA_TARGET_DENOMINATOR = 1,  /* D, relative error */
    VSA_TARGET_NUMERATOR   = 2,  /* sum w_i v_i, relative L2 error */
    VSA_TARGET_OUTPUT      = 3,  /* out, relative L2 error */
    VSA_TARGET_MAX_ENUM = 0x7fffffff
} vsa_target;

/* What becomes of rows that do not reach their target within max_samples. */
typedef enum vsa_miss_action {
    VSA_MISS_DENSE  = 0,  /* recompute failing rows densely in the same step: keeps the promise */
    VSA_MISS_REPORT = 1,  /* finish, and say so in the certificate */
    VSA_MISS_ACTION_MAX_ENUM = 0x7fffffff
} vsa_miss_action;

/*
 * A count from a fraction is rounded to nearest, integer arithmetic only. With L the row's length:
 * the exact set is the first max(sink_tokens, L * sink_fraction) tokens, the last
 * max(window_tokens, L * window_fraction) and, of the C tokens between them, the
 * max(top_k, L * top_k_fraction) with the highest score, ties by lower index. The residual is the
 * other N tokens. The base sample is
 * max(base_samples, N * base_fraction), no more than base_max_samples, rounded up to a multiple of
 * VSA_SAMPLE_GROUPS: the certificate is computed from that many equal random groups.
 * A row whose sample would reach N / 2 is computed densely: streaming is then cheaper.
 */
typedef struct vsa_policy {
    vsa_method method;          /* 0 = VATTENTION */
    vsa_scorer scorer;          /* 0 = the best that this version has: EXACT */
    vsa_bound  bound;           /* 0 = CLT */
    vsa_target target;          /* 0 = OUTPUT */
    vsa_miss_action on_miss;    /* 0 = compute such rows densely */
    uint32_t sink_tokens;       /* from the beginning of the context */
    float    sink_fraction;     /* of the row's length; the larger of the two applies */
    uint32_t window_tokens;     /* counted back from the row's own position, itself included */
    float    window_fraction;   /* of the row's length; the larger of the two applies */
    uint32_t top_k;             /* per KV head, shared by its group */
    float    top_k_fraction;    /* of the row's length, 0 <= f <= 1; the larger of the two applies */
    float    top_p;             /* VSA_METHOD_TOP_P only, 0 < p <= 1 */
    uint32_t base_samples;      /* of the first sample; the larger of the two applies */
    float    base_fraction;     /* of the residual, 0 <= f <= 1 */
    uint32_t base_max_samples;  /* 0 = no maximum */
    uint32_t max_samples;       /* per row; 0 = no maximum, so that the target can always be met */
    float    epsilon;           /* relative error target, 0 < epsilon < 1; unused by DENSE */
    float    delta;             /* probability of missing it, 0 < delta < 1; unused by DENSE */
    float    value_floor;       /* eta >= 0, targets OUTPUT and NUMERATOR with bound CLT: the error
                                   may be epsilon * max(|out|, eta * v_rms), v_rms the root of the
                                   attention-weighted mean of |v|^2. 0 = relative to |out| alone,
                                   which an output near zero can only meet densely */
    uint32_t carry_budget;      /* 1: the first sample of a row is as large as its query head needed
                                   in the sequence's last step, kept in `state`; no smaller than the
                                   base sample. Most rows are then done after it. A decode depends on
                                   the steps before it, and each step needs draws of its own (seed,
                                   stream or length). Method GUIDED with bound CLT */
} vsa_policy;

#define VSA_SAMPLE_GROUPS 32   /* random groups of a sample, see vsa_policy */

/* ---------------------------------------------------------------------- plan */

/* How the kernels that read K and V divide their work. Results are the same for every tuning up
 * to the rounding of f32 sums; draws and counts of the exact set are equal. Zero fields take the
 * default for the device. */
typedef struct vsa_tuning {
    uint32_t workgroup;     /* invocations: a power of two, 8 to 128 */
    uint32_t lanes;         /* invocations that share one K row: a power of two up to 32 and to
                               workgroup */
    uint32_t repeat;        /* K rows that an invocation takes part in at a time: 1 to 8 */
    uint32_t value_chunks;  /* times 8 channels of V that one invocation sums: 1 to 4 */
    uint32_t query_chunks;  /* times 8 channels of the queries that an invocation may keep for
                               itself: 1 to 256. Where it needs more they are in shared memory */
} vsa_tuning;

/* Pipelines for one shape, layout and policy; all layers of a model that have them in common share
 * one. Immutable, thread-safe. */
typedef struct vsa_plan vsa_plan;

/* What a plan is made for. */
typedef struct vsa_plan_create_info {
    uint32_t      head_dim_k, head_dim_v;   /* REQUIRED: 32 to 256, multiples of 8 */
    uint32_t      q_heads, kv_heads;        /* REQUIRED: q_heads % kv_heads == 0 */
    uint32_t      max_sequences;            /* 0 = 1 */
    uint32_t      max_queries;              /* query tokens per sequence and step; 0 = 1 */
    uint32_t      max_tokens;               /* REQUIRED: per sequence, up to 2^24 */
    vsa_dtype     q_dtype, out_dtype;       /* F32, F16 or BF16; 0 = F32 */
    vsa_dtype     new_dtype;                /* of the rows to append; 0 = F32 */
    float         softmax_scale;            /* 0 = 1/sqrt(head_dim_k) */
    float         logit_softcap;            /* s = c * tanh(s / c); 0 = off */
    uint32_t      max_dispatch_tokens;      /* tokens x query tokens (over all sequences) that one
                                               dispatch handles, so that a slow GPU stays clear
                                               of the OS watchdog; 0 = 2^20, at least 2048 */
    vsa_kv_layout kv;                       /* REQUIRED */
    VkDeviceSize  kv_range_size;            /* paged caches: the largest K or V range that a layer
                                               will bind; 0 = max_sequences * max_tokens rows */
    vsa_policy    policy;                   /* epsilon and delta REQUIRED for methods that sample */
    vsa_tuning    tuning;                   /* 0 = the device's */
    const char   *name;                     /* prefix of debug names */
    VkPipelineCreateFlags pipeline_flags;   /* added to those of every pipeline, such as
                                               VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR */
} vsa_plan_create_info;

/* Compiles or fetches every pipeline: slow (ms to s). Recording never compiles.
 * Thread-safety: safe; plans of one context may be created concurrently. */
VSA_API vsa_result vsa_plan_create(vsa_context *context, const vsa_plan_create_info *info,
                                   vsa_plan **out_plan);

/* No command buffer recorded from the plan may be pending, and its layers must be destroyed. */
VSA_API void vsa_plan_destroy(vsa_plan *plan);

/* What a range of a buffer must be. */
typedef struct vsa_buffer_requirement {
    VkDeviceSize       size;        /* 0 = the buffer may be left out */
    VkDeviceSize       alignment;   /* of the range's offset; a power of two */
    VkBufferUsageFlags usage;       /* that the buffer was created with, at least */
} vsa_buffer_requirement;

/* Memory that the caller provides. `state` persists with the KV cache; `scratch` holds nothing
 * between steps (except between vsa_cmd_decode and vsa_cmd_indices) and may be shared by layers
 * whose steps run one after the other. Its size covers max_sequences x max_queries x max_tokens. */
typedef struct vsa_plan_requirements {
    vsa_buffer_requirement state;         /* one per layer; needs no initial contents, but every token
                                             appended or indexed, the first ones first */
    vsa_buffer_requirement scratch;       /* needs no initial contents */
    vsa_buffer_requirement certificates;  /* vsa_certificate, [sequence][query][q_head] */
    vsa_buffer_requirement q, out;        /* [sequence][query][q_head][channel] */
} vsa_plan_requirements;

/* Cannot fail. Pure. */
VSA_API void vsa_plan_get_requirements(const vsa_plan *plan, vsa_plan_requirements *out);

/* One of a plan's pipelines. */
typedef struct vsa_plan_pipeline {
    const char *kernel;     /* what it computes: "score", "attend_sparse", ...; static */
    VkPipeline  pipeline;   /* borrowed, until the plan is destroyed */
} vsa_plan_pipeline;

/* Fills at most `capacity` entries; *out_count is the number of pipelines, which may be larger. Pure. For
 * inspection: vkGetPipelineExecutableStatisticsKHR and the like. */
VSA_API void vsa_plan_get_pipelines(const vsa_plan *plan, vsa_plan_pipeline *out_pipelines,
                                    uint32_t capacity, uint32_t *out_count);

/* ----------------------------------------------------------------- layer */

/* Buffers bound to a plan. Immutable; it may be recorded any number of times. */
typedef struct vsa_layer vsa_layer;

/* Every range: usage STORAGE_BUFFER, plus INDIRECT_BUFFER for scratch; see vsa_plan_requirements
 * for sizes and alignment. VK_WHOLE_SIZE is not accepted: the library has to know the size. */
typedef struct vsa_layer_buffers {
    VkDescriptorBufferInfo k, v;         /* the cache. A range larger than maxStorageBufferRange
                                            is bound as up to 8 overlapping segments */
    VkDescriptorBufferInfo page_table;   /* uint32; when paged. At least max_sequences *
                                            table_stride entries */
    VkDescriptorBufferInfo lengths;      /* uint32 tokens per sequence, read on the GPU */
    VkDescriptorBufferInfo new_k, new_v; /* rows to append, [sequence][token][kv_head][channel];
                                            only for vsa_cmd_append */
    VkDescriptorBufferInfo q, out;       /* rows of q_dtype read, of out_dtype written */
    VkDescriptorBufferInfo state;        /* of this layer's cache; when its size is not 0 */
    VkDescriptorBufferInfo scratch;      /* may be that of other layers, see vsa_plan_requirements */
    VkDescriptorBufferInfo certificates; /* vsa_certificate, one a row */
    VkDescriptorBufferInfo indices;      /* only for vsa_cmd_indices */
} vsa_layer_buffers;

/* Makes the descriptor sets, once. The buffers must outlive the layer. Thread-safety: safe. */
VSA_API vsa_result vsa_layer_create(const vsa_plan *plan, const vsa_layer_buffers *buffers,
                                    vsa_layer **out_layer);
/* No command buffer recorded from the layer may be pending. */
VSA_API void vsa_layer_destroy(vsa_layer *layer);

/* ----------------------------------------------------------------- recording */

/* A timestamp after every kernel, for profiling. Kernel i took from timestamp i - 1 to timestamp i;
 * kernels that run side by side (no barrier between them) share their time as it ends. */
typedef struct vsa_kernel_marks {
    VkQueryPool  queries;       /* REQUIRED: timestamps, `capacity` of them reset by the caller */
    uint32_t     first_query;   /* of `queries` */
    uint32_t     capacity;      /* of `queries` from first_query on, and of `kernels` */
    const char **kernels;       /* REQUIRED: [i] is set to the kernel that ends at timestamp i, as in
                                   vsa_plan_pipeline; NULL where a call of vsa_cmd_* begins. The
                                   names are static */
    uint32_t     count;         /* raised by every mark, 0 before the first call; those from
                                   `capacity` on are not written */
} vsa_kernel_marks;

/* For every vsa_cmd_* function:
 *  - `cmd` is recording, outside a render pass, on a queue family with VK_QUEUE_COMPUTE_BIT.
 *  - Before: the caller makes its writes to the bound ranges visible to COMPUTE_SHADER /
 *    SHADER_READ | SHADER_WRITE; DRAW_INDIRECT needs nothing from the caller.
 *  - Between its own dispatches the library records global memory barriers; two calls one after
 *    the other need none from the caller.
 *  - After: results were written in COMPUTE_SHADER / SHADER_WRITE; the caller records the
 *    closing barrier.
 *  - Clobbered: compute pipeline, descriptor set 0, push constants.
 *  - Recorded commands stay valid for re-submission while the buffers live.
 * Thread-safety: safe for distinct command buffers, also on one layer. */
typedef struct vsa_step {
    uint32_t sequence_count;    /* 0 = 1; <= max_sequences */
    uint32_t query_count;       /* 0 = 1; <= max_queries. Query j of m attends to the first
                                   length - m + 1 + j tokens of its sequence */
    uint32_t max_length_tokens; /* REQUIRED: >= every entry of `lengths`; sizes dispatches. A
                                   longer sequence is flagged INVALID, never cut short */
    /* Draws are keyed by (seed, stream, sequence, KV head, length, draw number) with integer
     * arithmetic only: the same inputs give the same indices on every device, and a re-submitted
     * command buffer draws afresh because the length has grown. */
    uint64_t seed;
    uint32_t stream;            /* e.g. the layer's number: decorrelates layers */

    VkQueryPool timestamps;     /* optional: VSA_TIMESTAMP_COUNT queries, reset by the caller */
    uint32_t    first_query;    /* of `timestamps` */
    vsa_kernel_marks *marks;    /* optional: used while commands are recorded */
} vsa_step;

/* When each timestamp of vsa_cmd_decode is written: at the end of the named stage. A stage that
 * the method does not have takes no time. */
typedef enum vsa_timestamp {
    VSA_TIMESTAMP_BEGIN = 0,
    VSA_TIMESTAMP_SCORE,
    VSA_TIMESTAMP_SELECT,
    VSA_TIMESTAMP_SAMPLE,    /* base sample drawn */
    VSA_TIMESTAMP_ATTEND,    /* exact set and base sample read */
    VSA_TIMESTAMP_COMBINE,   /* budget granted, further samples read, rows finished */
    VSA_TIMESTAMP_FALLBACK,  /* dense rows */
    VSA_TIMESTAMP_COUNT
} vsa_timestamp;

/* Writes the last new_tokens rows of every sequence: the `lengths` buffer already holds the
 * lengths after the append, and row i goes to position length - new_tokens + i. Values are
 * rounded as vsa_dtype says; no byte but those of the rows is changed. Updates `state`. A length
 * below new_tokens or above max_length_tokens leaves that sequence's cache untouched. */
VSA_API vsa_result vsa_cmd_append(const vsa_layer *layer, VkCommandBuffer cmd,
                                  const vsa_step *step, uint32_t new_tokens);

/* For applications that write K and V themselves: updates `state` for the tokens
 * [first_token, first_token + token_count) of every sequence. */
VSA_API vsa_result vsa_cmd_index(const vsa_layer *layer, VkCommandBuffer cmd,
                                 const vsa_step *step, uint32_t first_token,
                                 uint32_t token_count);

/* One decode step by the plan's method: writes `out` and `certificates`; with carry_budget also its
 * part of `state`. */
VSA_API vsa_result vsa_cmd_decode(const vsa_layer *layer, VkCommandBuffer cmd,
                                  const vsa_step *step);

/* The same in parts, in this order, for applications that interleave their own work. */
typedef enum vsa_stage {
    VSA_STAGE_SCORE   = 1,
    VSA_STAGE_SELECT  = 2,
    VSA_STAGE_SAMPLE  = 3,
    VSA_STAGE_ATTEND  = 4,
    VSA_STAGE_COMBINE = 5,
    VSA_STAGE_MAX_ENUM = 0x7fffffff
} vsa_stage;

/* One stage; vsa_cmd_decode records all five. */
VSA_API vsa_result vsa_cmd_stage(const vsa_layer *layer, VkCommandBuffer cmd,
                                 const vsa_step *step, vsa_stage stage);

/* Exact attention with the same inputs, whatever the plan's method. */
VSA_API vsa_result vsa_cmd_dense(const vsa_layer *layer, VkCommandBuffer cmd,
                                 const vsa_step *step);

/* After vsa_cmd_decode with the same step: writes the token indices that each row read into
 * `indices`, int32 [sequence][query][q_head][capacity]: the exact set ascending, then the samples
 * in draw order, then -1. A row computed densely lists every token. For tests and inspection. */
VSA_API vsa_result vsa_cmd_indices(const vsa_layer *layer, VkCommandBuffer cmd,
                                   const vsa_step *step, uint32_t capacity);

/* -------------------------------------------------------------- certificates */

/* What a row's result is worth. */
typedef enum vsa_certificate_status {
    VSA_CERTIFICATE_NONE    = 0,  /* never written: treat as a failure */
    VSA_CERTIFICATE_EXACT   = 1,  /* the row was computed densely */
    VSA_CERTIFICATE_MET     = 2,  /* the error is <= epsilon with probability 1 - delta */
    VSA_CERTIFICATE_MISSED  = 3,  /* the budget ended before the target was reached */
    VSA_CERTIFICATE_INVALID = 4,  /* non-finite logits or values, also their sums in f32 and, unless
                                     the step is dense, sums of squared values; no token to attend
                                     to, or a length above max_length_tokens: out is zero */
    VSA_CERTIFICATE_STATUS_MAX_ENUM = 0x7fffffff
} vsa_certificate_status;

/* What else the row met with. Several may be set. */
typedef enum vsa_certificate_flag {
    VSA_CERTIFICATE_UNATTAINABLE = 1,  /* the target needs half of the tokens or more: out is near zero
                                          beside the values, or epsilon very small. The row is dense */
    VSA_CERTIFICATE_HEAVY_SAMPLE = 2,  /* one sampled token weighed more than epsilon / 2 of D: the
                                          scorer missed it, the sample was not trusted. Dense */
    VSA_CERTIFICATE_BOUND_BROKEN = 4,  /* bound STRICT: a sampled weight was above its bound. Dense */
    VSA_CERTIFICATE_FLOORED      = 8,  /* value_floor * v_rms exceeds |out|: errors are relative to it */
    VSA_CERTIFICATE_MERGED       = 128, /* written by vsa_merge only: error_bound and normaliser_bound
                                          hold together with probability 1 - delta. In every other
                                          certificate each of them does */
    VSA_CERTIFICATE_FLAG_MAX_ENUM = 0x7fffffff
} vsa_certificate_flag;

/* Written on the GPU, one per (sequence, query, q head), tightly packed, 48 bytes. The promise is
 * per row: a joint claim over H rows needs delta / H. f32 arithmetic adds about 2e-6. */
typedef struct vsa_certificate {
    uint32_t status;          /* vsa_certificate_status | vsa_bound << 8 | vsa_target << 16 |
                                 flags << 24 */
    float    error_bound;     /* relative, of the target: the 1 - delta quantile of the error as
                                 the bound estimates it. 0 if EXACT, infinite if nothing can be
                                 said. With VSA_BOUND_CLT the promise is made for epsilon;
                                 README says how often error_bound itself holds */
    float    delta;           /* 0 if EXACT */
    float    log_normaliser;  /* log D, estimated */
    uint32_t length_tokens;   /* that the row attends to */
    uint32_t exact_tokens;    /* the whole length if EXACT */
    uint32_t sampled_tokens;  /* that the result rests on, beside exact_tokens; 0 if EXACT */
    uint32_t wanted_samples;  /* asked for by the last budget, before max_samples */
    uint32_t gathered_tokens; /* rows of V that were gathered for this row in all stages of the
                                 step, also before it went dense */
    float    normaliser_bound; /* relative error of D, with probability 1 - delta; 0 if D is exact,
                                 infinite if nothing can be said */
    float    epsilon;         /* the plan's; 0 if EXACT */
    uint32_t reserved;        /* 0 */
} vsa_certificate;

/* The vsa_certificate_status in vsa_certificate::status. */
#define VSA_CERTIFICATE_STATUS(status_word) ((vsa_certificate_status)((status_word) & 0xffu))
/* The vsa_bound in it. */
#define VSA_CERTIFICATE_BOUND(status_word)  ((vsa_bound)(((status_word) >> 8) & 0xffu))
/* The vsa_target in it. */
#define VSA_CERTIFICATE_TARGET(status_word) ((vsa_target)(((status_word) >> 16) & 0xffu))
/* The vsa_certificate_flag bits in it. */
#define VSA_CERTIFICATE_FLAGS(status_word)  ((status_word) >> 24)

/* Certificates counted. */
typedef struct vsa_certificate_summary {
    uint32_t rows, met, exact, missed, invalid, none;            /* rows in all, and by status */
    uint32_t unattainable, heavy_sample, bound_broken, floored;  /* rows with that flag */
    float    worst_error_bound;   /* of all rows */
    double   density;         /* tokens read / tokens attended to, over all rows */
} vsa_certificate_summary;

/* Pure. Returns 1 only if every row is EXACT or MET; 0 rows, or rows == NULL, give 0. */
VSA_API int vsa_certificates_check(const vsa_certificate *rows, size_t row_count,
                                   vsa_certificate_summary *out_summary);

/* Bytes of K, V and `state` that the step behind these rows read, and that dense attention would have
 * read; `rows` is [sequence][query][q_head], whole KV heads. One read serves up to 8 heads of a
 * group, which are counted once:
 *  - what the scorer reads of every token, when the method scores keys and the group was not dense
 *    from the start: all of K (EXACT), or what it keeps in `state`;
 *  - the gathered rows of V in all stages, also those of a row that went dense later, and of K
 *    too unless the exact scorer has read them;
 *  - all of K and V, when a row of the group is dense.
 * The step's scratch is not counted. Pure. */
VSA_API void vsa_plan_count_bytes(const vsa_plan *plan, const vsa_certificate *rows,
                                  size_t row_count, uint64_t *out_read, uint64_t *out_dense);

/* Rows that attended to a part of their context, on whatever device: f32 [row][head_dim_v] and a
 * certificate a row. */
typedef struct vsa_part {
    const float           *out;           /* [row][head_dim_v] */
    const vsa_certificate *certificates;  /* [row] */
} vsa_part;

/* Two disjoint parts of the same contexts into the whole: `out` is the attention over both, its
 * certificate a valid bound whatever the parts have in common (docs/algorithm.md, "Merging").
 * Merge the result with a third part, and so on, in any order. `out` and `out_certificates` may be
 * those of a part.
 *
 * A row is EXACT when both parts are. Otherwise it is MET when its error_bound is at most epsilon,
 * and MISSED when not, whatever the parts were. Its delta is the sum of what the parts can fail
 * by: twice delta for a part whose D is estimated and not the target, delta for the others, 0 for
 * EXACT ones: to end with delta, plan two parts with delta / 4. Bounds of 1 or more in a part say
 * nothing and make the whole's infinite; so does a FLOORED part's error_bound, and a sum of deltas
 * of 1 or more. Certificates of bound CLT are estimates, and so is what they merge into. Flags are
 * those of either part and MERGED; counts add up.
 *
 * A part that is INVALID makes the row INVALID, one that was never written makes it NONE, with out
 * zero. That goes for a part without tokens: leave it out, or give it zeros and a certificate
 * {.status = VSA_CERTIFICATE_EXACT, .log_normaliser = -INFINITY}.
 *
 * VSA_ERROR_INVALID_ARGUMENT, and nothing is written: NULL with rows to merge, head_dim_v == 0,
 * epsilon outside (0, 1), or a row whose parts are both MET or MISSED, of different targets.
 * Pure. */
VSA_API vsa_result vsa_merge(const vsa_part *first, const vsa_part *second, size_t row_count,
                             uint32_t head_dim_v, float epsilon, float *out,
                             vsa_certificate *out_certificates);

#ifdef __cplusplus
}
#endif

#endif /* VSA_H */
