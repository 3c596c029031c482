#include "eval_json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "json.h"

static void add_setting(cJSON *object, const char *name, const char *text)
{
    if (text[0] != '\0') {
        cJSON_AddNumberToObject(object, name, strtod(text, NULL));
    } else {
        cJSON_AddNullToObject(object, name);
    }
}

static void add_case(const eval_run *run, const eval_row *row, cJSON *object)
{
    const eval_case *entry = &row->entry;
    char text[EVAL_SETTING_SIZE];

    cJSON_AddStringToObject(object, "input", run->inputs.items[row->input].name);
    cJSON_AddStringToObject(object, "method", options_method_name(entry->method));
    cJSON_AddStringToObject(object, "scorer", eval_case_scorer_name(entry));
    cJSON_AddStringToObject(object, "bound", eval_case_bound_name(entry));
    cJSON_AddStringToObject(object, "target", options_target_name(row->target));
    if (entry->density > 0.0) {
        cJSON_AddNumberToObject(object, "at_density", entry->density);
    } else {
        cJSON_AddNullToObject(object, "at_density");
    }
    cJSON_AddNumberToObject(object, "epsilon", entry->epsilon);
    cJSON_AddNumberToObject(object, "delta", run->options->delta);
    cJSON_AddNumberToObject(object, "value_floor", run->options->value_floor);
    eval_case_top_k(entry, text);
    add_setting(object, "top_k", text);
    eval_case_top_p(entry, text);
    add_setting(object, "top_p", text);
    cJSON_AddNumberToObject(object, "sink", option_share_value(entry->sink));
    cJSON_AddNumberToObject(object, "window", option_share_value(entry->window));
}

static void add_heads(const eval_row *row, cJSON *object)
{
    cJSON *heads = cJSON_CreateArray();

    for (uint32_t i = 0; i < row->head_count; i++) {
        const eval_head *head = &row->heads[i];
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddNumberToObject(entry, "layer", head->layer);
        cJSON_AddNumberToObject(entry, "head", head->head);
        cJSON_AddNumberToObject(entry, "samples_mean", head->mean);
        cJSON_AddNumberToObject(entry, "samples_p5", head->low);
        cJSON_AddNumberToObject(entry, "samples_p95", head->high);
        cJSON_AddItemToArray(heads, entry);
    }
    cJSON_AddItemToObject(object, "heads", heads);
}

static cJSON *make_row(const eval_run *run, const eval_row *row)
{
    cJSON *object = cJSON_CreateObject();

    add_case(run, row, object);
    cJSON_AddNumberToObject(object, "density", row->rows.density);
    cJSON_AddNumberToObject(object, "bytes_read", (double)row->bytes_read);
    cJSON_AddNumberToObject(object, "bytes_dense", (double)row->bytes_dense);
    cJSON_AddNumberToObject(object, "error_mean", row->error.mean);
    cJSON_AddNumberToObject(object, "error_p95", row->error.p95);
    cJSON_AddNumberToObject(object, "error_max", row->error.max);
    cJSON_AddNumberToObject(object, "certified_mean", row->certified_mean);
    cJSON_AddNumberToObject(object, "certified_max", row->certified_max);
    cJSON_AddNumberToObject(object, "coverage", row->error.coverage);
    cJSON_AddNumberToObject(object, "within_bound", row->within_bound);
    cJSON_AddNumberToObject(object, "rows", row->rows.rows);
    cJSON_AddNumberToObject(object, "met", row->rows.met);
    cJSON_AddNumberToObject(object, "exact", row->rows.exact);
    cJSON_AddNumberToObject(object, "missed", row->rows.missed);
    cJSON_AddNumberToObject(object, "invalid", row->rows.invalid);
    report_flags_to_json(&row->rows, row->gathered_tokens, object);
    cJSON_AddNumberToObject(object, "gpu_ms", row->gpu_ms);
    if (row->heads) {
        add_heads(row, object);
    }
    return object;
}

int eval_json_print(const eval_run *run)
{
    const vsa_device_info *device = vsa_standalone_device(run->device.standalone);
    cJSON *object = cJSON_CreateObject();
    cJSON *inputs = cJSON_CreateArray();
    cJSON *rows = cJSON_CreateArray();

    /* Several inputs: the first here, all of them in "inputs", and each row has its own. */
    cJSON_AddStringToObject(object, "input", run->inputs.items[0].name);
    for (uint32_t i = 0; i < run->inputs.count; i++) {
        cJSON_AddItemToArray(inputs, cJSON_CreateString(run->inputs.items[i].name));
    }
    cJSON_AddItemToObject(object, "inputs", inputs);
    cJSON_AddStringToObject(object, "device", device->name);
    cJSON_AddStringToObject(object, "driver", device->driver);
    for (size_t i = 0; i < run->results.count; i++) {
        cJSON_AddItemToArray(rows, make_row(run, &run->results.rows[i]));
    }
    cJSON_AddItemToObject(object, "rows", rows);
    return json_print(object);
}
