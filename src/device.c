/* What a device must have: pure, from what it reports. */
#include "vsa.h"

#include <stdio.h>
#include <string.h>

static const char *const optional_extensions[] = {
    /* Must be enabled where it is present: Metal and other layered drivers. */
    "VK_KHR_portability_subset",
};

void vsa_get_device_requirements(vsa_device_requirements *out_requirements)
{
    *out_requirements = (vsa_device_requirements){
        .api_version = VK_API_VERSION_1_2,
        .optional_extensions = optional_extensions,
        .optional_extension_count = sizeof(optional_extensions) / sizeof(optional_extensions[0]),
    };
}

void vsa_require_features(VkPhysicalDeviceFeatures2 *features,
                          VkPhysicalDeviceVulkan11Features *features11,
                          VkPhysicalDeviceVulkan12Features *features12)
{
    /* No kernel needs a feature bit. */
    (void)features;
    (void)features11;
    (void)features12;
}

static void add_missing(vsa_device_report *report, const char *name, uint32_t has, uint32_t needs)
{
    if (has < needs && report->missing_count < VSA_MAX_REASONS) {
        snprintf(report->missing[report->missing_count], sizeof(report->missing[0]), "%s %u < %u",
                 name, has, needs);
        report->missing_count++;
    }
}

static void add_slow(vsa_device_report *report, const char *reason)
{
    if (report->slow_count < VSA_MAX_REASONS) {
        snprintf(report->slow[report->slow_count], sizeof(report->slow[0]), "%s", reason);
        report->slow_count++;
    }
}

void vsa_check_device(const VkPhysicalDeviceProperties *properties,
                      const VkPhysicalDeviceFeatures *features, vsa_device_report *out_report)
{
    (void)features;   /* no kernel needs a feature bit */
    const VkPhysicalDeviceLimits *limits = &properties->limits;
    memset(out_report, 0, sizeof(*out_report));
    if (properties->apiVersion < VK_API_VERSION_1_2) {
        snprintf(out_report->missing[out_report->missing_count++],
                 sizeof(out_report->missing[0]), "apiVersion %u.%u < 1.2",
                 VK_API_VERSION_MAJOR(properties->apiVersion),
                 VK_API_VERSION_MINOR(properties->apiVersion));
    }
    const struct {
        const char *name;
        uint32_t    has, needs;
    } floors[] = {
        {"maxComputeWorkGroupInvocations", limits->maxComputeWorkGroupInvocations, 256},
        {"maxComputeWorkGroupSize[0]", limits->maxComputeWorkGroupSize[0], 256},
        {"maxComputeSharedMemorySize", limits->maxComputeSharedMemorySize, 32768},
        {"maxPushConstantsSize", limits->maxPushConstantsSize, 128},
        {"maxPerStageDescriptorStorageBuffers", limits->maxPerStageDescriptorStorageBuffers, 14},
        {"maxStorageBufferRange", limits->maxStorageBufferRange, 1u << 27},
        {"maxBoundDescriptorSets", limits->maxBoundDescriptorSets, 1},
    };
    for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); ++i) {
        add_missing(out_report, floors[i].name, floors[i].has, floors[i].needs);
    }
    if (properties->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU) {
        add_slow(out_report, "runs on the CPU");
    }
    if (limits->maxPerStageDescriptorStorageBuffers < 28) {
        /* 8 segments each for K and V, and the 12 other bindings. */
        add_slow(out_report, "K and V cannot be bound as segments: one plane is limited to "
                             "maxStorageBufferRange");
    }
    out_report->verdict = out_report->missing_count ? VSA_VERDICT_CANNOT
                          : out_report->slow_count  ? VSA_VERDICT_SLOW
                                                    : VSA_VERDICT_WORKS;
}
