/* What devices there are, and whether they can run the library. */
#include "standalone.h"

#include <stdio.h>
#include <string.h>

const char *vsa_device_type_name(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return "discrete GPU";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return "integrated GPU";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return "virtual GPU";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return "CPU";
    default:
        return "other";
    }
}

int vsai_device_queue_family(const vsai_instance *instance, VkPhysicalDevice device,
                             uint32_t *out_family, uint32_t *out_timestamp_bits)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = sizeof(families) / sizeof(families[0]);
    int found = 0;
    instance->GetPhysicalDeviceQueueFamilyProperties(device, &count, families);
    for (uint32_t i = 0; i < count; ++i) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || families[i].queueCount == 0) {
            continue;
        }
        /* The first one, but rather one with timestamps. */
        if (!found || (*out_timestamp_bits == 0 && families[i].timestampValidBits > 0)) {
            *out_family = i;
            *out_timestamp_bits = families[i].timestampValidBits;
            found = 1;
        }
    }
    return found;
}

void vsai_device_describe(const vsai_instance *instance, VkPhysicalDevice device, uint32_t index,
                          vsa_device_info *out_info)
{
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceFeatures features;
    memset(out_info, 0, sizeof(*out_info));
    instance->GetPhysicalDeviceProperties(device, &properties);
    instance->GetPhysicalDeviceFeatures(device, &features);
    vsa_check_device(&properties, &features, &out_info->report);
    out_info->index = index;
    out_info->type = properties.deviceType;
    out_info->api_version = properties.apiVersion;
    snprintf(out_info->name, sizeof(out_info->name), "%s", properties.deviceName);

    if (properties.apiVersion >= VK_API_VERSION_1_2) {
        VkPhysicalDeviceDriverProperties driver = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
        };
        VkPhysicalDeviceProperties2 properties2 = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
            .pNext = &driver,
        };
        instance->GetPhysicalDeviceProperties2(device, &properties2);
        snprintf(out_info->driver, sizeof(out_info->driver), "%s%s%s", driver.driverName,
                 driver.driverInfo[0] ? " " : "", driver.driverInfo);
    } else {
        snprintf(out_info->driver, sizeof(out_info->driver), "driver version %u",
                 properties.driverVersion);
    }

    uint32_t family = 0;
    uint32_t bits = 0;
    vsa_device_report *report = &out_info->report;
    if (!vsai_device_queue_family(instance, device, &family, &bits)) {
        report->verdict = VSA_VERDICT_CANNOT;
        if (report->missing_count < VSA_MAX_REASONS) {
            snprintf(report->missing[report->missing_count++], sizeof(report->missing[0]),
                     "no queue family with VK_QUEUE_COMPUTE_BIT");
        }
    }
}

vsa_result vsai_devices_enumerate(const vsai_instance *instance, const vsa_log *log,
                                  VkPhysicalDevice **out_devices, uint32_t *out_count)
{
    *out_devices = NULL;
    *out_count = 0;
    if (!instance->handle) {
        return VSA_SUCCESS;
    }
    uint32_t count = 0;
    VkResult result = instance->EnumeratePhysicalDevices(instance->handle, &count, NULL);
    /* Loaders say this when every driver failed to start. */
    if (result == VK_ERROR_INITIALIZATION_FAILED || (result == VK_SUCCESS && count == 0)) {
        return VSA_SUCCESS;
    }
    if (result) {
        return vsai_fail_vk(log, result, "vkEnumeratePhysicalDevices");
    }
    VkPhysicalDevice *devices = vsai_calloc(NULL, count, sizeof(*devices));
    if (!devices) {
        return vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY, "no host memory for %u devices",
                         count);
    }
    result = instance->EnumeratePhysicalDevices(instance->handle, &count, devices);
    if (result && result != VK_INCOMPLETE) {
        vsai_free(NULL, devices);
        return vsai_fail_vk(log, result, "vkEnumeratePhysicalDevices");
    }
    *out_devices = devices;
    *out_count = count;
    return VSA_SUCCESS;
}

vsa_result vsa_standalone_list_devices(const vsa_log *log, vsa_device_info *out_devices,
                                       uint32_t capacity, uint32_t *out_count)
{
    if (!out_count || (capacity && !out_devices)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "out_count, or out_devices with a capacity, is NULL");
    }
    *out_count = 0;
    vsai_instance instance;
    VkPhysicalDevice *devices = NULL;
    uint32_t count = 0;
    vsa_result status = vsai_instance_create(NULL, log, NULL, 0, &instance);
    if (status) {
        return status;
    }
    status = vsai_devices_enumerate(&instance, log, &devices, &count);
    for (uint32_t i = 0; i < count && i < capacity; ++i) {
        vsai_device_describe(&instance, devices[i], i, &out_devices[i]);
    }
    *out_count = count;
    vsai_free(NULL, devices);
    vsai_instance_destroy(&instance, NULL);
    return status;
}
