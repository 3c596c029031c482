/* The library's private table of Vulkan entry points: no global state, so two libraries in one
 * process can use two devices. */
#ifndef VSAI_VK_TABLE_H
#define VSAI_VK_TABLE_H

#include "vsa.h"

#define VSAI_VK_INSTANCE_FUNCTIONS(X) \
    X(GetPhysicalDeviceProperties2)   \
    X(GetPhysicalDeviceFeatures2)     \
    X(GetDeviceProcAddr)

#define VSAI_VK_DEVICE_FUNCTIONS(X) \
    X(CreateShaderModule)           \
    X(DestroyShaderModule)          \
    X(CreateComputePipelines)       \
    X(DestroyPipeline)              \
    X(CreatePipelineLayout)         \
    X(DestroyPipelineLayout)        \
    X(CreateDescriptorSetLayout)    \
    X(DestroyDescriptorSetLayout)   \
    X(CreateDescriptorPool)         \
    X(DestroyDescriptorPool)        \
    X(AllocateDescriptorSets)       \
    X(UpdateDescriptorSets)         \
    X(CreatePipelineCache)          \
    X(DestroyPipelineCache)         \
    X(GetPipelineCacheData)         \
    X(CmdBindPipeline)              \
    X(CmdBindDescriptorSets)        \
    X(CmdPushConstants)             \
    X(CmdDispatch)                  \
    X(CmdDispatchIndirect)          \
    X(CmdPipelineBarrier)           \
    X(CmdWriteTimestamp)

typedef struct vsai_vk_table {
#define VSAI_VK_MEMBER(name) PFN_vk##name name;
    VSAI_VK_INSTANCE_FUNCTIONS(VSAI_VK_MEMBER)
    VSAI_VK_DEVICE_FUNCTIONS(VSAI_VK_MEMBER)
#undef VSAI_VK_MEMBER
    PFN_vkSetDebugUtilsObjectNameEXT SetDebugUtilsObjectNameEXT; /* NULL unless enabled */
} vsai_vk_table;

/* Names the missing entry point in the log. */
vsa_result vsai_vk_table_load(vsai_vk_table *out_table, PFN_vkGetInstanceProcAddr get,
                              VkInstance instance, VkDevice device, const vsa_log *log);

#endif
