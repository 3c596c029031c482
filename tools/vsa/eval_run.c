#include "eval_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dense_reference.h"
#include "session_set.h"
#include "tool.h"

/* One case on one input. */
typedef struct tally {
    report rows;
    stats errors[EVAL_MAX_TARGETS]; /* as eval_case::targets */
    stats certified;                /* finite bounds only */
    size_t within_bound;            /* of those */
} tally;

static void tally_destroy(tally *sum)
{
    report_destroy(&sum->rows);
    for (int i = 0; i < EVAL_MAX_TARGETS; i++) {
        stats_destroy(&sum->errors[i]);
    }
    stats_destroy(&sum->certified);
}

static int no_memory(const eval_run *run)
{
    return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory for the results", run->inputs.all.name);
}

int eval_run_begin(eval_run *run)
{
    const trace *all = &run->inputs.all;
    size_t q = 0, out = 0, rows = 0;

    run->max_queries = session_set_step_queries(all);
    for (uint32_t i = 0; i < all->layer_count; i++) {
        const trace_layer *layer = &all->layers[i];
        const size_t step_rows = (size_t)layer->q_heads * run->max_queries;

        rows = step_rows > rows ? step_rows : rows;
        q = step_rows * layer->head_dim_k > q ? step_rows * layer->head_dim_k : q;
        out = step_rows * layer->head_dim_v > out ? step_rows * layer->head_dim_v : out;
    }
    run->q = malloc(q * sizeof *run->q);
    run->out = malloc(out * sizeof *run->out);
    run->certificates = malloc(rows * sizeof *run->certificates);
    if (!run->q || !run->out || !run->certificates) {
        return no_memory(run);
    }
    run->bar = progress_begin("eval", run->sweep.count * run->inputs.query_count,
                              !run->options->no_progress);
    return EXIT_DONE;
}

void eval_run_destroy(eval_run *run)
{
    free(run->q);
    free(run->out);
    free(run->certificates);
    eval_results_destroy(&run->results);
    eval_sweep_destroy(&run->sweep);
    device_close(&run->device);
    eval_inputs_destroy(&run->inputs);
}

/* The errors of a step's rows, [query][q_head] from first_query on. The dots belong to the row
 * that the case is about to add to the results. */
