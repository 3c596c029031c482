/* Memory of the program as a buffer: VK_EXT_external_memory_host. */
#include "standalone.h"

#define HOST_ALLOCATION VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT
#define COHERENT (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)

VkDeviceSize vsa_standalone_import_alignment(const vsa_standalone *standalone)
{
    return standalone->import_alignment;
}

/* -1 when no type will do. Anything else than coherent memory would have to be flushed. */
static int choose_type(const vsa_standalone *standalone, uint32_t allowed)
{
    for (uint32_t i = 0; i < standalone->memory.memoryTypeCount; i++) {
        if ((allowed & 1u << i) &&
            (standalone->memory.memoryTypes[i].propertyFlags & COHERENT) == COHERENT) {
            return (int)i;
        }
    }
    return -1;
}

static vsa_result bind(vsa_buffer *buffer, void *memory)
{
    const vsa_standalone *standalone = buffer->standalone;
    const vsai_device_functions *vk = &standalone->vk;
    VkMemoryHostPointerPropertiesEXT pointer = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    VkMemoryRequirements needs;

    VkResult result = vk->GetMemoryHostPointerPropertiesEXT(standalone->device, HOST_ALLOCATION,
                                                            memory, &pointer);
    if (result) {
        return vsai_fail(&standalone->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "%s cannot import the %llu bytes of host memory at %p",
                         standalone->info.name, (unsigned long long)buffer->size, memory);
    }
    vk->GetBufferMemoryRequirements(standalone->device, buffer->buffer, &needs);
    const int type = choose_type(standalone, pointer.memoryTypeBits & needs.memoryTypeBits);
    if (type < 0 || needs.size > buffer->size) {
        return vsai_fail(&standalone->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "%s has no coherent memory type for %llu bytes of host memory",
                         standalone->info.name, (unsigned long long)buffer->size);
    }
    const VkImportMemoryHostPointerInfoEXT import = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
        .handleType = HOST_ALLOCATION,
        .pHostPointer = memory,
    };
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .pNext = &import,
        .allocationSize = buffer->size,
        .memoryTypeIndex = (uint32_t)type,
    };
    result = vk->AllocateMemory(standalone->device, &info, standalone->allocator,
                                &buffer->memory);
    if (result) {
        buffer->memory = VK_NULL_HANDLE;
        return vsai_fail(&standalone->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "%s did not take the %llu bytes of host memory at %p: VkResult %d",
                         standalone->info.name, (unsigned long long)buffer->size, memory,
                         (int)result);
    }
    result = vk->BindBufferMemory(standalone->device, buffer->buffer, buffer->memory, 0);
    if (result) {
        return vsai_fail_vk(&standalone->log, result, "vkBindBufferMemory");
    }
    buffer->mapped = memory;
    return VSA_SUCCESS;
}

vsa_result vsa_buffer_import(vsa_standalone *standalone, void *memory, VkDeviceSize size,
                             VkBufferUsageFlags usage, vsa_buffer **out_buffer)
{
    if (!standalone || !out_buffer) {
        return vsai_fail(standalone ? &standalone->log : NULL, VSA_ERROR_INVALID_ARGUMENT,
                         "vsa_buffer_import: standalone or out_buffer is NULL");
    }
    *out_buffer = NULL;
    const VkDeviceSize unit = standalone->import_alignment;
    if (unit == 0) {
        return vsai_fail(&standalone->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "%s has no VK_EXT_external_memory_host", standalone->info.name);
    }
    if (size == 0 || (uintptr_t)memory % unit != 0 || size % unit != 0) {
        return vsai_fail(&standalone->log, VSA_ERROR_INVALID_ARGUMENT,
                         "host memory at %p of %llu bytes, both must be multiples of %llu", memory,
                         (unsigned long long)size, (unsigned long long)unit);
    }
    if (size > standalone->max_allocation_size) {
        return vsai_fail(&standalone->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "host memory of %llu bytes, device limit maxMemoryAllocationSize is %llu",
                         (unsigned long long)size,
                         (unsigned long long)standalone->max_allocation_size);
    }
    vsa_buffer *buffer = vsai_calloc(standalone->allocator, 1, sizeof(*buffer));
    if (!buffer) {
        return vsai_fail(&standalone->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                         "no host memory for an imported buffer");
    }
    buffer->standalone = standalone;
    buffer->size = size;

    vsa_result status;
    const VkExternalMemoryBufferCreateInfo external = {
        .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
        .handleTypes = HOST_ALLOCATION,
    };
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .pNext = &external,
        .size = size,
        .usage = usage | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    const VkResult result = standalone->vk.CreateBuffer(standalone->device, &info,
                                                        standalone->allocator, &buffer->buffer);
    if (result) {
        buffer->buffer = VK_NULL_HANDLE;
        status = vsai_fail_vk(&standalone->log, result, "vkCreateBuffer");
        goto fail;
    }
    status = bind(buffer, memory);
    if (status) {
        goto fail;
    }
    *out_buffer = buffer;
    return VSA_SUCCESS;

fail:
    vsa_buffer_destroy(buffer);
    return status;
}
