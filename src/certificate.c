#include "vsa.h"

#include <string.h>

int vsa_certificates_check(const vsa_certificate *rows, size_t row_count,
                           vsa_certificate_summary *out_summary)
{
    vsa_certificate_summary summary;
    double read_tokens = 0.0;
    double all_tokens = 0.0;

    memset(&summary, 0, sizeof(summary));
    summary.rows = (uint32_t)row_count;
    for (size_t i = 0; i < row_count; i++) {
        const vsa_certificate *row = &rows[i];
        switch (VSA_CERTIFICATE_STATUS(row->status)) {
        case VSA_CERTIFICATE_EXACT:
            summary.exact++;
            break;
        case VSA_CERTIFICATE_MET:
            summary.met++;
            break;
        case VSA_CERTIFICATE_MISSED:
            summary.missed++;
            break;
        case VSA_CERTIFICATE_INVALID:
            summary.invalid++;
            break;
        default:
            summary.none++;
            break;
        }
        if (row->error_bound > summary.worst_error_bound) {
            summary.worst_error_bound = row->error_bound;
        }
        read_tokens += (double)row->exact_tokens + (double)row->sampled_tokens;
        all_tokens += (double)row->length_tokens;
    }
    summary.density = all_tokens > 0.0 ? read_tokens / all_tokens : 0.0;
    if (out_summary != NULL) {
        *out_summary = summary;
    }
    return row_count > 0 && summary.met + summary.exact == summary.rows;
}
