/* What the header calls safe from several threads, at once: plans and layers created on one
 * context, with the application's cache, log and allocator; recording on one layer from two
 * threads. Under ThreadSanitizer (preset tsan) any data race of the library fails. */
#include "raw.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, ROUNDS = 3, DIM = 32, Q_HEADS = 4, KV_HEADS = 2, TOKENS = 600,
       MAX_BLOBS = 256 };

/* ------------------------------------------------- the application's callbacks */

typedef struct blob {
    uint8_t key[32];
    void   *data;
    size_t  size;
} blob;

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static blob blobs[MAX_BLOBS];
static unsigned blob_count;
static atomic_long live_memory;
static atomic_uint errors;

static blob *find(const uint8_t key[32])
{
    for (unsigned i = 0; i < blob_count; i++) {
        if (memcmp(blobs[i].key, key, 32) == 0) {
            return &blobs[i];
        }
    }
    return NULL;
}

static size_t get(void *user, const uint8_t key[32], void *data, size_t capacity)
{
    size_t size = 0;
    (void)user;
    pthread_mutex_lock(&cache_lock);
    const blob *found = find(key);
    if (found != NULL) {
        size = found->size;
        memcpy(data, found->data, size < capacity ? size : capacity);
    }
    pthread_mutex_unlock(&cache_lock);
    return size;
}

static void put(void *user, const uint8_t key[32], const void *data, size_t size)
{
    (void)user;
    pthread_mutex_lock(&cache_lock);
    blob *place = find(key);
    if (place == NULL && blob_count < MAX_BLOBS) {
        place = &blobs[blob_count++];
        memcpy(place->key, key, 32);
    }
    if (place != NULL) {
        free(place->data);
        place->data = malloc(size);
        place->size = size;
        memcpy(place->data, data, size);
    }
    pthread_mutex_unlock(&cache_lock);
}

static void *VKAPI_PTR allocate(void *user, size_t size, size_t alignment,
                                VkSystemAllocationScope scope)
{
    (void)user, (void)scope;
    atomic_fetch_add(&live_memory, 1);
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void VKAPI_PTR release(void *user, void *memory)
{
    (void)user;
    atomic_fetch_sub(&live_memory, memory != NULL);
    free(memory);
}

static void *VKAPI_PTR reallocate(void *user, void *memory, size_t size, size_t alignment,
                                  VkSystemAllocationScope scope)
{
    if (memory == NULL) {
        return allocate(user, size, alignment, scope);
    }
    return realloc(memory, size);   /* the drivers at hand ask for malloc's alignment */
}

static void log_message(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    if (level == VSA_LOG_ERROR) {
        fprintf(stderr, "%s\n", message);
        atomic_fetch_add(&errors, 1);
    }
}

static vsa_context *context;

static vsa_plan_create_info plan_info(unsigned which)
{
    static const vsa_scorer scorers[] = { VSA_SCORER_EXACT, VSA_SCORER_INT8 };
    vsa_plan_create_info plan = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_tokens = TOKENS,
        .policy = { .scorer = scorers[which % 2], .sink_tokens = 16, .window_tokens = 16,
                    .top_k = 20, .base_samples = 64, .epsilon = 0.2f, .delta = 0.1f } };
    vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F32, VSA_DTYPE_F32, DIM, DIM,
                       KV_HEADS, TOKENS, 0);
    return plan;
}

/* -------------------------------------------------------------------- threads */

static void in_threads(void *(*body)(void *), void *arguments, size_t argument_size,
                       unsigned count)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, body,
                                        (char *)arguments + i * argument_size), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

typedef struct planner {
    unsigned which;
    vsa_result result;
} planner;

static void *make_plans(void *argument)
{
    planner *p = argument;
    for (unsigned i = 0; i < ROUNDS && p->result == VSA_SUCCESS; i++) {
        const vsa_plan_create_info info = plan_info(p->which + i);
        vsa_plan *plan = NULL;
        vsa_plan_requirements needs;
        p->result = vsa_plan_create(context, &info, &plan);
        if (p->result == VSA_SUCCESS) {
            vsa_plan_get_requirements(plan, &needs);
        }
        vsa_plan_destroy(plan);
    }
    return NULL;
}

static void plans_created_at_once(void **state)
{
    (void)state;
    planner planners[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        planners[i] = (planner){ .which = i };
    }
    in_threads(make_plans, planners, sizeof *planners, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(planners[i].result, VSA_SUCCESS);
    }
    assert_int_equal(errors, 0);
    assert_true(blob_count > 0);
}

typedef struct recording {
    const raw_layer *layer;
    VkCommandBuffer cmd;   /* from a pool of its own */
    vsa_result result;
} recording;

static void *record(void *argument)
{
    recording *r = argument;
    const vsa_step step = { .max_length_tokens = TOKENS, .seed = 3 };
    for (unsigned i = 0; i < 20 && r->result == VSA_SUCCESS; i++) {
        vsa_layer *layer = NULL;
        if ((r->result = vsa_cmd_append(r->layer->layer, r->cmd, &step, 1)) == VSA_SUCCESS &&
            (r->result = vsa_cmd_decode(r->layer->layer, r->cmd, &step)) == VSA_SUCCESS) {
            r->result = vsa_layer_create(r->layer->plan, &r->layer->buffers, &layer);
        }
        vsa_layer_destroy(layer);
    }
    return NULL;
}

#define CALL(name) ((PFN_##name)raw_proc(#name))

