#include "validate_device.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "json.h"
#include "platform.h"
#include "validate_pipelines.h"
#include "validate_run.h"

/* The device, opened in the two ways that cases need. */
typedef struct opened {
    tool_device normal, segments;
    bool has_segments;
    kernel_times times; /* of all cases that passed */
} opened;

static const char *const status_names[] = {"passed", "failed", "skipped"};

static bool can_bind_segments(const vsa_device_info *device)
{
    for (uint32_t i = 0; i < device->report.slow_count; i++) {
        if (strstr(device->report.slow[i], "segments")) {
            return false;
        }
    }
    return true;
}

static vsa_result open_device(tool_device *out_device, const tool_options *options,
                              const vsa_device_info *device, uint32_t max_range)
{
    char index[16];

    *out_device = (tool_device){0};
    snprintf(index, sizeof index, "%u", device->index);
    return vsa_standalone_create(
        &(vsa_standalone_create_info){
            .api_version = VSA_API_VERSION,
            .device = index,
            .cache_directory = options->cache,
            .validation = options->vulkan_validation,
            .compile_only = options->compile_only,
            .compiler = (vsa_compiler)options->compiler,
            .max_storage_range = max_range,
            .log = device_log(out_device),
        },
        &out_device->standalone);
}

static cJSON *add_case(cJSON *cases, const char *name, validate_status status, double error,
                       const char *detail)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "name", name);
    cJSON_AddStringToObject(object, "status", status_names[status]);
    cJSON_AddNumberToObject(object, "error", error); /* null where nothing was compared */
    cJSON_AddStringToObject(object, "detail", detail);
    cJSON_AddItemToArray(cases, object);
    return object;
}

static void add_outcome(cJSON *cases, const validate_case *entry, const validate_outcome *outcome)
{
    static const char *const stages[VSA_TIMESTAMP_COUNT] = {
        "append", "score", "select", "sample", "attend", "combine", "fallback",
    };
    cJSON *object = add_case(cases, entry->name, outcome->status,
                             outcome->tally.rows ? outcome->tally.error : NAN,
                             outcome->tally.detail);

    cJSON_AddNumberToObject(object, "rows", outcome->tally.rows);
    cJSON_AddNumberToObject(object, "gpu_ms", outcome->gpu_ms);

    cJSON *times = cJSON_AddObjectToObject(object, "stages");

    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        if (outcome->stage_ms[i] > 0) {
            cJSON_AddNumberToObject(times, stages[i], outcome->stage_ms[i]);
        }
    }

    kernel_times_to_json(&outcome->times, cJSON_AddObjectToObject(object, "kernels"));
}

static void add_times(cJSON *array, kernel_times *times)
{
    kernel_times_sort(times);
    for (uint32_t i = 0; i < times->count; i++) {
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "kernel", times->kernels[i].kernel);
        cJSON_AddNumberToObject(object, "ms", times->kernels[i].ms);
        cJSON_AddItemToArray(array, object);
    }
}

static void run_case(opened *device, const validate_case *entry, cJSON *cases)
{
    tool_device *on =
        entry->strides == STRIDES_SEGMENTS ? &device->segments : &device->normal;
    const uint32_t before = vsa_standalone_validation_count(on->standalone);
    validate_outcome outcome;

    on->sentence[0] = '\0';
    validate_run(on->standalone, on->sentence, entry, &outcome);
    if (vsa_standalone_validation_count(on->standalone) != before &&
        outcome.status == VALIDATE_PASSED) {
        outcome.status = VALIDATE_FAILED;
        snprintf(outcome.tally.detail, sizeof outcome.tally.detail, "%.250s", on->sentence);
    }
    if (outcome.status == VALIDATE_PASSED) {
        kernel_times_add(&device->times, outcome.times.kernels, outcome.times.count);
    }
    add_outcome(cases, entry, &outcome);
}

static void compile_case(opened *device, const validate_case *entry, cJSON *cases,
                         cJSON *pipelines)
{
    tool_device *on =
        entry->strides == STRIDES_SEGMENTS ? &device->segments : &device->normal;
    char detail[VALIDATE_DETAIL_SIZE] = "";

    on->sentence[0] = '\0';

    const vsa_result result = validate_pipelines(on->standalone, entry, pipelines);

    if (result != VSA_SUCCESS) {
        snprintf(detail, sizeof detail, "%s: %.200s", vsa_result_name(result), on->sentence);
    }
    add_case(cases, entry->name, result == VSA_SUCCESS ? VALIDATE_PASSED : VALIDATE_FAILED, NAN,
             detail);
}

