#include "bench_json.h"

#include <cjson/cJSON.h>
#include <math.h>

#include "bench_summary.h"
#include "json.h"

static void add_spread(cJSON *object, const char *names[3], bench_spread spread)
{
    cJSON_AddNumberToObject(object, names[0], spread.median);
    cJSON_AddNumberToObject(object, names[1], spread.low);
    cJSON_AddNumberToObject(object, names[2], spread.high);
}

/* Only stages that took time. */
static cJSON *make_stages(const double values[VSA_TIMESTAMP_COUNT])
{
    cJSON *object = cJSON_CreateObject();

    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        if (values[i] > 0.0) {
            cJSON_AddNumberToObject(object, bench_stage_name(i), values[i]);
        }
    }
    return object;
}

static cJSON *make_row(const bench_run *run, const bench_row *row)
{
    const double gbps = bench_row_gbps(row);
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "method", options_method_name(row->entry.method));
    cJSON_AddStringToObject(object, "scorer", bench_case_scorer_name(&row->entry));
    cJSON_AddNumberToObject(object, "tokens", row->tokens);
    cJSON_AddNumberToObject(object, "layers", row->layers);
    cJSON_AddNumberToObject(object, "steps", row->steps);
    add_spread(object, (const char *[]){"gpu_ms", "gpu_ms_min", "gpu_ms_max"}, row->gpu_ms);
    add_spread(object, (const char *[]){"wall_ms", "wall_ms_min", "wall_ms_max"}, row->wall_ms);
    cJSON_AddNumberToObject(object, "host_us", row->host_us);
    add_spread(object, (const char *[]){"speedup", "speedup_min", "speedup_max"}, row->speedup);
    cJSON_AddNumberToObject(object, "bytes", row->bytes);
    cJSON_AddNumberToObject(object, "bytes_dense", row->bytes_dense);
    cJSON_AddNumberToObject(object, "gbps", gbps);
    cJSON_AddNumberToObject(object, "copy_share",
                            run->copy_gbps > 0.0 ? gbps / run->copy_gbps : (double)NAN);
    cJSON_AddNumberToObject(object, "density", row->rows.density);
    cJSON_AddNumberToObject(object, "error_mean", row->error.mean);
    cJSON_AddNumberToObject(object, "error_p95", row->error.p95);
    cJSON_AddNumberToObject(object, "error_max", row->error.max);
    cJSON_AddNumberToObject(object, "error_rows", row->error_rows);
    cJSON_AddNumberToObject(object, "certified_mean", row->certified_mean);
    cJSON_AddNumberToObject(object, "rows", row->rows.rows);
    cJSON_AddNumberToObject(object, "met", row->rows.met);
    cJSON_AddNumberToObject(object, "exact", row->rows.exact);
    cJSON_AddNumberToObject(object, "missed", row->rows.missed);
    cJSON_AddNumberToObject(object, "invalid", row->rows.invalid);
    cJSON_AddNumberToObject(object, "unattainable", row->rows.unattainable);
    cJSON_AddNumberToObject(object, "heavy_sample", row->rows.heavy_sample);
    cJSON_AddNumberToObject(object, "bound_broken", row->rows.bound_broken);
    cJSON_AddNumberToObject(object, "floored", row->rows.floored);
    cJSON_AddNumberToObject(object, "gathered_tokens", row->gathered_tokens);
    cJSON_AddNumberToObject(object, "memory_bytes", (double)row->memory);
    cJSON_AddItemToObject(object, "stages", make_stages(row->stage_ms));
    cJSON_AddItemToObject(object, "stage_bytes", make_stages(row->stage_bytes));
    if (run->options->kernels) {
        kernel_times_to_json(&row->kernels, cJSON_AddObjectToObject(object, "kernels"));
    }
    return object;
}

static cJSON *make_cost(const bench_cost *cost)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "method", options_method_name(cost->entry->method));
    cJSON_AddStringToObject(object, "scorer", bench_case_scorer_name(cost->entry));
    cJSON_AddNumberToObject(object, "lengths", cost->lengths);
    cJSON_AddNumberToObject(object, "exponent", cost->fit.exponent);
    cJSON_AddNumberToObject(object, "fixed_us", 1e3 * cost->fit.fixed);
    cJSON_AddNumberToObject(object, "ns_per_token", 1e6 * cost->fit.per_token);
    cJSON_AddNumberToObject(object, "host_us", cost->host_us);
    return object;
}

