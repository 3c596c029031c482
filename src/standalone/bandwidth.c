/* What the device's memory can do: a copy from one buffer to another. */
#include "standalone.h"

#include <stdlib.h>
#ifdef _WIN32
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
#else
#  include <time.h>
#endif

#define LARGEST         ((VkDeviceSize)256 << 20)
#define COPIES          9
#define WARM_UP_SECONDS 0.1   /* until the clocks are up */
#define WARM_UP_COPIES  64

static double seconds(void)
{
#ifdef _WIN32
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart / (double)frequency.QuadPart;
#else
    struct timespec now = {0};
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#endif
}

/* Two buffers of this size fit beside what is there already. */
static VkDeviceSize choose_size(const vsa_standalone *standalone)
{
    VkDeviceSize heap = 0;
    for (uint32_t i = 0; i < standalone->memory.memoryHeapCount; ++i) {
        const VkMemoryHeap *one = &standalone->memory.memoryHeaps[i];
        if (one->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT && one->size > heap) {
            heap = one->size;
        }
    }
    VkDeviceSize size = LARGEST;
    size = size < heap / 8 ? size : heap / 8;
    size = size < standalone->max_allocation_size ? size : standalone->max_allocation_size;
    return size & ~(VkDeviceSize)15;
}

/* One submission; the time from timestamps, or of the submission where `queries` is null. */
static vsa_result copy_once(vsa_standalone *standalone, const vsa_buffer *from,
                            const vsa_buffer *to, VkQueryPool queries, double *out_seconds)
{
    const vsai_device_functions *vk = &standalone->vk;
    const VkBufferCopy region = {.size = vsai_buffer_size(to)};
    uint64_t ticks[2] = {0};
    const double start = seconds();
    VkCommandBuffer cmd;
    vsa_result status = vsai_submit_begin(standalone, &cmd);
    if (status) {
        return status;
    }
    if (queries) {
        vk->CmdResetQueryPool(cmd, queries, 0, 2);
        vk->CmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, 0);
    }
    vk->CmdCopyBuffer(cmd, vsa_buffer_info(from).buffer, vsa_buffer_info(to).buffer, 1, &region);
    if (queries) {
        vk->CmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, 1);
    }
    status = vsai_submit_end(standalone);
    *out_seconds = seconds() - start;
    if (status || !queries) {
        return status;
    }
    const VkResult result =
        vk->GetQueryPoolResults(standalone->device, queries, 0, 2, sizeof(ticks), ticks,
                                sizeof(ticks[0]), VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    /* The counter may wrap once. */
    *out_seconds = (double)((ticks[1] - ticks[0]) & standalone->timestamp_mask) *
                   standalone->timestamp_period * 1e-9;
    return vsai_fail_vk(&standalone->log, result, "vkGetQueryPoolResults");
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static vsa_result measure(vsa_standalone *standalone, const vsa_buffer *from, const vsa_buffer *to,
                          VkQueryPool queries, double *out_seconds)
{
    double times[COPIES];
    vsa_result status = VSA_SUCCESS;
    const double start = seconds();
    for (unsigned i = 0; i < WARM_UP_COPIES && !status; ++i) {
        status = copy_once(standalone, from, to, queries, &times[0]);
        if (seconds() - start >= WARM_UP_SECONDS) {
            break;
        }
    }
    for (unsigned i = 0; i < COPIES && !status; ++i) {
        status = copy_once(standalone, from, to, queries, &times[i]);
    }
    if (!status) {
        qsort(times, COPIES, sizeof(times[0]), ascending);
        *out_seconds = times[COPIES / 2];
    }
    return status;
}

vsa_result vsa_standalone_copy_bandwidth(vsa_standalone *standalone,
                                         double *out_bytes_per_second)
{
    if (!standalone || !out_bytes_per_second) {
        return vsai_fail(standalone ? &standalone->log : NULL, VSA_ERROR_INVALID_ARGUMENT,
                         "vsa_standalone_copy_bandwidth: standalone or out_bytes_per_second is "
                         "NULL");
    }
    *out_bytes_per_second = 0.0;
    const vsai_device_functions *vk = &standalone->vk;
    const VkDeviceSize size = choose_size(standalone);
    vsa_buffer *from = NULL;
    vsa_buffer *to = NULL;
    VkQueryPool queries = VK_NULL_HANDLE;
    double median = 0.0;
    vsa_result status = VSA_SUCCESS;
    if ((status = vsai_buffer_create(standalone, size, 0, VSAI_PLACE_DEVICE, "copy source",
                                     &from)) ||
        (status = vsai_buffer_create(standalone, size, 0, VSAI_PLACE_DEVICE, "copy destination",
                                     &to)) ||
        /* Pages that were never written may all be the same one. */
        (status = vsa_buffer_fill(from, 0x9e3779b9u)) || (status = vsa_buffer_fill(to, 0))) {
        goto done;
    }
    if (standalone->timestamp_mask) {
        const VkQueryPoolCreateInfo info = {
            .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
            .queryType = VK_QUERY_TYPE_TIMESTAMP,
            .queryCount = 2,
        };
        const VkResult result =
            vk->CreateQueryPool(standalone->device, &info, standalone->allocator, &queries);
        if (result) {
            queries = VK_NULL_HANDLE;
            status = vsai_fail_vk(&standalone->log, result, "vkCreateQueryPool");
            goto done;
        }
    }
    status = measure(standalone, from, to, queries, &median);
    if (!status && median > 0.0) {
        *out_bytes_per_second = 2.0 * (double)size / median;
    }

done:
    if (queries) {
        vk->DestroyQueryPool(standalone->device, queries, standalone->allocator);
    }
    vsa_buffer_destroy(to);
    vsa_buffer_destroy(from);
    return status;
}
