/* One compute pipeline from a shader variant and its specialisation constants. */
#ifndef VSAI_PIPELINE_H
#define VSAI_PIPELINE_H

#include "context.h"

typedef struct vsai_pipeline_info {
    const char     *shader;      /* file of shaders/ without ".comp" */
    uint32_t        variant;     /* vsai_variant bits */
    const uint32_t *constants;   /* constant i has constant_id i; floats as their bits */
    uint32_t        constant_count;
    VkPipelineCreateFlags flags;
    const char     *debug_name;  /* optional */
} vsai_pipeline_info;

vsa_result vsai_pipeline_create(vsa_context *context, VkPipelineLayout layout,
                                const vsai_pipeline_info *info, VkPipeline *out_pipeline);

#endif
