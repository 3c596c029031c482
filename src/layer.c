#include "layer.h"

#include "alloc.h"

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* `size` is the least that the range must hold. */
static vsa_result check_range(const vsa_plan *plan, const char *name,
                              const VkDescriptorBufferInfo *range, uint64_t size, int segmented)
{
    const vsa_context *context = plan->context;
    const VkDeviceSize alignment = context->properties.limits.minStorageBufferOffsetAlignment;

    if (range->buffer == VK_NULL_HANDLE) {
        return vsai_fail(&context->log, VSA_ERROR_INVALID_ARGUMENT, "layer buffer %s is missing",
                         name);
    }
    if (range->range == VK_WHOLE_SIZE) {
        return vsai_fail(&context->log, VSA_ERROR_INVALID_ARGUMENT,
                         "layer buffer %s has range VK_WHOLE_SIZE, must be a size", name);
    }
    if (range->offset % (alignment > 4 ? alignment : 4) != 0 || range->range % 4 != 0) {
        return vsai_fail(&context->log, VSA_ERROR_INVALID_ARGUMENT,
                         "layer buffer %s starts at %llu and has %llu bytes, must be multiples of "
                         "%llu and 4", name, (unsigned long long)range->offset,
                         (unsigned long long)range->range,
                         (unsigned long long)(alignment > 4 ? alignment : 4));
    }
    if (range->range < size || range->range == 0) {
        return vsai_fail(&context->log, VSA_ERROR_BUFFER_TOO_SMALL,
                         "layer buffer %s has %llu bytes, needs %llu", name,
                         (unsigned long long)range->range, (unsigned long long)size);
    }
    if (!segmented && range->range > context->max_storage_range && size == 0) {
        return vsai_fail(&context->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "layer buffer %s has %llu bytes, device limit maxStorageBufferRange is "
                         "%u", name, (unsigned long long)range->range,
                         context->max_storage_range);
    }
    return VSA_SUCCESS;
}

static vsa_result check_plane(const vsa_plan *plan, const char *name,
                              const VkDescriptorBufferInfo *range, const vsa_plane_layout *plane,
                              uint32_t head_dim)
{
    const vsai_shape *shape = &plan->shape;
    const uint64_t reach = (uint64_t)(shape->segments - 1) * shape->segment_stride +
                           plan->context->max_storage_range;
    const vsa_result result =
        check_range(plan, name, range, vsai_shape_plane_size(shape, plane, head_dim), 1);

    if (result == VSA_SUCCESS && range->range > reach && shape->info.kv.page_tokens != 0) {
        return vsai_fail(&plan->context->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "layer buffer %s has %llu bytes, the plan reaches %llu: set kv_range_size",
                         name, (unsigned long long)range->range, (unsigned long long)reach);
    }
    return result;
}

static vsa_result check_buffers(const vsa_plan *plan, const vsa_layer_buffers *buffers)
{
    const vsa_plan_create_info *info = &plan->shape.info;
    vsa_plan_requirements needs;
    vsa_result result;

    vsa_plan_get_requirements(plan, &needs);
    if ((result = check_plane(plan, "k", &buffers->k, &info->kv.k, info->head_dim_k)) ||
        (result = check_plane(plan, "v", &buffers->v, &info->kv.v, info->head_dim_v)) ||
        (result = check_range(plan, "lengths", &buffers->lengths,
                              (uint64_t)info->max_sequences * 4, 0)) ||
        (result = check_range(plan, "q", &buffers->q, needs.q.size, 0)) ||
        (result = check_range(plan, "out", &buffers->out, needs.out.size, 0)) ||
        (result = check_range(plan, "scratch", &buffers->scratch, needs.scratch.size, 0)) ||
        (result = check_range(plan, "certificates", &buffers->certificates,
                              needs.certificates.size, 0))) {
        return result;
    }
    if (needs.state.size != 0) {
        result = check_range(plan, "state", &buffers->state, needs.state.size, 0);
    }
    if (result == VSA_SUCCESS && info->kv.page_tokens != 0) {
        result = check_range(plan, "page_table", &buffers->page_table,
                             (uint64_t)info->max_sequences * info->kv.table_stride * 4, 0);
    }
    if (result == VSA_SUCCESS && buffers->new_k.buffer != VK_NULL_HANDLE) {
        result = check_range(plan, "new_k", &buffers->new_k, 0, 0);
    }
    if (result == VSA_SUCCESS && buffers->new_v.buffer != VK_NULL_HANDLE) {
        result = check_range(plan, "new_v", &buffers->new_v, 0, 0);
    }
    if (result == VSA_SUCCESS && buffers->indices.buffer != VK_NULL_HANDLE) {
        result = check_range(plan, "indices", &buffers->indices, 0, 0);
    }
    return result;
}

static vsa_result allocate_set(vsa_layer *layer)
{
    const vsa_plan *plan = layer->plan;
    const vsa_context *context = plan->context;
    const VkDescriptorPoolSize pool_size = {
        .type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        .descriptorCount = VSA_BIND_COUNT - 2 + 2 * plan->shape.segments};
    VkResult result = context->vk.CreateDescriptorPool(
        context->device,
        &(VkDescriptorPoolCreateInfo){.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                      .maxSets = 1,
                                      .poolSizeCount = 1,
                                      .pPoolSizes = &pool_size},
        context->allocator, &layer->pool);

    if (result != VK_SUCCESS) {
        layer->pool = VK_NULL_HANDLE;   /* undefined after a failure */
        return vsai_fail_vk(&context->log, result, "vkCreateDescriptorPool");
    }
    result = context->vk.AllocateDescriptorSets(
        context->device,
        &(VkDescriptorSetAllocateInfo){.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                       .descriptorPool = layer->pool,
                                       .descriptorSetCount = 1,
                                       .pSetLayouts = &plan->set_layout},
        &layer->set);
    return vsai_fail_vk(&context->log, result, "vkAllocateDescriptorSets");
}

