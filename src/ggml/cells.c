#include "cells.h"

enum { MINUS_INFINITY = 0xfc00, SIGN = 0x8000 };

vsai_ggml_mask vsai_ggml_cells(const uint16_t *mask, uint32_t cell_count, uint32_t first,
                               uint32_t *cells, uint32_t *out_count)
{
    uint32_t count = 0;
    uint32_t other = 0;

    if (mask == 0) {
        for (uint32_t i = 0; i < cell_count; i++) {
            cells[i] = first + i;
        }
        count = cell_count;
    } else {
        /* No branch on the contents: rows are as long as the cache, one per layer and step. */
        for (uint32_t i = 0; i < cell_count; i++) {
            const uint32_t value = mask[i];
            const uint32_t shown = (value & ~(uint32_t)SIGN) == 0;
            cells[count] = first + i;
            count += shown;
            other |= (uint32_t)!shown & (uint32_t)(value != MINUS_INFINITY);
        }
    }
    *out_count = count;
    return other != 0 ? VSAI_GGML_MASK_VALUES
           : count == 0 ? VSAI_GGML_MASK_EMPTY : VSAI_GGML_MASK_LIST;
}
