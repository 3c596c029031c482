#include "pipeline.h"

#include "shader.h"

#include <stdio.h>

#define MAX_CONSTANTS 96

vsa_result vsai_pipeline_create(vsa_context *context, VkPipelineLayout layout,
                                const vsai_pipeline_info *info, VkPipeline *out_pipeline)
{
    *out_pipeline = VK_NULL_HANDLE;
    const vsai_vk_table *vk = &context->vk;
    char name[VSAI_SHADER_NAME_SIZE];
    if (!vsai_shader_variant_name(info->shader, info->variant, name, sizeof(name)) ||
        info->constant_count > MAX_CONSTANTS) {
        return vsai_fail(&context->log, VSA_ERROR_SHADER,
                         "pipeline %s: %u specialisation constants, at most %u", info->shader,
                         info->constant_count, MAX_CONSTANTS);
    }
    const vsai_spirv *spirv;
    vsa_result status = vsai_shader_spirv(context, info->shader, info->variant, &spirv);
    if (status) {
        return status;
    }
    const VkShaderModuleCreateInfo module_info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = spirv->size,
        .pCode = spirv->words,
    };
    char what[96];
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = vk->CreateShaderModule(context->device, &module_info, context->allocator,
                                             &module);
    if (result) {
        snprintf(what, sizeof(what), "vkCreateShaderModule of %s", name);
        return vsai_fail_vk(&context->log, result, what);
    }

    VkSpecializationMapEntry entries[MAX_CONSTANTS];
    for (uint32_t i = 0; i < info->constant_count; ++i) {
        entries[i] = (VkSpecializationMapEntry){
            .constantID = i,
            .offset = i * (uint32_t)sizeof(uint32_t),
            .size = sizeof(uint32_t),
        };
    }
    const VkSpecializationInfo specialization = {
        .mapEntryCount = info->constant_count,
        .pMapEntries = entries,
        .dataSize = info->constant_count * sizeof(uint32_t),
        .pData = info->constants,
    };
    const VkComputePipelineCreateInfo pipeline_info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = info->flags,
        .stage = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
            .stage = VK_SHADER_STAGE_COMPUTE_BIT,
            .module = module,
            .pName = "main",
            .pSpecializationInfo = info->constant_count ? &specialization : NULL,
        },
        .layout = layout,
    };
    VkPipeline pipeline = VK_NULL_HANDLE;
    result = vk->CreateComputePipelines(context->device, context->pipeline_cache, 1,
                                        &pipeline_info, context->allocator, &pipeline);
    vk->DestroyShaderModule(context->device, module, context->allocator);
    if (result) {
        snprintf(what, sizeof(what), "vkCreateComputePipelines of %s", name);
        status = vsai_fail_vk(&context->log, result, what);
        /* A driver that cannot compile a shader says so in many ways. */
        return status == VSA_ERROR_VULKAN ? VSA_ERROR_SHADER : status;
    }
    if (info->debug_name && vk->SetDebugUtilsObjectNameEXT) {
        const VkDebugUtilsObjectNameInfoEXT name_info = {
            .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
            .objectType = VK_OBJECT_TYPE_PIPELINE,
            .objectHandle = (uint64_t)pipeline,
            .pObjectName = info->debug_name,
        };
        vk->SetDebugUtilsObjectNameEXT(context->device, &name_info);
    }
    *out_pipeline = pipeline;
    return VSA_SUCCESS;
}
