/* Every documented precondition: the right code, and a sentence that names the thing. */
#include "raw.h"

static char sentence[1024];
static uint32_t sentence_count;

static void keep_sentence(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    if (level == VSA_LOG_ERROR) {
        snprintf(sentence, sizeof sentence, "%s", message);
        sentence_count++;
    }
}

static vsa_context *context;   /* logs to keep_sentence */

static vsa_plan_create_info good_plan(void)
{
    vsa_plan_create_info plan = { .head_dim_k = 64, .head_dim_v = 64, .q_heads = 4, .kv_heads = 2,
                                  .max_sequences = 2, .max_tokens = 512,
                                  .policy.method = VSA_METHOD_DENSE };
    vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F16, VSA_DTYPE_F16, 64, 64, 2, 512,
                       0);
    return plan;
}

static vsa_plan_create_info good_sparse_plan(void)
{
    vsa_plan_create_info plan = good_plan();
    plan.policy = (vsa_policy){ .epsilon = 0.1f, .delta = 0.1f, .sink_tokens = 4 };
    return plan;
}

static void expect_refusal(vsa_result got, vsa_result expected, const char *named)
{
    check_that(got == expected, "%s: %s (%s)", named, vsa_result_name(got), sentence);
    check_that(sentence_count > 0 && strstr(sentence, named) != NULL, "'%s' does not name %s",
               sentence, named);
    check_that(strchr(sentence, '\n') == NULL, "a line break in '%s'", sentence);
    sentence[0] = 0;
    sentence_count = 0;
}

static void refuse_plan(const vsa_plan_create_info *info, vsa_result expected, const char *named)
{
    vsa_plan *plan = (vsa_plan *)(uintptr_t)1;
    vsa_result result = vsa_plan_create(context, info, &plan);
    assert_null(plan);
    expect_refusal(result, expected, named);
}

/* Sets a field of a good plan and expects the refusal. */
#define REFUSE(base, field, value, code, named)        \
    do {                                               \
        vsa_plan_create_info refused_ = base();        \
        refused_.field = (value);                      \
        refuse_plan(&refused_, code, named);           \
    } while (0)

static void shapes(void **state)
{
    (void)state;
    static const uint32_t dims[] = { 0, 8, 24, 36, 100, 264, 0xfffffff8u };
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        REFUSE(good_plan, head_dim_k, dims[i], VSA_ERROR_UNSUPPORTED_CONFIG, "head_dim_k");
        REFUSE(good_plan, head_dim_v, dims[i], VSA_ERROR_UNSUPPORTED_CONFIG, "head_dim_v");
    }
    REFUSE(good_plan, q_heads, 0, VSA_ERROR_INVALID_ARGUMENT, "q_heads");
    REFUSE(good_plan, q_heads, 5, VSA_ERROR_INVALID_ARGUMENT, "q_heads");
    REFUSE(good_plan, kv_heads, 0, VSA_ERROR_INVALID_ARGUMENT, "kv_heads");
    REFUSE(good_plan, kv_heads, 3, VSA_ERROR_INVALID_ARGUMENT, "kv_heads");
    REFUSE(good_plan, max_tokens, 0, VSA_ERROR_INVALID_ARGUMENT, "max_tokens");
    REFUSE(good_plan, max_tokens, (1u << 24) + 1, VSA_ERROR_INVALID_ARGUMENT, "max_tokens");
    REFUSE(good_plan, max_sequences, 0xffffffffu, VSA_ERROR_UNSUPPORTED_CONFIG, "max_sequences");
    REFUSE(good_plan, softmax_scale, -1, VSA_ERROR_INVALID_ARGUMENT, "softmax_scale");
    REFUSE(good_plan, softmax_scale, NAN, VSA_ERROR_INVALID_ARGUMENT, "softmax_scale");
    REFUSE(good_plan, softmax_scale, INFINITY, VSA_ERROR_INVALID_ARGUMENT, "softmax_scale");
    REFUSE(good_plan, logit_softcap, -1, VSA_ERROR_INVALID_ARGUMENT, "logit_softcap");
    REFUSE(good_plan, logit_softcap, NAN, VSA_ERROR_INVALID_ARGUMENT, "logit_softcap");
    REFUSE(good_plan, max_dispatch_tokens, 1, VSA_ERROR_INVALID_ARGUMENT, "max_dispatch_tokens");
}

