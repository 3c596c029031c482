#ifndef VSAI_PLAN_H
#define VSAI_PLAN_H

#include "context.h"
#include "shape.h"

typedef enum vsai_kernel {
    VSAI_KERNEL_BEGIN = 0,
    VSAI_KERNEL_BEGIN_DENSE,
    VSAI_KERNEL_SCORE,
    VSAI_KERNEL_QUERY,
    VSAI_KERNEL_SCORE_KEYS,
    VSAI_KERNEL_SCAN,
    VSAI_KERNEL_SCAN_KEYS,
    VSAI_KERNEL_RANK,
    VSAI_KERNEL_REFINE,
    VSAI_KERNEL_MASS,
    VSAI_KERNEL_FIND,
    VSAI_KERNEL_COUNT,
    VSAI_KERNEL_EMIT,
    VSAI_KERNEL_GUIDE,
    VSAI_KERNEL_PICK,
    VSAI_KERNEL_PLACE,
    VSAI_KERNEL_RESIDUAL,
    VSAI_KERNEL_SAMPLE,
    VSAI_KERNEL_ATTEND_SPARSE,
    VSAI_KERNEL_ATTEND_DENSE,
    VSAI_KERNEL_COMBINE,
    VSAI_KERNEL_COMBINE_GUIDED,
    VSAI_KERNEL_FINISH,
    VSAI_KERNEL_FINISH_DENSE,
    VSAI_KERNEL_APPEND,
    VSAI_KERNEL_NORMS,
    VSAI_KERNEL_FORGET,
    VSAI_KERNEL_LEARN,
    VSAI_KERNEL_KEYS,
    VSAI_KERNEL_PAGES,
    VSAI_KERNEL_INDICES,
    VSAI_KERNELS
} vsai_kernel;

/* As in vsa_plan_pipeline; static. */
const char *vsai_kernel_name(vsai_kernel kernel);

struct vsa_plan {
    vsa_context *context;
    vsai_shape   shape;
    uint32_t     append_workgroup;   /* invocations */
    uint32_t     indices_workgroup;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout      pipeline_layout;
    VkPipeline            pipelines[VSAI_KERNELS];   /* VK_NULL_HANDLE when the method lacks it */
};

#endif
