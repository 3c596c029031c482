#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "bytes.h"
#include "pipeline.h"
#include "shader.h"

enum {
    NEEDS_SPARSE = 1, NEEDS_EXACT_SCORES, NEEDS_COMPACT, NEEDS_COMPACT_SCORES, NEEDS_EXACT_SCAN,
    NEEDS_COMPACT_SCAN, NEEDS_KEYS, NEEDS_PAGES, NEEDS_RANKS, NEEDS_REFINE, NEEDS_TOP_P,
    NEEDS_DRAWS, NEEDS_MOMENTS, NEEDS_GUIDED, NEEDS_COMBINE, NEEDS_NORMS,
    NEEDS_CARRY
};

/* One row per kernel. */
typedef struct kernel_info {
    const char *shader;
    const char *name;     /* NULL: the shader's */
    uint16_t workgroup;   /* power of two, at most 256; 0 = the plan's tuning */
    uint16_t cpu_workgroup; /* on a CPU, where every subgroup of a workgroup costs; 0 = the same */
    uint8_t  reads_kv;    /* has the wide, segment and quantised variants */
    uint8_t  needs;       /* which methods have it: NEEDS_... */
    uint8_t  sparse_items; /* attends to chosen tokens, not to a range */
    uint8_t  only_dense;
    uint8_t  holds_row;    /* an invocation for every 4 channels of V at least */
} kernel_info;

static const kernel_info kernels[VSAI_KERNELS] = {
    [VSAI_KERNEL_BEGIN] = {.shader = "begin", .workgroup = 64, .needs = NEEDS_SPARSE},
    [VSAI_KERNEL_BEGIN_DENSE] = {.shader = "begin", .name = "begin_dense", .workgroup = 64,
                                  .only_dense = 1},
    [VSAI_KERNEL_SCORE] = {.shader = "score", .reads_kv = 1, .needs = NEEDS_EXACT_SCORES},
    [VSAI_KERNEL_QUERY] = {.shader = "query", .workgroup = 64, .cpu_workgroup = 8,
                            .needs = NEEDS_COMPACT},
    [VSAI_KERNEL_SCORE_KEYS] = {.shader = "score_keys", .needs = NEEDS_COMPACT_SCORES},
    [VSAI_KERNEL_SCAN] = {.shader = "scan", .reads_kv = 1, .needs = NEEDS_EXACT_SCAN},
    [VSAI_KERNEL_SCAN_KEYS] = {.shader = "scan_keys", .needs = NEEDS_COMPACT_SCAN},
    [VSAI_KERNEL_RANK] = {.shader = "rank", .workgroup = 256, .needs = NEEDS_RANKS},
    [VSAI_KERNEL_REFINE] = {.shader = "refine", .workgroup = 256, .needs = NEEDS_REFINE},
    [VSAI_KERNEL_MASS] = {.shader = "mass", .workgroup = 256, .needs = NEEDS_TOP_P},
    [VSAI_KERNEL_FIND] = {.shader = "find", .workgroup = 256, .needs = NEEDS_TOP_P},
    [VSAI_KERNEL_COUNT] = {.shader = "count", .workgroup = 256, .needs = NEEDS_RANKS},
    [VSAI_KERNEL_EMIT] = {.shader = "emit", .workgroup = 256, .needs = NEEDS_RANKS},
    [VSAI_KERNEL_GUIDE] = {.shader = "guide", .workgroup = 64, .cpu_workgroup = 16,
                            .needs = NEEDS_GUIDED},
    [VSAI_KERNEL_PICK] = {.shader = "pick", .workgroup = 64, .cpu_workgroup = 8,
                           .needs = NEEDS_GUIDED},
    [VSAI_KERNEL_PLACE] = {.shader = "place", .workgroup = 64, .cpu_workgroup = 8,
                            .needs = NEEDS_GUIDED},
    [VSAI_KERNEL_RESIDUAL] = {.shader = "residual", .workgroup = 256, .needs = NEEDS_MOMENTS},
    [VSAI_KERNEL_SAMPLE] = {.shader = "sample", .workgroup = 256, .needs = NEEDS_DRAWS},
    [VSAI_KERNEL_ATTEND_SPARSE] = {.shader = "attend", .name = "attend_sparse", .reads_kv = 1,
                                   .needs = NEEDS_SPARSE, .sparse_items = 1},
    [VSAI_KERNEL_ATTEND_DENSE] = {.shader = "attend", .name = "attend_dense", .reads_kv = 1},
    [VSAI_KERNEL_COMBINE] = {.shader = "combine", .workgroup = 64, .cpu_workgroup = 32,
                              .holds_row = 1, .needs = NEEDS_COMBINE},
    [VSAI_KERNEL_COMBINE_GUIDED] = {.shader = "combine_guided", .workgroup = 64,
                                    .cpu_workgroup = 32, .holds_row = 1,
                                    .needs = NEEDS_GUIDED},
    [VSAI_KERNEL_FINISH] = {.shader = "finish", .workgroup = 128, .cpu_workgroup = 32,
                             .needs = NEEDS_SPARSE},
    [VSAI_KERNEL_FINISH_DENSE] = {.shader = "finish", .name = "finish_dense", .workgroup = 128,
                                   .cpu_workgroup = 32,
                                   .only_dense = 1},
    [VSAI_KERNEL_APPEND] = {.shader = "append", .workgroup = 128, .reads_kv = 1},
    [VSAI_KERNEL_NORMS] = {.shader = "norms", .workgroup = 64, .reads_kv = 1,
                           .needs = NEEDS_NORMS},
    [VSAI_KERNEL_LEARN] = {.shader = "learn", .workgroup = 64, .needs = NEEDS_CARRY},
    [VSAI_KERNEL_FORGET] = {.shader = "forget", .workgroup = 64, .needs = NEEDS_CARRY},
    [VSAI_KERNEL_KEYS] = {.shader = "keys", .workgroup = 64, .reads_kv = 1, .needs = NEEDS_KEYS},
    [VSAI_KERNEL_PAGES] = {.shader = "pages", .workgroup = 32, .reads_kv = 1,
                           .needs = NEEDS_PAGES},
    [VSAI_KERNEL_INDICES] = {.shader = "indices", .workgroup = 128},
};

