#include "set_rows.h"

#include <string.h>

/* Operands: ggml_set_rows. The destination is the node itself, a view of the cache. */
enum { SRC_ROWS, SRC_INDICES };

int vsai_ggml_set_rows_supported(const struct ggml_tensor *op)
{
    const struct ggml_tensor *rows = op->src[SRC_ROWS], *indices = op->src[SRC_INDICES];

    switch (op->type) {
    case GGML_TYPE_F32:
    case GGML_TYPE_F16:
    case GGML_TYPE_BF16:
    case GGML_TYPE_Q8_0:
    case GGML_TYPE_Q4_0:
        break;
    default:
        return 0;
    }
    return rows->type == GGML_TYPE_F32 && rows->nb[0] == sizeof(float) &&
           (indices->type == GGML_TYPE_I64 || indices->type == GGML_TYPE_I32) &&
           op->nb[0] == ggml_type_size(op->type);
}

static int64_t index_at(const struct ggml_tensor *indices, int64_t i0, int64_t i1, int64_t i2)
{
    const char *at = (const char *)indices->data + (size_t)i0 * indices->nb[0] +
                     (size_t)i1 * indices->nb[1] + (size_t)i2 * indices->nb[2];
    int64_t wide;
    int32_t narrow;

    if (indices->type == GGML_TYPE_I64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

int vsai_ggml_set_rows(const struct ggml_tensor *op)
{
    const struct ggml_tensor *rows = op->src[SRC_ROWS], *indices = op->src[SRC_INDICES];
    const ggml_from_float_t convert = ggml_get_type_traits(op->type)->from_float_ref;

    for (int64_t i3 = 0; i3 < rows->ne[3]; i3++) {
        for (int64_t i2 = 0; i2 < rows->ne[2]; i2++) {
            for (int64_t i1 = 0; i1 < rows->ne[1]; i1++) {
                const int64_t to = index_at(indices, i1, i2 % indices->ne[1],
                                            i3 % indices->ne[2]);
                if (to < 0 || to >= op->ne[1]) {
                    return 0;
                }
                const float *from = (const float *)((const char *)rows->data +
                                                    (size_t)i1 * rows->nb[1] +
                                                    (size_t)i2 * rows->nb[2] +
                                                    (size_t)i3 * rows->nb[3]);
                char *row = (char *)op->data + (size_t)to * op->nb[1] + (size_t)i2 * op->nb[2] +
                            (size_t)i3 * op->nb[3];
                if (op->type == GGML_TYPE_F32) {
                    memcpy(row, from, (size_t)rows->ne[0] * sizeof *from);
                } else {
                    convert(from, row, rows->ne[0]);
                }
            }
        }
    }
    return 1;
}
