#include "eval_run.h"

#include <math.h>
#include <stdlib.h>

#include "eval_search.h"
#include "tool.h"

static int no_memory(const eval_run *run)
{
    return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory for the results", run->inputs.all.name);
}

/* How many measurements a case is expected to need for one input. */
static uint64_t expected_measurements(const eval_case *entry)
{
    return entry->density > 0.0 ? 5 : 1;
}

static uint64_t count_queries(const eval_run *run, uint32_t input)
{
    const eval_input *item = &run->inputs.items[input];
    uint64_t count = 0;

    for (uint32_t i = 0; i < item->layer_count; i++) {
        count += run->inputs.all.layers[item->first_layer + i].queries;
    }
    return count;
}

static int open_sessions(eval_run *run, const trace *input, const eval_case *entry,
                         session_set *out_sessions)
{
    const tool_options options = eval_case_options(entry, run->options);

    return session_set_create(&run->device, input, &options, run->setup.buffers.max_queries,
                              out_sessions);
}

/* Refusals come before the first result. */
static int try_doubtful(eval_run *run)
{
    int code = EXIT_DONE;

    for (size_t i = 0; i < run->sweep.count && code == EXIT_DONE; i++) {
        session_set sessions = {0};

        if (run->sweep.cases[i].is_doubtful) {
            code = open_sessions(run, &run->inputs.all, &run->sweep.cases[i], &sessions);
            session_set_destroy(&sessions);
        }
    }
    return code;
}

int eval_run_open(eval_run *run)
{
    run->setup = (eval_setup){
        .options = run->options,
        .inputs = &run->inputs,
        .device = &run->device,
    };
    return eval_buffers_make(&run->inputs.all, &run->setup.buffers) ? try_doubtful(run)
                                                                    : no_memory(run);
}

void eval_run_begin(eval_run *run)
{
    uint64_t total = 0;

    for (size_t i = 0; i < run->sweep.count; i++) {
        total += expected_measurements(&run->sweep.cases[i]) * run->inputs.query_count;
    }
    run->setup.bar = progress_begin("eval", total, !run->options->no_progress);
}

void eval_run_destroy(eval_run *run)
{
    eval_buffers_destroy(&run->setup.buffers);
    eval_results_destroy(&run->results);
    eval_sweep_destroy(&run->sweep);
    device_close(&run->device);
    eval_inputs_destroy(&run->inputs);
}

/* One row per target. */
static int add_rows(eval_run *run, const eval_case *entry, uint32_t input, eval_measurement *sum)
{
    const stats_summary certified = stats_summarise(&sum->certified, 0.0);
    const bool any = sum->certified.count > 0;

    for (size_t i = 0; i < sum->pair_count; i++) {
        eval_results_add_dot(&run->results, sum->pairs[i].actual, sum->pairs[i].certified,
                             run->results.count);
    }
    for (uint32_t t = 0; t < entry->target_count; t++) {
        eval_row row = {
            .entry = *entry,
            .input = input,
            .target = entry->targets[t],
            .bytes_read = sum->rows.bytes_read,
            .bytes_dense = sum->rows.bytes_dense,
            .gathered_tokens = sum->rows.gathered_tokens,
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

static int run_case_as_is(eval_run *run, const eval_case *entry)
{
    session_set sessions = {0};
    int code = open_sessions(run, &run->inputs.all, entry, &sessions);

    for (uint32_t i = 0; i < run->inputs.count && code == EXIT_DONE; i++) {
        eval_measurement sum = {0};

        code = eval_measure(&run->setup, entry, i,
                            sessions.slots + run->inputs.items[i].first_layer, &sum);
        if (code == EXIT_DONE) {
            code = add_rows(run, entry, i, &sum);
        }
        eval_measurement_destroy(&sum);
    }
    session_set_destroy(&sessions);
    return code;
}

/* The settings are part of a session: each place takes a new one. */
static int measure_at(eval_run *run, const eval_case *entry, uint32_t input,
                      eval_measurement *out_sum)
{
    const eval_input *item = &run->inputs.items[input];
    const trace part = {
        .name = item->name,
        .layers = run->inputs.all.layers + item->first_layer,
        .layer_count = item->layer_count,
        .softmax_scale = run->inputs.all.softmax_scale,
    };
    session_set sessions = {0};
    int code = open_sessions(run, &part, entry, &sessions);

    *out_sum = (eval_measurement){0};
    if (code == EXIT_DONE) {
        code = eval_measure(&run->setup, entry, input, sessions.slots, out_sum);
    }
    session_set_destroy(&sessions);
    return code;
}

/* The measurement whose density is nearest to the wanted one. */
static int search_density(eval_run *run, eval_case entry, uint32_t input)
{
    const uint32_t tokens = run->inputs.all.layers[run->inputs.items[input].first_layer].tokens;
    eval_measurement best = {0};
    eval_case best_entry;
    int code = EXIT_DONE;
    double place;

    eval_case_settle(&entry, run->options, tokens);
    best_entry = entry;

    eval_search search = {.density = entry.density, .start = eval_case_start(&entry, tokens)};

    while (code == EXIT_DONE && eval_search_next(&search, &place)) {
        eval_measurement sum;
        vsa_certificate_summary rows;

        eval_case_move(&entry, place);
        code = measure_at(run, &entry, input, &sum);
        if (code != EXIT_DONE) {
            break;
        }
        report_check(&sum.rows, &rows);
        if (eval_search_add(&search, place, rows.density)) {
            eval_measurement_destroy(&best);
            best = sum;
            best_entry = entry;
        } else {
            eval_measurement_destroy(&sum);
        }
    }
    if (code == EXIT_DONE) {
        code = add_rows(run, &best_entry, input, &best);
    }
    eval_measurement_destroy(&best);
    return code;
}

int eval_run_case(eval_run *run, size_t index)
{
    const eval_case entry = run->sweep.cases[index];
    const uint64_t measurements = expected_measurements(&entry);
    int code = EXIT_DONE;

    if (entry.density == 0.0) {
        run->setup.limit = run->setup.done + run->inputs.query_count;
        return run_case_as_is(run, &entry);
    }
    for (uint32_t i = 0; i < run->inputs.count && code == EXIT_DONE; i++) {
        const uint64_t end = run->setup.done + measurements * count_queries(run, i);

        run->setup.limit = end;
        code = search_density(run, entry, i);
        run->setup.done = end;
        progress_update(&run->setup.bar, end);
    }
    return code;
}
