#include "bench_memory.h"

enum { MAX_LAYERS = 8 };

/* More than the caches of GPUs hold. */
static const uint64_t turn_bytes = UINT64_C(256) << 20;

uint64_t bench_memory_limit(const tool_device *device)
{
    vsa_vulkan_handles handles;
    VkPhysicalDeviceMemoryProperties memory;
    uint64_t largest = 0;

    vsa_standalone_handles(device->standalone, &handles);

    const PFN_vkGetPhysicalDeviceMemoryProperties get =
        (PFN_vkGetPhysicalDeviceMemoryProperties)handles.get_instance_proc_addr(
            handles.instance, "vkGetPhysicalDeviceMemoryProperties");

    if (!get) {
        return 0;
    }
    get(handles.physical_device, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &memory.memoryHeaps[i];

        if ((heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && heap->size > largest) {
            largest = heap->size;
        }
    }
    return largest / 10 * 8;
}

uint64_t bench_memory_of_layer(const bench_input *input, uint32_t tokens)
{
    const uint64_t row = (uint64_t)vsa_dtype_row_size(input->kv_type, input->head_dim_k) +
                         vsa_dtype_row_size(input->kv_type, input->head_dim_v);

    return row * input->kv_heads * tokens;
}

uint64_t bench_memory_of_session(const bench_input *input, uint32_t tokens, uint32_t layers)
{
    const uint64_t scores = sizeof(float) * (uint64_t)input->q_heads * tokens;
    const uint64_t lists = 4 * sizeof(uint32_t) * (uint64_t)input->kv_heads * tokens;
    /* The largest state is a copy of K in 8 bits with a scale per 32 values or so. */
    const uint64_t state = ((uint64_t)input->head_dim_k + 8) * input->kv_heads * tokens;

    return layers * (bench_memory_of_layer(input, tokens) + state) + scores + lists +
           (UINT64_C(32) << 20);
}

uint32_t bench_memory_layers(const bench_input *input, uint32_t tokens, uint64_t limit)
{
    const uint64_t layer = bench_memory_of_layer(input, tokens);
    uint32_t layers = 1;

    while (layers < MAX_LAYERS && layers * layer < turn_bytes &&
           (limit == 0 || bench_memory_of_session(input, tokens, layers + 1) <= limit)) {
        layers++;
    }
    return layers;
}
