/*
 * vsa attend: every query of a file, once, with the whole cache in place.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "device.h"
#include "json.h"
#include "output_file.h"
#include "progress.h"
#include "report.h"
#include "safetensors.h"
#include "session_set.h"
#include "tool.h"
#include "trace.h"

/* Tensors of what a row's certificate says, in the order of certificate_integers and
 * certificate_reals. */
static const char *const integer_names[] = {"status",         "exact_tokens",    "sampled_tokens",
                                            "wanted_samples", "gathered_tokens", "flags"};
static const char *const real_names[] = {"error_bound", "log_normaliser", "normaliser_bound"};

enum {
    INTEGERS = sizeof integer_names / sizeof integer_names[0],
    REALS = sizeof real_names / sizeof real_names[0],
    OUTPUTS_PER_LAYER = 2 + INTEGERS + REALS, /* out and indices beside them */
    NAME_SIZE = 32
};

/* What one layer's rows gave, [q_heads][queries] and then the row's own dimension. */
typedef struct layer_result {
    float *out; /* [head_dim_v] */
    int32_t *integers[INTEGERS];
    float *reals[REALS];
    int32_t *indices;        /* [index_capacity] */
    uint32_t index_capacity; /* most tokens that a row of the layer read */
    int32_t **row_indices;   /* [row]: this row's list until the capacity is known */
    char names[OUTPUTS_PER_LAYER][NAME_SIZE];
} layer_result;

/* One step's host arrays, for the largest step of any layer. */
typedef struct step_buffers {
    float *q, *out;
    vsa_certificate *certificates;
    int32_t *indices;
} step_buffers;

typedef struct attend_run {
    const tool_options *options;
    trace input;
    tool_device device;
    session_set sessions;
    layer_result *results;
    step_buffers buffers;
    report sum;
} attend_run;

static void certificate_integers(const vsa_certificate *row, int32_t values[INTEGERS])
{
    values[0] = (int32_t)VSA_CERTIFICATE_STATUS(row->status);
    values[1] = (int32_t)row->exact_tokens;
    values[2] = (int32_t)row->sampled_tokens;
    values[3] = (int32_t)row->wanted_samples;
    values[4] = (int32_t)row->gathered_tokens;
    values[5] = (int32_t)VSA_CERTIFICATE_FLAGS(row->status);
}

static void certificate_reals(const vsa_certificate *row, float values[REALS])
{
    values[0] = row->error_bound;
    values[1] = row->log_normaliser;
    values[2] = row->normaliser_bound;
}

static int no_memory(const attend_run *run)
{
    return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory for the results", run->input.name);
}

static int allocate(attend_run *run, uint32_t max_queries)
{
    const trace *input = &run->input;
    size_t q_count = 0, out_count = 0, row_count = 0, index_count = 0;

    run->results = calloc(input->layer_count, sizeof *run->results);
    if (!run->results) {
        return no_memory(run);
    }
    for (uint32_t i = 0; i < input->layer_count; i++) {
        const trace_layer *layer = &input->layers[i];
        layer_result *result = &run->results[i];
        const size_t rows = (size_t)layer->q_heads * layer->queries;
        const size_t step_rows = (size_t)layer->q_heads * max_queries;

        bool complete = true;

        result->out = malloc(rows * layer->head_dim_v * sizeof *result->out);
        for (int j = 0; j < INTEGERS; j++) {
            result->integers[j] = malloc(rows * sizeof *result->integers[j]);
            complete = complete && result->integers[j];
        }
        for (int j = 0; j < REALS; j++) {
            result->reals[j] = malloc(rows * sizeof *result->reals[j]);
            complete = complete && result->reals[j];
        }
        if (!result->out || !complete) {
            return no_memory(run);
        }
        if (run->options->dump_indices) {
            result->row_indices = calloc(rows, sizeof *result->row_indices);
            if (!result->row_indices) {
                return no_memory(run);
            }
            index_count =
                step_rows * layer->tokens > index_count ? step_rows * layer->tokens : index_count;
        }
        row_count = step_rows > row_count ? step_rows : row_count;
        q_count = step_rows * layer->head_dim_k > q_count ? step_rows * layer->head_dim_k : q_count;
        out_count =
            step_rows * layer->head_dim_v > out_count ? step_rows * layer->head_dim_v : out_count;
    }
    run->buffers = (step_buffers){
        .q = malloc(q_count * sizeof(float)),
        .out = malloc(out_count * sizeof(float)),
        .certificates = malloc(row_count * sizeof(vsa_certificate)),
        .indices = index_count ? malloc(index_count * sizeof(int32_t)) : NULL,
    };
    if (!run->buffers.q || !run->buffers.out || !run->buffers.certificates ||
        (index_count && !run->buffers.indices)) {
        return no_memory(run);
    }
    return EXIT_DONE;
}