static void layouts(void **state)
{
    (void)state;
    REFUSE(good_plan, kv.page_tokens, 24, VSA_ERROR_INVALID_ARGUMENT, "page_tokens");
    REFUSE(good_plan, kv.page_tokens, 16, VSA_ERROR_INVALID_ARGUMENT, "table_stride");
    REFUSE(good_plan, kv.k.token_stride, 130, VSA_ERROR_UNSUPPORTED_CONFIG, "K strides");
    REFUSE(good_plan, kv.v.head_stride, 130 * 512 + 2, VSA_ERROR_UNSUPPORTED_CONFIG, "V strides");
    REFUSE(good_plan, kv.v.block_stride, 1000001, VSA_ERROR_UNSUPPORTED_CONFIG, "V strides");
    REFUSE(good_plan, kv.k.token_stride, 124, VSA_ERROR_INVALID_ARGUMENT, "K token_stride");
    REFUSE(good_plan, kv.v.token_stride, 0, VSA_ERROR_INVALID_ARGUMENT, "V token_stride");
    REFUSE(good_plan, kv.k.head_stride, 64, VSA_ERROR_INVALID_ARGUMENT, "head_stride");
    REFUSE(good_plan, kv.v.block_stride, 0, VSA_ERROR_INVALID_ARGUMENT, "block_stride");
    REFUSE(good_plan, kv.v.block_stride, (UINT64_C(1) << 34) + 16, VSA_ERROR_UNSUPPORTED_CONFIG,
           "block_stride");
    /* Each sequence within the limit, all together beyond 16 GiB. */
    REFUSE(good_plan, kv.k.block_stride, UINT64_C(1) << 34, VSA_ERROR_UNSUPPORTED_CONFIG, "K or V");
}

static void types(void **state)
{
    (void)state;
    REFUSE(good_plan, kv.k.dtype, (vsa_dtype)0, VSA_ERROR_UNSUPPORTED_CONFIG, "K dtype");
    REFUSE(good_plan, kv.v.dtype, (vsa_dtype)77, VSA_ERROR_UNSUPPORTED_CONFIG, "V dtype");
    REFUSE(good_plan, q_dtype, VSA_DTYPE_Q8_0, VSA_ERROR_UNSUPPORTED_CONFIG, "dtype");
    REFUSE(good_plan, out_dtype, (vsa_dtype)9, VSA_ERROR_UNSUPPORTED_CONFIG, "dtype");
    REFUSE(good_plan, new_dtype, VSA_DTYPE_Q4_0, VSA_ERROR_UNSUPPORTED_CONFIG, "dtype");
}

static void policies(void **state)
{
    (void)state;
    static const float bad[] = { 0, -1, 1, 2, NAN, INFINITY };
    for (int i = 0; i < 6; i++) {
        REFUSE(good_sparse_plan, policy.epsilon, bad[i], VSA_ERROR_INVALID_ARGUMENT, "epsilon");
        REFUSE(good_sparse_plan, policy.delta, bad[i], VSA_ERROR_INVALID_ARGUMENT, "delta");
    }
    REFUSE(good_sparse_plan, policy.top_k_fraction, 1.5f, VSA_ERROR_INVALID_ARGUMENT,
           "top_k_fraction");
    REFUSE(good_sparse_plan, policy.base_fraction, -1, VSA_ERROR_INVALID_ARGUMENT, "base_fraction");
    REFUSE(good_sparse_plan, policy.target, (vsa_target)4, VSA_ERROR_INVALID_ARGUMENT, "target");
    REFUSE(good_sparse_plan, policy.on_miss, (vsa_miss_action)2, VSA_ERROR_INVALID_ARGUMENT,
           "on_miss");
    REFUSE(good_sparse_plan, policy.max_samples, 31, VSA_ERROR_INVALID_ARGUMENT, "max_samples");
    REFUSE(good_sparse_plan, policy.method, (vsa_method)99, VSA_ERROR_INVALID_ARGUMENT, "method");
    REFUSE(good_sparse_plan, policy.scorer, (vsa_scorer)99, VSA_ERROR_INVALID_ARGUMENT, "scorer");
    REFUSE(good_sparse_plan, policy.bound, (vsa_bound)99, VSA_ERROR_INVALID_ARGUMENT, "bound");
    REFUSE(good_sparse_plan, policy.bound, VSA_BOUND_STRICT, VSA_ERROR_UNSUPPORTED_CONFIG, "guided");
    REFUSE(good_sparse_plan, policy.value_floor, -1, VSA_ERROR_INVALID_ARGUMENT, "value_floor");
}

