/*
 * validate_run.h - one case on a device: run, compared with the reference, run again.
 */
#ifndef VSA_TOOL_VALIDATE_RUN_H
#define VSA_TOOL_VALIDATE_RUN_H

#include "validate_compare.h"
#include "kernel_times.h"

typedef enum validate_status {
    VALIDATE_PASSED = 0,
    VALIDATE_FAILED,
    VALIDATE_SKIPPED /* the device need not have it */
} validate_status;

typedef struct validate_outcome {
    validate_status status;
    validate_tally tally; /* rows are 0 when nothing ran */
    double gpu_ms;        /* the fastest of the repeats; 0 if the queue has no timestamps */
    double stage_ms[VSA_TIMESTAMP_COUNT];
    kernel_times times; /* the fastest of as many repeats more */
} validate_outcome;

/* `sentence` is where the device's log keeps the library's last error. */
void validate_run(vsa_standalone *standalone, const char *sentence, const validate_case *entry,
                  validate_outcome *out_outcome);

#endif