static void keep_certificate(layer_result *result, size_t to, const vsa_certificate *row)
{
    int32_t integers[INTEGERS];
    float reals[REALS];

    certificate_integers(row, integers);
    certificate_reals(row, reals);
    for (int i = 0; i < INTEGERS; i++) {
        result->integers[i][to] = integers[i];
    }
    for (int i = 0; i < REALS; i++) {
        result->reals[i][to] = reals[i];
    }
}

/* Sorts a step's rows, [query][q_head], into the layer's result, [q_head][query]. */
static int keep_rows(attend_run *run, uint32_t layer_index, uint32_t first_query,
                     uint32_t query_count)
{
    const trace_layer *layer = &run->input.layers[layer_index];
    layer_result *result = &run->results[layer_index];

    for (uint32_t j = 0; j < query_count; j++) {
        for (uint32_t h = 0; h < layer->q_heads; h++) {
            const size_t from = (size_t)j * layer->q_heads + h;
            const size_t to = (size_t)h * layer->queries + first_query + j;
            const vsa_certificate *row = &run->buffers.certificates[from];

            memcpy(result->out + to * layer->head_dim_v,
                   run->buffers.out + from * layer->head_dim_v,
                   layer->head_dim_v * sizeof *result->out);
            keep_certificate(result, to, row);
            if (!result->row_indices) {
                continue;
            }
            uint32_t count = row->exact_tokens + row->sampled_tokens;

            count = count < layer->tokens ? count : layer->tokens;
            result->row_indices[to] = malloc((count + 1) * sizeof(int32_t));
            if (!result->row_indices[to]) {
                return no_memory(run);
            }
            memcpy(result->row_indices[to], run->buffers.indices + from * layer->tokens,
                   count * sizeof(int32_t));
            result->row_indices[to][count] = -1;
            result->index_capacity =
                count > result->index_capacity ? count : result->index_capacity;
        }
    }
    return EXIT_DONE;
}

static int run_layer(attend_run *run, uint32_t layer_index, uint32_t max_queries, progress *bar,
                     uint64_t *done)
{
    const trace_layer *layer = &run->input.layers[layer_index];
    const session_slot slot = run->sessions.slots[layer_index];
    vsa_result result = vsa_session_write_kv(slot.session, slot.layer, 0, 0, layer->tokens,
                                             layer->k, (size_t)layer->tokens * layer->head_dim_k,
                                             layer->v, (size_t)layer->tokens * layer->head_dim_v);

    if (result != VSA_SUCCESS) {
        return device_fail(&run->device, result, "the KV cache cannot be written");
    }
    for (uint32_t first = 0; first < layer->queries; first += max_queries) {
        const uint32_t left = layer->queries - first;
        const uint32_t count = left < max_queries ? left : max_queries;
        const uint32_t length = trace_length(layer, first + count - 1);
        int code;

        for (uint32_t j = 0; j < count; j++) {
            for (uint32_t h = 0; h < layer->q_heads; h++) {
                memcpy(run->buffers.q + ((size_t)j * layer->q_heads + h) * layer->head_dim_k,
                       layer->q + ((size_t)h * layer->queries + first + j) * layer->head_dim_k,
                       layer->head_dim_k * sizeof(float));
            }
        }
        const vsa_session_step step = {
            .layer = slot.layer,
            .query_count = count,
            .lengths = &length,
            .q = run->buffers.q,
            .seed = run->options->seed,
            .stream = layer_index,
        };
        vsa_session_step_result rows = {
            .out = run->buffers.out,
            .certificates = run->buffers.certificates,
            .indices = run->buffers.indices,
        };

        result = vsa_session_run(slot.session, &step, &rows);
        if (result != VSA_SUCCESS) {
            return device_fail(&run->device, result, "a step cannot be run");
        }
        if (!report_add(&run->sum, vsa_session_plan(slot.session), run->buffers.certificates,
                        (size_t)count * layer->q_heads, rows.gpu_ms)) {
            return no_memory(run);
        }
        if ((code = keep_rows(run, layer_index, first, count)) != EXIT_DONE) {
            return code;
        }
        *done += count;
        progress_update(bar, *done);
    }
    return EXIT_DONE;
}