static bool add_errors(eval_run *run, const eval_case *entry, uint32_t layer_index,
                       uint32_t first_query, uint32_t query_count, size_t result, tally *sum)
{
    const trace_layer *layer = &run->inputs.all.layers[layer_index];
    const eval_reference *reference = &run->inputs.references[layer_index];
    const size_t first = (size_t)first_query * layer->q_heads;

    for (size_t i = 0; i < (size_t)query_count * layer->q_heads; i++) {
        const vsa_certificate *row = &run->certificates[i];
        const double bound = (double)row->error_bound;
        double error = 0.0;

        for (uint32_t t = entry->target_count; t-- > 0;) {
            error = dense_reference_error(
                (vsa_target)entry->targets[t], layer->head_dim_v, run->out + i * layer->head_dim_v,
                (double)row->log_normaliser, reference->out + (first + i) * layer->head_dim_v,
                reference->log_normaliser[first + i]);
            if (!stats_add(&sum->errors[t], error)) {
                return false;
            }
        }
        if (isfinite(bound)) {
            if (!stats_add(&sum->certified, bound)) {
                return false;
            }
            sum->within_bound += error <= eval_limit(bound);
        }
        if (eval_case_has_guarantee(entry) && isfinite(bound) && bound > 0.0) {
            eval_results_add_dot(&run->results, error, bound, result);
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

static int write_cache(eval_run *run, const trace_layer *layer, session_slot slot)
{
    const vsa_result result =
        vsa_session_write_kv(slot.session, slot.layer, 0, 0, layer->tokens, layer->k,
                             (size_t)layer->tokens * layer->head_dim_k, layer->v,
                             (size_t)layer->tokens * layer->head_dim_v);

    return result == VSA_SUCCESS
               ? EXIT_DONE
               : device_fail(&run->device, result, "the KV cache cannot be written");
}

/* `stream` is the layer's number in its input, as in attend. */
static int run_layer(eval_run *run, const eval_case *entry, uint32_t layer_index, uint32_t stream,
                     session_slot slot, size_t result_index, tally *sum)
{
    const trace_layer *layer = &run->inputs.all.layers[layer_index];
    const int code = write_cache(run, layer, slot);

    if (code != EXIT_DONE) {
        return code;
    }
    for (uint32_t first = 0; first < layer->queries; first += run->max_queries) {
        const uint32_t left = layer->queries - first;
        const uint32_t count = left < run->max_queries ? left : run->max_queries;
        const uint32_t length = trace_length(layer, first + count - 1);
        const vsa_session_step step = {
            .layer = slot.layer,
            .query_count = count,
            .lengths = &length,
            .q = run->q,
            .seed = run->options->seed,
            .stream = stream,
        };
        vsa_session_step_result rows = {.out = run->out, .certificates = run->certificates};

        gather_queries(layer, first, count, run->q);

        const vsa_result result = vsa_session_run(slot.session, &step, &rows);

        if (result != VSA_SUCCESS) {
            return device_fail(&run->device, result, "a step cannot be run");
        }
        if (!report_add(&sum->rows, vsa_session_plan(slot.session), run->certificates,
                        (size_t)count * layer->q_heads, rows.gpu_ms) ||
            !add_errors(run, entry, layer_index, first, count, result_index, sum)) {
            return no_memory(run);
        }
        run->done += count;
        progress_update(&run->bar, run->done);
    }
    return EXIT_DONE;
}

/* One row per target. */
static int add_rows(eval_run *run, const eval_case *entry, uint32_t input, tally *sum)
{
    const stats_summary certified = stats_summarise(&sum->certified, 0.0);
    const bool any = sum->certified.count > 0;

    for (uint32_t t = 0; t < entry->target_count; t++) {
        eval_row row = {
            .entry = *entry,
            .input = input,
            .target = entry->targets[t],
            .bytes_read = sum->rows.bytes_read,
            .bytes_dense = sum->rows.bytes_dense,
            .gpu_ms = sum->rows.gpu_ms,
            .error = stats_summarise(&sum->errors[t], eval_limit(entry->epsilon)),
            .certified_mean = any ? certified.mean : (double)NAN,
            .certified_max = any ? certified.max : (double)NAN,
            .within_bound =
                any ? (double)sum->within_bound / (double)sum->certified.count : (double)NAN,
        };

        report_check(&sum->rows, &row.rows);
        if (eval_case_has_guarantee(entry)) {
            row.heads =
                eval_heads_make(&run->inputs, input, sum->rows.certificates, &row.head_count);
            if (!row.heads) {
                return no_memory(run);
            }
        }
        if (!eval_results_add(&run->results, &row)) {
            free(row.heads);
            return no_memory(run);
        }
    }
    return EXIT_DONE;
}

static int run_input(eval_run *run, const eval_case *entry, const session_set *sessions,
                     uint32_t input)
{
    const eval_input *item = &run->inputs.items[input];
    tally sum = {0};
    int code = EXIT_DONE;

    for (uint32_t i = 0; i < item->layer_count && code == EXIT_DONE; i++) {
        const uint32_t layer = item->first_layer + i;

        code = run_layer(run, entry, layer, i, sessions->slots[layer], run->results.count, &sum);
    }
    if (code == EXIT_DONE) {
        code = add_rows(run, entry, input, &sum);
    }
    tally_destroy(&sum);
    return code;
}

int eval_run_case(eval_run *run, size_t index)
{
    const eval_case entry = run->sweep.cases[index];
    const tool_options options = eval_case_options(&entry, run->options);
    session_set sessions = {0};
    bool refused = entry.refused;
    int code = EXIT_DONE;

    if (!refused) {
        code = session_set_try(&run->device, &run->inputs.all, &options, run->max_queries,
                               &sessions, &refused);
    }
    if (refused) {
        eval_sweep_refuse(&run->sweep, &entry);
        run->bar.total -= run->inputs.query_count;
        return EXIT_DONE;
    }
    for (uint32_t i = 0; i < run->inputs.count && code == EXIT_DONE; i++) {
        code = run_input(run, &entry, &sessions, i);
    }
    session_set_destroy(&sessions);
    return code;
}
