#ifndef VSAI_CONTEXT_H
#define VSAI_CONTEXT_H

#include "compiler.h"
#include "log.h"
#include "shader_set.h"
#include "vk_table.h"

#include <stdatomic.h>

struct vsa_context {
    const VkAllocationCallbacks *allocator;   /* NULL or &allocator_storage */
    VkAllocationCallbacks allocator_storage;
    vsa_log  log;
    vsa_cache cache;
    vsa_parallel parallel;
    vsai_vk_table vk;
    VkPhysicalDevice physical_device;
    VkDevice device;
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceDriverProperties driver;
    uint32_t max_storage_range;
    const vsai_compiler *compiler;
    vsai_shader_set shaders;          /* that it has compiled */
    VkPipelineCache pipeline_cache;   /* the caller's, or our own */
    int owns_pipeline_cache;
    uint8_t pipeline_key[32];         /* of our own pipeline data in `cache` */
    atomic_size_t pipeline_stored_size;
};

/* Hands the driver's pipeline data to the application's cache, when it changed size. Called after
 * a plan was created. */
void vsai_context_store_pipelines(vsa_context *context);

#endif
