#include "vsa.h"

#include <math.h>
#include <string.h>

static void count_status(uint32_t status, vsa_certificate_summary *summary)
{
    switch (VSA_CERTIFICATE_STATUS(status)) {
    case VSA_CERTIFICATE_EXACT:
        summary->exact++;
        break;
    case VSA_CERTIFICATE_MET:
        summary->met++;
        break;
    case VSA_CERTIFICATE_MISSED:
        summary->missed++;
        break;
    case VSA_CERTIFICATE_INVALID:
        summary->invalid++;
        break;
    default:
        summary->none++;
        break;
    }
}

static void count_flags(uint32_t status, vsa_certificate_summary *summary)
{
    const uint32_t flags = VSA_CERTIFICATE_FLAGS(status);

    summary->unattainable += (flags & VSA_CERTIFICATE_UNATTAINABLE) != 0;
    summary->heavy_sample += (flags & VSA_CERTIFICATE_HEAVY_SAMPLE) != 0;
    summary->bound_broken += (flags & VSA_CERTIFICATE_BOUND_BROKEN) != 0;
    summary->floored += (flags & VSA_CERTIFICATE_FLOORED) != 0;
}

static int is_kept(uint32_t status)
{
    return VSA_CERTIFICATE_STATUS(status) == VSA_CERTIFICATE_EXACT ||
           VSA_CERTIFICATE_STATUS(status) == VSA_CERTIFICATE_MET;
}

int vsa_certificates_check(const vsa_certificate *rows, size_t row_count,
                           vsa_certificate_summary *out_summary)
{
    const size_t count = rows != NULL ? row_count : 0;
    vsa_certificate_summary summary;
    double read_tokens = 0.0;
    double all_tokens = 0.0;
    int kept = count > 0;

    memset(&summary, 0, sizeof(summary));
    summary.rows = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const vsa_certificate *row = &rows[i];

        count_status(row->status, &summary);
        count_flags(row->status, &summary);
        kept = kept && is_kept(row->status);
        if (!(row->error_bound <= summary.worst_error_bound)) {
            summary.worst_error_bound = isnan(row->error_bound) ? INFINITY : row->error_bound;
        }
        read_tokens += (double)row->exact_tokens + (double)row->sampled_tokens;
        all_tokens += (double)row->length_tokens;
    }
    summary.density = all_tokens > 0.0 ? read_tokens / all_tokens : 0.0;
    if (out_summary != NULL) {
        *out_summary = summary;
    }
    return kept;
}