static bool selected(const tool_options *options, const validate_case *entry)
{
    return (!options->cases || strstr(entry->name, options->cases)) &&
           !(options->skip && strstr(entry->name, options->skip));
}

/* Whether every case passed. */
static bool run_cases(const tool_options *options, opened *device, cJSON *cases, cJSON *pipelines,
                      validate_tell tell)
{
    bool passed = true;

    for (size_t i = 0; i < validate_case_total; i++) {
        const validate_case *entry = &validate_cases[i];

        if (!selected(options, entry)) {
            continue;
        }
        if (entry->strides == STRIDES_SEGMENTS && !device->has_segments) {
            add_case(cases, entry->name, VALIDATE_SKIPPED, NAN,
                     "K and V cannot be bound as segments here");
        } else if (options->compile_only) {
            compile_case(device, entry, cases, pipelines);
        } else {
            run_case(device, entry, cases);
        }

        const cJSON *last = cJSON_GetArrayItem(cases, cJSON_GetArraySize(cases) - 1);
        const char *status = cJSON_GetStringValue(cJSON_GetObjectItem(last, "status"));

        passed = passed && status && strcmp(status, status_names[VALIDATE_FAILED]) != 0;
        if (tell && last) {
            tell(last);
        }
    }
    return passed;
}

/* The verdict, after the cases were run on a device that has what is required. */
static const char *examine(const tool_options *options, const vsa_device_info *info, cJSON *missing,
                           cJSON *cases, cJSON *kernels, cJSON *pipelines, validate_tell tell)
{
    opened device = {.has_segments = can_bind_segments(info)};
    const char *verdict = device_verdict_name(info->report.verdict);
    tool_device *failed = &device.normal;
    vsa_result result = open_device(&device.normal, options, info, 0);

    if (result == VSA_SUCCESS && device.has_segments) {
        failed = &device.segments;
        result = open_device(&device.segments, options, info, VALIDATE_SEGMENT_RANGE);
    }
    if (result != VSA_SUCCESS) {
        cJSON_AddItemToArray(missing, cJSON_CreateString(failed->sentence[0]
                                                             ? failed->sentence
                                                             : vsa_result_name(result)));
        verdict = device_verdict_name(VSA_VERDICT_CANNOT);
    } else if (!run_cases(options, &device, cases, pipelines, tell)) {
        verdict = VERDICT_FAILS;
    }
    add_times(kernels, &device.times);
    device_close(&device.segments);
    device_close(&device.normal);
    return verdict;
}

struct cJSON *validate_device(const tool_options *options, const vsa_device_info *device,
                              validate_tell tell)
{
    const double started = platform_seconds();
    cJSON *object = cJSON_CreateObject();
    char version[32];

    cJSON_AddNumberToObject(object, "index", device->index);
    cJSON_AddStringToObject(object, "name", device->name);
    cJSON_AddStringToObject(object, "driver", device->driver);
    cJSON_AddStringToObject(object, "type", vsa_device_type_name(device->type));
    snprintf(version, sizeof version, "%u.%u.%u", VK_API_VERSION_MAJOR(device->api_version),
             VK_API_VERSION_MINOR(device->api_version), VK_API_VERSION_PATCH(device->api_version));
    cJSON_AddStringToObject(object, "vulkan", version);
    cJSON_AddBoolToObject(object, "executed", !options->compile_only);
    json_add_reasons(object, "missing", device->report.missing, device->report.missing_count);
    json_add_reasons(object, "slow", device->report.slow, device->report.slow_count);

    cJSON *cases = cJSON_AddArrayToObject(object, "cases");
    cJSON *kernels = cJSON_AddArrayToObject(object, "kernels");
    cJSON *pipelines = cJSON_AddArrayToObject(object, "pipelines");
    const char *verdict = device_verdict_name(VSA_VERDICT_CANNOT);

    if (device->report.verdict != VSA_VERDICT_CANNOT) {
        verdict = examine(options, device, cJSON_GetObjectItem(object, "missing"), cases, kernels,
                          pipelines, tell);
    }
    cJSON_AddStringToObject(object, "verdict", verdict);
    cJSON_AddNumberToObject(object, "seconds", platform_seconds() - started);
    return object;
}
