/* The device: opened once for all backends of the process, one user at a time. */
#ifndef VSAI_GGML_GPU_H
#define VSAI_GGML_GPU_H

#include "options.h"
#include "vsa_standalone.h"

#define VSAI_GGML_VULKAN(X)  \
    X(CreateCommandPool)     \
    X(DestroyCommandPool)    \
    X(AllocateCommandBuffers) \
    X(FreeCommandBuffers)    \
    X(BeginCommandBuffer)    \
    X(EndCommandBuffer)      \
    X(CmdPipelineBarrier)    \
    X(CmdCopyBuffer)         \
    X(CreateFence)           \
    X(DestroyFence)          \
    X(ResetFences)           \
    X(WaitForFences)         \
    X(DeviceWaitIdle)        \
    X(QueueSubmit)

typedef struct vsai_ggml_gpu {
    vsa_standalone *standalone;
    vsa_vulkan_handles handles;
    VkCommandPool pool;
    VkFence fence;
    VkDeviceSize offset_alignment;   /* minStorageBufferOffsetAlignment */
    int lost;                        /* sticky: nothing is submitted any more */
#define VSAI_MEMBER(name) PFN_vk##name name;
    VSAI_GGML_VULKAN(VSAI_MEMBER)
#undef VSAI_MEMBER
} vsai_ggml_gpu;

/* Fails with a sentence to `log`, and with *out_gpu closed. */
vsa_result vsai_ggml_gpu_open(const vsai_ggml_options *options, const vsa_log *log,
                              vsai_ggml_gpu *out_gpu);
/* Accepts a closed one. */
void vsai_ggml_gpu_close(vsai_ggml_gpu *gpu);

/* A command buffer that may be begun again; VK_NULL_HANDLE on an error. */
VkCommandBuffer vsai_ggml_gpu_commands(vsai_ggml_gpu *gpu);
void vsai_ggml_gpu_free_commands(vsai_ggml_gpu *gpu, VkCommandBuffer cmd);

/* Begins with what earlier submissions wrote visible to it, ends with what it wrote visible to the
 * host. `once`: it is recorded again before it is submitted again. 0 on an error. */
int vsai_ggml_gpu_begin(vsai_ggml_gpu *gpu, VkCommandBuffer cmd, int once);
int vsai_ggml_gpu_end(vsai_ggml_gpu *gpu, VkCommandBuffer cmd);

/* In this order, and waits. 0 on an error, which the device may not survive. */
int vsai_ggml_gpu_submit(vsai_ggml_gpu *gpu, const VkCommandBuffer *cmds, uint32_t count);

#endif
