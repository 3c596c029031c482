#include "context.h"

#include "alloc.h"
#include "cache.h"

#include <stdio.h>
#include <string.h>

static vsa_result check_info(const vsa_context_create_info *info)
{
    const vsa_log *log = &info->log;
    /* Before 1.0 a minor version may change the structs. */
    if (info->api_version >> 8 != VSA_API_VERSION >> 8) {
        return vsai_fail(log, VSA_ERROR_VERSION_MISMATCH,
                         "api_version is %u.%u, the library is %u.%u: set it to VSA_API_VERSION "
                         "and rebuild against its header",
                         info->api_version >> 16, info->api_version >> 8 & 0xffu,
                         VSA_VERSION_MAJOR, VSA_VERSION_MINOR);
    }
    const struct {
        const char *name;
        int         given;
    } required[] = {
        {"get_instance_proc_addr", info->get_instance_proc_addr != NULL},
        {"instance", info->instance != VK_NULL_HANDLE},
        {"physical_device", info->physical_device != VK_NULL_HANDLE},
        {"device", info->device != VK_NULL_HANDLE},
    };
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); ++i) {
        if (!required[i].given) {
            return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                             "vsa_context_create_info::%s is required", required[i].name);
        }
    }
    if (info->vulkan_api_version && info->vulkan_api_version < VK_API_VERSION_1_2) {
        return vsai_fail(log, VSA_ERROR_DEVICE_UNSUITABLE,
                         "vulkan_api_version is %u.%u, the library needs 1.2",
                         VK_API_VERSION_MAJOR(info->vulkan_api_version),
                         VK_API_VERSION_MINOR(info->vulkan_api_version));
    }
    if (info->allocator && (!info->allocator->pfnAllocation || !info->allocator->pfnFree ||
                            !info->allocator->pfnReallocation)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "allocator lacks pfnAllocation, pfnReallocation or pfnFree");
    }
    if (!info->cache.get != !info->cache.put) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "cache needs both get and put, or neither");
    }
    return VSA_SUCCESS;
}

static vsa_result read_device(vsa_context *context, uint32_t max_storage_range)
{
    context->driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = &context->driver,
    };
    context->vk.GetPhysicalDeviceProperties2(context->physical_device, &properties);
    context->driver.pNext = NULL;
    context->properties = properties.properties;
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
    };
    context->vk.GetPhysicalDeviceFeatures2(context->physical_device, &features);

    vsa_device_report report;
    vsa_check_device(&context->properties, &features.features, &report);
    if (report.verdict == VSA_VERDICT_CANNOT) {
        char reasons[VSA_MAX_REASONS * 100] = "";
        size_t length = 0;
        for (uint32_t i = 0; i < report.missing_count; ++i) {
            const int added = snprintf(reasons + length, sizeof(reasons) - length, "%s%s",
                                       i ? ", " : "", report.missing[i]);
            length += added > 0 ? (size_t)added : 0;
        }
        return vsai_fail(&context->log, VSA_ERROR_DEVICE_UNSUITABLE, "%s: %s",
                         context->properties.deviceName, reasons);
    }
    const uint32_t limit = context->properties.limits.maxStorageBufferRange;
    context->max_storage_range =
        max_storage_range && max_storage_range < limit ? max_storage_range : limit;
    return VSA_SUCCESS;
}

static vsa_result create_pipeline_cache(vsa_context *context)
{
    /* The UUID alone does not identify a driver: Mesa 22's lavapipe reports a constant. */
    const VkPhysicalDeviceProperties *device = &context->properties;
    const VkPhysicalDeviceDriverProperties *driver = &context->driver;
    const uint32_t numbers[] = {
        device->vendorID, device->deviceID, device->driverVersion, device->apiVersion,
        (uint32_t)driver->driverID, VSA_API_VERSION, (uint32_t)sizeof(void *),
    };
    const vsai_cache_part parts[] = {
        {"pipelines", 9},
        {numbers, sizeof(numbers)},
        {device->pipelineCacheUUID, VK_UUID_SIZE},
        {device->deviceName, strlen(device->deviceName)},
        {driver->driverName, strlen(driver->driverName)},
        {driver->driverInfo, strlen(driver->driverInfo)},
    };
    vsai_cache_key(parts, sizeof(parts) / sizeof(parts[0]), context->pipeline_key);

    vsai_cache_blob blob;
    vsai_cache_get(&context->cache, context->allocator, context->pipeline_key, &blob);
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = blob.size,
        .pInitialData = blob.data,
    };
    VkResult result = context->vk.CreatePipelineCache(context->device, &info, context->allocator,
                                                      &context->pipeline_cache);
    if (result && blob.size) {
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        result = context->vk.CreatePipelineCache(context->device, &info, context->allocator,
                                                 &context->pipeline_cache);
    }
    atomic_init(&context->pipeline_stored_size, blob.size);
    vsai_cache_blob_free(context->allocator, &blob);
    if (result) {
        context->pipeline_cache = VK_NULL_HANDLE;
        return vsai_fail_vk(&context->log, result, "vkCreatePipelineCache");
    }
    context->owns_pipeline_cache = 1;
    return VSA_SUCCESS;
}

