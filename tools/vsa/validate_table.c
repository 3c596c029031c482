#include "validate_table.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "validate_summary.h"

void validate_table_begin(const char *device, const char *driver)
{
    printf("%s, %s\n", device, driver);
    fflush(stdout);
}

void validate_table_case(const struct cJSON *entry)
{
    const double error = validate_number_of(entry, "error");
    const double gpu_ms = validate_number_of(entry, "gpu_ms");
    char numbers[2][32] = {"", ""};

    if (!isnan(error)) {
        snprintf(numbers[0], sizeof numbers[0], "%.2g", error);
    }
    if (gpu_ms > 0) {
        snprintf(numbers[1], sizeof numbers[1], "%.3f ms", gpu_ms);
    }
    printf("  %-7s  %-30s  %8s  %12s  %s\n", validate_text_of(entry, "status"),
           validate_text_of(entry, "name"), numbers[0], numbers[1],
           validate_text_of(entry, "detail"));
    fflush(stdout);
}

/* Four a line. */
static void write_times(const struct cJSON *kernels)
{
    const cJSON *item;
    int count = 0;

    if (cJSON_GetArraySize(kernels) == 0) {
        return;
    }
    fputs("  kernels, ms of all cases:", stdout);
    cJSON_ArrayForEach(item, kernels)
    {
        printf("%s%15s %9.3f", count++ % 4 == 0 ? "\n  " : "", validate_text_of(item, "kernel"),
               validate_number_of(item, "ms"));
    }
    fputc('\n', stdout);
}

void validate_table_end(const struct cJSON *device)
{
    char sentence[VALIDATE_SENTENCE_SIZE];
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(device, "pipelines"))
    {
        const double spills = validate_number_of(item, "spills");
        const double scratch = validate_number_of(item, "scratch");

        if (spills > 0 || scratch > 0) {
            printf("  %-40s  spills %.0f, scratch %.0f bytes, %.0f registers, %.0f waves\n",
                   validate_text_of(item, "name"), spills, scratch,
                   validate_number_of(item, "registers"), validate_number_of(item, "waves"));
        }
    }
    write_times(cJSON_GetObjectItem(device, "kernels"));
    validate_sentence(device, sentence);
    printf("  %s\n\n", sentence);
}
