/* vsa_standalone: one device, its queue and a context. */
#include "standalone.h"

#include <stdio.h>
#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int contains(const char *text, const char *part)
{
    const size_t size = strlen(part);
    for (; *text; ++text) {
        size_t i = 0;
        while (i < size && lower(text[i]) == lower(part[i])) {
            ++i;
        }
        if (i == size) {
            return 1;
        }
    }
    return 0;
}

/* The number when `text` is all digits, else -1. */
static int64_t parse_index(const char *text)
{
    int64_t value = 0;
    for (const char *c = text; *c; ++c) {
        if (*c < '0' || *c > '9') {
            return -1;
        }
        if (value < 1000000) {
            value = value * 10 + (*c - '0');
        }
    }
    return value;
}

static int type_rank(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return 3;
    default:
        return 4;
    }
}

static vsa_result fail_unsuitable(const vsa_log *log, const vsa_device_info *info)
{
    char reasons[VSA_MAX_REASONS * 100] = "";
    size_t length = 0;
    for (uint32_t i = 0; i < info->report.missing_count; ++i) {
        const int added = snprintf(reasons + length, sizeof(reasons) - length, "%s%s",
                                   i ? ", " : "", info->report.missing[i]);
        length += added > 0 ? (size_t)added : 0;
    }
    return vsai_fail(log, VSA_ERROR_DEVICE_UNSUITABLE, "device %u, %s: %s", info->index,
                     info->name, reasons);
}

static vsa_result choose_device(vsa_standalone *standalone, const char *wanted)
{
    const vsa_log *log = &standalone->log;
    VkPhysicalDevice *devices = NULL;
    uint32_t count = 0;
    vsa_result status = vsai_devices_enumerate(&standalone->instance, log, &devices, &count);
    if (status) {
        return status;
    }
    if (count == 0) {
        return vsai_fail(log, VSA_ERROR_DEVICE_UNSUITABLE,
                         "no Vulkan device was found (Debian: mesa-vulkan-drivers)");
    }
    if (wanted && !wanted[0]) {
        wanted = NULL;
    }
    const int64_t index = wanted ? parse_index(wanted) : -1;
    vsa_device_info rejected = {0};
    int best = -1;
    int any_rejected = 0;
    for (uint32_t i = 0; i < count; ++i) {
        vsa_device_info info;
        vsai_device_describe(&standalone->instance, devices[i], i, &info);
        const int matches = !wanted      ? 1
                            : index >= 0 ? index == (int64_t)i
                                         : contains(info.name, wanted);
        if (!matches) {
            continue;
        }
        if (info.report.verdict == VSA_VERDICT_CANNOT) {
            if (!any_rejected) {
                rejected = info;
            }
            any_rejected = 1;
            continue;
        }
        const int rank = wanted ? 0 : type_rank(info.type);
        if (best < 0 || rank < best) {
            best = rank;
            standalone->info = info;
            standalone->physical_device = devices[i];
        }
    }
    vsai_free(NULL, devices);
    if (best >= 0) {
        return VSA_SUCCESS;
    }
    if (any_rejected) {
        return fail_unsuitable(log, &rejected);
    }
    return vsai_fail(log, VSA_ERROR_DEVICE_UNSUITABLE, "no device matches \"%s\", of %u", wanted,
                     count);
}