vsa_result vsa_context_create(const vsa_context_create_info *info, vsa_context **out_context)
{
    if (!out_context) {
        return vsai_fail(info ? &info->log : NULL, VSA_ERROR_INVALID_ARGUMENT,
                         "out_context is NULL");
    }
    *out_context = NULL;
    if (!info) {
        return VSA_ERROR_INVALID_ARGUMENT;
    }
    vsa_result status = check_info(info);
    if (status) {
        return status;
    }
    const vsai_compiler *compiler = vsai_compiler_choose(info->compiler);
    if (!compiler) {
        static const char *const names[] = {"any", "shaderc", "glslang", "embedded SPIR-V"};
        const unsigned index = (unsigned)info->compiler;
        return vsai_fail(&info->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "shader compiler %s (%u) is not in this build",
                         index < 4 ? names[index] : "unknown", index);
    }
    vsa_context *context = vsai_calloc(info->allocator, 1, sizeof(*context));
    if (!context) {
        return vsai_fail(&info->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                         "no host memory for a context");
    }
    if (info->allocator) {
        context->allocator_storage = *info->allocator;
        context->allocator = &context->allocator_storage;
    }
    context->log = info->log;
    context->cache = info->cache;
    context->parallel = info->parallel;
    context->physical_device = info->physical_device;
    context->device = info->device;
    context->compiler = compiler;
    atomic_init(&context->pipeline_stored_size, 0);

    status = vsai_vk_table_load(&context->vk, info->get_instance_proc_addr, info->instance,
                                info->device, &context->log);
    if (status) {
        goto fail;
    }
    status = read_device(context, info->max_storage_range);
    if (status) {
        goto fail;
    }
    if (info->pipeline_cache) {
        context->pipeline_cache = info->pipeline_cache;
    } else {
        status = create_pipeline_cache(context);
        if (status) {
            goto fail;
        }
    }
    vsai_log(&context->log, VSA_LOG_INFO, "%s (%s %s), shaders by %s",
             context->properties.deviceName, context->driver.driverName,
             context->driver.driverInfo, compiler->name);
    *out_context = context;
    return VSA_SUCCESS;

fail:
    vsa_context_destroy(context);
    return status;
}

void vsa_context_destroy(vsa_context *context)
{
    if (!context) {
        return;
    }
    vsai_shader_set_destroy(&context->shaders, context->allocator);
    if (context->owns_pipeline_cache) {
        context->vk.DestroyPipelineCache(context->device, context->pipeline_cache,
                                         context->allocator);
    }
    /* The callbacks live inside the memory that is about to be freed. */
    const VkAllocationCallbacks storage = context->allocator_storage;
    vsai_free(context->allocator ? &storage : NULL, context);
}

void vsai_context_store_pipelines(vsa_context *context)
{
    if (!context->owns_pipeline_cache || !context->cache.put) {
        return;
    }
    size_t size = 0;
    VkResult result = context->vk.GetPipelineCacheData(context->device, context->pipeline_cache,
                                                       &size, NULL);
    if (result || size == 0 ||
        atomic_exchange(&context->pipeline_stored_size, size) == size) {
        return;
    }
    void *data = vsai_calloc(context->allocator, size, 1);
    if (!data) {
        return;
    }
    /* Another thread may grow the cache in between: VK_INCOMPLETE data is still valid data. */
    result = context->vk.GetPipelineCacheData(context->device, context->pipeline_cache, &size,
                                              data);
    if ((result == VK_SUCCESS || result == VK_INCOMPLETE) && size) {
        vsai_cache_put(&context->cache, context->allocator, context->pipeline_key, data, size);
    }
    vsai_free(context->allocator, data);
}
