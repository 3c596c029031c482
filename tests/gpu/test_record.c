/*
 * What a step records: its dispatches and barriers are its fixed cost on a GPU, and docs/performance.md
 * tells them.
 */
#include "raw.h"

enum { TOKENS = 4096, HEADS = 2, DIM = 64, MARKS = 64 };

static PFN_vkGetInstanceProcAddr true_get_instance_proc_addr;
static PFN_vkGetDeviceProcAddr   true_get_device_proc_addr;
static PFN_vkCmdDispatch         true_dispatch;
static PFN_vkCmdDispatchIndirect true_dispatch_indirect;
static PFN_vkCmdPipelineBarrier  true_barrier;

typedef struct recorded {
    uint32_t direct, indirect, barriers;
} recorded;

static recorded now;

static VKAPI_ATTR void VKAPI_CALL count_dispatch(VkCommandBuffer cmd, uint32_t x, uint32_t y,
                                                 uint32_t z)
{
    now.direct++;
    true_dispatch(cmd, x, y, z);
}

static VKAPI_ATTR void VKAPI_CALL count_indirect(VkCommandBuffer cmd, VkBuffer buffer,
                                                 VkDeviceSize offset)
{
    now.indirect++;
    true_dispatch_indirect(cmd, buffer, offset);
}