static int method_has(const vsai_shape *shape, int needs)
{
    switch (needs) {
    case NEEDS_SPARSE:
        return shape->info.policy.method != VSA_METHOD_DENSE;
    case NEEDS_EXACT_SCORES:
        return shape->method.scores && shape->keys_stride == 0 && !shape->method.guided;
    case NEEDS_COMPACT:
        return shape->keys_stride != 0;
    case NEEDS_COMPACT_SCORES:
        return shape->keys_stride != 0 && !shape->method.guided;
    case NEEDS_EXACT_SCAN:
        return shape->keys_stride == 0 && shape->method.guided;
    case NEEDS_COMPACT_SCAN:
        return shape->keys_stride != 0 && shape->method.guided;
    case NEEDS_KEYS:
        return shape->keys_stride != 0 && shape->info.policy.scorer != VSA_SCORER_PAGE;
    case NEEDS_PAGES:
        return shape->keys_stride != 0 && shape->info.policy.scorer == VSA_SCORER_PAGE;
    case NEEDS_RANKS:
        return shape->method.ranks;
    case NEEDS_REFINE:
        return shape->method.ranks && !shape->method.top_p;
    case NEEDS_TOP_P:
        return shape->method.top_p;
    case NEEDS_DRAWS:
        return shape->method.samples && !shape->method.guided;
    case NEEDS_GUIDED:
        return shape->method.guided;
    case NEEDS_COMBINE:
        return shape->info.policy.method != VSA_METHOD_DENSE && !shape->method.guided;
    case NEEDS_NORMS:
        return shape->norm_blocks != 0;
    case NEEDS_CARRY:
        return shape->carries;
    case NEEDS_MOMENTS:
        return shape->method.ranks && shape->method.samples;
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
        plan->set_layout = VK_NULL_HANDLE;   /* undefined after a failure */
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
    if (result != VK_SUCCESS) {
        plan->pipeline_layout = VK_NULL_HANDLE;
    }
    return vsai_fail_vk(&context->log, result, "vkCreatePipelineLayout");
}

static uint32_t workgroup_of(const kernel_info *kernel, const vsai_shape *shape)
{
    uint32_t workgroup = kernel->workgroup;

    if (workgroup == 0) {
        return shape->info.tuning.workgroup;
    }
    if (shape->is_cpu && kernel->cpu_workgroup != 0) {
        workgroup = kernel->cpu_workgroup;
        while (kernel->holds_row && workgroup < shape->info.head_dim_v / 4) {
            workgroup *= 2;
        }
    }
    return workgroup;
}

static vsa_result create_kernel(vsa_plan *plan, vsai_kernel index, const char *name)
{
    const kernel_info *kernel = &kernels[index];
    const vsai_shape *shape = &plan->shape;
    uint32_t constants[VSA_ID_COUNT];
    char debug_name[96];

    memcpy(constants, shape->constants, sizeof(constants));
    constants[VSA_ID_WG] = workgroup_of(kernel, shape);
    constants[VSA_ID_SPARSE] = kernel->sparse_items;
    constants[VSA_ID_STORED_SCORES] = 
        kernel->sparse_items && shape->method.scores && shape->keys_stride == 0;
    constants[VSA_ID_ONLY_DENSE] = kernel->only_dense;
    snprintf(debug_name, sizeof(debug_name), "%.64s%s%s", name != NULL ? name : "",
             name != NULL ? "/" : "vsa/", kernel->shader);
    return vsai_pipeline_create(
        plan->context, plan->pipeline_layout,
        &(vsai_pipeline_info){
            .shader = kernel->shader,
            .variant = kernel->reads_kv
                           ? (shape->wide ? VSAI_VARIANT_WIDE : 0u) |
                                 (shape->segments > 1 ? VSAI_VARIANT_SEGMENTS : 0u) |
                                 (shape->quant ? VSAI_VARIANT_QUANT : 0u)
                           : 0u,
            .constants = constants,
            .constant_count = VSA_ID_COUNT,
            .flags = shape->info.pipeline_flags,
            .debug_name = debug_name},
        &plan->pipelines[index]);
}

typedef struct pipeline_jobs {
    vsa_plan   *plan;
    const char *name;
    uint32_t    count;
    vsai_kernel kernels[VSAI_KERNELS];
    vsa_result  results[VSAI_KERNELS];   /* by job */
} pipeline_jobs;

static void create_job(void *data, uint32_t index)
{
    pipeline_jobs *jobs = data;

    jobs->results[index] = create_kernel(jobs->plan, jobs->kernels[index], jobs->name);
}

static vsa_result create_pipelines(vsa_plan *plan, const char *name)
{
    const vsa_parallel *parallel = &plan->context->parallel;
    pipeline_jobs jobs = {.plan = plan, .name = name};

    for (int i = 0; i < VSAI_KERNELS; i++) {
        if (method_has(&plan->shape, kernels[i].needs)) {
            jobs.results[jobs.count] = VSA_RESULT_MAX_ENUM;
            jobs.kernels[jobs.count++] = (vsai_kernel)i;
        }
    }
    if (parallel->run != NULL) {
        parallel->run(parallel->user, jobs.count, create_job, &jobs);
    }
    for (uint32_t i = 0; i < jobs.count; i++) {
        if (parallel->run == NULL) {
            create_job(&jobs, i);
        }
        if (jobs.results[i] == VSA_RESULT_MAX_ENUM) {
            return vsai_fail(&plan->context->log, VSA_ERROR_INVALID_ARGUMENT,
                             "parallel.run did not run job %u of %u", i, jobs.count);
        }
        if (jobs.results[i] != VSA_SUCCESS) {
            return jobs.results[i];
        }
    }
    return VSA_SUCCESS;
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
    if ((result = create_layouts(plan)) != VSA_SUCCESS ||
        (result = create_pipelines(plan, info->name)) != VSA_SUCCESS) {
        goto fail;
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
    out->state.size = shape->state_size;
    out->scratch.size = shape->scratch_size;
    out->scratch.usage |= VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT;
    out->certificates.size = (VkDeviceSize)shape->rows * sizeof(vsa_certificate);
    out->q.size = (VkDeviceSize)shape->rows *
                  vsa_dtype_row_size(shape->info.q_dtype, shape->info.head_dim_k);
    out->out.size = (VkDeviceSize)shape->rows *
                    vsa_dtype_row_size(shape->info.out_dtype, shape->info.head_dim_v);
}

const char *vsai_kernel_name(vsai_kernel kernel)
{
    return kernels[kernel].name != NULL ? kernels[kernel].name : kernels[kernel].shader;
}

void vsa_plan_get_pipelines(const vsa_plan *plan, vsa_plan_pipeline *out_pipelines,
                            uint32_t capacity, uint32_t *out_count)
{
    uint32_t count = 0;

    for (int i = 0; i < VSAI_KERNELS; i++) {
        if (plan->pipelines[i] == VK_NULL_HANDLE) {
            continue;
        }
        if (count < capacity) {
            out_pipelines[count] = (vsa_plan_pipeline){
                .kernel = vsai_kernel_name((vsai_kernel)i),
                .pipeline = plan->pipelines[i]};
        }
        count++;
    }
    *out_count = count;
}

void vsa_plan_count_bytes(const vsa_plan *plan, const vsa_certificate *rows, size_t row_count,
                          uint64_t *out_read, uint64_t *out_dense)
{
    const vsai_shape *shape = &plan->shape;
    const vsa_kv_layout *kv = &shape->info.kv;

    vsai_count_bytes(
        &(vsai_byte_shape){
            .group = shape->group,
            .head_block = shape->head_block,
            .scan_bits = vsai_shape_scan_bits(shape),
            /* The logits that the exact scorer stores spare the second read. */
            .gathers_k = !shape->method.scores || shape->keys_stride != 0,
            .k_size = vsa_dtype_row_size(kv->k.dtype, shape->info.head_dim_k),
            .v_size = vsa_dtype_row_size(kv->v.dtype, shape->info.head_dim_v)},
        rows, rows != NULL ? row_count : 0, out_read, out_dense);
}