static int find_extension(const VkExtensionProperties *properties, uint32_t count,
                          const char *name)
{
    for (uint32_t i = 0; i < count; ++i) {
        if (strcmp(properties[i].extensionName, name) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Whether pipelines can be asked what they compiled to. */
static int has_executable_info(const vsa_standalone *standalone)
{
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
    };
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = &executable,
    };
    standalone->instance.GetPhysicalDeviceFeatures2(standalone->physical_device, &features);
    return executable.pipelineExecutableInfo == VK_TRUE;
}

static vsa_result load_device_functions(vsa_standalone *standalone)
{
#define LOAD(name)                                                                          \
    standalone->vk.name = (PFN_vk##name)standalone->instance.GetDeviceProcAddr(             \
        standalone->device, "vk" #name);                                                    \
    if (!standalone->vk.name) {                                                             \
        return vsai_fail(&standalone->log, VSA_ERROR_VULKAN, "the device has no vk" #name); \
    }
    VSAI_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    return VSA_SUCCESS;
}

static vsa_result create_device(vsa_standalone *standalone,
                                const vsa_standalone_create_info *info)
{
    const vsai_instance *instance = &standalone->instance;
    const vsa_log *log = &standalone->log;
    vsa_device_requirements needs;
    vsa_get_device_requirements(&needs);

    vsa_result status = VSA_SUCCESS;
    uint32_t available_count = 0;
    VkExtensionProperties *available = NULL;
    const char **enabled =
        vsai_calloc(NULL, needs.extension_count + needs.optional_extension_count + 3,
                    sizeof(*enabled));
    VkResult result = instance->EnumerateDeviceExtensionProperties(standalone->physical_device,
                                                                   NULL, &available_count, NULL);
    if (result) {
        status = vsai_fail_vk(log, result, "vkEnumerateDeviceExtensionProperties");
        goto done;
    }
    available = vsai_calloc(NULL, available_count + 1, sizeof(*available));
    if (!enabled || !available) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                           "no host memory for %u extension names", available_count);
        goto done;
    }
    result = instance->EnumerateDeviceExtensionProperties(standalone->physical_device, NULL,
                                                          &available_count, available);
    if (result && result != VK_INCOMPLETE) {
        status = vsai_fail_vk(log, result, "vkEnumerateDeviceExtensionProperties");
        goto done;
    }
    uint32_t enabled_count = 0;
    for (uint32_t i = 0; i < needs.extension_count; ++i) {
        if (!find_extension(available, available_count, needs.extensions[i])) {
            status = vsai_fail(log, VSA_ERROR_DEVICE_UNSUITABLE, "%s has no %s",
                               standalone->info.name, needs.extensions[i]);
            goto done;
        }
        enabled[enabled_count++] = needs.extensions[i];
    }
    for (uint32_t i = 0; i < needs.optional_extension_count; ++i) {
        if (find_extension(available, available_count, needs.optional_extensions[i])) {
            enabled[enabled_count++] = needs.optional_extensions[i];
        }
    }

    const int executable_info =
        info->compile_only &&
        find_extension(available, available_count,
                       VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME) &&
        has_executable_info(standalone);
    if (executable_info) {
        enabled[enabled_count++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    }

    const int imports = find_extension(available, available_count,
                                       VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
    if (imports) {
        enabled[enabled_count++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
    }

    uint32_t timestamp_bits = 0;
    vsai_device_queue_family(instance, standalone->physical_device, &standalone->queue_family,
                             &timestamp_bits);
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT,
    };
    VkPhysicalDeviceMaintenance3Properties maintenance3 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
        .pNext = imports ? &host : NULL,
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = &maintenance3,
    };
    instance->GetPhysicalDeviceProperties2(standalone->physical_device, &properties);
    instance->GetPhysicalDeviceMemoryProperties(standalone->physical_device,
                                                &standalone->memory);
    standalone->max_allocation_size = maintenance3.maxMemoryAllocationSize;
    standalone->timestamp_period = (double)properties.properties.limits.timestampPeriod;
    if (timestamp_bits && standalone->timestamp_period > 0.0) {
        standalone->timestamp_mask =
            timestamp_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << timestamp_bits) - 1;
    }

    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE,
    };
    VkPhysicalDeviceVulkan12Features features12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = executable_info ? &executable : NULL,
    };
    VkPhysicalDeviceVulkan11Features features11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
        .pNext = &features12,
    };
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = &features11,
    };
    vsa_require_features(&features, &features11, &features12);
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue_info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = standalone->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo device_info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue_info,
        .enabledExtensionCount = enabled_count,
        .ppEnabledExtensionNames = enabled,
    };
    result = instance->CreateDevice(standalone->physical_device, &device_info,
                                    standalone->allocator, &standalone->device);
    if (result) {
        standalone->device = VK_NULL_HANDLE;
        status = vsai_fail_vk(log, result, "vkCreateDevice");
        goto done;
    }
    status = load_device_functions(standalone);
    if (status) {
        goto done;
    }
    if (imports) {
        standalone->vk.GetMemoryHostPointerPropertiesEXT =
            (PFN_vkGetMemoryHostPointerPropertiesEXT)instance->GetDeviceProcAddr(
                standalone->device, "vkGetMemoryHostPointerPropertiesEXT");
        standalone->import_alignment = standalone->vk.GetMemoryHostPointerPropertiesEXT
                                           ? host.minImportedHostPointerAlignment
                                           : 0;
    }
    standalone->vk.GetDeviceQueue(standalone->device, standalone->queue_family, 0,
                                  &standalone->queue);

    const vsa_context_create_info context_info = {
        .api_version = info->api_version,
        .get_instance_proc_addr = instance->get_instance_proc_addr,
        .instance = instance->handle,
        .physical_device = standalone->physical_device,
        .device = standalone->device,
        .vulkan_api_version = VK_API_VERSION_1_2,
        .enabled_features = &features,
        .enabled_extensions = enabled,
        .enabled_extension_count = enabled_count,
        .allocator = standalone->allocator,
        .cache = standalone->cache ? vsa_directory_cache_callbacks(standalone->cache)
                                   : (vsa_cache){0},
        .log = standalone->log,
        .compiler = info->compiler,
        .max_storage_range = info->max_storage_range,
        .parallel = vsa_threads(info->thread_count),
    };
    status = vsa_context_create(&context_info, &standalone->context);

