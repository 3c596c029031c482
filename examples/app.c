#include "app.h"

#include <math.h>
#include <string.h>

static int has_extension(VkPhysicalDevice device, const char *name)
{
    static VkExtensionProperties properties[1024];
    uint32_t count = 1024;
    int found = name == NULL;

    if (!found && vkEnumerateDeviceExtensionProperties(device, NULL, &count, properties) >= 0) {
        for (uint32_t i = 0; i < count && !found; i++) {
            found = strcmp(properties[i].extensionName, name) == 0;
        }
    }
    return found;
}

static int compute_family(VkPhysicalDevice device, uint32_t *out_family)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = 32;

    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) {
            *out_family = i;
            return 1;
        }
    }
    return 0;
}

static int choose(app *a, const char *extension)
{
    VkPhysicalDevice devices[16];
    uint32_t count = 16;

    if (vkEnumeratePhysicalDevices(a->instance, &count, devices) < 0) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        VkPhysicalDeviceProperties properties;
        VkPhysicalDeviceFeatures features;
        vsa_device_report report;

        vkGetPhysicalDeviceProperties(devices[i], &properties);
        vkGetPhysicalDeviceFeatures(devices[i], &features);
        vsa_check_device(&properties, &features, &report);
        if (report.verdict == VSA_VERDICT_CANNOT) {
            printf("%s: %s\n", properties.deviceName, report.missing[0]);
        } else if (has_extension(devices[i], extension) &&
                   compute_family(devices[i], &a->queue_family)) {
            printf("%s\n", properties.deviceName);
            a->physical_device = devices[i];
            return 1;
        }
    }
    return 0;
}

void app_open(app *a, const VkPhysicalDeviceFeatures2 *features, const char *extension)
{
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2};
    const VkInstanceCreateInfo instance = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueCount = 1, .pQueuePriorities = &priority};
    const VkDeviceCreateInfo device = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = features,
        .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
        .enabledExtensionCount = extension ? 1 : 0, .ppEnabledExtensionNames = &extension};

    memset(a, 0, sizeof *a);
    if (vkCreateInstance(&instance, NULL, &a->instance) != VK_SUCCESS || !choose(a, extension)) {
        printf("no device\n");
        exit(77);
    }
    queue.queueFamilyIndex = a->queue_family;
    APP_CHECK(vkCreateDevice(a->physical_device, &device, NULL, &a->device));
    vkGetDeviceQueue(a->device, a->queue_family, 0, &a->queue);
    APP_CHECK(vkCreateCommandPool(a->device,
                                  &(VkCommandPoolCreateInfo){
                                      .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                      .queueFamilyIndex = a->queue_family},
                                  NULL, &a->pool));
}

void app_close(app *a)
{
    vkDestroyCommandPool(a->device, a->pool, NULL);
    vkDestroyDevice(a->device, NULL);
    vkDestroyInstance(a->instance, NULL);
}

static uint32_t memory_type(const app *a, uint32_t allowed)
{
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t i = 0;

    vkGetPhysicalDeviceMemoryProperties(a->physical_device, &memory);
    while (i + 1 < memory.memoryTypeCount &&
           (!(allowed & 1u << i) || (memory.memoryTypes[i].propertyFlags & wanted) != wanted)) {
        i++;
    }
    return i;
}

app_buffer app_buffer_make(const app *a, VkDeviceSize size, VkBufferUsageFlags usage)
{
    app_buffer b = {.size = size};
    VkMemoryRequirements needs;

    if (size == 0) {
        return b;
    }
    APP_CHECK(vkCreateBuffer(a->device,
                             &(VkBufferCreateInfo){.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                                   .size = size,
                                                   .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                                            usage},
                             NULL, &b.buffer));
    vkGetBufferMemoryRequirements(a->device, b.buffer, &needs);
    APP_CHECK(vkAllocateMemory(a->device,
                               &(VkMemoryAllocateInfo){
                                   .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                   .allocationSize = needs.size,
                                   .memoryTypeIndex = memory_type(a, needs.memoryTypeBits)},
                               NULL, &b.memory));
    APP_CHECK(vkBindBufferMemory(a->device, b.buffer, b.memory, 0));
    APP_CHECK(vkMapMemory(a->device, b.memory, 0, VK_WHOLE_SIZE, 0, &b.mapped));
    return b;
}

void app_buffer_free(const app *a, app_buffer *buffer)
{
    vkDestroyBuffer(a->device, buffer->buffer, NULL);
    vkFreeMemory(a->device, buffer->memory, NULL);
}

VkDescriptorBufferInfo app_range(const app_buffer *buffer)
{
    return (VkDescriptorBufferInfo){.buffer = buffer->buffer, .range = buffer->size};
}

