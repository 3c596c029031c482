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
        cJSON_AddStringToObject(entry, "verdict", device_verdict_name(device->report.verdict));
        json_add_reasons(entry, "missing", device->report.missing, device->report.missing_count);
        json_add_reasons(entry, "slow", device->report.slow, device->report.slow_count);
        cJSON_AddItemToArray(list, entry);
    }
    return json_print(root);
}

static int print_text(const vsa_device_info *devices, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const vsa_device_info *device = &devices[i];

        printf("%u  %-6s  %s, %s, Vulkan %u.%u.%u, %s\n", device->index,
               device_verdict_name(device->report.verdict), device->name,
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
    vsa_device_info *devices;
    uint32_t count;
    int code = device_list(&errors, &devices, &count);

    if (code != EXIT_DONE) {
        return code;
    }
    code = options->json ? print_json(devices, count) : print_text(devices, count);

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
