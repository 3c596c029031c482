/* Attention of one row in double precision on the host: the yardstick of VSA_VERIFY, and what
 * computes rows that vsa does not. */
#ifndef VSAI_GGML_HOST_H
#define VSAI_GGML_HOST_H

#include "node.h"

/* out [q_head][head_dim_v] and, when not NULL, log_normalisers [q_head]; zeros and -inf for a row
 * that shows no cell. Other values of the mask are added to the logits. 0 = no memory. */
int vsai_ggml_host_attend(const vsai_ggml_node *node, uint32_t stream, uint32_t query,
                          double *out, double *log_normalisers);

#endif