app_shader app_shader_make(const app *a, const uint32_t *words, size_t size,
                           const app_buffer *const *buffers, uint32_t buffer_count)
{
    VkDescriptorSetLayoutBinding bindings[16];
    VkDescriptorBufferInfo infos[16];
    VkWriteDescriptorSet writes[16];
    VkShaderModule module;
    app_shader s = {0};

    for (uint32_t i = 0; i < buffer_count; i++) {
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i, .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1, .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    }
    APP_CHECK(vkCreateDescriptorSetLayout(
        a->device,
        &(VkDescriptorSetLayoutCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
            .bindingCount = buffer_count, .pBindings = bindings},
        NULL, &s.set_layout));
    APP_CHECK(vkCreatePipelineLayout(
        a->device,
        &(VkPipelineLayoutCreateInfo){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1,
            .pSetLayouts = &s.set_layout, .pushConstantRangeCount = 1,
            .pPushConstantRanges = &(VkPushConstantRange){VK_SHADER_STAGE_COMPUTE_BIT, 0, 4}},
        NULL, &s.layout));
    APP_CHECK(vkCreateShaderModule(
        a->device,
        &(VkShaderModuleCreateInfo){.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                    .codeSize = size, .pCode = words},
        NULL, &module));
    APP_CHECK(vkCreateComputePipelines(
        a->device, VK_NULL_HANDLE, 1,
        &(VkComputePipelineCreateInfo){
            .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
            .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                      .stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = module, .pName = "main"},
            .layout = s.layout},
        NULL, &s.pipeline));
    vkDestroyShaderModule(a->device, module, NULL);
    APP_CHECK(vkCreateDescriptorPool(
        a->device,
        &(VkDescriptorPoolCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1,
            .poolSizeCount = 1,
            .pPoolSizes = &(VkDescriptorPoolSize){VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                  buffer_count}},
        NULL, &s.pool));
    APP_CHECK(vkAllocateDescriptorSets(
        a->device,
        &(VkDescriptorSetAllocateInfo){.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                       .descriptorPool = s.pool, .descriptorSetCount = 1,
                                       .pSetLayouts = &s.set_layout},
        &s.set));
    for (uint32_t i = 0; i < buffer_count; i++) {
        infos[i] = app_range(buffers[i]);
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstSet = s.set, .dstBinding = i,
            .descriptorCount = 1, .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &infos[i]};
    }
    vkUpdateDescriptorSets(a->device, buffer_count, writes, 0, NULL);
    return s;
}

void app_shader_free(const app *a, app_shader *shader)
{
    vkDestroyDescriptorPool(a->device, shader->pool, NULL);
    vkDestroyPipeline(a->device, shader->pipeline, NULL);
    vkDestroyPipelineLayout(a->device, shader->layout, NULL);
    vkDestroyDescriptorSetLayout(a->device, shader->set_layout, NULL);
}

void app_dispatch(VkCommandBuffer cmd, const app_shader *shader, uint32_t pushed, uint32_t groups)
{
    vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, shader->pipeline);
    vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, shader->layout, 0, 1,
                            &shader->set, 0, NULL);
    vkCmdPushConstants(cmd, shader->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &pushed);
    vkCmdDispatch(cmd, groups, 1, 1);
}

void app_barrier(VkCommandBuffer cmd)
{
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
        .dstAccessMask =
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT};

    vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                         VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                         &barrier, 0, NULL, 0, NULL);
}

VkCommandBuffer app_begin(const app *a)
{
    VkCommandBuffer cmd;

    APP_CHECK(vkAllocateCommandBuffers(
        a->device,
        &(VkCommandBufferAllocateInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                       .commandPool = a->pool, .commandBufferCount = 1},
        &cmd));
    APP_CHECK(vkBeginCommandBuffer(
        cmd, &(VkCommandBufferBeginInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO}));
    /* A buffer that is submitted again reads what its last run wrote. */
    app_barrier(cmd);
    return cmd;
}

void app_submit_and_wait(const app *a, VkCommandBuffer cmd)
{
    APP_CHECK(vkQueueSubmit(a->queue, 1,
                            &(VkSubmitInfo){.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                            .commandBufferCount = 1, .pCommandBuffers = &cmd},
                            VK_NULL_HANDLE));
    APP_CHECK(vkQueueWaitIdle(a->queue));
}

void app_print(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "vsa: %s\n", message);
}

float app_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

double app_distance(const float *a, const float *b, size_t count)
{
    double difference = 0, size = 0;

    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return size > 0 ? sqrt(difference / size) : sqrt(difference);
}
