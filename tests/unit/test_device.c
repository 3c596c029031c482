/* vsa_check_device on devices that are made up. */
#include "check.h"
#include "vsa.h"

#include <string.h>

/* A desktop GPU with room to spare. */
static VkPhysicalDeviceProperties good_device(void)
{
    VkPhysicalDeviceProperties p = { .apiVersion = VK_API_VERSION_1_3,
                                     .deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU };
    p.limits.maxStorageBufferRange = 0xffffffffu;
    p.limits.maxPushConstantsSize = 256;
    p.limits.maxBoundDescriptorSets = 32;
    p.limits.maxPerStageDescriptorStorageBuffers = 1u << 20;
    p.limits.maxPerStageResources = 1u << 20;
    p.limits.maxDescriptorSetStorageBuffers = 1u << 20;
    p.limits.maxComputeSharedMemorySize = 65536;
    p.limits.maxComputeWorkGroupInvocations = 1024;
    for (int i = 0; i < 3; i++) {
        p.limits.maxComputeWorkGroupCount[i] = 0x7fffffff;
        p.limits.maxComputeWorkGroupSize[i] = 1024;
    }
    p.limits.minStorageBufferOffsetAlignment = 16;
    p.limits.timestampComputeAndGraphics = VK_TRUE;
    return p;
}

/* Vulkan's required minimum limits. */
static VkPhysicalDeviceProperties minimum_device(void)
{
    VkPhysicalDeviceProperties p = good_device();
    p.limits.maxStorageBufferRange = 1u << 27;
    p.limits.maxPushConstantsSize = 128;
    p.limits.maxBoundDescriptorSets = 4;
    p.limits.maxPerStageDescriptorStorageBuffers = 4;
    p.limits.maxPerStageResources = 128;
    p.limits.maxDescriptorSetStorageBuffers = 24;
    p.limits.maxComputeSharedMemorySize = 16384;
    p.limits.maxComputeWorkGroupInvocations = 128;
    p.limits.maxComputeWorkGroupSize[0] = 128;
    p.limits.maxComputeWorkGroupSize[1] = 128;
    p.limits.maxComputeWorkGroupSize[2] = 64;
    for (int i = 0; i < 3; i++) {
        p.limits.maxComputeWorkGroupCount[i] = 65535;
    }
    p.limits.minStorageBufferOffsetAlignment = 256;
    return p;
}

static int mentions(const vsa_device_report *report, const char *text)
{
    for (uint32_t i = 0; i < report->missing_count && i < VSA_MAX_REASONS; i++) {
        if (strstr(report->missing[i], text) != NULL) {
            return 1;
        }
    }
    return 0;
}

static void a_desktop_gpu_works(void **state)
{
    (void)state;
    VkPhysicalDeviceProperties properties = good_device();
    VkPhysicalDeviceFeatures features = { 0 };
    vsa_device_report report;
    memset(&report, 0xff, sizeof report);
    vsa_check_device(&properties, &features, &report);
    assert_int_equal(report.verdict, VSA_VERDICT_WORKS);
    assert_int_equal(report.missing_count, 0);
    assert_int_equal(report.slow_count, 0);
}

static void the_minimum_device_is_refused_with_names(void **state)
{
    (void)state;
    VkPhysicalDeviceProperties properties = minimum_device();
    VkPhysicalDeviceFeatures features = { 0 };
    vsa_device_report report;
    vsa_check_device(&properties, &features, &report);
    assert_int_equal(report.verdict, VSA_VERDICT_CANNOT);
    assert_in_range(report.missing_count, 1, VSA_MAX_REASONS);
    assert_true(mentions(&report, "maxComputeWorkGroupInvocations 128 < 256"));
    assert_true(mentions(&report, "maxComputeSharedMemorySize 16384"));
    for (uint32_t i = 0; i < report.missing_count; i++) {
        assert_non_null(memchr(report.missing[i], 0, sizeof report.missing[i]));
        assert_true(strlen(report.missing[i]) > 8);
    }
}

