#include "device.h"

#include <stdio.h>
#include <stdlib.h>

#include "tool.h"

static void keep_sentence(void *user, vsa_log_level level, const char *message)
{
    tool_device *device = user;

    if (level == VSA_LOG_ERROR) {
        snprintf(device->sentence, sizeof device->sentence, "%s", message);
    }
}

vsa_log device_log(tool_device *device)
{
    return (vsa_log){.write = keep_sentence, .user = device, .max_level = VSA_LOG_ERROR};
}

int device_open(tool_device *out_device, const tool_options *options)
{
    *out_device = (tool_device){0};

    const vsa_standalone_create_info info = {
        .api_version = VSA_API_VERSION,
        .device = options->device,
        .cache_directory = options->cache,
        .validation = options->vulkan_validation,
        .compiler = (vsa_compiler)options->compiler,
        .log = device_log(out_device),
    };
    const vsa_result result = vsa_standalone_create(&info, &out_device->standalone);

    if (result == VSA_SUCCESS) {
        return EXIT_DONE;
    }
    return device_fail(out_device, result, "the device cannot be opened");
}

void device_close(tool_device *device)
{
    vsa_standalone_destroy(device->standalone);
    device->standalone = NULL;
}

int device_fail(const tool_device *device, vsa_result result, const char *what)
{
    const int code = result == VSA_ERROR_INVALID_ARGUMENT || result == VSA_ERROR_UNSUPPORTED_CONFIG
                         ? EXIT_BAD_INPUT
                         : EXIT_NO_DEVICE;

    if (device->sentence[0] != '\0') {
        return tool_fail(code, "%s", device->sentence);
    }
    return tool_fail(code, "%s: %s", what, vsa_result_name(result));
}

const char *device_verdict_name(vsa_verdict verdict)
{
    return verdict == VSA_VERDICT_WORKS ? "works" : verdict == VSA_VERDICT_SLOW ? "slow" : "cannot";
}

int device_list(tool_device *device, vsa_device_info **out_devices, uint32_t *out_count)
{
    const vsa_log log = device_log(device);
    vsa_device_info *devices = NULL;
    uint32_t count = 0;
    vsa_result result = vsa_standalone_list_devices(&log, NULL, 0, &count);

    *out_devices = NULL;
    *out_count = 0;
    if (result == VSA_SUCCESS && count > 0) {
        const uint32_t capacity = count;

        devices = calloc(capacity, sizeof *devices);
        if (!devices) {
            return tool_fail(EXIT_NO_DEVICE, "not enough memory for %u devices", count);
        }
        result = vsa_standalone_list_devices(&log, devices, capacity, &count);
        count = count < capacity ? count : capacity;
    }
    if (result != VSA_SUCCESS) {
        free(devices);
        device_fail(device, result, "the devices cannot be listed");
        return EXIT_NO_DEVICE;
    }
    *out_devices = devices;
    *out_count = count;
    return EXIT_DONE;
}

int device_check_validation(const tool_device *device)
{
    const uint32_t count = vsa_standalone_validation_count(device->standalone);

    if (count == 0) {
        return EXIT_DONE;
    }
    return tool_fail(EXIT_NO_DEVICE, "%u validation messages, the last: %s", count,
                     device->sentence);
}