/* Rows of different lengths become one array, -1 padded. */
static int pack_indices(const attend_run *run, uint32_t layer_index)
{
    const trace_layer *layer = &run->input.layers[layer_index];
    layer_result *result = &run->results[layer_index];
    const size_t rows = (size_t)layer->q_heads * layer->queries;
    const size_t capacity = result->index_capacity;

    result->indices = malloc((rows * capacity + 1) * sizeof *result->indices);
    if (!result->indices) {
        return no_memory(run);
    }
    for (size_t i = 0; i < rows; i++) {
        const int32_t *from = result->row_indices[i];
        int32_t *to = result->indices + i * capacity;
        size_t j = 0;

        for (; j < capacity && from[j] >= 0; j++) {
            to[j] = from[j];
        }
        for (; j < capacity; j++) {
            to[j] = -1;
        }
    }
    return EXIT_DONE;
}

/* A tensor of rank 2, [q_heads][queries], or of rank 3 with `columns` beside them. */
static void list_output(const trace_layer *layer, layer_result *result, uint32_t layer_index,
                        const char *name, const char *dtype_name, uint32_t rank, uint64_t columns,
                        const void *data, safetensors_output *outputs, size_t *count)
{
    char *full_name = result->names[*count];

    snprintf(full_name, NAME_SIZE, "%s.%u", name, layer_index);
    outputs[(*count)++] = (safetensors_output){
        .name = full_name,
        .dtype_name = dtype_name,
        .element_size = 4,
        .rank = rank,
        .shape = {layer->q_heads, layer->queries, columns},
        .data = data,
    };
}

static size_t list_outputs(attend_run *run, uint32_t layer_index, safetensors_output *outputs)
{
    const trace_layer *layer = &run->input.layers[layer_index];
    layer_result *result = &run->results[layer_index];
    size_t count = 0;

    list_output(layer, result, layer_index, "out", "F32", 3, layer->head_dim_v, result->out,
                outputs, &count);
    for (int i = 0; i < INTEGERS; i++) {
        list_output(layer, result, layer_index, integer_names[i], "I32", 2, 0, result->integers[i],
                    outputs, &count);
    }
    for (int i = 0; i < REALS; i++) {
        list_output(layer, result, layer_index, real_names[i], "F32", 2, 0, result->reals[i],
                    outputs, &count);
    }
    if (result->indices) {
        list_output(layer, result, layer_index, "indices", "I32", 3, result->index_capacity,
                    result->indices, outputs, &count);
    }
    return count;
}

static int write_output(attend_run *run)
{
    const tool_options *options = run->options;
    const vsa_device_info *device = vsa_standalone_device(run->device.standalone);
    char epsilon[32], delta[32], value_floor[32], seed[32];
    safetensors_output *outputs =
        calloc((size_t)run->input.layer_count * OUTPUTS_PER_LAYER, sizeof *outputs);
    size_t count = 0;
    int code = EXIT_DONE;

    if (!outputs) {
        return no_memory(run);
    }
    for (uint32_t i = 0; i < run->input.layer_count && code == EXIT_DONE; i++) {
        if (options->dump_indices) {
            code = pack_indices(run, i);
        }
        count += list_outputs(run, i, outputs + count);
    }
    snprintf(epsilon, sizeof epsilon, "%.9g", options->epsilon);
    snprintf(delta, sizeof delta, "%.9g", options->delta);
    snprintf(value_floor, sizeof value_floor, "%.9g", options->value_floor);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)options->seed);

    const char *const metadata[][2] = {
        {"method", options_method_name(options->method)},
        {"scorer", options_scorer_name(options->scorer)},
        {"bound", options_bound_name(options->bound)},
        {"target", options_target_name(options->target)},
        {"epsilon", epsilon},
        {"delta", delta},
        {"value_floor", value_floor},
        {"on_miss", options_on_miss_name(options->on_miss)},
        {"seed", seed},
        {"device", device->name},
        {"driver", device->driver},
    };

    if (code == EXIT_DONE) {
        code = safetensors_write(options->output, outputs, count, metadata,
                                 sizeof metadata / sizeof metadata[0]);
    }
    free(outputs);
    return code;
}

