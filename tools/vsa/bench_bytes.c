#include "bench_bytes.h"

#include <stdlib.h>

/* vsa_plan_count_bytes adds up the scorer's scan, the gathered rows and the dense pass of each
 * group. A row that gathered nothing leaves the first and the last; a row that did not go dense
 * either, but has asked for samples, leaves the first. */
static uint64_t count_scans(const vsa_plan *plan, const vsa_certificate *rows, size_t row_count,
                            vsa_certificate *copies)
{
    uint64_t read = 0;

    for (size_t i = 0; i < row_count; i++) {
        const vsa_certificate *row = &rows[i];
        const bool was_sparse = row->gathered_tokens > 0 || row->wanted_samples > 0 ||
                                VSA_CERTIFICATE_FLAGS(row->status) != 0;

        copies[i] = (vsa_certificate){
            .status = VSA_CERTIFICATE_MET,
            .length_tokens = row->length_tokens,
            .wanted_samples = was_sparse,
        };
    }
    vsa_plan_count_bytes(plan, copies, row_count, &read, NULL);
    return read;
}

static uint64_t count_without_gathers(const vsa_plan *plan, const vsa_certificate *rows,
                                      size_t row_count, vsa_certificate *copies)
{
    uint64_t read = 0;

    for (size_t i = 0; i < row_count; i++) {
        copies[i] = rows[i];
        copies[i].wanted_samples += rows[i].gathered_tokens > 0;
        copies[i].gathered_tokens = 0;
    }
    vsa_plan_count_bytes(plan, copies, row_count, &read, NULL);
    return read;
}

bool bench_bytes_count(const vsa_plan *plan, bool is_dense, const vsa_certificate *rows,
                       size_t row_count, bench_bytes *out_bytes)
{
    vsa_certificate *copies = malloc(row_count * sizeof *copies);

    *out_bytes = (bench_bytes){0};
    if (!copies) {
        return false;
    }
    vsa_plan_count_bytes(plan, rows, row_count, &out_bytes->read, &out_bytes->dense);
    if (is_dense) {
        out_bytes->attend = out_bytes->read;
    } else {
        const uint64_t scans = count_scans(plan, rows, row_count, copies);
        const uint64_t rest = count_without_gathers(plan, rows, row_count, copies);

        out_bytes->score = scans;
        out_bytes->fallback = rest > scans ? rest - scans : 0;
        out_bytes->attend = out_bytes->read > rest ? out_bytes->read - rest : 0;
    }
    free(copies);
    return true;
}