static cJSON *make_costs(const bench_run *run)
{
    cJSON *costs = cJSON_CreateArray();

    for (size_t i = 0; i < run->cases.count; i++) {
        bench_cost cost;

        if (bench_summary_cost(run, i, &cost)) {
            cJSON_AddItemToArray(costs, make_cost(&cost));
        }
    }
    return costs;
}

static cJSON *make_omissions(const bench_results *results)
{
    cJSON *omissions = cJSON_CreateArray();

    for (size_t i = 0; i < results->omission_count; i++) {
        const bench_omission *omission = &results->omissions[i];
        cJSON *object = cJSON_CreateObject();

        if (omission->tokens > 0) {
            cJSON_AddNumberToObject(object, "tokens", omission->tokens);
        } else {
            cJSON_AddNullToObject(object, "tokens");
        }
        cJSON_AddStringToObject(object, "what", omission->what[0] ? omission->what : "all");
        cJSON_AddStringToObject(object, "reason", omission->reason);
        cJSON_AddItemToArray(omissions, object);
    }
    return omissions;
}

/* 0 = the device's default. */
static cJSON *make_tuning(const vsa_tuning *tuning)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddNumberToObject(object, "workgroup", tuning->workgroup);
    cJSON_AddNumberToObject(object, "lanes", tuning->lanes);
    cJSON_AddNumberToObject(object, "repeat", tuning->repeat);
    cJSON_AddNumberToObject(object, "value_chunks", tuning->value_chunks);
    cJSON_AddNumberToObject(object, "query_chunks", tuning->query_chunks);
    return object;
}

static cJSON *make_found(const bench_tuning *found)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "method", options_method_name(found->entry->method));
    cJSON_AddStringToObject(object, "scorer", bench_case_scorer_name(found->entry));
    cJSON_AddNumberToObject(object, "tokens", found->tokens);
    cJSON_AddItemToObject(object, "start", make_tuning(&found->start));
    cJSON_AddItemToObject(object, "best", make_tuning(&found->best));
    cJSON_AddBoolToObject(object, "changed", bench_tuning_changed(found));
    cJSON_AddNumberToObject(object, "gain", found->gain.median);
    cJSON_AddNumberToObject(object, "gain_p25", found->gain.low);
    cJSON_AddNumberToObject(object, "gain_p75", found->gain.high);
    cJSON_AddNumberToObject(object, "start_ms", found->start_ms);
    cJSON_AddNumberToObject(object, "best_ms", found->best_ms);
    cJSON_AddNumberToObject(object, "tried", found->tried);
    cJSON_AddNumberToObject(object, "refused", found->refused);
    return object;
}

static void add_settings(const bench_run *run, cJSON *object)
{
    const bench_input *input = &run->input;
    const tool_options *options = run->options;

    cJSON_AddStringToObject(object, "input", input->name);
    cJSON_AddNumberToObject(object, "q_heads", input->q_heads);
    cJSON_AddNumberToObject(object, "kv_heads", input->kv_heads);
    cJSON_AddNumberToObject(object, "head_dim_k", input->head_dim_k);
    cJSON_AddNumberToObject(object, "head_dim_v", input->head_dim_v);
    cJSON_AddStringToObject(object, "kv_type", options_dtype_name((int)input->kv_type));
    report_promise_to_json(options, object);
    cJSON_AddNumberToObject(object, "repeat", options->repeat);
    cJSON_AddItemToObject(object, "tuning", make_tuning(&run->tuning));
}

int bench_json_print(const bench_run *run, const bench_tunings *tuned)
{
    const vsa_device_info *device = vsa_standalone_device(run->device.standalone);
    cJSON *object = cJSON_CreateObject();
    cJSON *rows = cJSON_CreateArray();

    cJSON_AddStringToObject(object, "device", device->name);
    cJSON_AddStringToObject(object, "driver", device->driver);
    cJSON_AddNumberToObject(object, "copy_gbps",
                            run->copy_gbps > 0.0 ? run->copy_gbps : (double)NAN);
    add_settings(run, object);
    for (size_t i = 0; i < run->results.count; i++) {
        cJSON_AddItemToArray(rows, make_row(run, &run->results.rows[i]));
    }
    cJSON_AddItemToObject(object, "rows", rows);
    cJSON_AddItemToObject(object, "costs", make_costs(run));
    cJSON_AddItemToObject(object, "left_out", make_omissions(&run->results));
    if (tuned) {
        cJSON *found = cJSON_CreateArray();

        for (size_t i = 0; i < tuned->count; i++) {
            cJSON_AddItemToArray(found, make_found(&tuned->items[i]));
        }
        cJSON_AddItemToObject(object, "tuned", found);
    }
    return json_print(object);
}
