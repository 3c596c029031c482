#include "eval_measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "eval_result.h"
#include "tool.h"

bool eval_buffers_make(const trace *all, eval_buffers *out_buffers)
{
    const uint32_t max_queries = session_set_step_queries(all);
    size_t q = 0, out = 0, rows = 0;

    for (uint32_t i = 0; i < all->layer_count; i++) {
        const trace_layer *layer = &all->layers[i];
        const size_t step_rows = (size_t)layer->q_heads * max_queries;

        rows = step_rows > rows ? step_rows : rows;
        q = step_rows * layer->head_dim_k > q ? step_rows * layer->head_dim_k : q;
        out = step_rows * layer->head_dim_v > out ? step_rows * layer->head_dim_v : out;
    }
    *out_buffers = (eval_buffers){
        .max_queries = max_queries,
        .q = malloc(q * sizeof(float)),
        .out = malloc(out * sizeof(float)),
        .certificates = malloc(rows * sizeof(vsa_certificate)),
    };
    return out_buffers->q && out_buffers->out && out_buffers->certificates;
}

void eval_buffers_destroy(eval_buffers *buffers)
{
    free(buffers->q);
    free(buffers->out);
    free(buffers->certificates);
    *buffers = (eval_buffers){0};
}

void eval_measurement_destroy(eval_measurement *sum)
{
    report_destroy(&sum->rows);
    for (int i = 0; i < EVAL_MAX_TARGETS; i++) {
        stats_destroy(&sum->errors[i]);
    }
    stats_destroy(&sum->certified);
    free(sum->pairs);
    *sum = (eval_measurement){0};
}

static int no_memory(const eval_setup *setup)
{
    return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory for the results",
                     setup->inputs->all.name);
}

static bool add_pair(eval_measurement *sum, double actual, double certified)
{
    eval_pair *pairs =
        array_reserve(sum->pairs, sum->pair_count, 1, &sum->pair_capacity, sizeof *pairs);

    if (!pairs) {
        return false;
    }
    sum->pairs = pairs;
    pairs[sum->pair_count++] = (eval_pair){.actual = actual, .certified = certified};
    return true;
}

/* The errors of a step's rows, [query][q_head] from first_query on. */
static bool add_errors(const eval_setup *setup, const eval_case *entry, uint32_t layer_index,
                       uint32_t first_query, uint32_t query_count, eval_measurement *sum)
{
    const trace_layer *layer = &setup->inputs->all.layers[layer_index];
    const eval_reference *reference = &setup->inputs->references[layer_index];
    const size_t first = (size_t)first_query * layer->q_heads;

    for (size_t i = 0; i < (size_t)query_count * layer->q_heads; i++) {
        const vsa_certificate *row = &setup->buffers.certificates[i];
        const double bound = (double)row->error_bound;
        double error = 0.0;

        for (uint32_t t = entry->target_count; t-- > 0;) {
            error = dense_reference_error(
                (vsa_target)entry->targets[t], layer->head_dim_v,
                setup->buffers.out + i * layer->head_dim_v, (double)row->log_normaliser,
                reference->out + (first + i) * layer->head_dim_v, reference->truths[first + i],
                setup->options->value_floor);
            if (!stats_add(&sum->errors[t], error)) {
                return false;
            }
        }
        if (!isfinite(bound)) {
            continue;
        }
        if (!stats_add(&sum->certified, bound)) {
            return false;
        }
        sum->within_bound += error <= eval_limit(bound);
        if (eval_case_has_guarantee(entry) && bound > 0.0 && !add_pair(sum, error, bound)) {
            return false;
        }
    }
    return true;
}

/* Queries [first, first + count) of [q_head][query][channel] as [query][q_head][channel]. */
static void gather_queries(const trace_layer *layer, uint32_t first, uint32_t count, float *q)
{
    for (uint32_t j = 0; j < count; j++) {
        for (uint32_t h = 0; h < layer->q_heads; h++) {
            memcpy(q + ((size_t)j * layer->q_heads + h) * layer->head_dim_k,
                   layer->q + ((size_t)h * layer->queries + first + j) * layer->head_dim_k,
                   layer->head_dim_k * sizeof *q);
        }
    }
}

static int write_cache(const eval_setup *setup, const trace_layer *layer, session_slot slot)
{
    const vsa_result result =
        vsa_session_write_kv(slot.session, slot.layer, 0, 0, layer->tokens, layer->k,
                             (size_t)layer->tokens * layer->head_dim_k, layer->v,
                             (size_t)layer->tokens * layer->head_dim_v);

    return result == VSA_SUCCESS
               ? EXIT_DONE
               : device_fail(setup->device, result, "the KV cache cannot be written");
}

static void advance(eval_setup *setup, uint32_t queries)
{
    setup->done += queries;
    setup->done = setup->done < setup->limit ? setup->done : setup->limit;
    progress_update(&setup->bar, setup->done);
}

/* `stream` is the layer's number in its input, as in attend. */
static int measure_layer(eval_setup *setup, const eval_case *entry, uint32_t layer_index,
                         uint32_t stream, session_slot slot, eval_measurement *sum)
{
    const trace_layer *layer = &setup->inputs->all.layers[layer_index];
    const eval_buffers *buffers = &setup->buffers;
    const int code = write_cache(setup, layer, slot);

    if (code != EXIT_DONE) {
        return code;
    }
    for (uint32_t first = 0; first < layer->queries; first += buffers->max_queries) {
        const uint32_t left = layer->queries - first;
        const uint32_t count = left < buffers->max_queries ? left : buffers->max_queries;
        const uint32_t length = trace_length(layer, first + count - 1);
        const vsa_session_step step = {
            .layer = slot.layer,
            .query_count = count,
            .lengths = &length,
            .q = buffers->q,
            .seed = setup->options->seed,
            .stream = stream,
        };
        vsa_session_step_result rows = {.out = buffers->out, .certificates = buffers->certificates};

        gather_queries(layer, first, count, buffers->q);

        const vsa_result result = vsa_session_run(slot.session, &step, &rows);

        if (result != VSA_SUCCESS) {
            return device_fail(setup->device, result, "a step cannot be run");
        }
        if (!report_add(&sum->rows, vsa_session_plan(slot.session), buffers->certificates,
                        (size_t)count * layer->q_heads, rows.gpu_ms) ||
            !add_errors(setup, entry, layer_index, first, count, sum)) {
            return no_memory(setup);
        }
        advance(setup, count);
    }
    return EXIT_DONE;
}

int eval_measure(eval_setup *setup, const eval_case *entry, uint32_t input,
                 const session_slot *slots, eval_measurement *out_sum)
{
    const eval_input *item = &setup->inputs->items[input];
    int code = EXIT_DONE;

    *out_sum = (eval_measurement){0};
    for (uint32_t i = 0; i < item->layer_count && code == EXIT_DONE; i++) {
        code = measure_layer(setup, entry, item->first_layer + i, i, slots[i], out_sum);
    }
    if (code != EXIT_DONE) {
        eval_measurement_destroy(out_sum);
    }
    return code;
}
