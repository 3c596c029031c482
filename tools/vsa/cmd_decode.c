/*
 * vsa decode: replays a decode token by token: append, attend, compare with dense attention.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "dense_reference.h"
#include "device.h"
#include "json.h"
#include "platform.h"
#include "progress.h"
#include "report.h"
#include "session_set.h"
#include "stats.h"
#include "synthetic.h"
#include "tool.h"
#include "trace.h"

/* What f32 arithmetic adds to every error: vsa.h, vsa_certificate. */
static const double arithmetic_error = 2e-6;

enum { SUMMARY_LINES = 8 };

/* Sums over the whole replay, or over the steps since the last line. */
typedef struct tally {
    report rows;
    stats certified, actual;
    double seconds; /* wall time of the library's calls */
    uint32_t tokens;
} tally;

typedef struct decode_run {
    const tool_options *options;
    trace input;
    tool_device device;
    session_set sessions;
    float *new_k, *new_v, *q, *out;
    double *weights, *reference;
    vsa_certificate *certificates;
    tally total, interval;
    cJSON *steps; /* with --json --steps */
} decode_run;

static void tally_destroy(tally *sum)
{
    report_destroy(&sum->rows);
    stats_destroy(&sum->certified);
    stats_destroy(&sum->actual);
    *sum = (tally){0};
}

static int no_memory(const decode_run *run)
{
    return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to replay it", run->input.name);
}

/* A replay goes through all layers token by token: they must have the same lengths. */
static int check_layers(const trace *input)
{
    const trace_layer *first = &input->layers[0];

    for (uint32_t i = 1; i < input->layer_count; i++) {
        const trace_layer *layer = &input->layers[i];

        if (layer->tokens != first->tokens) {
            return tool_fail(EXIT_BAD_INPUT,
                             "%s: tensor 'k.%u': has %u tokens, tensor 'k.0' has %u: decode "
                             "needs equal lengths",
                             input->name, i, layer->tokens, first->tokens);
        }
        if (layer->queries != first->queries) {
            return tool_fail(EXIT_BAD_INPUT,
                             "%s: tensor 'q.%u': has %u queries, tensor 'q.0' has %u: decode "
                             "needs equal counts",
                             input->name, i, layer->queries, first->queries);
        }
    }
    return EXIT_DONE;
}

static int load(decode_run *run)
{
    const tool_options *options = run->options;
    int code;

    if (options->trace) {
        code = trace_load(options->trace, &run->input);
    } else {
        code = synthetic_make(options->synthetic ? options->synthetic : "gaussian", &run->input);
    }
    if (code != EXIT_DONE || (code = check_layers(&run->input)) != EXIT_DONE) {
        return code;
    }
    return trace_round(&run->input, (vsa_dtype)options->kv_type);
}

static int allocate(decode_run *run)
{
    size_t new_k = 0, new_v = 0, q = 0, out = 0, heads = 0;

    for (uint32_t i = 0; i < run->input.layer_count; i++) {
        const trace_layer *layer = &run->input.layers[i];
        const size_t sizes[] = {
            (size_t)layer->kv_heads * layer->head_dim_k,
            (size_t)layer->kv_heads * layer->head_dim_v,
            (size_t)layer->q_heads * layer->head_dim_k,
            (size_t)layer->q_heads * layer->head_dim_v,
        };

        new_k = sizes[0] > new_k ? sizes[0] : new_k;
        new_v = sizes[1] > new_v ? sizes[1] : new_v;
        q = sizes[2] > q ? sizes[2] : q;
        out = sizes[3] > out ? sizes[3] : out;
        heads = layer->q_heads > heads ? layer->q_heads : heads;
    }
    run->new_k = malloc(new_k * sizeof *run->new_k);
    run->new_v = malloc(new_v * sizeof *run->new_v);
    run->q = malloc(q * sizeof *run->q);
    run->out = malloc(out * sizeof *run->out);
    run->certificates = malloc(heads * sizeof *run->certificates);
    run->reference = malloc(256 * sizeof *run->reference);
    run->weights = malloc(run->input.layers[0].tokens * sizeof *run->weights);
    if (run->options->json && run->options->steps) {
        run->steps = cJSON_CreateArray();
        if (!run->steps) {
            return no_memory(run);
        }
    }
    return run->new_k && run->new_v && run->q && run->out && run->certificates && run->reference &&
                   run->weights
               ? EXIT_DONE
               : no_memory(run);
}

