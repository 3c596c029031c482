/* A row of ggml's attention mask into the list of the cells that it shows. Pure. */
#ifndef VSAI_GGML_CELLS_H
#define VSAI_GGML_CELLS_H

#include <stdint.h>

typedef enum vsai_ggml_mask {
    VSAI_GGML_MASK_EMPTY = 0,   /* shows no cell */
    VSAI_GGML_MASK_LIST,        /* 0 or -inf everywhere: a list says it all */
    VSAI_GGML_MASK_VALUES       /* something else is added to a logit */
} vsai_ggml_mask;

/* Writes the cells below `cell_count` whose mask (f16) is 0, each plus `first`, in ascending order,
 * and their number. `mask` NULL shows all. `cells` has room for cell_count; with VALUES its
 * contents are of no use. */
vsai_ggml_mask vsai_ggml_cells(const uint16_t *mask, uint32_t cell_count, uint32_t first,
                               uint32_t *cells, uint32_t *out_count);

#endif