static void scratch_that_no_descriptor_holds(void **state)
{
    (void)state;
    /* Scores of 64 x 64 x 4 rows of 2^20 tokens: 64 GiB. */
    vsa_plan_create_info plan = good_sparse_plan();
    plan.max_sequences = 64;
    plan.max_queries = 64;
    plan.max_tokens = 1u << 20;
    vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F16, VSA_DTYPE_F16, 64, 64, 2, 16, 0);
    plan.kv.k.block_stride = plan.kv.v.block_stride = 1u << 13;
    vsa_plan *created = NULL;
    vsa_result result = vsa_plan_create(context, &plan, &created);
    assert_null(created);
    expect_refusal(result, VSA_ERROR_UNSUPPORTED_CONFIG, "maxStorageBufferRange");
}

static size_t never_called(void *user, const uint8_t key[32], void *data, size_t capacity)
{
    (void)user, (void)key, (void)data, (void)capacity;
    fail_msg("the cache of a refused context was read");
    return 0;
}

static void contexts(void **state)
{
    (void)state;
    const vsa_log log = { .write = keep_sentence };
    vsa_context *made = (vsa_context *)(uintptr_t)1;
    vsa_context_create_info info = { .api_version = VSA_API_VERSION + 0x10000, .log = log };
    vsa_result result = raw_context_create(&info, &made);
    assert_null(made);
    expect_refusal(result, VSA_ERROR_VERSION_MISMATCH, "api_version");
    info.api_version = VSA_API_VERSION;
    result = vsa_context_create(&info, &made);
    assert_null(made);
    expect_refusal(result, VSA_ERROR_INVALID_ARGUMENT, "get_instance_proc_addr");
    info.compiler = (vsa_compiler)9;
    expect_refusal(raw_context_create(&info, &made), VSA_ERROR_UNSUPPORTED_CONFIG, "compiler");
    info.compiler = VSA_COMPILER_DEFAULT;
    info.vulkan_api_version = VK_API_VERSION_1_1;
    expect_refusal(raw_context_create(&info, &made), VSA_ERROR_DEVICE_UNSUITABLE,
                   "vulkan_api_version");
    info.vulkan_api_version = 0;
    info.cache.user = &info;
    info.cache.get = never_called;
    expect_refusal(raw_context_create(&info, &made), VSA_ERROR_INVALID_ARGUMENT, "cache");
    assert_int_equal(vsa_context_create(NULL, &made), VSA_ERROR_INVALID_ARGUMENT);
    assert_int_equal(vsa_context_create(&info, NULL), VSA_ERROR_INVALID_ARGUMENT);
    vsa_context_destroy(NULL);
    vsa_plan_destroy(NULL);
    vsa_layer_destroy(NULL);
    assert_int_equal(vsa_plan_create(NULL, NULL, NULL), VSA_ERROR_INVALID_ARGUMENT);
    sentence_count = 0;
}

