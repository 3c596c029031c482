/* Plans, made when a shape is first met and kept, each with the small buffers of a step. */
#ifndef VSAI_GGML_PLANS_H
#define VSAI_GGML_PLANS_H

#include "gpu.h"
#include "node.h"

enum {
    VSAI_GGML_MAX_SEQUENCES = 16,   /* rows (stream, query) of one pass */
    VSAI_GGML_MAX_PLANS = 64   /* a policy, shape or type each: options change while it runs */
};

struct vsai_ggml_binding;

typedef struct vsai_ggml_plan {
    vsa_plan_create_info info;   /* name NULL; as it was asked for */
    vsa_plan *plan;
    vsa_plan_requirements needs;
    vsa_buffer *table, *lengths, *q, *out, *certificates;   /* mapped */
    vsa_buffer *scratch;
    struct vsai_ggml_binding *bindings;   /* caches that it has been used on */
    uint64_t used;               /* when, for the one to give up */
} vsai_ggml_plan;

typedef struct vsai_ggml_plans {
    vsai_ggml_gpu *gpu;
    vsai_ggml_plan *plans[VSAI_GGML_MAX_PLANS];
    uint64_t clock;
} vsai_ggml_plans;

/* One for `sequences` rows of up to `tokens` tokens of such a node, whose planes are bound with
 * ranges of up to range_size bytes. NULL when it cannot be made: the device's log has the
 * sentence. */
vsai_ggml_plan *vsai_ggml_plans_get(vsai_ggml_plans *plans, const vsai_ggml_node *node,
                                    const vsa_policy *policy, uint32_t sequences, uint32_t tokens,
                                    VkDeviceSize range_size);
/* With their bindings. */
void vsai_ggml_plans_clear(vsai_ggml_plans *plans);

#endif