static VKAPI_ATTR void VKAPI_CALL count_barrier(
    VkCommandBuffer cmd, VkPipelineStageFlags from, VkPipelineStageFlags to,
    VkDependencyFlags flags, uint32_t memory_count, const VkMemoryBarrier *memory,
    uint32_t buffer_count, const VkBufferMemoryBarrier *buffers, uint32_t image_count,
    const VkImageMemoryBarrier *images)
{
    now.barriers++;
    true_barrier(cmd, from, to, flags, memory_count, memory, buffer_count, buffers, image_count,
                 images);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc_addr(VkDevice device,
                                                                     const char *name)
{
    PFN_vkVoidFunction function = true_get_device_proc_addr(device, name);
    if (strcmp(name, "vkCmdDispatch") == 0) {
        true_dispatch = (PFN_vkCmdDispatch)function;
        return (PFN_vkVoidFunction)count_dispatch;
    }
    if (strcmp(name, "vkCmdDispatchIndirect") == 0) {
        true_dispatch_indirect = (PFN_vkCmdDispatchIndirect)function;
        return (PFN_vkVoidFunction)count_indirect;
    }
    if (strcmp(name, "vkCmdPipelineBarrier") == 0) {
        true_barrier = (PFN_vkCmdPipelineBarrier)function;
        return (PFN_vkVoidFunction)count_barrier;
    }
    return function;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc_addr(VkInstance instance,
                                                                       const char *name)
{
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
        return (PFN_vkVoidFunction)get_device_proc_addr;
    }
    return true_get_instance_proc_addr(instance, name);
}

/* ------------------------------------------------------------------- marks */

static struct {
    PFN_vkCreateQueryPool     create;
    PFN_vkDestroyQueryPool    destroy;
    PFN_vkCmdResetQueryPool   reset;
    PFN_vkGetQueryPoolResults results;
} query;

static vsa_vulkan_handles handles;

static VkQueryPool make_queries(void)
{
    PFN_vkGetDeviceProcAddr get = true_get_device_proc_addr;
    VkQueryPool pool = VK_NULL_HANDLE;
    query.create = (PFN_vkCreateQueryPool)get(handles.device, "vkCreateQueryPool");
    query.destroy = (PFN_vkDestroyQueryPool)get(handles.device, "vkDestroyQueryPool");
    query.reset = (PFN_vkCmdResetQueryPool)get(handles.device, "vkCmdResetQueryPool");
    query.results = (PFN_vkGetQueryPoolResults)get(handles.device, "vkGetQueryPoolResults");
    assert_int_equal(query.create(handles.device,
                                  &(VkQueryPoolCreateInfo){
                                      .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                      .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                      .queryCount = MARKS },
                                  NULL, &pool), VK_SUCCESS);
    return pool;
}

/* One mark a dispatch (none is divided here) and one a call: the append and the five stages, or, where
 * there is room for fewer, the first of them. */
static void check_marks(const char *what, const vsa_kernel_marks *marks, uint32_t dispatches)
{
    uint32_t written = marks->count < marks->capacity ? marks->count : marks->capacity;
    uint32_t named = 0;
    uint64_t ticks[MARKS][2] = { 0 };
    check_that(marks->count == dispatches + 6, "%s: %u marks of %u dispatches", what, marks->count,
               dispatches);
    assert_true(marks->kernels[0] == NULL);
    assert_string_equal(marks->kernels[1], "append");
    for (uint32_t i = 0; i < written; i++) {
        named += marks->kernels[i] != NULL;
    }
    check_that(marks->count > marks->capacity || named == dispatches, "%s: %u kernels of %u", what,
               named, dispatches);
    for (uint32_t i = written; i < MARKS; i++) {
        check_that(marks->kernels[i] == what, "%s: mark %u of %u was written", what, i, written);
    }
    assert_true(query.results(handles.device, marks->queries, 0, MARKS, sizeof ticks, ticks,
                              sizeof *ticks, VK_QUERY_RESULT_64_BIT |
                                  VK_QUERY_RESULT_WITH_AVAILABILITY_BIT) >= 0);
    for (uint32_t i = 0; i < MARKS; i++) {
        check_that((ticks[i][1] != 0) == (i < written), "%s: timestamp %u of %u", what, i, written);
        check_that(i == 0 || i >= written || ticks[i][0] >= ticks[i - 1][0],
                   "%s: timestamp %u is before the last", what, i);
    }
}

/* ------------------------------------------------------------------- steps */

static void check_recorded(const char *what, recorded wanted)
{
    check_that(now.direct == wanted.direct && now.indirect == wanted.indirect
                   && now.barriers == wanted.barriers,
               "%s: %u dispatches, %u indirect, %u barriers, not %u, %u, %u", what, now.direct,
               now.indirect, now.barriers, wanted.direct, wanted.indirect, wanted.barriers);
    now = (recorded){ 0 };
}

static void steps_record_what_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        vsa_method method;
        vsa_scorer scorer;
        uint32_t carries;
        recorded append, decode;
    } cases[] = {
        { "dense", VSA_METHOD_DENSE, 0, 0, { 1, 0, 1 }, { 3, 0, 3 } },
        { "topk", VSA_METHOD_TOP_K, 0, 0, { 1, 0, 1 }, { 10, 1, 11 } },
        { "topp", VSA_METHOD_TOP_P, 0, 0, { 1, 0, 1 }, { 14, 1, 15 } },
        { "sample", VSA_METHOD_SAMPLE, 0, 0, { 1, 0, 1 }, { 9, 7, 15 } },
        { "vattention", VSA_METHOD_VATTENTION, 0, 0, { 1, 0, 1 }, { 16, 7, 22 } },
        { "guided", VSA_METHOD_GUIDED, 0, 0, { 1, 0, 1 }, { 9, 20, 25 } },
        { "guided sign", VSA_METHOD_GUIDED, VSA_SCORER_SIGN, 0, { 2, 0, 2 }, { 10, 20, 25 } },
        { "guided sign, carried budget", VSA_METHOD_GUIDED, VSA_SCORER_SIGN, 1, { 3, 0, 3 },
          { 11, 20, 25 } },
        { "guided, carried budget", VSA_METHOD_GUIDED, 0, 1, { 2, 0, 2 }, { 10, 20, 25 } },
    };
    vsa_standalone_handles(harness_device, &handles);
    true_get_instance_proc_addr = handles.get_instance_proc_addr;
    true_get_device_proc_addr = (PFN_vkGetDeviceProcAddr)true_get_instance_proc_addr(
        handles.instance, "vkGetDeviceProcAddr");
    VkQueryPool queries = make_queries();
    vsa_context *context = NULL;
    check_ok(vsa_context_create(&(vsa_context_create_info){
        .api_version = VSA_API_VERSION, .get_instance_proc_addr = get_instance_proc_addr,
        .instance = handles.instance, .physical_device = handles.physical_device,
        .device = handles.device }, &context));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vsa_plan_create_info plan = {
            .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = HEADS, .kv_heads = HEADS,
            .max_tokens = TOKENS,
            .policy = { .method = cases[i].method, .scorer = cases[i].scorer, .sink_tokens = 8,
                        .window_tokens = 16, .top_k = 20, .top_p = 0.5f, .base_samples = 64,
                        .carry_budget = cases[i].carries, .epsilon = 0.3f, .delta = 0.1f } };
        vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F16, VSA_DTYPE_F16, DIM, DIM,
                           HEADS, TOKENS, 0);
        harness_data *data = harness_data_make(&plan, 1, 1, (uint32_t[]){ TOKENS },
                                               &(harness_fill){ .spread = 1, .value_mean = 1,
                                                                .seed = 3 });
        raw_layer *layer = raw_layer_make_on(context, &plan, 1);
        raw_write_data(layer, data);
        const char *kernels[MARKS];
        for (uint32_t j = 0; j < MARKS; j++) {
            kernels[j] = cases[i].name;
        }
        vsa_kernel_marks marks = { .queries = queries, .capacity = i == 1 ? 8 : MARKS,
                                   .kernels = kernels };
        vsa_step step = { .sequence_count = 1, .query_count = 1, .max_length_tokens = TOKENS,
                          .marks = &marks };
        VkCommandBuffer cmd = raw_begin();
        query.reset(cmd, queries, 0, MARKS);
        now = (recorded){ 0 };
        check_ok(vsa_cmd_append(layer->layer, cmd, &step, 1));
        check_recorded(cases[i].name, cases[i].append);
        check_ok(vsa_cmd_decode(layer->layer, cmd, &step));
        check_recorded(cases[i].name, cases[i].decode);
        raw_end();
        check_marks(cases[i].name, &marks,
                    cases[i].append.direct + cases[i].decode.direct + cases[i].decode.indirect);
        raw_layer_destroy(layer);
        harness_data_free(data);
    }
    vsa_context_destroy(context);
    query.destroy(handles.device, queries, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_record_what_is_told),
    };
    return cmocka_run_group_tests_name("record", tests, raw_setup, raw_teardown);
}
