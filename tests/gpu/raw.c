#include "raw.h"

static vsa_vulkan_handles handles;
static VkCommandPool pool;
static VkCommandBuffer commands;
static PFN_vkGetDeviceProcAddr get_device_proc_addr;

PFN_vkVoidFunction raw_proc(const char *name)
{
    PFN_vkVoidFunction function = get_device_proc_addr(handles.device, name);
    check_that(function != NULL, "the device has no %s", name);
    return function;
}

#define CALL(name) ((PFN_##name)raw_proc(#name))

#define check_vk(expression)                                                      \
    do {                                                                          \
        VkResult check_vk_ = (expression);                                        \
        check_that(check_vk_ == VK_SUCCESS, "%s: VkResult %d", #expression, (int)check_vk_); \
    } while (0)

int raw_setup(void **state)
{
    if (harness_setup(state) != 0) {
        return -1;
    }
    vsa_standalone_handles(harness_device, &handles);
    get_device_proc_addr = (PFN_vkGetDeviceProcAddr)handles.get_instance_proc_addr(
        handles.instance, "vkGetDeviceProcAddr");
    VkCommandPoolCreateInfo pool_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = handles.queue_family };
    if (CALL(vkCreateCommandPool)(handles.device, &pool_info, NULL, &pool) != VK_SUCCESS) {
        return -1;
    }
    VkCommandBufferAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                         .commandPool = pool,
                                         .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                         .commandBufferCount = 1 };
    return CALL(vkAllocateCommandBuffers)(handles.device, &info, &commands) == VK_SUCCESS ? 0 : -1;
}

int raw_teardown(void **state)
{
    CALL(vkDestroyCommandPool)(handles.device, pool, NULL);
    return harness_teardown(state);
}

static void barrier(VkPipelineStageFlags from_stage, VkAccessFlags from,
                    VkPipelineStageFlags to_stage, VkAccessFlags to)
{
    VkMemoryBarrier memory = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = from,
                               .dstAccessMask = to };
    CALL(vkCmdPipelineBarrier)(commands, from_stage, to_stage, 0, 1, &memory, 0, NULL, 0, NULL);
}

VkCommandBuffer raw_begin(void)
{
    VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
    check_vk(CALL(vkResetCommandPool)(handles.device, pool, 0));
    check_vk(CALL(vkBeginCommandBuffer)(commands, &info));
    barrier(VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT,
            VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    return commands;
}

void raw_end(void)
{
    barrier(VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT,
            VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_HOST_READ_BIT);
    check_vk(CALL(vkEndCommandBuffer)(commands));
    raw_submit_again();
}

void raw_submit_again(void)
{
    VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1,
                            .pCommandBuffers = &commands };
    check_vk(CALL(vkQueueSubmit)(handles.queue, 1, &submit, VK_NULL_HANDLE));
    check_vk(CALL(vkQueueWaitIdle)(handles.queue));
}

static VkDescriptorBufferInfo make(vsa_buffer **out, uint64_t size, VkBufferUsageFlags usage)
{
    if (size == 0) {
        return (VkDescriptorBufferInfo){ 0 };
    }
    check_ok(vsa_buffer_create(harness_device, size, usage | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
                               out));
    return vsa_buffer_info(*out);
}

static size_t plane_size(const vsa_plan_create_info *p, const vsa_plane_layout *plane,
                         uint32_t sequences)
{
    uint64_t blocks = p->kv.page_tokens ? (uint64_t)sequences * p->kv.table_stride : sequences;
    return blocks * plane->block_stride;
}

vsa_result raw_context_create(const vsa_context_create_info *info, vsa_context **out_context)
{
    vsa_context_create_info complete = *info;
    complete.api_version = complete.api_version ? complete.api_version : VSA_API_VERSION;
    complete.get_instance_proc_addr = handles.get_instance_proc_addr;
    complete.instance = handles.instance;
    complete.physical_device = handles.physical_device;
    complete.device = handles.device;
    return vsa_context_create(&complete, out_context);
}

raw_layer *raw_layer_make(const vsa_plan_create_info *plan, uint32_t new_tokens)
{
    return raw_layer_make_on(vsa_standalone_context(harness_device), plan, new_tokens);
}

