/*
 * K and V that stay in the program's own memory: VK_EXT_external_memory_host makes buffers of what
 * malloc returned, vsa reads them where they are. For caches larger than the GPU's memory, of which
 * a step reads a few per cent over the bus, and for GPUs that share memory with the host.
 */
#define _POSIX_C_SOURCE 200112L
#include "app.h"

#include <string.h>

enum { Q_HEADS = 4, KV_HEADS = 2, DIM = 64, TOKENS = 2000 };

static const char extension[] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;

static VkDeviceSize import_alignment(const app *a)
{
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &host};

    vkGetPhysicalDeviceProperties2(a->physical_device, &properties);
    return host.minImportedHostPointerAlignment;
}

/* `memory` and `size` are multiples of the import alignment; the memory outlives the buffer. */
static app_buffer import(const app *a, void *memory, VkDeviceSize size)
{
    const PFN_vkGetMemoryHostPointerPropertiesEXT get_properties =
        (PFN_vkGetMemoryHostPointerPropertiesEXT)vkGetDeviceProcAddr(
            a->device, "vkGetMemoryHostPointerPropertiesEXT");
    const VkExternalMemoryHandleTypeFlagBits type =
        VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
    VkMemoryHostPointerPropertiesEXT allowed = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    app_buffer b = {.size = size, .mapped = memory};
    VkMemoryRequirements needs;
    uint32_t index = 0;

    APP_CHECK(get_properties(a->device, type, memory, &allowed));
    APP_CHECK(vkCreateBuffer(
        a->device,
        &(VkBufferCreateInfo){.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                              .pNext =
                                  &(VkExternalMemoryBufferCreateInfo){
                                      .sType =
                                          VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
                                      .handleTypes = type},
                              .size = size, .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT},
        NULL, &b.buffer));
    vkGetBufferMemoryRequirements(a->device, b.buffer, &needs);
    while (index < 31 && !(allowed.memoryTypeBits & needs.memoryTypeBits & 1u << index)) {
        index++;
    }
    APP_CHECK(vkAllocateMemory(
        a->device,
        &(VkMemoryAllocateInfo){.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                .pNext =
                                    &(VkImportMemoryHostPointerInfoEXT){
                                        .sType =
                                            VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
                                        .handleType = type, .pHostPointer = memory},
                                .allocationSize = size, .memoryTypeIndex = index},
        NULL, &b.memory));
    APP_CHECK(vkBindBufferMemory(a->device, b.buffer, b.memory, 0));
    return b;
}

int main(void)
{
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    app a;
    vsa_require_features(&features, NULL, NULL);
    app_open(&a, &features, extension);

    const char *const extensions[] = {extension};
    vsa_context *context;
    APP_CHECK(vsa_context_create(
        &(vsa_context_create_info){.api_version = VSA_API_VERSION,
                                   .get_instance_proc_addr = vkGetInstanceProcAddr,
                                   .instance = a.instance,
                                   .physical_device = a.physical_device,
                                   .device = a.device,
                                   .enabled_features = &features,
                                   .enabled_extensions = extensions,
                                   .enabled_extension_count = 1,
                                   .log = {.write = app_print}},
        &context));
    vsa_plan_create_info info = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_tokens = TOKENS,
        .policy = {.epsilon = 0.2f, .delta = 0.1f, .sink_tokens = 16, .window_tokens = 64,
                   .top_k = 40, .base_samples = 64}};
    vsa_kv_layout_init(&info.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F32, VSA_DTYPE_F32, DIM, DIM,
                       KV_HEADS, TOKENS, 0);
    vsa_plan *plan;
    vsa_plan_requirements sizes;
    APP_CHECK(vsa_plan_create(context, &info, &plan));
    vsa_plan_get_requirements(plan, &sizes);

    /* K and V: plain memory of the program, in whole units of the import alignment. */
    const VkDeviceSize alignment = import_alignment(&a);
    const VkDeviceSize plane = (VkDeviceSize)KV_HEADS * TOKENS * DIM * sizeof(float);
    const VkDeviceSize size = (plane + alignment - 1) / alignment * alignment;
    void *k_memory, *v_memory;
    uint32_t random = 7;
    APP_CHECK(posix_memalign(&k_memory, (size_t)alignment, (size_t)size));
    APP_CHECK(posix_memalign(&v_memory, (size_t)alignment, (size_t)size));
    app_buffer k = import(&a, k_memory, size), v = import(&a, v_memory, size);
    app_buffer lengths = app_buffer_make(&a, sizeof(uint32_t), 0);
    app_buffer q = app_buffer_make(&a, sizes.q.size, 0);
    app_buffer out = app_buffer_make(&a, sizes.out.size, 0);
    app_buffer dense = app_buffer_make(&a, sizes.out.size, 0);
    app_buffer certificates = app_buffer_make(&a, sizes.certificates.size, 0);
    app_buffer state = app_buffer_make(&a, sizes.state.size, sizes.state.usage);
    app_buffer scratch = app_buffer_make(&a, sizes.scratch.size, sizes.scratch.usage);
    app_buffer *const buffers[] = {&k, &v, &lengths, &q, &out, &dense, &certificates, &state,
                                   &scratch};
    vsa_layer_buffers bound = {.k = app_range(&k), .v = app_range(&v),
                               .lengths = app_range(&lengths), .q = app_range(&q),
                               .out = app_range(&dense), .state = app_range(&state),
                               .scratch = app_range(&scratch),
                               .certificates = app_range(&certificates)};
    vsa_layer *layer, *dense_layer;
    APP_CHECK(vsa_layer_create(plan, &bound, &dense_layer));
    bound.out = app_range(&out);
    APP_CHECK(vsa_layer_create(plan, &bound, &layer));

    const vsa_step step = {.max_length_tokens = TOKENS, .seed = 1};
    VkCommandBuffer cmd = app_begin(&a);
    APP_CHECK(vsa_cmd_dense(dense_layer, cmd, &step));
    APP_CHECK(vsa_cmd_decode(layer, cmd, &step));
    app_barrier(cmd);
    APP_CHECK(vkEndCommandBuffer(cmd));

    /* Written through plain pointers. A submission makes the host's earlier writes visible to the
     * device (Vulkan 1.2, 7.9), so nothing is copied or flushed. */
    int failed = 0;
    for (uint32_t round = 0; round < 3; round++) {
        const uint32_t length = TOKENS - 100 * round;
        vsa_certificate_summary summary;
        for (size_t i = 0; i < (size_t)KV_HEADS * TOKENS * DIM; i++) {
            ((float *)k_memory)[i] = app_random(&random);
            ((float *)v_memory)[i] = app_random(&random) + 1.0f;
        }
        for (size_t i = 0; i < Q_HEADS * DIM; i++) {
            ((float *)q.mapped)[i] = 4.0f * app_random(&random);
        }
        memcpy(lengths.mapped, &length, sizeof length);
        app_submit_and_wait(&a, cmd);
        const int kept = vsa_certificates_check(certificates.mapped, Q_HEADS, &summary);
        const double error = app_distance(out.mapped, dense.mapped, Q_HEADS * DIM);
        printf("%u tokens: %u met, %u exact, density %.3f, error %.4f\n", length, summary.met,
               summary.exact, summary.density, error);
        failed |= !kept || error > 0.2;
    }

    vsa_layer_destroy(layer);
    vsa_layer_destroy(dense_layer);
    vsa_plan_destroy(plan);
    vsa_context_destroy(context);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        app_buffer_free(&a, buffers[i]);
    }
    free(k_memory);
    free(v_memory);
    app_close(&a);
    return failed;
}
