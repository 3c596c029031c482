#ifndef VSAI_LAYER_H
#define VSAI_LAYER_H

#include "plan.h"

struct vsa_layer {
    const vsa_plan  *plan;
    VkDescriptorPool pool;
    VkDescriptorSet  set;
    VkBuffer     control;          /* dispatch arguments live at its start */
    VkDeviceSize control_offset;
    VkDeviceSize new_k_size, new_v_size, indices_size;   /* 0 when not given */
};

#endif