static int tell(const attend_run *run)
{
    const vsa_device_info *device = vsa_standalone_device(run->device.standalone);

    if (run->options->json) {
        cJSON *object = cJSON_CreateObject();

        report_to_json(&run->sum, device, run->options, object);
        cJSON_AddNumberToObject(object, "layers", run->input.layer_count);
        return json_print(object);
    }
    report_print(&run->sum, device, run->options);
    printf("written       %s\n", run->options->output);
    return tool_finish_output();
}

static int execute(attend_run *run)
{
    const tool_options *options = run->options;
    uint64_t done = 0, total = 0;
    uint32_t max_queries;
    int code;

    if ((code = output_file_check(options->output)) != EXIT_DONE ||
        (code = trace_load(options->input, &run->input)) != EXIT_DONE ||
        (code = trace_round(&run->input, (vsa_dtype)options->kv_type)) != EXIT_DONE) {
        return code;
    }
    max_queries = session_set_step_queries(&run->input);
    if ((code = allocate(run, max_queries)) != EXIT_DONE ||
        (code = device_open(&run->device, options)) != EXIT_DONE ||
        (code = session_set_create(&run->device, &run->input, options, max_queries,
                                   &run->sessions)) != EXIT_DONE) {
        return code;
    }
    for (uint32_t i = 0; i < run->input.layer_count; i++) {
        total += run->input.layers[i].queries;
    }
    progress bar = progress_begin("attend", total, !options->no_progress);

    for (uint32_t i = 0; i < run->input.layer_count && code == EXIT_DONE; i++) {
        code = run_layer(run, i, max_queries, &bar, &done);
    }
    progress_clear(&bar);
    if (code != EXIT_DONE || (code = device_check_validation(&run->device)) != EXIT_DONE ||
        (code = write_output(run)) != EXIT_DONE || (code = tell(run)) != EXIT_DONE) {
        return code;
    }
    vsa_certificate_summary rows;

    return report_check(&run->sum, &rows) || !options->strict_exit ? EXIT_DONE : EXIT_CHECK_FAILED;
}

static void destroy(attend_run *run)
{
    for (uint32_t i = 0; i < run->input.layer_count && run->results; i++) {
        layer_result *result = &run->results[i];
        const size_t rows = (size_t)run->input.layers[i].q_heads * run->input.layers[i].queries;

        for (size_t j = 0; j < rows && result->row_indices; j++) {
            free(result->row_indices[j]);
        }
        free(result->row_indices);
        free(result->indices);
        free(result->out);
        for (int j = 0; j < INTEGERS; j++) {
            free(result->integers[j]);
        }
        for (int j = 0; j < REALS; j++) {
            free(result->reals[j]);
        }
    }
    free(run->results);
    free(run->buffers.q);
    free(run->buffers.out);
    free(run->buffers.certificates);
    free(run->buffers.indices);
    session_set_destroy(&run->sessions);
    device_close(&run->device);
    trace_destroy(&run->input);
    report_destroy(&run->sum);
}

int command_attend(const tool_options *options)
{
    attend_run run = {.options = options};

    if (!options->input || !options->output) {
        return tool_fail(EXIT_BAD_INPUT, "attend: option --%s is missing",
                         options->input ? "output" : "input");
    }
    const int code = execute(&run);

    destroy(&run);
    return code;
}
