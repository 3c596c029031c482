#include "bench_result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

const bench_spread bench_spread_unknown = {(double)NAN, (double)NAN, (double)NAN};

double bench_row_ms(const bench_row *row)
{
    return isnan(row->gpu_ms.median) ? row->wall_ms.median : row->gpu_ms.median;
}

double bench_row_gbps(const bench_row *row)
{
    const double ms = bench_row_ms(row);

    return ms > 0.0 ? row->bytes / ms * 1e-6 : (double)NAN;
}

const char *bench_stage_name(int timestamp)
{
    static const char *const names[VSA_TIMESTAMP_COUNT] = {
        [VSA_TIMESTAMP_BEGIN] = "append",     [VSA_TIMESTAMP_SCORE] = "score",
        [VSA_TIMESTAMP_SELECT] = "select",    [VSA_TIMESTAMP_SAMPLE] = "sample",
        [VSA_TIMESTAMP_ATTEND] = "attend",    [VSA_TIMESTAMP_COMBINE] = "combine",
        [VSA_TIMESTAMP_FALLBACK] = "fallback"};

    return names[timestamp];
}

const bench_row *bench_results_find(const bench_results *results, const bench_case *entry,
                                    uint32_t tokens)
{
    for (size_t i = 0; i < results->count; i++) {
        const bench_row *row = &results->rows[i];

        if (row->tokens == tokens && row->entry.method == entry->method &&
            row->entry.scorer == entry->scorer) {
            return row;
        }
    }
    return NULL;
}

bool bench_results_add(bench_results *results, const bench_row *row)
{
    bench_row *rows =
        array_reserve(results->rows, results->count, 1, &results->capacity, sizeof *rows);

    if (!rows) {
        return false;
    }
    results->rows = rows;
    rows[results->count++] = *row;
    return true;
}

bool bench_results_omit(bench_results *results, uint32_t tokens, const char *what,
                        const char *reason)
{
    for (size_t i = 0; i < results->omission_count; i++) {
        bench_omission *known = &results->omissions[i];

        if (known->tokens == tokens && strcmp(known->reason, reason) == 0) {
            const size_t used = strlen(known->what);

            snprintf(known->what + used, sizeof known->what - used, "; %s", what ? what : "all");
            return true;
        }
    }
    bench_omission *omissions = array_reserve(results->omissions, results->omission_count, 1,
                                              &results->omission_capacity, sizeof *omissions);

    if (!omissions) {
        return false;
    }
    results->omissions = omissions;
    bench_omission *omission = &omissions[results->omission_count++];

    *omission = (bench_omission){.tokens = tokens};
    snprintf(omission->what, sizeof omission->what, "%s", what ? what : "");
    snprintf(omission->reason, sizeof omission->reason, "%s", reason);
    return true;
}

void bench_results_destroy(bench_results *results)
{
    free(results->rows);
    free(results->omissions);
    *results = (bench_results){0};
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

bench_spread bench_spread_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return (bench_spread){.median = 0.5 * (values[(count - 1) / 2] + values[count / 2]),
                          .low = values[0],
                          .high = values[count - 1]};
}

const char *bench_omission_text(const bench_omission *omission, char text[BENCH_OMISSION_SIZE])
{
    char tokens[32] = "";

    if (omission->tokens > 0) {
        snprintf(tokens, sizeof tokens, "tokens %u%s", omission->tokens,
                 omission->what[0] ? ", " : "");
    }
    snprintf(text, BENCH_OMISSION_SIZE, "%s%s: %s", tokens, omission->what, omission->reason);
    return text;
}
