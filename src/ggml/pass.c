#include "pass.h"

#include "binding.h"

#include <string.h>

static uint32_t longest(const vsai_ggml_pass *pass)
{
    uint32_t most = 0;
    for (uint32_t r = 0; r < pass->row_count; r++) {
        most = pass->rows[r].count > most ? pass->rows[r].count : most;
    }
    return most;
}

/* What is kept of K and V (a mirror, a state) must be as they are now. Steps by
 * another plan leave the slots behind, which learn of changes when they are used next. */
static int refresh(const vsai_ggml_pass *pass, vsai_ggml_cache *cache, vsai_ggml_binding *binding,
                   vsai_ggml_pass_result *result, vsai_ggml_ranges *out_ranges)
{
    const int has_state = binding->state != NULL;
    const uint32_t *lists[VSAI_GGML_MAX_SEQUENCES];
    uint32_t counts[VSAI_GGML_MAX_SEQUENCES];

    out_ranges->count = 0;
    for (uint32_t r = 0; r < pass->row_count; r++) {
        result->sequences[r] = r;
        lists[r] = pass->rows[r].cells;
        counts[r] = pass->rows[r].count;
    }
    if (!has_state && !vsai_ggml_cache_is_mirror(cache)) {
        return 1;
    }
    if (!vsai_ggml_cache_refresh_begin(cache)) {
        return 0;
    }
    for (uint32_t r = 0; r < pass->row_count; r++) {
        if (vsai_ggml_cache_refresh(cache, lists[r], counts[r], &result->checked,
                                    &result->changed)) {
            return 0;
        }
    }
    if (has_state) {
        vsai_ggml_slots_assign(&binding->slots, lists, counts, pass->row_count,
                               result->sequences);
        for (uint32_t r = 0; r < pass->row_count; r++) {
            vsai_ggml_slots_update(&binding->slots, result->sequences[r], lists[r], counts[r],
                                   cache->versions, out_ranges);
        }
    }
    return 1;
}

/* Lengths, tables and q into the plan's buffers. Returns how many sequences the step has; those
 * that hold no row of it have length 0. */
static uint32_t write_inputs(const vsai_ggml_pass *pass, const vsai_ggml_pass_result *result)
{
    const vsai_ggml_plan *plan = result->plan;
    const vsai_ggml_node *node = pass->node;
    const uint32_t dim = node->k.head_dim;
    uint32_t *lengths = vsa_buffer_mapped(plan->lengths);
    uint32_t *table = vsa_buffer_mapped(plan->table);
    float *q = vsa_buffer_mapped(plan->q);
    uint32_t sequences = 0;

    memset(lengths, 0, plan->info.max_sequences * sizeof *lengths);
    for (uint32_t r = 0; r < pass->row_count; r++) {
        const vsai_ggml_row *row = &pass->rows[r];
        const uint32_t sequence = result->sequences[r];
        lengths[sequence] = row->count;
        memcpy(table + (size_t)sequence * plan->info.kv.table_stride, row->cells,
               row->count * sizeof *table);
        for (uint32_t head = 0; head < node->q_heads; head++) {
            memcpy(q + ((size_t)sequence * node->q_heads + head) * dim,
                   vsai_ggml_node_q(node, row->stream, row->query, head), dim * sizeof *q);
        }
        sequences = sequence + 1 > sequences ? sequence + 1 : sequences;
    }
    return sequences;
}

int vsai_ggml_pass_run(const vsai_ggml_pass *pass, vsai_ggml_plans *plans, vsai_ggml_cache *cache,
                       vsai_ggml_pass_result *out_result)
{
    const uint32_t tokens = longest(pass);
    const VkDeviceSize range = cache->k_store.range > cache->v_store.range
                                   ? cache->k_store.range : cache->v_store.range;
    vsai_ggml_ranges ranges;

    *out_result = (vsai_ggml_pass_result){
        .plan = vsai_ggml_plans_get(plans, pass->node, &pass->policy, pass->row_count, tokens,
                                    range)};
    if (out_result->plan == NULL) {
        return 0;
    }
    vsai_ggml_binding *binding = vsai_ggml_binding_get(out_result->plan, cache, plans->gpu);
    if (binding == NULL || !refresh(pass, cache, binding, out_result, &ranges)) {
        return 0;
    }
    const uint32_t sequences = write_inputs(pass, out_result);
    if (vsai_ggml_binding_run(binding, plans->gpu, sequences, tokens,
                              out_result->plan->info.max_tokens, pass->seed,
                              &ranges)) {
        return 1;
    }
    /* The slots say that the ranges have been indexed. */
    vsai_ggml_binding_destroy(out_result->plan, binding, plans->gpu);
    return 0;
}

const float *vsai_ggml_pass_out(const vsai_ggml_pass *pass, const vsai_ggml_pass_result *result,
                                uint32_t row)
{
    return (const float *)vsa_buffer_mapped(result->plan->out) +
           (size_t)result->sequences[row] * pass->node->q_heads * pass->node->v.head_dim;
}

const vsa_certificate *vsai_ggml_pass_certificates(const vsai_ggml_pass *pass,
                                                   const vsai_ggml_pass_result *result,
                                                   uint32_t row)
{
    return (const vsa_certificate *)vsa_buffer_mapped(result->plan->certificates) +
           (size_t)result->sequences[row] * pass->node->q_heads;
}
