#include "bench_startup.h"

#include <cjson/cJSON.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "json.h"
#include "platform.h"
#include "tool.h"

enum { MAX_BLOBS = 256, MAX_REPEATS = 100, DEFAULT_REPEATS = 3, DEFAULT_THREADS = 4 };

/* ---------------------------------------------------------------------- cache */

typedef struct blob {
    uint8_t key[32];
    void *data;
    size_t size;
} blob;

/* In memory, so that no disk is measured. */
typedef struct store {
    atomic_flag lock;
    blob blobs[MAX_BLOBS];
    size_t count;
} store;

static void store_lock(store *s)
{
    while (atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire)) {
    }
}

static void store_unlock(store *s)
{
    atomic_flag_clear_explicit(&s->lock, memory_order_release);
}

static blob *store_find(store *s, const uint8_t key[32])
{
    for (size_t i = 0; i < s->count; i++) {
        if (memcmp(s->blobs[i].key, key, 32) == 0) {
            return &s->blobs[i];
        }
    }
    return NULL;
}

static size_t store_get(void *user, const uint8_t key[32], void *data, size_t capacity)
{
    store *s = user;
    size_t size = 0;

    store_lock(s);
    const blob *found = store_find(s, key);

    if (found) {
        size = found->size;
        memcpy(data, found->data, size < capacity ? size : capacity);
    }
    store_unlock(s);
    return size;
}

static void store_put(void *user, const uint8_t key[32], const void *data, size_t size)
{
    store *s = user;
    void *copy = malloc(size);

    if (!copy) {
        return;
    }
    memcpy(copy, data, size);
    store_lock(s);
    blob *place = store_find(s, key);

    if (!place && s->count < MAX_BLOBS) {
        place = &s->blobs[s->count++];
        memcpy(place->key, key, 32);
    }
    if (place) {
        void *old = place->data;

        place->data = copy;
        place->size = size;
        copy = old;
    }
    store_unlock(s);
    free(copy);
}

static void store_clear(store *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->blobs[i].data);
    }
    memset(s->blobs, 0, sizeof s->blobs);
    s->count = 0;
}

/* ---------------------------------------------------------------- measurement */

typedef enum cache_kind { CACHE_NONE, CACHE_COLD, CACHE_WARM, CACHE_KINDS } cache_kind;

static const char *const cache_names[CACHE_KINDS] = {"none", "cold", "warm"};

typedef struct startup_row {
    cache_kind cache;
    uint32_t threads;
    double context_ms, plan_ms, plan_low, plan_high; /* medians, and the plan's range */
} startup_row;

static vsa_plan_create_info make_plan(const tool_options *options)
{
    const uint32_t tokens = options->lengths.count ? options->lengths.items[0] : 16384;
    const vsa_dtype type = options->kv_type ? (vsa_dtype)options->kv_type : VSA_DTYPE_F16;
    vsa_plan_create_info info = {
        .head_dim_k = options->head_dim,
        .head_dim_v = options->head_dim,
        .q_heads = options->q_heads,
        .kv_heads = options->kv_heads,
        .max_tokens = tokens,
        .policy = options_policy(options),
    };

    vsa_kv_layout_init(&info.kv, (vsa_kv_order)options->order, type, type, info.head_dim_k,
                       info.head_dim_v, info.kv_heads, tokens, options->page_tokens);
    return info;
}

