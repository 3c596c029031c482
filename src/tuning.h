/* Which tuning a plan gets. Pure. */
#ifndef VSAI_TUNING_H
#define VSAI_TUNING_H

#include "log.h"

typedef struct vsai_tuning_case {
    int      is_cpu;
    uint32_t head_dim_k, head_dim_v;
    uint32_t head_block;   /* query heads that one workgroup serves */
    uint32_t segments;     /* of K and V; 1 = each is one range */
} vsai_tuning_case;

/* Fills the zero fields of `tuning`, and checks the rest. */
vsa_result vsai_tuning_choose(vsa_tuning *tuning, const vsai_tuning_case *of, const vsa_log *log);

#endif
