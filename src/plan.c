#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "pipeline.h"
#include "shader.h"

enum { NEEDS_SPARSE = 1, NEEDS_SCORES, NEEDS_SAMPLES, NEEDS_MOMENTS };

/* One row per kernel. */
typedef struct kernel_info {
    const char *shader;
    uint16_t workgroup;   /* power of two, at most 256; 0 = the plan's tuning */
    uint8_t  reads_kv;    /* has the wide and segment variants */
    uint8_t  needs;       /* which methods have it: NEEDS_... */
    uint8_t  sparse_items; /* attends to chosen tokens, not to a range */
    uint8_t  only_dense;
} kernel_info;

static const kernel_info kernels[VSAI_KERNELS] = {
    [VSAI_KERNEL_BEGIN] = {.shader = "begin", .workgroup = 64, .needs = NEEDS_SPARSE},
    [VSAI_KERNEL_BEGIN_DENSE] = {.shader = "begin", .workgroup = 64, .only_dense = 1},
    [VSAI_KERNEL_SCORE] = {.shader = "score", .reads_kv = 1, .needs = NEEDS_SCORES},
    [VSAI_KERNEL_RANK] = {.shader = "rank", .workgroup = 256, .needs = NEEDS_SCORES},
    [VSAI_KERNEL_REFINE] = {.shader = "refine", .workgroup = 256, .needs = NEEDS_SCORES},
    [VSAI_KERNEL_COUNT] = {.shader = "count", .workgroup = 256, .needs = NEEDS_SCORES},
    [VSAI_KERNEL_EMIT] = {.shader = "emit", .workgroup = 256, .needs = NEEDS_SCORES},
    [VSAI_KERNEL_RESIDUAL] = {.shader = "residual", .workgroup = 256, .needs = NEEDS_MOMENTS},
    [VSAI_KERNEL_SAMPLE] = {.shader = "sample", .workgroup = 256, .needs = NEEDS_SAMPLES},
    [VSAI_KERNEL_ATTEND_SPARSE] = {.shader = "attend", .reads_kv = 1, .needs = NEEDS_SPARSE,
                                   .sparse_items = 1},
    [VSAI_KERNEL_ATTEND_DENSE] = {.shader = "attend", .reads_kv = 1},
    [VSAI_KERNEL_COMBINE] = {.shader = "combine", .workgroup = 256, .needs = NEEDS_SPARSE},
    [VSAI_KERNEL_FINISH] = {.shader = "finish", .workgroup = 128, .needs = NEEDS_SPARSE},
    [VSAI_KERNEL_FINISH_DENSE] = {.shader = "finish", .workgroup = 128, .only_dense = 1},
    [VSAI_KERNEL_APPEND] = {.shader = "append", .workgroup = 128, .reads_kv = 1},
    [VSAI_KERNEL_INDICES] = {.shader = "indices", .workgroup = 128},
};

static int method_has(const vsai_shape *shape, int needs)
{
    switch (needs) {
    case NEEDS_SPARSE:
        return shape->info.policy.method != VSA_METHOD_DENSE;
    case NEEDS_SCORES:
        return shape->method.scores;
    case NEEDS_SAMPLES:
        return shape->method.samples;
    case NEEDS_MOMENTS:
        return shape->method.scores && shape->method.samples;
    default:
        return 1;
    }
}

static vsa_result create_layouts(vsa_plan *plan)
{
    vsa_context *context = plan->context;
    VkDescriptorSetLayoutBinding bindings[VSA_BIND_COUNT];
    const VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                       .size = sizeof(vsai_push)};
    VkResult result;

    for (uint32_t i = 0; i < VSA_BIND_COUNT; i++) {
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = i == VSA_BIND_K || i == VSA_BIND_V ? plan->shape.segments : 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    }
    result = context->vk.CreateDescriptorSetLayout(
        context->device,
        &(VkDescriptorSetLayoutCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
            .bindingCount = VSA_BIND_COUNT,
            .pBindings = bindings},
        context->allocator, &plan->set_layout);
    if (result != VK_SUCCESS) {
        return vsai_fail_vk(&context->log, result, "vkCreateDescriptorSetLayout");
    }
    result = context->vk.CreatePipelineLayout(
        context->device,
        &(VkPipelineLayoutCreateInfo){.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                      .setLayoutCount = 1,
                                      .pSetLayouts = &plan->set_layout,
                                      .pushConstantRangeCount = 1,
                                      .pPushConstantRanges = &range},
        context->allocator, &plan->pipeline_layout);
    return vsai_fail_vk(&context->log, result, "vkCreatePipelineLayout");
}

static vsa_result create_kernel(vsa_plan *plan, vsai_kernel index, const char *name)
{
    const kernel_info *kernel = &kernels[index];
    const vsai_shape *shape = &plan->shape;
    uint32_t constants[VSA_ID_COUNT];
    char debug_name[96];

    memcpy(constants, shape->constants, sizeof(constants));
    constants[VSA_ID_WG] =
        kernel->workgroup != 0 ? kernel->workgroup : shape->info.tuning.workgroup;
    constants[VSA_ID_SPARSE] = kernel->sparse_items;
    constants[VSA_ID_STORED_SCORES] = kernel->sparse_items && shape->method.scores;
    constants[VSA_ID_ONLY_DENSE] = kernel->only_dense;
    snprintf(debug_name, sizeof(debug_name), "%.64s%s%s", name != NULL ? name : "",
             name != NULL ? "/" : "vsa/", kernel->shader);
    return vsai_pipeline_create(
        plan->context, plan->pipeline_layout,
        &(vsai_pipeline_info){
            .shader = kernel->shader,
            .variant = kernel->reads_kv
                           ? (shape->wide ? VSAI_VARIANT_WIDE : 0u) |
                                 (shape->segments > 1 ? VSAI_VARIANT_SEGMENTS : 0u)
                           : 0u,
            .constants = constants,
            .constant_count = VSA_ID_COUNT,
            .debug_name = debug_name},
        &plan->pipelines[index]);
}

