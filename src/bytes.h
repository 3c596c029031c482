/* What a step has read, from its certificates. Pure. */
#ifndef VSAI_BYTES_H
#define VSAI_BYTES_H

#include "vsa.h"

typedef struct vsai_byte_shape {
    uint32_t group;        /* query heads per KV head */
    uint32_t head_block;   /* how many of them share a read */
    uint32_t scan_bits;    /* read per token and KV head before tokens are picked: of K by the exact
                              scorer, of `state` by the others; 0 = the method scores nothing */
    int      gathers_k;    /* the chosen tokens' keys are read too */
    uint64_t k_size;       /* bytes of one row */
    uint64_t v_size;
} vsai_byte_shape;

/* As vsa_plan_count_bytes: rows beyond the last whole group are not counted. */
void vsai_count_bytes(const vsai_byte_shape *shape, const vsa_certificate *rows, size_t row_count,
                      uint64_t *out_read, uint64_t *out_dense);

#endif
