/* Which tuning a plan gets. Pure. */
#ifndef VSAI_TUNING_H
#define VSAI_TUNING_H

#include "log.h"

/* Fills the zero fields of `tuning` for the device and head size, and checks the rest.
 * head_block: query heads that one workgroup serves. */
vsa_result vsai_tuning_choose(vsa_tuning *tuning, int is_cpu, uint32_t head_dim_k,
                              uint32_t head_dim_v, uint32_t head_block, const vsa_log *log);

#endif