/* Segment i starts segment_stride * i into the range; segments past its end repeat the first and
 * are never read. */
static void fill_segments(const vsa_plan *plan, const VkDescriptorBufferInfo *range,
                          VkDescriptorBufferInfo *out)
{
    for (uint32_t i = 0; i < plan->shape.segments; i++) {
        const uint64_t start = (uint64_t)i * plan->shape.segment_stride;
        const uint64_t first = start < range->range ? start : 0;
        out[i] = (VkDescriptorBufferInfo){
            .buffer = range->buffer,
            .offset = range->offset + first,
            .range = min64(range->range - first, plan->context->max_storage_range / 4 * 4)};
    }
}

static void write_set(vsa_layer *layer, const vsa_layer_buffers *buffers)
{
    const vsa_plan *plan = layer->plan;
    const vsa_context *context = plan->context;
    const vsai_shape *shape = &plan->shape;
    VkDescriptorBufferInfo infos[VSA_BIND_COUNT];
    VkDescriptorBufferInfo k[VSA_MAX_SEGMENTS];
    VkDescriptorBufferInfo v[VSA_MAX_SEGMENTS];
    VkWriteDescriptorSet writes[VSA_BIND_COUNT];
    VkDescriptorBufferInfo regions[VSAI_REGION_COUNT];

    for (int i = 0; i < VSAI_REGION_COUNT; i++) {
        regions[i] = (VkDescriptorBufferInfo){
            .buffer = buffers->scratch.buffer,
            .offset = buffers->scratch.offset + shape->region_offset[i],
            .range = shape->region_size[i]};
    }
    fill_segments(plan, &buffers->k, k);
    fill_segments(plan, &buffers->v, v);
    infos[VSA_BIND_PAGE_TABLE] = buffers->page_table;
    infos[VSA_BIND_LENGTHS] = buffers->lengths;
    infos[VSA_BIND_Q] = buffers->q;
    infos[VSA_BIND_OUT] = buffers->out;
    infos[VSA_BIND_CERTIFICATES] = buffers->certificates;
    infos[VSA_BIND_CONTROL] = regions[VSAI_REGION_CONTROL];
    infos[VSA_BIND_LISTS] = regions[VSAI_REGION_LISTS];
    infos[VSA_BIND_SCORES] = regions[VSAI_REGION_SCORES];
    infos[VSA_BIND_PARTIALS] = regions[VSAI_REGION_PARTIALS];
    infos[VSA_BIND_NEW_K] = buffers->new_k;
    infos[VSA_BIND_NEW_V] = buffers->new_v;
    infos[VSA_BIND_INDICES] = buffers->indices;
    infos[VSA_BIND_STATE] = buffers->state;
    if (shape->info.kv.page_tokens == 0) {
        infos[VSA_BIND_PAGE_TABLE].buffer = VK_NULL_HANDLE;
    }
    for (uint32_t i = 0; i < VSA_BIND_COUNT; i++) {
        const VkDescriptorBufferInfo *info = i == VSA_BIND_K ? k : i == VSA_BIND_V ? v : &infos[i];
        /* A buffer that was left out is never read: any valid range fills its place. */
        if (info->buffer == VK_NULL_HANDLE) {
            info = &regions[VSAI_REGION_CONTROL];
        }
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = layer->set,
            .dstBinding = i,
            .descriptorCount = i == VSA_BIND_K || i == VSA_BIND_V ? shape->segments : 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = info};
    }
    context->vk.UpdateDescriptorSets(context->device, VSA_BIND_COUNT, writes, 0, NULL);
}

vsa_result vsa_layer_create(const vsa_plan *plan, const vsa_layer_buffers *buffers,
                            vsa_layer **out_layer)
{
    vsa_layer *layer;
    vsa_result result;

    if (out_layer == NULL) {
        return VSA_ERROR_INVALID_ARGUMENT;
    }
    *out_layer = NULL;
    if (plan == NULL || buffers == NULL) {
        return VSA_ERROR_INVALID_ARGUMENT;
    }
    if ((result = check_buffers(plan, buffers)) != VSA_SUCCESS) {
        return result;
    }
    layer = vsai_calloc(plan->context->allocator, 1, sizeof(*layer));
    if (layer == NULL) {
        return vsai_fail(&plan->context->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                         "out of memory for a layer");
    }
    layer->plan = plan;
    layer->control = buffers->scratch.buffer;
    layer->control_offset =
        buffers->scratch.offset + plan->shape.region_offset[VSAI_REGION_CONTROL];
    layer->new_k_size = buffers->new_k.buffer != VK_NULL_HANDLE ? buffers->new_k.range : 0;
    layer->new_v_size = buffers->new_v.buffer != VK_NULL_HANDLE ? buffers->new_v.range : 0;
    layer->indices_size = buffers->indices.buffer != VK_NULL_HANDLE ? buffers->indices.range : 0;
    if ((result = allocate_set(layer)) != VSA_SUCCESS) {
        vsa_layer_destroy(layer);
        return result;
    }
    write_set(layer, buffers);
    *out_layer = layer;
    return VSA_SUCCESS;
}

void vsa_layer_destroy(vsa_layer *layer)
{
    if (layer == NULL) {
        return;
    }
    const vsa_context *context = layer->plan->context;
    context->vk.DestroyDescriptorPool(context->device, layer->pool, context->allocator);
    vsai_free(context->allocator, layer);
}