/* The tokens before the first replayed one. */
static int fill_caches(decode_run *run)
{
    for (uint32_t i = 0; i < run->input.layer_count; i++) {
        const trace_layer *layer = &run->input.layers[i];
        const session_slot slot = run->sessions.slots[i];
        const uint32_t tokens = layer->tokens - layer->queries;

        if (tokens == 0) {
            continue;
        }
        const vsa_result result =
            vsa_session_write_kv(slot.session, slot.layer, 0, 0, tokens, layer->k,
                                 (size_t)layer->tokens * layer->head_dim_k, layer->v,
                                 (size_t)layer->tokens * layer->head_dim_v);

        if (result != VSA_SUCCESS) {
            return device_fail(&run->device, result, "the KV cache cannot be written");
        }
    }
    return EXIT_DONE;
}

/* Copies entry `index` of every head from [heads][count][dim] to [heads][dim]. */
static void gather(const float *values, uint32_t heads, uint32_t count, uint32_t dim,
                   uint32_t index, float *out)
{
    for (uint32_t h = 0; h < heads; h++) {
        memcpy(out + (size_t)h * dim, values + ((size_t)h * count + index) * dim,
               dim * sizeof *out);
    }
}

/* The first use of a pipeline may compile it in the driver: one step per session, with the tokens
 * that are there already and its results thrown away, keeps that out of the times. */
static int warm_up(decode_run *run)
{
    for (uint32_t i = 0; i < run->input.layer_count; i++) {
        const trace_layer *layer = &run->input.layers[i];
        const session_slot slot = run->sessions.slots[i];
        const uint32_t length = layer->tokens - layer->queries;

        if (slot.layer != 0 || length == 0) {
            continue;
        }
        gather(layer->q, layer->q_heads, layer->queries, layer->head_dim_k, 0, run->q);

        const vsa_session_step step = {.lengths = &length, .q = run->q, .seed = run->options->seed};
        vsa_session_step_result rows = {.out = run->out, .certificates = run->certificates};
        const vsa_result result = vsa_session_run(slot.session, &step, &rows);

        if (result != VSA_SUCCESS) {
            return device_fail(&run->device, result, "a step cannot be run");
        }
    }
    return EXIT_DONE;
}

static bool add_errors(decode_run *run, const trace_layer *layer, uint32_t length)
{
    const uint32_t group = layer->q_heads / layer->kv_heads;

    for (uint32_t h = 0; h < layer->q_heads; h++) {
        const size_t kv_head = h / group;
        const vsa_certificate *certificate = &run->certificates[h];
        const dense_row row = {
            .k = layer->cached_k + kv_head * layer->tokens * layer->head_dim_k,
            .v = layer->cached_v + kv_head * layer->tokens * layer->head_dim_v,
            .q = run->q + (size_t)h * layer->head_dim_k,
            .length_tokens = length,
            .head_dim_k = layer->head_dim_k,
            .head_dim_v = layer->head_dim_v,
            .softmax_scale = trace_scale(&run->input, layer),
        };
        const dense_truth truth = dense_reference(&row, run->weights, run->reference);
        const double error = dense_reference_error(
            (vsa_target)run->options->target, layer->head_dim_v,
            run->out + (size_t)h * layer->head_dim_v, (double)certificate->log_normaliser,
            run->reference, truth, run->options->value_floor);

        tally *const sums[] = {&run->total, &run->interval};

        for (int i = 0; i < 2; i++) {
            if (!stats_add(&sums[i]->actual, error) ||
                !stats_add(&sums[i]->certified, (double)certificate->error_bound)) {
                return false;
            }
        }
    }
    return true;
}