/* Each limit alone, just under the portability floor, is named. */
static void each_limit_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t      offset;
        uint32_t    below;
    } limits[] = {
        { "maxComputeWorkGroupInvocations",
          offsetof(VkPhysicalDeviceLimits, maxComputeWorkGroupInvocations), 255 },
        { "maxComputeSharedMemorySize",
          offsetof(VkPhysicalDeviceLimits, maxComputeSharedMemorySize), 32767 },
        { "maxComputeWorkGroupSize",
          offsetof(VkPhysicalDeviceLimits, maxComputeWorkGroupSize), 255 },
        { "maxPushConstantsSize", offsetof(VkPhysicalDeviceLimits, maxPushConstantsSize), 127 },
        { "maxPerStageDescriptorStorageBuffers",
          offsetof(VkPhysicalDeviceLimits, maxPerStageDescriptorStorageBuffers), 4 },
        { "maxStorageBufferRange", offsetof(VkPhysicalDeviceLimits, maxStorageBufferRange),
          (1u << 27) - 1 },
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        VkPhysicalDeviceProperties properties = good_device();
        VkPhysicalDeviceFeatures features = { 0 };
        vsa_device_report report;
        memcpy((char *)&properties.limits + limits[i].offset, &limits[i].below, 4);
        vsa_check_device(&properties, &features, &report);
        check_that(report.verdict == VSA_VERDICT_CANNOT, "%s was not refused", limits[i].name);
        check_that(report.missing_count == 1, "%s: %u reasons", limits[i].name,
                   report.missing_count);
        check_that(mentions(&report, limits[i].name), "%s: reason is '%s'", limits[i].name,
                   report.missing[0]);
    }
}

static void an_old_version_is_refused(void **state)
{
    (void)state;
    VkPhysicalDeviceProperties properties = good_device();
    VkPhysicalDeviceFeatures features = { 0 };
    vsa_device_report report;
    properties.apiVersion = VK_API_VERSION_1_1;
    vsa_check_device(&properties, &features, &report);
    assert_int_equal(report.verdict, VSA_VERDICT_CANNOT);
    assert_int_equal(report.missing_count, 1);
    assert_true(mentions(&report, "1.1"));
}

static void the_portability_floor_is_enough(void **state)
{
    (void)state;
    VkPhysicalDeviceProperties properties = minimum_device();
    VkPhysicalDeviceFeatures features = { 0 };
    vsa_device_report report;
    properties.apiVersion = VK_API_VERSION_1_2;
    properties.limits.maxComputeWorkGroupInvocations = 256;
    for (int i = 0; i < 2; i++) {
        properties.limits.maxComputeWorkGroupSize[i] = 256;
    }
    properties.limits.maxComputeSharedMemorySize = 32768;
    properties.limits.maxPerStageDescriptorStorageBuffers = 16;   /* the lowest in the field */
    vsa_check_device(&properties, &features, &report);
    assert_int_not_equal(report.verdict, VSA_VERDICT_CANNOT);
    assert_int_equal(report.missing_count, 0);
}

static void requirements_are_static(void **state)
{
    (void)state;
    vsa_device_requirements requirements;
    memset(&requirements, 0xff, sizeof requirements);
    vsa_get_device_requirements(&requirements);
    assert_int_equal(requirements.api_version, VK_API_VERSION_1_2);
    for (uint32_t i = 0; i < requirements.extension_count; i++) {
        assert_int_equal(strncmp(requirements.extensions[i], "VK_", 3), 0);
    }
    for (uint32_t i = 0; i < requirements.optional_extension_count; i++) {
        assert_int_equal(strncmp(requirements.optional_extensions[i], "VK_", 3), 0);
    }
}

static void features_are_only_added(void **state)
{
    (void)state;
    VkPhysicalDeviceFeatures2 features = { .features.shaderInt64 = VK_TRUE,
                                           .features.geometryShader = VK_TRUE };
    VkPhysicalDeviceVulkan11Features features11 = { .multiview = VK_TRUE };
    VkPhysicalDeviceVulkan12Features features12 = { .timelineSemaphore = VK_TRUE };
    vsa_require_features(&features, &features11, &features12);
    assert_true(features.features.shaderInt64 && features.features.geometryShader);
    assert_true(features11.multiview && features12.timelineSemaphore);
    vsa_require_features(NULL, NULL, NULL);
    vsa_require_features(&features, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_desktop_gpu_works),
        cmocka_unit_test(the_minimum_device_is_refused_with_names),
        cmocka_unit_test(each_limit_is_named),
        cmocka_unit_test(an_old_version_is_refused),
        cmocka_unit_test(the_portability_floor_is_enough),
        cmocka_unit_test(requirements_are_static),
        cmocka_unit_test(features_are_only_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