done:
    vsai_free(NULL, available);
    vsai_free(NULL, (void *)enabled);
    return status;
}

static vsa_result create_commands(vsa_standalone *standalone)
{
    const vsai_device_functions *vk = &standalone->vk;
    /* First: a driver that only compiles (RADV's null device) fails here. */
    const VkFenceCreateInfo fence_info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkResult result = vk->CreateFence(standalone->device, &fence_info, standalone->allocator,
                                      &standalone->fence);
    if (result) {
        standalone->fence = VK_NULL_HANDLE;
        return vsai_fail_vk(&standalone->log, result, "vkCreateFence");
    }
    const VkCommandPoolCreateInfo pool_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = standalone->queue_family,
    };
    result = vk->CreateCommandPool(standalone->device, &pool_info, standalone->allocator,
                                   &standalone->pool);
    if (result) {
        standalone->pool = VK_NULL_HANDLE;
        return vsai_fail_vk(&standalone->log, result, "vkCreateCommandPool");
    }
    const VkCommandBufferAllocateInfo cmd_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = standalone->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    result = vk->AllocateCommandBuffers(standalone->device, &cmd_info, &standalone->cmd);
    if (result) {
        return vsai_fail_vk(&standalone->log, result, "vkAllocateCommandBuffers");
    }
    return VSA_SUCCESS;
}

