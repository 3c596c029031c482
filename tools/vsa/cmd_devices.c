/*
 * vsa devices: every Vulkan device, whether the library works on it, and what it lacks.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "device.h"
#include "json.h"
#include "tool.h"

static const char *verdict_name(vsa_verdict verdict)
{
    return verdict == VSA_VERDICT_WORKS ? "works" : verdict == VSA_VERDICT_SLOW ? "slow" : "cannot";
}

static void add_reasons(cJSON *object, const char *name, const char (*reasons)[96], uint32_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);

    for (uint32_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(array, cJSON_CreateString(reasons[i]));
    }
}

static int print_json(const vsa_device_info *devices, uint32_t count)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "devices");

    for (uint32_t i = 0; i < count; i++) {
        const vsa_device_info *device = &devices[i];
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddNumberToObject(entry, "index", device->index);
        cJSON_AddStringToObject(entry, "name", device->name);
        cJSON_AddStringToObject(entry, "driver", device->driver);
        cJSON_AddStringToObject(entry, "type", vsa_device_type_name(device->type));
        cJSON_AddStringToObject(entry, "verdict", verdict_name(device->report.verdict));
        add_reasons(entry, "missing", device->report.missing, device->report.missing_count);
        add_reasons(entry, "slow", device->report.slow, device->report.slow_count);
        cJSON_AddItemToArray(list, entry);
    }
    return json_print(root);
}

static int print_text(const vsa_device_info *devices, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const vsa_device_info *device = &devices[i];

        printf("%u  %-6s  %s, %s, Vulkan %u.%u.%u, %s\n", device->index,
               verdict_name(device->report.verdict), device->name,
               vsa_device_type_name(device->type), VK_API_VERSION_MAJOR(device->api_version),
               VK_API_VERSION_MINOR(device->api_version), VK_API_VERSION_PATCH(device->api_version),
               device->driver);
        for (uint32_t j = 0; j < device->report.missing_count; j++) {
            printf("           missing: %s\n", device->report.missing[j]);
        }
        for (uint32_t j = 0; j < device->report.slow_count; j++) {
            printf("           slower: %s\n", device->report.slow[j]);
        }
    }
    return tool_finish_output();
}

int command_devices(const tool_options *options)
{
    tool_device errors = {0};
    const vsa_log log = device_log(&errors);
    vsa_device_info *devices = NULL;
    uint32_t count = 0, capacity = 0;
    vsa_result result = vsa_standalone_list_devices(&log, NULL, 0, &count);

    if (result == VSA_SUCCESS && count > 0) {
        capacity = count;
        devices = calloc(capacity, sizeof *devices);
        if (!devices) {
            return tool_fail(EXIT_NO_DEVICE, "not enough memory for %u devices", count);
        }
        result = vsa_standalone_list_devices(&log, devices, capacity, &count);
        count = count < capacity ? count : capacity;
    }
    if (result != VSA_SUCCESS) {
        free(devices);
        device_fail(&errors, result, "the devices cannot be listed");
        return EXIT_NO_DEVICE;
    }

    int code = options->json ? print_json(devices, count) : print_text(devices, count);
    int usable = 0;

    for (uint32_t i = 0; i < count; i++) {
        usable += devices[i].report.verdict != VSA_VERDICT_CANNOT;
    }
    if (code == EXIT_DONE && usable == 0) {
        code = tool_fail(EXIT_NO_DEVICE, count ? "none of the Vulkan devices is usable"
                                               : "there is no Vulkan device: is a driver "
                                                 "installed?");
    }
    free(devices);
    return code;
}
