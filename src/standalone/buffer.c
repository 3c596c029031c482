#include "standalone.h"

#include <string.h>

#define STAGING_SIZE ((VkDeviceSize)16 << 20)

#define DEVICE   VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define COHERENT (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
#define CACHED   VK_MEMORY_PROPERTY_HOST_CACHED_BIT

typedef struct preference {
    VkMemoryPropertyFlags has, lacks;
} preference;

#define MAX_PREFERENCES 4

/* In this order; 0, 0 takes whatever is left. Every device has a COHERENT type: Vulkan 1.2,
 * 11.2. */
static const preference shared_memory[MAX_PREFERENCES] = {
    {DEVICE | COHERENT | CACHED, 0}, {DEVICE | COHERENT, 0}, {DEVICE, 0}, {0, 0}};
/* A discrete GPU's mapped window may be small, and is slow to read. */
static const preference own_memory[MAX_PREFERENCES] = {
    {DEVICE, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT}, {DEVICE, 0}, {COHERENT, 0}, {0, 0}};
static const preference upload[MAX_PREFERENCES] = {
    {DEVICE | COHERENT, 0}, {COHERENT, 0}, {COHERENT, 0}, {COHERENT, 0}};
static const preference readback[MAX_PREFERENCES] = {
    {COHERENT | CACHED, 0}, {COHERENT, 0}, {COHERENT, 0}, {COHERENT, 0}};

static const preference *preferences(const vsa_standalone *standalone, vsai_placement placement)
{
    const VkPhysicalDeviceType type = standalone->info.type;
    switch (placement) {
    case VSAI_PLACE_UPLOAD:
        return upload;
    case VSAI_PLACE_READBACK:
        return readback;
    case VSAI_PLACE_DEVICE:
        break;
    }
    return type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || type == VK_PHYSICAL_DEVICE_TYPE_CPU
               ? shared_memory
               : own_memory;
}

/* Tries every allowed memory type, best first, because one heap may be full. */
static VkResult allocate(vsa_buffer *buffer, const VkMemoryRequirements *needs,
                         vsai_placement placement, VkMemoryPropertyFlags *out_flags)
{
    const vsa_standalone *standalone = buffer->standalone;
    const preference *wanted = preferences(standalone, placement);
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    uint32_t tried = 0;
    for (unsigned p = 0; p < MAX_PREFERENCES; ++p) {
        for (uint32_t i = 0; i < standalone->memory.memoryTypeCount; ++i) {
            const VkMemoryType *type = &standalone->memory.memoryTypes[i];
            if (!(needs->memoryTypeBits & 1u << i) || (tried & 1u << i) ||
                (type->propertyFlags & wanted[p].has) != wanted[p].has ||
                (type->propertyFlags & wanted[p].lacks)) {
                continue;
            }
            tried |= 1u << i;
            if (needs->size > standalone->memory.memoryHeaps[type->heapIndex].size) {
                continue;
            }
            const VkMemoryAllocateInfo info = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                .allocationSize = needs->size,
                .memoryTypeIndex = i,
            };
            result = standalone->vk.AllocateMemory(standalone->device, &info,
                                                   standalone->allocator, &buffer->memory);
            if (result == VK_SUCCESS) {
                *out_flags = type->propertyFlags;
                return VK_SUCCESS;
            }
            buffer->memory = VK_NULL_HANDLE;
        }
    }
    return result;
}

