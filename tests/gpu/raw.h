/*
 * raw.h - vsa.h as an application with its own Vulkan uses it: a command buffer, a plan, a layer
 * and the buffers behind it. For tests of what a session does not let through.
 */
#ifndef VSA_RAW_H
#define VSA_RAW_H

#include "harness.h"

/* Group setup and teardown: the harness's, and a command pool. */
int raw_setup(void **state);
int raw_teardown(void **state);

/* One command buffer: begin, record, end (submits and waits; host writes are visible before, and
 * results after). */
VkCommandBuffer raw_begin(void);
void raw_end(void);
/* What was recorded last, once more. */
void raw_submit_again(void);

/* A device function of the harness's device. */
PFN_vkVoidFunction raw_proc(const char *name);

typedef struct raw_layer {
    vsa_plan_create_info plan_info;
    vsa_plan  *plan;
    vsa_layer *layer;
    vsa_layer_buffers buffers;
    vsa_buffer *k, *v, *page_table, *lengths, *new_k, *new_v, *q, *out, *state, *scratch,
        *certificates;
    size_t k_size, v_size;
    uint32_t *page_table_host;   /* pages dealt backwards; NULL when not paged */
} raw_layer;

/* `plan` needs a complete kv layout; new_tokens rows can be appended per step. */
raw_layer *raw_layer_make(const vsa_plan_create_info *plan, uint32_t new_tokens);
/* The same on another context of the harness's device. */
raw_layer *raw_layer_make_on(vsa_context *context, const vsa_plan_create_info *plan,
                             uint32_t new_tokens);

/* A context on the harness's device; what is missing in `info` is filled in. */
vsa_result raw_context_create(const vsa_context_create_info *info, vsa_context **out_context);
void raw_layer_destroy(raw_layer *layer);

/* Writes values as F32 (0 too), F16 or BF16 from the buffer's start. */
void raw_write_floats(vsa_buffer *buffer, vsa_dtype dtype, const float *values, size_t count);
/* Writes the data's K, V, q and lengths. */
void raw_write_data(raw_layer *layer, const harness_data *data);

#endif
