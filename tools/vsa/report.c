#include "report.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

bool report_add(report *sum, const vsa_plan *plan, const vsa_certificate *rows, size_t row_count,
                double gpu_ms)
{
    uint64_t read = 0, dense = 0;

    vsa_certificate *certificates = array_reserve(sum->certificates, sum->count, row_count,
                                                  &sum->capacity, sizeof *certificates);

    if (!certificates) {
        return false;
    }
    sum->certificates = certificates;
    memcpy(certificates + sum->count, rows, row_count * sizeof *rows);
    for (size_t i = 0; i < row_count; i++) {
        sum->gathered_tokens += rows[i].gathered_tokens;
    }
    sum->count += row_count;
    vsa_plan_count_bytes(plan, rows, row_count, &read, &dense);
    sum->bytes_read += read;
    sum->bytes_dense += dense;
    sum->gpu_ms += gpu_ms;
    return true;
}

void report_destroy(report *sum)
{
    free(sum->certificates);
    *sum = (report){0};
}

bool report_check(const report *sum, vsa_certificate_summary *out_summary)
{
    return vsa_certificates_check(sum->certificates, sum->count, out_summary) == 1;
}

void report_flags_to_json(const vsa_certificate_summary *rows, uint64_t gathered_tokens,
                          cJSON *object)
{
    cJSON_AddNumberToObject(object, "unattainable", rows->unattainable);
    cJSON_AddNumberToObject(object, "heavy_sample", rows->heavy_sample);
    cJSON_AddNumberToObject(object, "bound_broken", rows->bound_broken);
    cJSON_AddNumberToObject(object, "floored", rows->floored);
    cJSON_AddNumberToObject(object, "gathered_tokens", (double)gathered_tokens);
}

void report_promise_to_json(const tool_options *options, cJSON *object)
{
    cJSON_AddStringToObject(object, "bound", options_bound_name(options->bound));
    cJSON_AddStringToObject(object, "target", options_target_name(options->target));
    cJSON_AddNumberToObject(object, "epsilon", options->epsilon);
    cJSON_AddNumberToObject(object, "delta", options->delta);
    cJSON_AddNumberToObject(object, "value_floor", options->value_floor);
    cJSON_AddBoolToObject(object, "carry_budget", options->carry_budget);
    cJSON_AddStringToObject(object, "on_miss", options_on_miss_name(options->on_miss));
}

void report_to_json(const report *sum, const vsa_device_info *device, const tool_options *options,
                    cJSON *object)
{
    vsa_certificate_summary rows;

    report_check(sum, &rows);
    cJSON_AddStringToObject(object, "device", device->name);
    cJSON_AddStringToObject(object, "driver", device->driver);
    cJSON_AddStringToObject(object, "method", options_method_name(options->method));
    cJSON_AddStringToObject(object, "scorer", options_scorer_name(options->scorer));
    report_promise_to_json(options, object);
    cJSON_AddNumberToObject(object, "rows", rows.rows);
    cJSON_AddNumberToObject(object, "density", rows.density);
    cJSON_AddNumberToObject(object, "bytes_read", (double)sum->bytes_read);
    cJSON_AddNumberToObject(object, "bytes_dense", (double)sum->bytes_dense);
    cJSON_AddNumberToObject(object, "met", rows.met);
    cJSON_AddNumberToObject(object, "exact", rows.exact);
    cJSON_AddNumberToObject(object, "missed", rows.missed);
    cJSON_AddNumberToObject(object, "invalid", rows.invalid);
    cJSON_AddNumberToObject(object, "none", rows.none);
    report_flags_to_json(&rows, sum->gathered_tokens, object);
    cJSON_AddNumberToObject(object, "worst_error_bound", (double)rows.worst_error_bound);
    cJSON_AddNumberToObject(object, "gpu_ms", sum->gpu_ms);
}

const char *report_bytes(double bytes, char text[REPORT_BYTES_SIZE])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    int unit = 0;

    while (bytes >= 1000.0 && unit < 5) {
        bytes /= 1000.0;
        unit++;
    }
    snprintf(text, REPORT_BYTES_SIZE, "%.*f %s", unit ? 2 : 0, bytes, units[unit]);
    return text;
}

/* Only what a row met with. */
static void print_flags(const vsa_certificate_summary *rows)
{
    const struct {
        uint32_t count;
        const char *text;
    } flags[] = {
        {rows->unattainable, "cannot reach the target sparsely"},
        {rows->heavy_sample, "met a heavy token in the sample"},
        {rows->bound_broken, "broke the bound on their weights"},
        {rows->floored, "measured against the value floor"},
    };
    const char *before = "flags         ";

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i].count > 0) {
            printf("%s%u %s", before, flags[i].count, flags[i].text);
            before = ", ";
        }
    }
    if (before[0] == ',') {
        printf("\n");
    }
}

void report_print(const report *sum, const vsa_device_info *device, const tool_options *options)
{
    vsa_certificate_summary rows;
    char read[REPORT_BYTES_SIZE], dense[REPORT_BYTES_SIZE];

    report_check(sum, &rows);
    printf("device        %s (%s)\n", device->name, device->driver);
    if (options->method == VSA_METHOD_DENSE) {
        printf("method        dense\n");
    } else {
        printf("method        %s, scorer %s, bound %s, target %s, epsilon %g, delta %g",
               options_method_name(options->method), options_scorer_name(options->scorer),
               options_bound_name(options->bound), options_target_name(options->target),
               options->epsilon, options->delta);
        if (options->value_floor > 0.0) {
            printf(", value floor %g", options->value_floor);
        }
        printf("\n");
    }
    printf("rows          %u: %u met, %u exact, %u missed, %u invalid", rows.rows, rows.met,
           rows.exact, rows.missed, rows.invalid);
    printf(rows.none ? ", %u not written\n" : "\n", rows.none);
    print_flags(&rows);
    printf("density       %.4f of the tokens\n", rows.density);
    printf("bytes read    %s of %s (%.1f%%)\n", report_bytes((double)sum->bytes_read, read),
           report_bytes((double)sum->bytes_dense, dense),
           sum->bytes_dense ? 100.0 * (double)sum->bytes_read / (double)sum->bytes_dense : 0.0);
    printf("GPU time      %.2f ms\n", sum->gpu_ms);
}