vsa_result vsai_buffer_create(vsa_standalone *standalone, VkDeviceSize size,
                              VkBufferUsageFlags usage, vsai_placement placement,
                              const char *name, vsa_buffer **out_buffer)
{
    const vsai_device_functions *vk = &standalone->vk;
    const vsa_log *log = &standalone->log;
    *out_buffer = NULL;
    if (size == 0) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "%s of 0 bytes", name);
    }
    if (size > standalone->max_allocation_size) {
        return vsai_fail(log, VSA_ERROR_OUT_OF_DEVICE_MEMORY,
                         "%s is %llu bytes, device limit maxMemoryAllocationSize is %llu", name,
                         (unsigned long long)size,
                         (unsigned long long)standalone->max_allocation_size);
    }
    vsa_buffer *buffer = vsai_calloc(standalone->allocator, 1, sizeof(*buffer));
    if (!buffer) {
        return vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY, "no host memory for %s", name);
    }
    buffer->standalone = standalone;
    buffer->size = (size + 3) & ~(VkDeviceSize)3;

    vsa_result status = VSA_SUCCESS;
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = buffer->size,
        .usage = usage | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    VkResult result = vk->CreateBuffer(standalone->device, &info, standalone->allocator,
                                       &buffer->buffer);
    if (result) {
        buffer->buffer = VK_NULL_HANDLE;
        status = vsai_fail_vk(log, result, "vkCreateBuffer");
        goto fail;
    }
    VkMemoryRequirements needs;
    VkMemoryPropertyFlags flags = 0;
    vk->GetBufferMemoryRequirements(standalone->device, buffer->buffer, &needs);
    result = allocate(buffer, &needs, placement, &flags);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_DEVICE_MEMORY,
                           "no device memory for %s of %llu bytes", name,
                           (unsigned long long)needs.size);
        goto fail;
    }
    if (result) {
        status = vsai_fail_vk(log, result, "vkAllocateMemory");
        goto fail;
    }
    result = vk->BindBufferMemory(standalone->device, buffer->buffer, buffer->memory, 0);
    if (result) {
        status = vsai_fail_vk(log, result, "vkBindBufferMemory");
        goto fail;
    }
    const int prefers_staging =
        placement == VSAI_PLACE_DEVICE && preferences(standalone, placement) == own_memory;
    if (!prefers_staging && (flags & COHERENT) == COHERENT) {
        result = vk->MapMemory(standalone->device, buffer->memory, 0, VK_WHOLE_SIZE, 0,
                               &buffer->mapped);
        if (result) {
            buffer->mapped = NULL;
            status = vsai_fail_vk(log, result, "vkMapMemory");
            goto fail;
        }
    }
    *out_buffer = buffer;
    return VSA_SUCCESS;

fail:
    vsa_buffer_destroy(buffer);
    return status;
}

vsa_result vsa_buffer_create(vsa_standalone *standalone, VkDeviceSize size,
                             VkBufferUsageFlags usage, vsa_buffer **out_buffer)
{
    if (!standalone || !out_buffer) {
        return vsai_fail(standalone ? &standalone->log : NULL, VSA_ERROR_INVALID_ARGUMENT,
                         "vsa_buffer_create: standalone or out_buffer is NULL");
    }
    return vsai_buffer_create(standalone, size, usage, VSAI_PLACE_DEVICE, "buffer", out_buffer);
}

vsa_result vsa_buffer_create_mapped(vsa_standalone *standalone, VkDeviceSize size,
                                    VkBufferUsageFlags usage, vsa_mapped_use use,
                                    vsa_buffer **out_buffer)
{
    if (!standalone || !out_buffer) {
        return vsai_fail(standalone ? &standalone->log : NULL, VSA_ERROR_INVALID_ARGUMENT,
                         "vsa_buffer_create_mapped: standalone or out_buffer is NULL");
    }
    return vsai_buffer_create(standalone, size, usage,
                              use == VSA_MAPPED_READ ? VSAI_PLACE_READBACK : VSAI_PLACE_UPLOAD,
                              "mapped buffer", out_buffer);
}

void vsa_buffer_destroy(vsa_buffer *buffer)
{
    if (!buffer) {
        return;
    }
    vsa_standalone *standalone = buffer->standalone;
    if (buffer->buffer) {
        standalone->vk.DestroyBuffer(standalone->device, buffer->buffer, standalone->allocator);
    }
    if (buffer->memory) {
        standalone->vk.FreeMemory(standalone->device, buffer->memory, standalone->allocator);
    }
    vsai_free(standalone->allocator, buffer);
}

VkDescriptorBufferInfo vsa_buffer_info(const vsa_buffer *buffer)
{
    return (VkDescriptorBufferInfo){.buffer = buffer->buffer, .range = buffer->size};
}

VkDeviceSize vsai_buffer_size(const vsa_buffer *buffer)
{
    return buffer->size;
}

void *vsa_buffer_mapped(const vsa_buffer *buffer)
{
    return buffer->mapped;
}

static vsa_result check_range(const vsa_buffer *buffer, VkDeviceSize offset, size_t size)
{
    if (offset > buffer->size || size > buffer->size - offset) {
        return vsai_fail(&buffer->standalone->log, VSA_ERROR_INVALID_ARGUMENT,
                         "bytes %llu to %llu of a buffer of %llu", (unsigned long long)offset,
                         (unsigned long long)(offset + size), (unsigned long long)buffer->size);
    }
    return VSA_SUCCESS;
}

static vsa_result ensure_staging(vsa_standalone *standalone)
{
    return standalone->staging
               ? VSA_SUCCESS
               : vsai_buffer_create(standalone, STAGING_SIZE, 0, VSAI_PLACE_READBACK,
                                    "staging buffer", &standalone->staging);
}

