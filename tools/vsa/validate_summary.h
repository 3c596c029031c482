/*
 * validate_summary.h - what the objects of validate_device.h say, counted and put in words. They
 * may come from a file: what is missing there reads as 0 or "".
 */
#ifndef VSA_TOOL_VALIDATE_SUMMARY_H
#define VSA_TOOL_VALIDATE_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>

#include "validate_pipelines.h"

/* Members of an object; "" and NaN where they are not there. */
const char *validate_text_of(const struct cJSON *object, const char *name);
double validate_number_of(const struct cJSON *object, const char *name);
/* An array's texts with commas between. */
void validate_join(const struct cJSON *array, char *text, size_t size);

typedef struct validate_summary {
    unsigned passed, failed, skipped;
    double error;          /* the largest; NaN: nothing was compared */
    const char *worst;     /* the case that has it */
    unsigned pipelines, spilling, with_scratch;
    double attend_waves;   /* fewest of the kernels that attend; NaN: not told */
    bool told;             /* the driver gave statistics */
} validate_summary;

validate_summary validate_summarise(const struct cJSON *device);

/* One sentence: what the device's verdict is, and why. */
enum { VALIDATE_SENTENCE_SIZE = 1024 };
void validate_sentence(const struct cJSON *device, char text[VALIDATE_SENTENCE_SIZE]);

/* The worst of a kernel's pipelines, over all cases; NaN where none tells. */
double validate_kernel_worst(const struct cJSON *device, const char *kernel,
                             pipeline_number number);

#endif