static int run_step(decode_run *run, uint32_t layer_index, uint32_t query)
{
    const trace_layer *layer = &run->input.layers[layer_index];
    const session_slot slot = run->sessions.slots[layer_index];
    const uint32_t length = trace_length(layer, query);

    gather(layer->k, layer->kv_heads, layer->tokens, layer->head_dim_k, length - 1, run->new_k);
    gather(layer->v, layer->kv_heads, layer->tokens, layer->head_dim_v, length - 1, run->new_v);
    gather(layer->q, layer->q_heads, layer->queries, layer->head_dim_k, query, run->q);

    const vsa_session_step step = {
        .layer = slot.layer,
        .lengths = &length,
        .new_k = run->new_k,
        .new_v = run->new_v,
        .new_tokens = 1,
        .q = run->q,
        .seed = run->options->seed,
        .stream = layer_index,
    };
    vsa_session_step_result rows = {.out = run->out, .certificates = run->certificates};
    const double started = platform_seconds();
    const vsa_result result = vsa_session_run(slot.session, &step, &rows);
    const double seconds = platform_seconds() - started;

    if (result != VSA_SUCCESS) {
        return device_fail(&run->device, result, "a step cannot be run");
    }
    run->total.seconds += seconds;
    run->interval.seconds += seconds;

    const vsa_plan *plan = vsa_session_plan(slot.session);

    if (!report_add(&run->total.rows, plan, run->certificates, layer->q_heads, rows.gpu_ms) ||
        !report_add(&run->interval.rows, plan, run->certificates, layer->q_heads, rows.gpu_ms) ||
        !add_errors(run, layer, length)) {
        return no_memory(run);
    }
    return EXIT_DONE;
}

static double coverage_limit(const decode_run *run)
{
    return run->options->epsilon + arithmetic_error;
}

static double tokens_per_second(const tally *sum)
{
    return sum->seconds > 0.0 ? sum->tokens / sum->seconds : 0.0;
}

static void print_heading(void)
{
    printf("%8s %8s %8s %10s %9s %10s %10s %10s "
           "%9s\n",
           "step", "tokens", "density", "read", "tok/s", "certified", "error", "max error",
           "coverage");
}

/* One line, or one JSON entry, for the steps since the last one. */
static void tell_interval(decode_run *run, uint32_t step, uint32_t length)
{
    tally *sum = &run->interval;
    const double limit = coverage_limit(run);
    const stats_summary actual = stats_summarise(&sum->actual, limit);
    const stats_summary certified = stats_summarise(&sum->certified, limit);
    vsa_certificate_summary rows;
    char read[REPORT_BYTES_SIZE];

    report_check(&sum->rows, &rows);
    if (run->steps) {
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddNumberToObject(entry, "step", step);
        cJSON_AddNumberToObject(entry, "tokens", length);
        cJSON_AddNumberToObject(entry, "density", rows.density);
        cJSON_AddNumberToObject(entry, "bytes_read", (double)sum->rows.bytes_read);
        cJSON_AddNumberToObject(entry, "bytes_dense", (double)sum->rows.bytes_dense);
        cJSON_AddNumberToObject(entry, "tokens_per_second", tokens_per_second(sum));
        cJSON_AddNumberToObject(entry, "certified_mean", certified.mean);
        cJSON_AddNumberToObject(entry, "certified_max", certified.max);
        cJSON_AddNumberToObject(entry, "error_mean", actual.mean);
        cJSON_AddNumberToObject(entry, "error_max", actual.max);
        cJSON_AddNumberToObject(entry, "coverage", actual.coverage);
        cJSON_AddItemToArray(run->steps, entry);
    } else if (!run->options->json) {
        printf("%8u %8u %8.4f %10s %9.2f %10.2e %10.2e %10.2e %9.4f\n", step, length, rows.density,
               report_bytes((double)sum->rows.bytes_read, read), tokens_per_second(sum),
               certified.mean, actual.mean, actual.max, actual.coverage);
        fflush(stdout);
    }
    tally_destroy(sum);
}

static int replay(decode_run *run)
{
    const uint32_t queries = run->input.layers[0].queries;
    const uint32_t every = run->options->steps || queries <= SUMMARY_LINES
                               ? 1
                               : (queries + SUMMARY_LINES - 1) / SUMMARY_LINES;
    progress bar = progress_begin("decode", queries, !run->options->no_progress);
    int code = EXIT_DONE;

    if (!run->options->json) {
        print_heading();
    }
    progress_update(&bar, 0);
    for (uint32_t j = 0; j < queries; j++) {
        for (uint32_t i = 0; i < run->input.layer_count && code == EXIT_DONE; i++) {
            code = run_step(run, i, j);
        }
        if (code != EXIT_DONE) {
            break;
        }
        run->total.tokens++;
        run->interval.tokens++;
        if ((j + 1) % every == 0 || j + 1 == queries) {
            progress_clear(&bar);
            tell_interval(run, j + 1, trace_length(&run->input.layers[0], j));
        }
        progress_update(&bar, j + 1);
    }
    progress_clear(&bar);
    return code;
}

