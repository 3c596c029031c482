#include "log.h"

#include <stdarg.h>
#include <stdio.h>

static void write_message(const vsa_log *log, vsa_log_level level, const char *format, va_list list)
{
    if (!log || !log->write) {
        return;
    }
    const vsa_log_level max_level = log->max_level ? log->max_level : VSA_LOG_WARN;
    if (level > max_level) {
        return;
    }
    char message[1024];
    if (vsnprintf(message, sizeof(message), format, list) < 0) {
        return;
    }
    log->write(log->user, level, message);
}

void vsai_log(const vsa_log *log, vsa_log_level level, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    write_message(log, level, format, list);
    va_end(list);
}

vsa_result vsai_fail(const vsa_log *log, vsa_result result, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    write_message(log, VSA_LOG_ERROR, format, list);
    va_end(list);
    return result;
}

typedef struct vk_name {
    VkResult    code;
    const char *name;
    vsa_result  result;
} vk_name;

static const vk_name vk_names[] = {
    {VK_ERROR_OUT_OF_HOST_MEMORY, "VK_ERROR_OUT_OF_HOST_MEMORY", VSA_ERROR_OUT_OF_HOST_MEMORY},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, "VK_ERROR_OUT_OF_DEVICE_MEMORY",
     VSA_ERROR_OUT_OF_DEVICE_MEMORY},
    {VK_ERROR_OUT_OF_POOL_MEMORY, "VK_ERROR_OUT_OF_POOL_MEMORY", VSA_ERROR_OUT_OF_DEVICE_MEMORY},
    {VK_ERROR_FRAGMENTED_POOL, "VK_ERROR_FRAGMENTED_POOL", VSA_ERROR_OUT_OF_DEVICE_MEMORY},
    {VK_ERROR_DEVICE_LOST, "VK_ERROR_DEVICE_LOST", VSA_ERROR_DEVICE_LOST},
    {VK_ERROR_INVALID_SHADER_NV, "VK_ERROR_INVALID_SHADER_NV", VSA_ERROR_SHADER},
    {VK_ERROR_INCOMPATIBLE_DRIVER, "VK_ERROR_INCOMPATIBLE_DRIVER", VSA_ERROR_DEVICE_UNSUITABLE},
    {VK_ERROR_INITIALIZATION_FAILED, "VK_ERROR_INITIALIZATION_FAILED", VSA_ERROR_VULKAN},
    {VK_ERROR_LAYER_NOT_PRESENT, "VK_ERROR_LAYER_NOT_PRESENT", VSA_ERROR_VULKAN},
    {VK_ERROR_EXTENSION_NOT_PRESENT, "VK_ERROR_EXTENSION_NOT_PRESENT", VSA_ERROR_VULKAN},
    {VK_ERROR_FEATURE_NOT_PRESENT, "VK_ERROR_FEATURE_NOT_PRESENT", VSA_ERROR_VULKAN},
    {VK_ERROR_MEMORY_MAP_FAILED, "VK_ERROR_MEMORY_MAP_FAILED", VSA_ERROR_VULKAN},
    {VK_ERROR_TOO_MANY_OBJECTS, "VK_ERROR_TOO_MANY_OBJECTS", VSA_ERROR_VULKAN},
    {VK_ERROR_UNKNOWN, "VK_ERROR_UNKNOWN", VSA_ERROR_VULKAN},
    {VK_TIMEOUT, "VK_TIMEOUT", VSA_ERROR_VULKAN},
    {VK_NOT_READY, "VK_NOT_READY", VSA_ERROR_VULKAN},
    {VK_INCOMPLETE, "VK_INCOMPLETE", VSA_ERROR_VULKAN},
};

vsa_result vsai_fail_vk(const vsa_log *log, VkResult result, const char *what)
{
    if (result == VK_SUCCESS) {
        return VSA_SUCCESS;
    }
    for (size_t i = 0; i < sizeof(vk_names) / sizeof(vk_names[0]); ++i) {
        if (vk_names[i].code == result) {
            return vsai_fail(log, vk_names[i].result, "%s: %s", what, vk_names[i].name);
        }
    }
    return vsai_fail(log, VSA_ERROR_VULKAN, "%s: VkResult %d", what, (int)result);
}
