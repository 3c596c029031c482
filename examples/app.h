/* The Vulkan program that is there before vsa comes in: instance, device, queue, buffers. */
#ifndef APP_H
#define APP_H

#include <vsa.h>
#include <vulkan/vulkan.h>

#include <stdio.h>
#include <stdlib.h>

typedef struct app {
    VkInstance       instance;
    VkPhysicalDevice physical_device;
    VkDevice         device;
    VkQueue          queue;
    uint32_t         queue_family;
    VkCommandPool    pool;
} app;

typedef struct app_buffer {
    VkBuffer       buffer;
    VkDeviceMemory memory;
    VkDeviceSize   size;
    void          *mapped;   /* host-visible and coherent: enough for an example */
} app_buffer;

typedef struct app_shader {
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout      layout;
    VkPipeline            pipeline;
    VkDescriptorPool      pool;
    VkDescriptorSet       set;
} app_shader;

/* Ends the program with a sentence: an example may, a library may not. */
#define APP_CHECK(expression)                                                            \
    do {                                                                                 \
        int app_result_ = (int)(expression);                                             \
        if (app_result_ != 0) {                                                          \
            fprintf(stderr, "%s:%d: %s: %d\n", __FILE__, __LINE__, #expression, app_result_); \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

/* The first device that vsa works on and that has `extension` (NULL = any), with these features.
 * Ends the program with 77 when there is none. */
void app_open(app *a, const VkPhysicalDeviceFeatures2 *features, const char *extension);
void app_close(app *a);

app_buffer app_buffer_make(const app *a, VkDeviceSize size, VkBufferUsageFlags usage);
void app_buffer_free(const app *a, app_buffer *buffer);
/* The whole of it, as vsa wants it. A buffer that was never made gives none. */
VkDescriptorBufferInfo app_range(const app_buffer *buffer);

/* A compute shader with storage buffers at bindings 0, 1, ... and one uint32 to push. */
app_shader app_shader_make(const app *a, const uint32_t *words, size_t size,
                           const app_buffer *const *buffers, uint32_t buffer_count);
void app_shader_free(const app *a, app_shader *shader);
void app_dispatch(VkCommandBuffer cmd, const app_shader *shader, uint32_t pushed, uint32_t groups);

/* Everything that compute shaders wrote before, visible to compute shaders and the host after. */
void app_barrier(VkCommandBuffer cmd);
VkCommandBuffer app_begin(const app *a);
void app_submit_and_wait(const app *a, VkCommandBuffer cmd);

/* vsa's sentences, for vsa_log. */
void app_print(void *user, vsa_log_level level, const char *message);

/* Uniform in [-1, 1], the same on every machine. */
float app_random(uint32_t *state);
/* |a - b| / |b| */
double app_distance(const float *a, const float *b, size_t count);

#endif