static void layers(void **state)
{
    (void)state;
    vsa_plan_create_info plan = good_plan();
    plan.kv.page_tokens = 16;
    plan.kv.table_stride = 32;
    raw_layer *l = raw_layer_make_on(context, &plan, 1);
    static const struct {
        size_t offset;
        const char *name;
        int required;
    } fields[] = {
#define FIELD(name, required) { offsetof(vsa_layer_buffers, name), #name, required }
        FIELD(k, 1), FIELD(v, 1), FIELD(page_table, 1), FIELD(lengths, 1), FIELD(q, 1),
        FIELD(out, 1), FIELD(scratch, 1), FIELD(certificates, 1), FIELD(new_k, 0), FIELD(new_v, 0),
#undef FIELD
    };
    vsa_layer *layer;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        vsa_layer_buffers buffers = l->buffers;
        VkDescriptorBufferInfo *field = (void *)((char *)&buffers + fields[i].offset);
        VkDescriptorBufferInfo good = *field;
        field->range = VK_WHOLE_SIZE;
        expect_refusal(vsa_layer_create(l->plan, &buffers, &layer), VSA_ERROR_INVALID_ARGUMENT,
                       fields[i].name);
        assert_null(layer);
        *field = good;
        field->offset = 2;
        expect_refusal(vsa_layer_create(l->plan, &buffers, &layer), VSA_ERROR_INVALID_ARGUMENT,
                       fields[i].name);
        if (fields[i].required) {
            *field = good;
            field->buffer = VK_NULL_HANDLE;
            expect_refusal(vsa_layer_create(l->plan, &buffers, &layer), VSA_ERROR_INVALID_ARGUMENT,
                           fields[i].name);
            if (fields[i].offset > offsetof(vsa_layer_buffers, v)) {
                /* A paged cache may have any number of pages: K and V have no least size. */
                *field = good;
                field->range = good.range > 4 ? 4 : good.range - 4;
                expect_refusal(vsa_layer_create(l->plan, &buffers, &layer),
                               VSA_ERROR_BUFFER_TOO_SMALL, fields[i].name);
            }
        }
    }
    raw_layer_destroy(l);

    plan = good_plan();
    l = raw_layer_make_on(context, &plan, 1);
    vsa_layer_buffers buffers = l->buffers;
    buffers.k.range -= 4;
    expect_refusal(vsa_layer_create(l->plan, &buffers, &layer), VSA_ERROR_BUFFER_TOO_SMALL,
                   "layer buffer k");
    assert_int_equal(vsa_layer_create(NULL, &buffers, &layer), VSA_ERROR_INVALID_ARGUMENT);
    assert_int_equal(vsa_layer_create(l->plan, NULL, &layer), VSA_ERROR_INVALID_ARGUMENT);
    assert_int_equal(vsa_layer_create(l->plan, &buffers, NULL), VSA_ERROR_INVALID_ARGUMENT);
    raw_layer_destroy(l);
}

static void steps(void **state)
{
    (void)state;
    vsa_plan_create_info plan = good_plan();
    raw_layer *l = raw_layer_make_on(context, &plan, 2);
    VkCommandBuffer cmd = raw_begin();
    vsa_step good = { .sequence_count = 2, .query_count = 1, .max_length_tokens = 512 }, bad = good;
    bad.sequence_count = 3;
    expect_refusal(vsa_cmd_decode(l->layer, cmd, &bad), VSA_ERROR_INVALID_ARGUMENT, "3 sequences");
    bad = good;
    bad.query_count = 2;
    expect_refusal(vsa_cmd_dense(l->layer, cmd, &bad), VSA_ERROR_INVALID_ARGUMENT, "2 queries");
    bad = good;
    bad.max_length_tokens = 0;
    expect_refusal(vsa_cmd_decode(l->layer, cmd, &bad), VSA_ERROR_INVALID_ARGUMENT,
                   "max_length_tokens");
    bad.max_length_tokens = 513;
    expect_refusal(vsa_cmd_append(l->layer, cmd, &bad, 1), VSA_ERROR_INVALID_ARGUMENT,
                   "max_length_tokens");
    expect_refusal(vsa_cmd_append(l->layer, cmd, &good, 3), VSA_ERROR_BUFFER_TOO_SMALL, "new_k");
    expect_refusal(vsa_cmd_indices(l->layer, cmd, &good, 512), VSA_ERROR_BUFFER_TOO_SMALL,
                   "indices");
    expect_refusal(vsa_cmd_stage(l->layer, cmd, &good, (vsa_stage)6), VSA_ERROR_INVALID_ARGUMENT,
                   "stage");
    assert_int_equal(vsa_cmd_decode(NULL, cmd, &good), VSA_ERROR_INVALID_ARGUMENT);
    assert_int_equal(vsa_cmd_decode(l->layer, VK_NULL_HANDLE, &good), VSA_ERROR_INVALID_ARGUMENT);
    assert_int_equal(vsa_cmd_decode(l->layer, cmd, NULL), VSA_ERROR_INVALID_ARGUMENT);
    raw_end();   /* nothing that was refused was recorded: validation has nothing to say */
    raw_layer_destroy(l);
}

