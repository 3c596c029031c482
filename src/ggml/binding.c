#include "binding.h"

#include <stdlib.h>

enum { MIN_RECORDED_TOKENS = 256 };

static VkDescriptorBufferInfo store_range(const vsai_ggml_store *store)
{
    VkDescriptorBufferInfo info = vsa_buffer_info(store->buffer);
    info.offset = store->offset;
    info.range = store->range;
    return info;
}

static VkDescriptorBufferInfo whole(const vsa_buffer *buffer)
{
    return buffer != NULL ? vsa_buffer_info(buffer) : (VkDescriptorBufferInfo){0};
}

static void destroy(vsai_ggml_binding *binding, vsai_ggml_gpu *gpu)
{
    for (size_t i = 0; i < VSAI_GGML_RECORDINGS; i++) {
        vsai_ggml_gpu_free_commands(gpu, binding->recordings[i].cmd);
    }
    vsai_ggml_gpu_free_commands(gpu, binding->index);
    vsa_layer_destroy(binding->layer);
    vsa_buffer_destroy(binding->state);
    vsai_ggml_slots_destroy(&binding->slots);
    free(binding);
}

static vsai_ggml_binding *create(const vsai_ggml_plan *plan, vsai_ggml_cache *cache,
                                 vsai_ggml_gpu *gpu)
{
    vsai_ggml_binding *binding = calloc(1, sizeof *binding);

    if (binding == NULL) {
        return NULL;
    }
    binding->cache = cache;
    if (plan->needs.state.size != 0 &&
        (vsa_buffer_create(gpu->standalone, plan->needs.state.size, plan->needs.state.usage,
                           &binding->state) ||
         !vsai_ggml_slots_create(&binding->slots, plan->info.max_sequences,
                                 plan->info.max_tokens))) {
        goto fail;
    }
    const vsa_layer_buffers buffers = {
        .k = store_range(&cache->k_store),
        .v = store_range(&cache->v_store),
        .page_table = whole(plan->table),
        .lengths = whole(plan->lengths),
        .q = whole(plan->q),
        .out = whole(plan->out),
        .state = whole(binding->state),
        .scratch = whole(plan->scratch),
        .certificates = whole(plan->certificates),
    };
    if (vsa_layer_create(plan->plan, &buffers, &binding->layer)) {
        goto fail;
    }
    return binding;

fail:
    destroy(binding, gpu);
    return NULL;
}

vsai_ggml_binding *vsai_ggml_binding_get(vsai_ggml_plan *plan, vsai_ggml_cache *cache,
                                         vsai_ggml_gpu *gpu)
{
    for (vsai_ggml_binding *binding = plan->bindings; binding != NULL; binding = binding->next) {
        if (binding->cache == cache) {
            return binding;
        }
    }
    vsai_ggml_binding *binding = create(plan, cache, gpu);
    if (binding != NULL) {
        binding->next = plan->bindings;
        plan->bindings = binding;
    }
    return binding;
}

void vsai_ggml_binding_destroy(vsai_ggml_plan *plan, vsai_ggml_binding *binding,
                               vsai_ggml_gpu *gpu)
{
    vsai_ggml_binding **link = &plan->bindings;

    while (*link != binding) {
        link = &(*link)->next;
    }
    *link = binding->next;
    destroy(binding, gpu);
}

/* The steps of a context as it grows are recorded once per power of two. */
static uint32_t recorded_tokens(uint32_t tokens, uint32_t max_tokens)
{
    uint32_t rounded = MIN_RECORDED_TOKENS;
    while (rounded < tokens) {
        rounded *= 2;
    }
    return rounded < max_tokens ? rounded : max_tokens;
}

static VkCommandBuffer record(vsai_ggml_binding *binding, vsai_ggml_gpu *gpu, uint32_t sequences,
                              uint32_t tokens, uint64_t seed)
{
    vsai_ggml_recording *oldest = &binding->recordings[0];

    for (size_t i = 0; i < VSAI_GGML_RECORDINGS; i++) {
        vsai_ggml_recording *r = &binding->recordings[i];
        if (r->sequences == sequences && r->tokens == tokens && r->seed == seed) {
            r->used = ++binding->clock;
            return r->cmd;
        }
        oldest = r->used < oldest->used ? r : oldest;
    }
    oldest->sequences = oldest->tokens = 0;
    if (oldest->cmd == VK_NULL_HANDLE) {
        oldest->cmd = vsai_ggml_gpu_commands(gpu);
    }
    const vsa_step step = {.sequence_count = sequences, .max_length_tokens = tokens, .seed = seed,
                           .stream = binding->cache->layer};
    if (oldest->cmd == VK_NULL_HANDLE || !vsai_ggml_gpu_begin(gpu, oldest->cmd, 0) ||
        vsa_cmd_decode(binding->layer, oldest->cmd, &step) ||
        !vsai_ggml_gpu_end(gpu, oldest->cmd)) {
        return VK_NULL_HANDLE;
    }
    *oldest = (vsai_ggml_recording){.cmd = oldest->cmd, .sequences = sequences, .tokens = tokens,
                                    .seed = seed, .used = ++binding->clock};
    return oldest->cmd;
}

static int record_index(vsai_ggml_binding *binding, vsai_ggml_gpu *gpu, uint32_t sequences,
                        uint32_t tokens, const vsai_ggml_ranges *ranges)
{
    const vsa_step step = {.sequence_count = sequences, .max_length_tokens = tokens};

    if (binding->index == VK_NULL_HANDLE) {
        binding->index = vsai_ggml_gpu_commands(gpu);
    }
    if (binding->index == VK_NULL_HANDLE || !vsai_ggml_gpu_begin(gpu, binding->index, 1)) {
        return 0;
    }
    for (uint32_t i = 0; i < ranges->count; i++) {
        const vsai_ggml_range r = ranges->ranges[i];
        if (vsa_cmd_index(binding->layer, binding->index, &step, r.first, r.end - r.first)) {
            return 0;
        }
    }
    return vsai_ggml_gpu_end(gpu, binding->index);
}

int vsai_ggml_binding_run(vsai_ggml_binding *binding, vsai_ggml_gpu *gpu, uint32_t sequences,
                          uint32_t tokens, uint32_t max_tokens, uint64_t seed,
                          const vsai_ggml_ranges *ranges)
{
    VkCommandBuffer cmds[2];
    uint32_t count = 0;

    tokens = recorded_tokens(tokens, max_tokens);
    if (ranges->count != 0) {
        if (!record_index(binding, gpu, sequences, tokens, ranges)) {
            return 0;
        }
        cmds[count++] = binding->index;
    }
    cmds[count] = record(binding, gpu, sequences, tokens, seed);
    return cmds[count] != VK_NULL_HANDLE && vsai_ggml_gpu_submit(gpu, cmds, count + 1);
}