static vsa_result copy(vsa_standalone *standalone, const vsa_buffer *from, const vsa_buffer *to,
                       const VkBufferCopy *regions, uint32_t region_count)
{
    VkCommandBuffer cmd;
    const vsa_result status = vsai_submit_begin(standalone, &cmd);
    if (status) {
        return status;
    }
    standalone->vk.CmdCopyBuffer(cmd, from->buffer, to->buffer, region_count, regions);
    return vsai_submit_end(standalone);
}

void vsai_scatter_begin(vsai_scatter *scatter, vsa_buffer *buffer)
{
    scatter->buffer = buffer;
    scatter->used = 0;
    scatter->region_count = 0;
}

vsa_result vsai_scatter_flush(vsai_scatter *scatter)
{
    if (scatter->region_count == 0) {
        return VSA_SUCCESS;
    }
    vsa_standalone *standalone = scatter->buffer->standalone;
    const vsa_result status = copy(standalone, standalone->staging, scatter->buffer,
                                   scatter->regions, scatter->region_count);
    scatter->used = 0;
    scatter->region_count = 0;
    return status;
}

void *vsai_scatter_place(vsai_scatter *scatter, VkDeviceSize offset, size_t size,
                         vsa_result *status)
{
    vsa_buffer *buffer = scatter->buffer;
    vsa_standalone *standalone = buffer->standalone;
    if (buffer->mapped) {
        return (char *)buffer->mapped + offset;
    }
    *status = ensure_staging(standalone);
    if (*status) {
        return NULL;
    }
    VkBufferCopy *last =
        scatter->region_count ? &scatter->regions[scatter->region_count - 1] : NULL;
    const int extends = last && last->dstOffset + last->size == offset;
    if (scatter->used + size > STAGING_SIZE ||
        (!extends && scatter->region_count == VSAI_SCATTER_REGIONS)) {
        *status = vsai_scatter_flush(scatter);
        if (*status) {
            return NULL;
        }
        last = NULL;
    }
    if (last && extends) {
        last->size += size;
    } else {
        scatter->regions[scatter->region_count++] = (VkBufferCopy){
            .srcOffset = scatter->used,
            .dstOffset = offset,
            .size = size,
        };
    }
    void *place = (char *)standalone->staging->mapped + scatter->used;
    scatter->used += size;
    return place;
}

vsa_result vsa_buffer_write(vsa_buffer *buffer, VkDeviceSize offset, const void *data,
                            size_t size)
{
    vsa_standalone *standalone = buffer->standalone;
    vsa_result status = check_range(buffer, offset, size);
    if (status || size == 0) {
        return status;
    }
    if (buffer->mapped) {
        memcpy((char *)buffer->mapped + offset, data, size);
        return VSA_SUCCESS;
    }
    status = ensure_staging(standalone);
    for (size_t done = 0; !status && done < size;) {
        const size_t part = size - done < STAGING_SIZE ? size - done : (size_t)STAGING_SIZE;
        memcpy(standalone->staging->mapped, (const char *)data + done, part);
        const VkBufferCopy region = {.dstOffset = offset + done, .size = part};
        status = copy(standalone, standalone->staging, buffer, &region, 1);
        done += part;
    }
    return status;
}

vsa_result vsa_buffer_read(vsa_buffer *buffer, VkDeviceSize offset, void *data, size_t size)
{
    vsa_standalone *standalone = buffer->standalone;
    vsa_result status = check_range(buffer, offset, size);
    if (status || size == 0) {
        return status;
    }
    if (buffer->mapped) {
        memcpy(data, (const char *)buffer->mapped + offset, size);
        return VSA_SUCCESS;
    }
    status = ensure_staging(standalone);
    for (size_t done = 0; !status && done < size;) {
        const size_t part = size - done < STAGING_SIZE ? size - done : (size_t)STAGING_SIZE;
        const VkBufferCopy region = {.srcOffset = offset + done, .size = part};
        status = copy(standalone, buffer, standalone->staging, &region, 1);
        if (!status) {
            memcpy((char *)data + done, standalone->staging->mapped, part);
        }
        done += part;
    }
    return status;
}

vsa_result vsa_buffer_fill(vsa_buffer *buffer, uint32_t word)
{
    VkCommandBuffer cmd;
    const vsa_result status = vsai_submit_begin(buffer->standalone, &cmd);
    if (status) {
        return status;
    }
    buffer->standalone->vk.CmdFillBuffer(cmd, buffer->buffer, 0, buffer->size, word);
    return vsai_submit_end(buffer->standalone);
}