static int tell_total(decode_run *run)
{
    const vsa_device_info *device = vsa_standalone_device(run->device.standalone);
    const trace_layer *layer = &run->input.layers[0];
    const double limit = coverage_limit(run);
    const stats_summary actual = stats_summarise(&run->total.actual, limit);
    const stats_summary certified = stats_summarise(&run->total.certified, limit);

    if (run->options->json) {
        cJSON *object = cJSON_CreateObject();

        report_to_json(&run->total.rows, device, run->options, object);
        cJSON_AddNumberToObject(object, "tokens", run->total.tokens);
        cJSON_AddNumberToObject(object, "tokens_per_second", tokens_per_second(&run->total));
        cJSON_AddNumberToObject(object, "error_mean", actual.mean);
        cJSON_AddNumberToObject(object, "error_p95", actual.p95);
        cJSON_AddNumberToObject(object, "error_max", actual.max);
        cJSON_AddNumberToObject(object, "coverage", actual.coverage);
        cJSON_AddNumberToObject(object, "certified_mean", certified.mean);
        cJSON_AddNumberToObject(object, "certified_max", certified.max);
        cJSON_AddNumberToObject(object, "layers", run->input.layer_count);
        cJSON_AddNumberToObject(object, "length", layer->tokens);
        cJSON_AddStringToObject(object, "kv_type", options_dtype_name((int)layer->kv_type));
        if (run->steps && cJSON_AddItemToObject(object, "steps", run->steps)) {
            run->steps = NULL;
        }
        return json_print(object);
    }
    printf("\n");
    report_print(&run->total.rows, device, run->options);
    printf("replayed      %u tokens up to length %u, %u layers, KV cache %s\n", run->total.tokens,
           layer->tokens, run->input.layer_count, options_dtype_name((int)layer->kv_type));
    printf("speed         %.2f tokens/s\n", tokens_per_second(&run->total));
    if (run->options->method != VSA_METHOD_DENSE) {
        printf("certified     mean %.3e, max %.3e\n", certified.mean, certified.max);
    }
    printf("actual error  mean %.3e, p95 %.3e, max %.3e\n", actual.mean, actual.p95, actual.max);
    printf("coverage      %.4f of the rows within epsilon\n", actual.coverage);
    return tool_finish_output();
}

static int execute(decode_run *run)
{
    const tool_options *options = run->options;
    int code;

    if ((code = load(run)) != EXIT_DONE || (code = allocate(run)) != EXIT_DONE ||
        (code = device_open(&run->device, options)) != EXIT_DONE ||
        (code = session_set_create(&run->device, &run->input, options, 1, &run->sessions)) !=
            EXIT_DONE ||
        (code = fill_caches(run)) != EXIT_DONE || (code = warm_up(run)) != EXIT_DONE ||
        (code = replay(run)) != EXIT_DONE ||
        (code = device_check_validation(&run->device)) != EXIT_DONE ||
        (code = tell_total(run)) != EXIT_DONE) {
        return code;
    }
    vsa_certificate_summary rows;

    return report_check(&run->total.rows, &rows) || !options->strict_exit ? EXIT_DONE
                                                                          : EXIT_CHECK_FAILED;
}

static void destroy(decode_run *run)
{
    cJSON_Delete(run->steps);
    tally_destroy(&run->interval);
    tally_destroy(&run->total);
    free(run->new_k);
    free(run->new_v);
    free(run->q);
    free(run->out);
    free(run->weights);
    free(run->reference);
    free(run->certificates);
    session_set_destroy(&run->sessions);
    device_close(&run->device);
    trace_destroy(&run->input);
}

int command_decode(const tool_options *options)
{
    decode_run run = {.options = options};

    if (options->trace && options->synthetic) {
        return tool_fail(EXIT_BAD_INPUT, "decode: options --trace and --synthetic exclude each "
                                         "other");
    }
    const int code = execute(&run);

    destroy(&run);
    return code;
}