raw_layer *raw_layer_make_on(vsa_context *context, const vsa_plan_create_info *plan,
                             uint32_t new_tokens)
{
    raw_layer *l = calloc(1, sizeof *l);
    uint32_t sequences = plan->max_sequences ? plan->max_sequences : 1;
    l->plan_info = *plan;
    check_ok(vsa_plan_create(context, plan, &l->plan));
    vsa_plan_requirements needs;
    vsa_plan_get_requirements(l->plan, &needs);
    l->k_size = plane_size(plan, &plan->kv.k, sequences);
    l->v_size = plane_size(plan, &plan->kv.v, sequences);
    size_t new_rows = (size_t)sequences * new_tokens * plan->kv_heads;
    vsa_layer_buffers *b = &l->buffers;
    b->k = make(&l->k, l->k_size, 0);
    b->v = make(&l->v, l->v_size, 0);
    b->lengths = make(&l->lengths, sequences * 4, 0);
    b->new_k = make(&l->new_k, new_rows * plan->head_dim_k * 4, 0);
    b->new_v = make(&l->new_v, new_rows * plan->head_dim_v * 4, 0);
    b->q = make(&l->q, needs.q.size, needs.q.usage);
    b->out = make(&l->out, needs.out.size, needs.out.usage);
    b->state = make(&l->state, needs.state.size, needs.state.usage);
    b->scratch = make(&l->scratch, needs.scratch.size, needs.scratch.usage);
    b->certificates = make(&l->certificates, needs.certificates.size, needs.certificates.usage);
    if (plan->kv.page_tokens != 0) {
        uint32_t count = sequences * plan->kv.table_stride;
        l->page_table_host = malloc(count * sizeof *l->page_table_host);
        for (uint32_t i = 0; i < count; i++) {
            l->page_table_host[i] = count - 1 - i;
        }
        b->page_table = make(&l->page_table, count * 4, 0);
        check_ok(vsa_buffer_write(l->page_table, 0, l->page_table_host, count * 4));
    }
    check_ok(vsa_layer_create(l->plan, b, &l->layer));
    return l;
}

void raw_layer_destroy(raw_layer *l)
{
    vsa_buffer *const buffers[] = { l->k, l->v, l->page_table, l->lengths, l->new_k, l->new_v,
                                    l->q, l->out, l->state, l->scratch, l->certificates };
    vsa_layer_destroy(l->layer);
    vsa_plan_destroy(l->plan);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        vsa_buffer_destroy(buffers[i]);
    }
    free(l->page_table_host);
    free(l);
}

void raw_write_floats(vsa_buffer *buffer, vsa_dtype dtype, const float *values, size_t count)
{
    uint8_t *bytes = malloc(count * sizeof *values);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += ref_store(dtype, values[i], bytes + size);
    }
    check_ok(vsa_buffer_write(buffer, 0, bytes, size));
    free(bytes);
}

static void write_plane(const raw_layer *l, vsa_buffer *buffer, size_t size,
                        const vsa_plane_layout *plane, const harness_data *data, int is_v)
{
    uint8_t *bytes = calloc(1, size);
    for (uint32_t s = 0; s < data->sequence_count; s++) {
        for (uint32_t h = 0; h < data->plan.kv_heads; h++) {
            for (uint32_t t = 0; t < data->plan.max_tokens; t++) {
                uint64_t at = vsa_kv_offset(&l->plan_info.kv, plane, l->page_table_host, s, h, t);
                const float *row = is_v ? harness_v(data, s, h, t) : harness_k(data, s, h, t);
                uint32_t dim = is_v ? data->plan.head_dim_v : data->plan.head_dim_k;
                ref_store_row(plane->dtype, row, dim, bytes + at);
            }
        }
    }
    check_ok(vsa_buffer_write(buffer, 0, bytes, size));
    free(bytes);
}

void raw_write_data(raw_layer *l, const harness_data *data)
{
    write_plane(l, l->k, l->k_size, &l->plan_info.kv.k, data, 0);
    write_plane(l, l->v, l->v_size, &l->plan_info.kv.v, data, 1);
    raw_write_floats(l->q, l->plan_info.q_dtype, data->q,
                     (size_t)harness_row_count(data) * data->plan.head_dim_k);
    check_ok(vsa_buffer_write(l->lengths, 0, data->lengths,
                              data->sequence_count * sizeof *data->lengths));
}
