/* One command buffer, submitted and waited for. */
#include "standalone.h"

static vsa_result fail(vsa_standalone *standalone, VkResult result, const char *what)
{
    if (result == VK_ERROR_DEVICE_LOST) {
        standalone->lost = 1;
    }
    return vsai_fail_vk(&standalone->log, result, what);
}

vsa_result vsai_submit_begin(vsa_standalone *standalone, VkCommandBuffer *out_cmd)
{
    const vsai_device_functions *vk = &standalone->vk;
    *out_cmd = VK_NULL_HANDLE;
    if (standalone->compile_only) {
        return vsai_fail(&standalone->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "%s was opened with compile_only: nothing runs there",
                         standalone->info.name);
    }
    if (standalone->lost) {
        return vsai_fail(&standalone->log, VSA_ERROR_DEVICE_LOST,
                         "%s was lost: destroy the vsa_standalone and make a new one",
                         standalone->info.name);
    }
    VkResult result = vk->ResetCommandPool(standalone->device, standalone->pool, 0);
    if (result) {
        return fail(standalone, result, "vkResetCommandPool");
    }
    const VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    result = vk->BeginCommandBuffer(standalone->cmd, &info);
    if (result) {
        return fail(standalone, result, "vkBeginCommandBuffer");
    }
    /* Waiting for a fence makes earlier device writes available, not visible to later commands:
     * Vulkan 1.2, 7.9 "Host Write Ordering Guarantees" covers only the host's own writes. */
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                         VK_ACCESS_INDIRECT_COMMAND_READ_BIT,
    };
    vk->CmdPipelineBarrier(
        standalone->cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT |
            VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
        0, 1, &barrier, 0, NULL, 0, NULL);
    *out_cmd = standalone->cmd;
    return VSA_SUCCESS;
}

vsa_result vsai_submit_end(vsa_standalone *standalone)
{
    const vsai_device_functions *vk = &standalone->vk;
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT,
    };
    vk->CmdPipelineBarrier(
        standalone->cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
    VkResult result = vk->EndCommandBuffer(standalone->cmd);
    if (result) {
        return fail(standalone, result, "vkEndCommandBuffer");
    }
    const VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &standalone->cmd,
    };
    result = vk->ResetFences(standalone->device, 1, &standalone->fence);
    if (result) {
        return fail(standalone, result, "vkResetFences");
    }
    result = vk->QueueSubmit(standalone->queue, 1, &info, standalone->fence);
    if (result) {
        return fail(standalone, result, "vkQueueSubmit");
    }
    result = vk->WaitForFences(standalone->device, 1, &standalone->fence, VK_TRUE, UINT64_MAX);
    if (result && result != VK_ERROR_DEVICE_LOST &&
        vk->DeviceWaitIdle(standalone->device) != VK_SUCCESS) {
        /* The caller would free what the device still works on. */
        standalone->lost = 1;
    }
    return result ? fail(standalone, result, "vkWaitForFences") : VSA_SUCCESS;
}