/* Nothing is submitted: what is recorded is checked by the other tests. */
static void recording_at_once(void **state)
{
    (void)state;
    const vsa_plan_create_info info = plan_info(0);
    raw_layer *layer = raw_layer_make_on(context, &info, 1);
    recording recordings[2];
    VkCommandPool pools[2];
    vsa_vulkan_handles vulkan;
    vsa_standalone_handles(harness_device, &vulkan);
    for (int i = 0; i < 2; i++) {
        recordings[i] = (recording){ .layer = layer };
        assert_int_equal(CALL(vkCreateCommandPool)(
            vulkan.device, &(VkCommandPoolCreateInfo){
                .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                .queueFamilyIndex = vulkan.queue_family }, NULL, &pools[i]), VK_SUCCESS);
        assert_int_equal(CALL(vkAllocateCommandBuffers)(
            vulkan.device, &(VkCommandBufferAllocateInfo){
                .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pools[i],
                .commandBufferCount = 1 }, &recordings[i].cmd), VK_SUCCESS);
        assert_int_equal(CALL(vkBeginCommandBuffer)(
            recordings[i].cmd, &(VkCommandBufferBeginInfo){
                .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO }), VK_SUCCESS);
    }
    in_threads(record, recordings, sizeof *recordings, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(recordings[i].result, VSA_SUCCESS);
        assert_int_equal(CALL(vkEndCommandBuffer)(recordings[i].cmd), VK_SUCCESS);
        CALL(vkDestroyCommandPool)(vulkan.device, pools[i], NULL);
    }
    raw_layer_destroy(layer);
    assert_int_equal(errors, 0);
}

/* ------------------------------------------------------- pipelines of one plan */

static void pipelines_by_threads(void **state)
{
    (void)state;
    vsa_context *parallel = NULL;
    check_ok(raw_context_create(&(vsa_context_create_info){ .parallel = vsa_threads(THREADS),
                                                            .cache = { get, put, NULL },
                                                            .log.write = log_message },
                                &parallel));
    const vsa_plan_create_info info = plan_info(1);
    harness_data *data = harness_data_make(&info, 1, 1, (uint32_t[]){ TOKENS }, &(harness_fill){
        .spread = 1, .value_mean = 1.5, .seed = 8 });
    float out[2][Q_HEADS * DIM];
    for (int i = 0; i < 2; i++) {
        raw_layer *layer = raw_layer_make_on(i ? parallel : context, &info, 1);
        raw_write_data(layer, data);
        const vsa_step step = { .max_length_tokens = TOKENS, .seed = 3 };
        VkCommandBuffer cmd = raw_begin();
        check_ok(vsa_cmd_index(layer->layer, cmd, &step, 0, TOKENS));
        check_ok(vsa_cmd_decode(layer->layer, cmd, &step));
        raw_end();
        check_ok(vsa_buffer_read(layer->out, 0, out[i], sizeof out[i]));
        raw_layer_destroy(layer);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    harness_data_free(data);
    vsa_context_destroy(parallel);
}

static void no_jobs(void *user, uint32_t count, void (*job)(void *data, uint32_t index), void *data)
{
    (void)user, (void)count, (void)job, (void)data;
}

static void forgotten_jobs_are_an_error(void **state)
{
    (void)state;
    vsa_context *forgetful = NULL;
    check_ok(raw_context_create(&(vsa_context_create_info){ .parallel.run = no_jobs }, &forgetful));
    const vsa_plan_create_info info = plan_info(0);
    vsa_plan *plan = NULL;
    assert_int_equal(vsa_plan_create(forgetful, &info, &plan), VSA_ERROR_INVALID_ARGUMENT);
    assert_null(plan);
    vsa_context_destroy(forgetful);
}

static atomic_uint calls[1000];

static void count_call(void *data, uint32_t index)
{
    assert_ptr_equal(data, calls);
    atomic_fetch_add(&calls[index], 1);
}

static void every_job_once(void **state)
{
    (void)state;
    assert_null((void *)(uintptr_t)vsa_threads(0).run);
    assert_null((void *)(uintptr_t)vsa_threads(1).run);
    static const uint32_t thread_counts[] = { 2, 3, 8, 1000 };
    static const uint32_t counts[] = { 0, 1, 2, 7, 1000 };
    for (int t = 0; t < 4; t++) {
        const vsa_parallel parallel = vsa_threads(thread_counts[t]);
        for (int c = 0; c < 5; c++) {
            memset(calls, 0, sizeof calls);
            parallel.run(parallel.user, counts[c], count_call, calls);
            for (uint32_t i = 0; i < 1000; i++) {
                assert_int_equal(calls[i], i < counts[c]);
            }
        }
    }
}

static int setup(void **state)
{
    static const VkAllocationCallbacks callbacks = { .pfnAllocation = allocate,
                                                     .pfnReallocation = reallocate,
                                                     .pfnFree = release };
    if (raw_setup(state) != 0) {
        return -1;
    }
    const vsa_context_create_info info = { .allocator = &callbacks, .cache = { get, put, NULL },
                                           .log.write = log_message };
    return raw_context_create(&info, &context) == VSA_SUCCESS ? 0 : -1;
}

static int teardown(void **state)
{
    vsa_context_destroy(context);
    for (unsigned i = 0; i < blob_count; i++) {
        free(blobs[i].data);
    }
    return raw_teardown(state) == 0 && live_memory == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_once),
        cmocka_unit_test(plans_created_at_once),
        cmocka_unit_test(recording_at_once),
        cmocka_unit_test(pipelines_by_threads),
        cmocka_unit_test(forgotten_jobs_are_an_error),
    };
    return cmocka_run_group_tests_name("threads", tests, setup, teardown);
}