/* What needs no memory is counted and given back: context, plan and layer through the callbacks. */
typedef struct counted {
    long live, total;
} counted;

#ifdef _WIN32
#  include <malloc.h>
#  define free_aligned _aligned_free
#else
#  define free_aligned free
#endif

/* NULL when memory is out. */
static void *allocate_aligned(size_t size, size_t alignment)
{
    size_t least = alignment < sizeof(void *) ? sizeof(void *) : alignment;
#ifdef _WIN32
    return _aligned_malloc(size, least);
#else
    void *memory = NULL;
    return posix_memalign(&memory, least, size) == 0 ? memory : NULL;
#endif
}

static void *VKAPI_PTR counted_allocate(void *user, size_t size, size_t alignment,
                                        VkSystemAllocationScope scope)
{
    counted *c = user;
    (void)scope;
    void *memory = size == 0 ? NULL : allocate_aligned(size, alignment);
    if (memory == NULL) {
        return NULL;
    }
    __atomic_add_fetch(&c->live, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&c->total, 1, __ATOMIC_SEQ_CST);
    return memory;
}

static void VKAPI_PTR counted_free(void *user, void *memory)
{
    counted *c = user;
    if (memory != NULL) {
        __atomic_sub_fetch(&c->live, 1, __ATOMIC_SEQ_CST);
        free_aligned(memory);
    }
}

static void *VKAPI_PTR counted_reallocate(void *user, void *memory, size_t size, size_t alignment,
                                          VkSystemAllocationScope scope)
{
    if (memory == NULL) {
        return counted_allocate(user, size, alignment, scope);
    }
    if (size == 0) {
        counted_free(user, memory);
        return NULL;
    }
#ifdef _WIN32
    return _aligned_realloc(memory, size, alignment);
#else
    return realloc(memory, size);   /* alignment of malloc is enough for what uses this */
#endif
}

static void host_memory_is_the_applications(void **state)
{
    (void)state;
    counted memory = { 0 };
    const VkAllocationCallbacks callbacks = { .pUserData = &memory,
                                              .pfnAllocation = counted_allocate,
                                              .pfnReallocation = counted_reallocate,
                                              .pfnFree = counted_free };
    vsa_context *own = NULL;
    check_ok(raw_context_create(&(vsa_context_create_info){ .allocator = &callbacks,
                                                            .log.write = keep_sentence }, &own));
    assert_true(memory.total > 0);
    vsa_plan_create_info plan = good_sparse_plan();
    raw_layer *l = raw_layer_make_on(own, &plan, 1);
    long with_layer = memory.live;
    assert_true(with_layer > 0);
    plan.head_dim_k = 7;
    vsa_plan *refused;
    expect_refusal(vsa_plan_create(own, &plan, &refused), VSA_ERROR_UNSUPPORTED_CONFIG,
                   "head_dim_k");
    assert_int_equal(memory.live, with_layer);
    raw_layer_destroy(l);
    vsa_context_destroy(own);
    assert_int_equal(memory.live, 0);
}

static int setup(void **state)
{
    if (raw_setup(state) != 0) {
        return -1;
    }
    vsa_context_create_info info = { .log.write = keep_sentence };
    return raw_context_create(&info, &context) == VSA_SUCCESS ? 0 : -1;
}

static int teardown(void **state)
{
    vsa_context_destroy(context);
    return raw_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(layouts),
        cmocka_unit_test(types),
        cmocka_unit_test(policies),
        cmocka_unit_test(scratch_that_no_descriptor_holds),
        cmocka_unit_test(contexts),
        cmocka_unit_test(layers),
        cmocka_unit_test(steps),
        cmocka_unit_test(host_memory_is_the_applications),
    };
    return cmocka_run_group_tests_name("errors", tests, setup, teardown);
}