/* A context and a plan, once; milliseconds of each. */
static vsa_result start(tool_device *device, const tool_options *options, store *cache,
                        uint32_t threads, double *out_context_ms, double *out_plan_ms)
{
    vsa_vulkan_handles vulkan;
    vsa_context *context = NULL;
    vsa_plan *plan = NULL;
    const vsa_plan_create_info plan_info = make_plan(options);

    vsa_standalone_handles(device->standalone, &vulkan);

    const vsa_context_create_info info = {
        .api_version = VSA_API_VERSION,
        .get_instance_proc_addr = vulkan.get_instance_proc_addr,
        .instance = vulkan.instance,
        .physical_device = vulkan.physical_device,
        .device = vulkan.device,
        .cache = cache ? (vsa_cache){store_get, store_put, cache} : (vsa_cache){0},
        .log = device_log(device),
        .compiler = (vsa_compiler)options->compiler,
        .parallel = vsa_threads(threads),
    };
    const double begin = platform_seconds();
    vsa_result result = vsa_context_create(&info, &context);
    const double middle = platform_seconds();

    if (result == VSA_SUCCESS) {
        result = vsa_plan_create(context, &plan_info, &plan);
    }
    *out_context_ms = 1e3 * (middle - begin);
    *out_plan_ms = 1e3 * (platform_seconds() - middle);
    vsa_plan_destroy(plan);
    vsa_context_destroy(context);
    return result;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static vsa_result measure(tool_device *device, const tool_options *options, store *cache,
                          startup_row *row)
{
    double context_ms[MAX_REPEATS], plan_ms[MAX_REPEATS];
    const uint32_t wanted = options_given(options, "repeat") ? options->repeat : DEFAULT_REPEATS;
    const uint32_t count = wanted < MAX_REPEATS ? wanted : MAX_REPEATS;
    vsa_result result = VSA_SUCCESS;

    for (uint32_t i = 0; i < count && result == VSA_SUCCESS; i++) {
        if (row->cache == CACHE_COLD) {
            store_clear(cache);
        }
        result = start(device, options, row->cache == CACHE_NONE ? NULL : cache, row->threads,
                       &context_ms[i], &plan_ms[i]);
    }
    if (result == VSA_SUCCESS) {
        qsort(context_ms, count, sizeof *context_ms, ascending);
        qsort(plan_ms, count, sizeof *plan_ms, ascending);
        row->context_ms = context_ms[count / 2];
        row->plan_ms = plan_ms[count / 2];
        row->plan_low = plan_ms[0];
        row->plan_high = plan_ms[count - 1];
    }
    return result;
}

/* --------------------------------------------------------------------- output */

static int print_json(const tool_device *device, const tool_options *options,
                      const startup_row *rows, size_t count)
{
    const vsa_device_info *info = vsa_standalone_device(device->standalone);
    cJSON *root = cJSON_CreateObject();
    cJSON *list;

    cJSON_AddStringToObject(root, "device", info->name);
    cJSON_AddStringToObject(root, "driver", info->driver);
    cJSON_AddStringToObject(root, "method", options_method_name(options->method));
    cJSON_AddStringToObject(root, "scorer", options_scorer_name(options->scorer));
    list = cJSON_AddArrayToObject(root, "rows");
    for (size_t i = 0; i < count; i++) {
        cJSON *row = cJSON_CreateObject();

        cJSON_AddStringToObject(row, "cache", cache_names[rows[i].cache]);
        cJSON_AddNumberToObject(row, "threads", rows[i].threads);
        cJSON_AddNumberToObject(row, "context_ms", rows[i].context_ms);
        cJSON_AddNumberToObject(row, "plan_ms", rows[i].plan_ms);
        cJSON_AddNumberToObject(row, "plan_ms_min", rows[i].plan_low);
        cJSON_AddNumberToObject(row, "plan_ms_max", rows[i].plan_high);
        cJSON_AddItemToArray(list, row);
    }
    return json_print(root);
}

static int print_table(const tool_device *device, const tool_options *options,
                       const startup_row *rows, size_t count)
{
    const vsa_device_info *info = vsa_standalone_device(device->standalone);

    printf("%s, %s; method %s, scorer %s\n", info->name, info->driver,
           options_method_name(options->method), options_scorer_name(options->scorer));
    printf("%-6s %8s %12s %10s %10s %10s\n", "cache", "threads", "context ms", "plan ms", "least",
           "most");
    for (size_t i = 0; i < count; i++) {
        printf("%-6s %8u %12.2f %10.1f %10.1f %10.1f\n", cache_names[rows[i].cache],
               rows[i].threads, rows[i].context_ms, rows[i].plan_ms, rows[i].plan_low,
               rows[i].plan_high);
    }
    printf("The driver's own cache counts as well, and what a driver compiles only in the first "
           "dispatch does not.\n");
    return tool_finish_output();
}

int bench_startup(const tool_options *options)
{
    const uint32_t several = options->threads ? options->threads : DEFAULT_THREADS;
    const uint32_t thread_counts[] = {1, several};
    startup_row rows[2 * CACHE_KINDS];
    size_t count = 0;
    tool_device device;
    store *cache = calloc(1, sizeof *cache);
    int code;

    if (!cache) {
        return tool_fail(EXIT_BAD_INPUT, "bench: not enough memory");
    }
    atomic_flag_clear(&cache->lock);
    code = device_open(&device, options);
    for (size_t t = 0; t < 2 && code == EXIT_DONE; t++) {
        for (cache_kind kind = CACHE_NONE; kind < CACHE_KINDS && code == EXIT_DONE; kind++) {
            rows[count] = (startup_row){.cache = kind, .threads = thread_counts[t]};

            const vsa_result result = measure(&device, options, cache, &rows[count++]);

            if (result != VSA_SUCCESS) {
                code = device_fail(&device, result, "the plan cannot be created");
            }
        }
    }
    if (code == EXIT_DONE && (code = device_check_validation(&device)) == EXIT_DONE) {
        code = options->json ? print_json(&device, options, rows, count)
                             : print_table(&device, options, rows, count);
    }
    store_clear(cache);
    free(cache);
    device_close(&device);
    return code;
}
