/*
 * report.h - what a run did, summed over its steps, and how it is told: fields of a JSON object
 * or aligned lines.
 */
#ifndef VSA_TOOL_REPORT_H
#define VSA_TOOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "vsa_standalone.h"

struct cJSON;

/* Zero-initialised = nothing done yet. */
typedef struct report {
    vsa_certificate *certificates;
    size_t count, capacity;
    uint64_t bytes_read, bytes_dense;
    uint64_t gathered_tokens; /* rows of V, over all stages */
    double gpu_ms;
} report;

/* Adds one step's rows; false when memory is out. */
bool report_add(report *sum, const vsa_plan *plan, const vsa_certificate *rows, size_t row_count,
                double gpu_ms);
void report_destroy(report *sum);

/* True if every row is EXACT or MET. */
bool report_check(const report *sum, vsa_certificate_summary *out_summary);

/* The fields of what rows met with: by vsa_certificate_flag, and rows of V gathered. */
void report_flags_to_json(const vsa_certificate_summary *rows, uint64_t gathered_tokens,
                          struct cJSON *object);

/* The fields of what was asked for: bound, target, epsilon, delta and what goes with them. */
void report_promise_to_json(const tool_options *options, struct cJSON *object);

/* The fields that attend and decode share. `object` may be NULL after memory ran out. */
void report_to_json(const report *sum, const vsa_device_info *device, const tool_options *options,
                    struct cJSON *object);
void report_print(const report *sum, const vsa_device_info *device, const tool_options *options);

/* "12.3 MB", in decimal units. */
enum { REPORT_BYTES_SIZE = 32 };
const char *report_bytes(double bytes, char text[REPORT_BYTES_SIZE]);

#endif
