#include "device.h"

#include <stdio.h>

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

int device_check_validation(const tool_device *device)
{
    const uint32_t count = vsa_standalone_validation_count(device->standalone);

    if (count == 0) {
        return EXIT_DONE;
    }
    return tool_fail(EXIT_NO_DEVICE, "%u validation messages, the last: %s", count,
                     device->sentence);
}
