#include "bytes.h"

/* The dense pass also ends rows as INVALID; only it writes the whole length into exact_tokens. */
static int was_dense(const vsa_certificate *row)
{
    switch (VSA_CERTIFICATE_STATUS(row->status)) {
    case VSA_CERTIFICATE_EXACT:
        return 1;
    case VSA_CERTIFICATE_INVALID:
        return row->exact_tokens == row->length_tokens;
    default:
        return 0;
    }
}

/* A row that is dense from the start knows no flag and no budget. */
static int was_sparse(const vsa_certificate *row)
{
    return row->gathered_tokens != 0 || row->wanted_samples != 0 ||
           VSA_CERTIFICATE_FLAGS(row->status) != 0;
}

/* Rows gathered for heads [first, end) of a group: they share every gather. */
static uint64_t gathered_by(const vsa_certificate *rows, uint32_t first, uint32_t end)
{
    uint64_t most = 0;

    for (uint32_t i = first; i < end; i++) {
        most = rows[i].gathered_tokens > most ? rows[i].gathered_tokens : most;
    }
    return most;
}

static uint64_t group_bytes(const vsai_byte_shape *shape, const vsa_certificate *rows)
{
    const uint64_t length = rows->length_tokens;
    uint64_t blocks = 0;
    uint64_t gathered = 0;
    uint64_t scanned;
    int dense = 0;
    int sparse = 0;

    for (uint32_t i = 0; i < shape->group; i++) {
        dense = dense || was_dense(&rows[i]);
        sparse = sparse || was_sparse(&rows[i]);
    }
    for (uint32_t first = 0; first < shape->group; first += shape->head_block, blocks++) {
        const uint32_t rest = shape->group - first;
        const uint32_t heads = rest < shape->head_block ? rest : shape->head_block;
        gathered += gathered_by(rows, first, first + heads);
    }
    /* The dense pass serves all blocks of a group that has a dense row. */
    scanned = sparse ? (blocks * length * shape->scan_bits + 7) / 8 : 0;
    return scanned + gathered * (shape->v_size + (shape->gathers_k ? shape->k_size : 0)) +
           (dense ? blocks * length * (shape->k_size + shape->v_size) : 0);
}

void vsai_count_bytes(const vsai_byte_shape *shape, const vsa_certificate *rows, size_t row_count,
                      uint64_t *out_read, uint64_t *out_dense)
{
    const uint64_t blocks = (shape->group + shape->head_block - 1) / shape->head_block;
    uint64_t read = 0;
    uint64_t dense = 0;

    for (size_t i = 0; row_count - i >= shape->group; i += shape->group) {
        read += group_bytes(shape, &rows[i]);
        dense += blocks * rows[i].length_tokens * (shape->k_size + shape->v_size);
    }
    if (out_read != NULL) {
        *out_read = read;
    }
    if (out_dense != NULL) {
        *out_dense = dense;
    }
}