vsa_result vsa_plan_create(vsa_context *context, const vsa_plan_create_info *info,
                           vsa_plan **out_plan)
{
    vsa_plan *plan;
    vsai_limits limits;
    vsa_result result;

    if (out_plan == NULL || context == NULL) {
        return VSA_ERROR_INVALID_ARGUMENT;
    }
    *out_plan = NULL;
    if (info == NULL) {
        return vsai_fail(&context->log, VSA_ERROR_INVALID_ARGUMENT, "plan create info is NULL");
    }
    plan = vsai_calloc(context->allocator, 1, sizeof(*plan));
    if (plan == NULL) {
        return vsai_fail(&context->log, VSA_ERROR_OUT_OF_HOST_MEMORY, "out of memory for a plan");
    }
    plan->context = context;
    limits = (vsai_limits){
        .max_storage_range = context->max_storage_range,
        .max_descriptors = context->properties.limits.maxPerStageDescriptorStorageBuffers,
        .is_cpu = context->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU};
    result = vsai_shape_make(info, &limits, &context->log, &plan->shape);
    if (result != VSA_SUCCESS) {
        goto fail;
    }
    plan->append_workgroup = kernels[VSAI_KERNEL_APPEND].workgroup;
    plan->indices_workgroup = kernels[VSAI_KERNEL_INDICES].workgroup;
    if ((result = create_layouts(plan)) != VSA_SUCCESS) {
        goto fail;
    }
    for (int i = 0; i < VSAI_KERNELS; i++) {
        if (!method_has(&plan->shape, kernels[i].needs)) {
            continue;
        }
        if ((result = create_kernel(plan, (vsai_kernel)i, info->name)) != VSA_SUCCESS) {
            goto fail;
        }
    }
    vsai_context_store_pipelines(context);
    *out_plan = plan;
    return VSA_SUCCESS;

fail:
    vsa_plan_destroy(plan);
    return result;
}

void vsa_plan_destroy(vsa_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    vsa_context *context = plan->context;
    for (int i = 0; i < VSAI_KERNELS; i++) {
        context->vk.DestroyPipeline(context->device, plan->pipelines[i], context->allocator);
    }
    context->vk.DestroyPipelineLayout(context->device, plan->pipeline_layout, context->allocator);
    context->vk.DestroyDescriptorSetLayout(context->device, plan->set_layout, context->allocator);
    vsai_free(context->allocator, plan);
}

void vsa_plan_get_requirements(const vsa_plan *plan, vsa_plan_requirements *out)
{
    const vsai_shape *shape = &plan->shape;
    const vsa_buffer_requirement storage = {.alignment = 256,
                                            .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};

    *out = (vsa_plan_requirements){.state = storage, .scratch = storage, .certificates = storage,
                                   .q = storage, .out = storage};
    out->scratch.size = shape->scratch_size;
    out->scratch.usage |= VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT;
    out->certificates.size = (VkDeviceSize)shape->rows * sizeof(vsa_certificate);
    out->q.size = (VkDeviceSize)shape->rows *
                  vsa_dtype_row_size(shape->info.q_dtype, shape->info.head_dim_k);
    out->out.size = (VkDeviceSize)shape->rows *
                    vsa_dtype_row_size(shape->info.out_dtype, shape->info.head_dim_v);
}

void vsa_plan_count_bytes(const vsa_plan *plan, const vsa_certificate *rows, size_t row_count,
                          uint64_t *out_read, uint64_t *out_dense)
{
    const vsai_shape *shape = &plan->shape;
    const vsa_kv_layout *kv = &shape->info.kv;
    const uint64_t k_size = vsa_dtype_row_size(kv->k.dtype, shape->info.head_dim_k);
    const uint64_t v_size = vsa_dtype_row_size(kv->v.dtype, shape->info.head_dim_v);
    uint64_t read = 0;
    uint64_t dense = 0;

    /* Heads of one block share every read; blocks of one group each read for themselves. */
    for (size_t group = 0; group + shape->group <= row_count; group += shape->group) {
        for (uint32_t first = 0; first < shape->group; first += shape->head_block) {
            uint64_t chosen = 0;     /* rows gathered: the longest prefix of the block */
            int any_dense = 0;
            int any_sparse = 0;
            const uint64_t length = rows[group].length_tokens;
            for (uint32_t i = first; i < first + shape->head_block && i < shape->group; i++) {
                const vsa_certificate *row = &rows[group + i];
                const uint64_t own = (uint64_t)row->exact_tokens + row->sampled_tokens;
                if (VSA_CERTIFICATE_STATUS(row->status) == VSA_CERTIFICATE_EXACT) {
                    any_dense = 1;
                    any_sparse = any_sparse || row->wanted_samples != 0;
                } else {
                    any_sparse = 1;
                    chosen = own > chosen ? own : chosen;
                }
            }
            /* The exact scorer reads all of K; the logits it stores spare the second read. */
            read += any_sparse ? (shape->method.scores ? length : chosen) * k_size + chosen * v_size
                               : 0;
            read += any_dense ? length * (k_size + v_size) : 0;
            dense += length * (k_size + v_size);
        }
    }
    if (out_read != NULL) {
        *out_read = read;
    }
    if (out_dense != NULL) {
        *out_dense = dense;
    }
}
