#include "validate_summary.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *validate_text_of(const struct cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

    return text ? text : "";
}

double validate_number_of(const struct cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

void validate_join(const struct cJSON *array, char *text, size_t size)
{
    const cJSON *item;
    size_t used = 0;

    text[0] = '\0';
    cJSON_ArrayForEach(item, array)
    {
        const char *part = cJSON_GetStringValue(item);

        if (part && used < size) {
            const int added = snprintf(text + used, size - used, "%s%s", used ? ", " : "", part);

            used += added > 0 ? (size_t)added : 0;
        }
    }
}

static void count_case(const cJSON *entry, validate_summary *sum)
{
    const char *status = validate_text_of(entry, "status");
    const double error = validate_number_of(entry, "error");

    sum->passed += strcmp(status, "passed") == 0;
    sum->failed += strcmp(status, "failed") == 0;
    sum->skipped += strcmp(status, "skipped") == 0;
    if (!isnan(error) && !(error <= sum->error)) {
        sum->error = error;
        sum->worst = validate_text_of(entry, "name");
    }
}

static void count_pipeline(const cJSON *pipeline, validate_summary *sum)
{
    const double spills = validate_number_of(pipeline, "spills");
    const double scratch = validate_number_of(pipeline, "scratch");

    sum->pipelines++;
    sum->spilling += spills > 0;
    sum->with_scratch += scratch > 0;
    sum->told = sum->told || !isnan(spills) || !isnan(scratch) ||
                !isnan(validate_number_of(pipeline, "instructions"));
    if (strncmp(validate_text_of(pipeline, "kernel"), "attend", 6) == 0) {
        sum->attend_waves = fmin(sum->attend_waves, validate_number_of(pipeline, "waves"));
    }
}

validate_summary validate_summarise(const struct cJSON *device)
{
    validate_summary sum = {.error = NAN, .worst = "", .attend_waves = NAN};
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(device, "cases"))
    {
        count_case(item, &sum);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(device, "pipelines"))
    {
        count_pipeline(item, &sum);
    }
    return sum;
}

double validate_kernel_worst(const struct cJSON *device, const char *kernel,
                             pipeline_number number)
{
    double worst = NAN;
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(device, "pipelines"))
    {
        if (strcmp(validate_text_of(item, "kernel"), kernel) == 0) {
            worst = pipeline_number_worse(
                number, worst, validate_number_of(item, pipeline_number_names[number]));
        }
    }
    return worst;
}

/* What compiling showed, behind "compiles". */
static void describe_pipelines(const validate_summary *sum, char *text, size_t size)
{
    char waves[64] = "";

    if (!sum->told) {
        snprintf(text, size, "%u pipelines; the driver tells no statistics", sum->pipelines);
        return;
    }
    if (!isnan(sum->attend_waves)) {
        snprintf(waves, sizeof waves, ", attend runs %.0f or more waves", sum->attend_waves);
    }
    snprintf(text, size, "%u pipelines, %u with spills, %u with scratch%s", sum->pipelines,
             sum->spilling, sum->with_scratch, waves);
}

void validate_sentence(const struct cJSON *device, char text[VALIDATE_SENTENCE_SIZE])
{
    const validate_summary sum = validate_summarise(device);
    const char *verdict = validate_text_of(device, "verdict");
    const bool executed = cJSON_IsTrue(cJSON_GetObjectItem(device, "executed"));
    char reasons[512], found[256];

    if (strcmp(verdict, "cannot") == 0) {
        validate_join(cJSON_GetObjectItem(device, "missing"), reasons, sizeof reasons);
        snprintf(text, VALIDATE_SENTENCE_SIZE, "cannot: %s", reasons);
        return;
    }
    if (strcmp(verdict, "fails") == 0) {
        snprintf(text, VALIDATE_SENTENCE_SIZE, "fails: %u of %u cases", sum.failed,
                 sum.failed + sum.passed);
        return;
    }
    if (!executed) {
        describe_pipelines(&sum, found, sizeof found);
        snprintf(text, VALIDATE_SENTENCE_SIZE, "compiles: %s", found);
        return;
    }
    validate_join(cJSON_GetObjectItem(device, "slow"), reasons, sizeof reasons);
    snprintf(text, VALIDATE_SENTENCE_SIZE, "works%s%s%s: %u cases, largest error %.2g",
             reasons[0] ? " on a slower path (" : "", reasons, reasons[0] ? ")" : "", sum.passed,
             sum.error);
}
