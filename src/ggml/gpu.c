#include "gpu.h"

#include <string.h>

/* Pipelines are created on this many threads: ggml's own rest while a plan is made. */
#define MAX_PLAN_THREADS 8

static vsa_result load(vsai_ggml_gpu *gpu)
{
    const PFN_vkGetDeviceProcAddr get_device_proc_addr =
        (PFN_vkGetDeviceProcAddr)gpu->handles.get_instance_proc_addr(gpu->handles.instance,
                                                                     "vkGetDeviceProcAddr");
    if (get_device_proc_addr == NULL) {
        return VSA_ERROR_VULKAN;
    }
#define LOAD(name)                                                                        \
    gpu->name = (PFN_vk##name)get_device_proc_addr(gpu->handles.device, "vk" #name);      \
    if (gpu->name == NULL) {                                                              \
        return VSA_ERROR_VULKAN;                                                          \
    }
    VSAI_GGML_VULKAN(LOAD)
#undef LOAD
    return VSA_SUCCESS;
}

static VkDeviceSize offset_alignment(const vsai_ggml_gpu *gpu)
{
    const PFN_vkGetPhysicalDeviceProperties get_properties =
        (PFN_vkGetPhysicalDeviceProperties)gpu->handles.get_instance_proc_addr(
            gpu->handles.instance, "vkGetPhysicalDeviceProperties");
    VkPhysicalDeviceProperties properties;

    if (get_properties == NULL) {
        return 256;   /* the largest legal value */
    }
    get_properties(gpu->handles.physical_device, &properties);
    return properties.limits.minStorageBufferOffsetAlignment > 4
               ? properties.limits.minStorageBufferOffsetAlignment
               : 4;
}

vsa_result vsai_ggml_gpu_open(const vsai_ggml_options *options, const vsa_log *log,
                              vsai_ggml_gpu *out_gpu)
{
    vsai_ggml_gpu *gpu = out_gpu;
    const vsa_standalone_create_info info = {
        .api_version = VSA_API_VERSION,
        .device = options->device[0] != 0 ? options->device : NULL,
        .cache_directory = options->cache[0] != 0 ? options->cache : NULL,
        .log = *log,
        .thread_count = MAX_PLAN_THREADS,
    };

    memset(gpu, 0, sizeof *gpu);
    vsa_result status = vsa_standalone_create(&info, &gpu->standalone);
    if (status) {
        return status;
    }
    vsa_standalone_handles(gpu->standalone, &gpu->handles);
    gpu->offset_alignment = offset_alignment(gpu);
    status = load(gpu);
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = gpu->handles.queue_family,
    };
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    if (!status &&
        (gpu->CreateCommandPool(gpu->handles.device, &pool, NULL, &gpu->pool) != VK_SUCCESS ||
         gpu->CreateFence(gpu->handles.device, &fence, NULL, &gpu->fence) != VK_SUCCESS)) {
        status = VSA_ERROR_VULKAN;
    }
    if (status) {
        if (log->write != NULL) {
            log->write(log->user, VSA_LOG_ERROR, "no command pool on the device");
        }
        vsai_ggml_gpu_close(gpu);
    }
    return status;
}

void vsai_ggml_gpu_close(vsai_ggml_gpu *gpu)
{
    if (gpu->fence) {
        gpu->DestroyFence(gpu->handles.device, gpu->fence, NULL);
    }
    if (gpu->pool) {
        gpu->DestroyCommandPool(gpu->handles.device, gpu->pool, NULL);
    }
    vsa_standalone_destroy(gpu->standalone);
    memset(gpu, 0, sizeof *gpu);
}

VkCommandBuffer vsai_ggml_gpu_commands(vsai_ggml_gpu *gpu)
{
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = gpu->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    VkCommandBuffer cmd;
    return gpu->AllocateCommandBuffers(gpu->handles.device, &info, &cmd) == VK_SUCCESS
               ? cmd
               : VK_NULL_HANDLE;
}

void vsai_ggml_gpu_free_commands(vsai_ggml_gpu *gpu, VkCommandBuffer cmd)
{
    if (cmd != VK_NULL_HANDLE) {
        gpu->FreeCommandBuffers(gpu->handles.device, gpu->pool, 1, &cmd);
    }
}

int vsai_ggml_gpu_begin(vsai_ggml_gpu *gpu, VkCommandBuffer cmd, int once)
{
    const VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = once ? VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT : 0,
    };
    /* A fence makes device writes available, not visible to later commands: Vulkan 1.2, 7.9. */
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                         VK_ACCESS_INDIRECT_COMMAND_READ_BIT,
    };

    if (gpu->BeginCommandBuffer(cmd, &info) != VK_SUCCESS) {
        return 0;
    }
    gpu->CmdPipelineBarrier(
        cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT |
            VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
        0, 1, &barrier, 0, NULL, 0, NULL);
    return 1;
}

int vsai_ggml_gpu_end(vsai_ggml_gpu *gpu, VkCommandBuffer cmd)
{
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT,
    };

    gpu->CmdPipelineBarrier(
        cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
    return gpu->EndCommandBuffer(cmd) == VK_SUCCESS;
}

int vsai_ggml_gpu_submit(vsai_ggml_gpu *gpu, const VkCommandBuffer *cmds, uint32_t count)
{
    const VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = count,
        .pCommandBuffers = cmds,
    };
    const VkDevice device = gpu->handles.device;

    if (gpu->lost) {
        return 0;
    }
    VkResult result = gpu->ResetFences(device, 1, &gpu->fence);
    if (result == VK_SUCCESS) {
        result = gpu->QueueSubmit(gpu->handles.queue, 1, &info, gpu->fence);
    }
    if (result != VK_SUCCESS) {
        gpu->lost = result == VK_ERROR_DEVICE_LOST;
        return 0;
    }
    result = gpu->WaitForFences(device, 1, &gpu->fence, VK_TRUE, UINT64_MAX);
    if (result != VK_SUCCESS) {
        /* What it works on is about to be freed or written: it has to come to rest. */
        gpu->lost = result == VK_ERROR_DEVICE_LOST || gpu->DeviceWaitIdle(device) != VK_SUCCESS;
        return 0;
    }
    return 1;
}