vsa_result vsa_standalone_create(const vsa_standalone_create_info *info,
                                 vsa_standalone **out_standalone)
{
    if (!out_standalone) {
        return vsai_fail(info ? &info->log : NULL, VSA_ERROR_INVALID_ARGUMENT,
                         "out_standalone is NULL");
    }
    *out_standalone = NULL;
    if (!info) {
        return VSA_ERROR_INVALID_ARGUMENT;
    }
    if (info->api_version >> 8 != VSA_API_VERSION >> 8) {
        return vsai_fail(&info->log, VSA_ERROR_VERSION_MISMATCH,
                         "api_version is %u.%u, the library is %u.%u: set it to VSA_API_VERSION "
                         "and rebuild against its header",
                         info->api_version >> 16, info->api_version >> 8 & 0xffu,
                         VSA_VERSION_MAJOR, VSA_VERSION_MINOR);
    }
    const VkAllocationCallbacks *allocator = info->allocator;
    if (allocator && (!allocator->pfnAllocation || !allocator->pfnFree ||
                      !allocator->pfnReallocation)) {
        return vsai_fail(&info->log, VSA_ERROR_INVALID_ARGUMENT,
                         "allocator lacks pfnAllocation, pfnReallocation or pfnFree");
    }
    vsa_standalone *standalone = vsai_calloc(allocator, 1, sizeof(*standalone));
    if (!standalone) {
        return vsai_fail(&info->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                         "no host memory for a vsa_standalone");
    }
    if (allocator) {
        standalone->allocator_storage = *allocator;
        standalone->allocator = &standalone->allocator_storage;
    }
    standalone->log = info->log;
    standalone->compile_only = info->compile_only;
    atomic_init(&standalone->validation_count, 0);

    vsa_result status = VSA_SUCCESS;
    if (info->cache_directory) {
        status = vsa_directory_cache_create(info->cache_directory, &standalone->log,
                                            &standalone->cache);
        if (status) {
            goto fail;
        }
    }
    if ((status = vsai_instance_create(standalone, &standalone->log, info->get_instance_proc_addr,
                                       info->validation, &standalone->instance)) ||
        (status = choose_device(standalone, info->device)) ||
        (status = create_device(standalone, info)) ||
        (!info->compile_only && (status = create_commands(standalone)))) {
        goto fail;
    }
    *out_standalone = standalone;
    return VSA_SUCCESS;

fail:
    vsa_standalone_destroy(standalone);
    return status;
}

void vsa_standalone_destroy(vsa_standalone *standalone)
{
    if (!standalone) {
        return;
    }
    if (standalone->device) {
        const vsai_device_functions *vk = &standalone->vk;
        /* Without a fence nothing was submitted, and RADV's null device crashes when it waits. */
        if (vk->DeviceWaitIdle && standalone->fence) {
            vk->DeviceWaitIdle(standalone->device);
        }
        vsa_buffer_destroy(standalone->staging);
        vsa_context_destroy(standalone->context);
        if (standalone->fence) {
            vk->DestroyFence(standalone->device, standalone->fence, standalone->allocator);
        }
        if (standalone->pool) {
            vk->DestroyCommandPool(standalone->device, standalone->pool, standalone->allocator);
        }
        if (vk->DestroyDevice) {
            vk->DestroyDevice(standalone->device, standalone->allocator);
        }
    }
    vsai_instance_destroy(&standalone->instance, standalone->allocator);
    vsa_directory_cache_destroy(standalone->cache);
    /* The callbacks live inside the memory that is about to be freed. */
    const VkAllocationCallbacks storage = standalone->allocator_storage;
    vsai_free(standalone->allocator ? &storage : NULL, standalone);
}

const vsa_device_info *vsa_standalone_device(const vsa_standalone *standalone)
{
    return &standalone->info;
}

vsa_context *vsa_standalone_context(const vsa_standalone *standalone)
{
    return standalone->context;
}

uint32_t vsa_standalone_validation_count(const vsa_standalone *standalone)
{
    return atomic_load(&((vsa_standalone *)standalone)->validation_count);
}

void vsa_standalone_handles(const vsa_standalone *standalone, vsa_vulkan_handles *out_handles)
{
    *out_handles = (vsa_vulkan_handles){
        .get_instance_proc_addr = standalone->instance.get_instance_proc_addr,
        .instance = standalone->instance.handle,
        .physical_device = standalone->physical_device,
        .device = standalone->device,
        .queue = standalone->queue,
        .queue_family = standalone->queue_family,
    };
}
