#include "plans.h"

#include "binding.h"

#include <stdlib.h>
#include <string.h>

/* Of the first plan: making one takes seconds on some drivers, its scratch some bytes a token. */
enum { FIRST_TOKENS = 65536 };

static uint32_t power_of_two(uint32_t at_least)
{
    uint32_t power = 1;
    while (power < at_least) {
        power *= 2;
    }
    return power;
}

static vsa_plan_create_info describe(const vsai_ggml_node *node, const vsa_policy *policy)
{
    vsa_plan_create_info info;
    const vsai_ggml_plane *const planes[] = {&node->k, &node->v};
    vsa_plane_layout layouts[2];

    memset(&info, 0, sizeof info);
    memset(layouts, 0, sizeof layouts);
    for (int i = 0; i < 2; i++) {
        layouts[i].dtype = planes[i]->dtype;
        layouts[i].token_stride = planes[i]->row_size;   /* pages hold one token */
        layouts[i].head_stride = planes[i]->head_stride;
        layouts[i].block_stride = planes[i]->cell_stride;
    }
    info.head_dim_k = node->k.head_dim;
    info.head_dim_v = node->v.head_dim;
    info.q_heads = node->q_heads;
    info.kv_heads = node->kv_heads;
    info.softmax_scale = node->scale;
    info.logit_softcap = node->softcap;
    info.kv.page_tokens = 1;
    info.kv.k = layouts[0];
    info.kv.v = layouts[1];
    info.policy = *policy;
    return info;
}

static int is_same_plane(const vsa_plane_layout *a, const vsa_plane_layout *b)
{
    return a->dtype == b->dtype && a->token_stride == b->token_stride &&
           a->head_stride == b->head_stride && a->block_stride == b->block_stride;
}

/* Whether a plan serves `info` but for its sizes: what describe() sets, member by member, because a
 * copied struct need not have the same padding (GCC 16 leaves it out). */
static int is_alike(const vsa_plan_create_info *plan, const vsa_plan_create_info *info)
{
    return plan->head_dim_k == info->head_dim_k && plan->head_dim_v == info->head_dim_v &&
           plan->q_heads == info->q_heads && plan->kv_heads == info->kv_heads &&
           plan->softmax_scale == info->softmax_scale &&
           plan->logit_softcap == info->logit_softcap && is_same_plane(&plan->kv.k, &info->kv.k) &&
           is_same_plane(&plan->kv.v, &info->kv.v) &&
           /* enums, counts and floats of 32 bits: no padding */
           memcmp(&plan->policy, &info->policy, sizeof info->policy) == 0;
}

static void destroy(vsai_ggml_plan *plan, vsai_ggml_gpu *gpu)
{
    if (plan == NULL) {
        return;
    }
    while (plan->bindings != NULL) {
        vsai_ggml_binding_destroy(plan, plan->bindings, gpu);
    }
    vsa_buffer_destroy(plan->table);
    vsa_buffer_destroy(plan->lengths);
    vsa_buffer_destroy(plan->q);
    vsa_buffer_destroy(plan->out);
    vsa_buffer_destroy(plan->certificates);
    vsa_buffer_destroy(plan->scratch);
    vsa_plan_destroy(plan->plan);
    free(plan);
}

static vsai_ggml_plan *create(vsai_ggml_gpu *gpu, const vsa_plan_create_info *info)
{
    vsai_ggml_plan *plan = calloc(1, sizeof *plan);
    vsa_plan_create_info named = *info;

    if (plan == NULL) {
        return NULL;
    }
    plan->info = *info;
    named.name = "ggml";
    if (vsa_plan_create(vsa_standalone_context(gpu->standalone), &named, &plan->plan)) {
        goto fail;
    }
    vsa_plan_get_requirements(plan->plan, &plan->needs);
    const struct {
        VkDeviceSize size;
        VkBufferUsageFlags usage;
        vsa_mapped_use use;
        vsa_buffer **buffer;
    } mapped[] = {
        {(VkDeviceSize)info->max_sequences * info->max_tokens * sizeof(uint32_t), 0,
         VSA_MAPPED_WRITE, &plan->table},
        {info->max_sequences * sizeof(uint32_t), 0, VSA_MAPPED_WRITE, &plan->lengths},
        {plan->needs.q.size, plan->needs.q.usage, VSA_MAPPED_WRITE, &plan->q},
        {plan->needs.out.size, plan->needs.out.usage, VSA_MAPPED_READ, &plan->out},
        {plan->needs.certificates.size, plan->needs.certificates.usage, VSA_MAPPED_READ,
         &plan->certificates},
    };
    for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++) {
        if (vsa_buffer_create_mapped(gpu->standalone, mapped[i].size, mapped[i].usage,
                                     mapped[i].use, mapped[i].buffer)) {
            goto fail;
        }
    }
    if (plan->needs.scratch.size != 0 &&
        vsa_buffer_create(gpu->standalone, plan->needs.scratch.size, plan->needs.scratch.usage,
                          &plan->scratch)) {
        goto fail;
    }
    return plan;

fail:
    destroy(plan, gpu);
    return NULL;
}

vsai_ggml_plan *vsai_ggml_plans_get(vsai_ggml_plans *plans, const vsai_ggml_node *node,
                                    const vsa_policy *policy, uint32_t sequences, uint32_t tokens,
                                    VkDeviceSize range_size)
{
    vsa_plan_create_info info = describe(node, policy);
    size_t place = 0;

    /* Doubled when outgrown, so that a growing context costs a plan now and then, not at each
     * step. */
    info.max_sequences = power_of_two(sequences);
    info.max_tokens = power_of_two(tokens < FIRST_TOKENS ? FIRST_TOKENS : tokens);
    if (info.max_tokens > node->capacity) {
        info.max_tokens = node->capacity > tokens ? node->capacity : tokens;
    }
    info.kv_range_size = range_size;
    for (size_t i = 0; i < VSAI_GGML_MAX_PLANS; i++) {
        vsai_ggml_plan *plan = plans->plans[i];
        if (plan == NULL) {
            place = i;
            continue;
        }
        if (is_alike(&plan->info, &info)) {
            if (plan->info.max_sequences >= sequences && plan->info.max_tokens >= tokens &&
                plan->info.kv_range_size >= range_size) {
                plan->used = ++plans->clock;
                return plan;
            }
            /* It is replaced by one that serves both. */
            info.max_sequences = plan->info.max_sequences > info.max_sequences
                                     ? plan->info.max_sequences : info.max_sequences;
            info.max_tokens = plan->info.max_tokens > info.max_tokens ? plan->info.max_tokens
                                                                      : info.max_tokens;
            info.kv_range_size = plan->info.kv_range_size > info.kv_range_size
                                     ? plan->info.kv_range_size : info.kv_range_size;
            place = i;
            break;
        }
        if (plans->plans[place] != NULL && plan->used < plans->plans[place]->used) {
            place = i;
        }
    }
    destroy(plans->plans[place], plans->gpu);
    info.kv.table_stride = info.max_tokens;
    plans->plans[place] = create(plans->gpu, &info);
    if (plans->plans[place] != NULL) {
        plans->plans[place]->used = ++plans->clock;
    }
    return plans->plans[place];
}

void vsai_ggml_plans_clear(vsai_ggml_plans *plans)
{
    for (size_t i = 0; i < VSAI_GGML_MAX_PLANS; i++) {
        destroy(plans->plans[i], plans->gpu);
        plans->plans[i] = NULL;
    }
}
