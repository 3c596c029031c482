/* SET_ROWS on the host. Computing it is what makes ggml's scheduler give the backend the attention
 * beside it. */
#ifndef VSAI_GGML_SET_ROWS_H
#define VSAI_GGML_SET_ROWS_H

#include <ggml.h>

/* Types that a cache of vsa may have. */
int vsai_ggml_set_rows_supported(const struct ggml_tensor *op);
/* 0 = an index is outside of the destination; rows before it have been written. */
int vsai_ggml_set_rows(const struct ggml_tensor *op);

#endif
