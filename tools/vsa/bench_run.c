#include "bench_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench_memory.h"
#include "platform.h"
#include "tool.h"

static int no_memory(void)
{
    return tool_fail(EXIT_BAD_INPUT, "bench: not enough memory");
}

/* ---------------------------------------------------------------------- open */

static int compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void choose_lengths(bench_run *run)
{
    const option_counts *given = &run->options->lengths;
    uint32_t count = 0;

    if (given->count == 0 && run->options->tune) {
        run->lengths[count++] = 16384;
    } else if (given->count == 0) {
        for (uint32_t length = 4096; length <= 1u << 20; length *= 2) {
            run->lengths[count++] = length;
        }
    }
    for (uint32_t i = 0; i < given->count; i++) {
        run->lengths[count++] = given->items[i];
    }
    qsort(run->lengths, count, sizeof run->lengths[0], compare);
    for (uint32_t i = 0; i < count; i++) {
        if (run->length_count == 0 || run->lengths[i] != run->lengths[run->length_count - 1]) {
            run->lengths[run->length_count++] = run->lengths[i];
        }
    }
}

int bench_run_open(const tool_options *options, bench_run *out_run)
{
    bench_run *run = out_run;
    int code;

    *run = (bench_run){.options = options};
    if ((code = bench_input_open(options, &run->input)) != EXIT_DONE) {
        return code;
    }
    bench_cases_make(options, &run->cases);
    choose_lengths(run);
    if (options->tuning.count > 0) {
        run->tuning = (vsa_tuning){.workgroup = options->tuning.items[0],
                                   .lanes = options->tuning.items[1],
                                   .repeat = options->tuning.items[2],
                                   .value_chunks = options->tuning.items[3],
                                   .query_chunks = options->tuning.items[4]};
    }
    if ((code = device_open(&run->device, options)) != EXIT_DONE) {
        return code;
    }
    run->context = (bench_context){
        .device = &run->device, .options = options, .input = &run->input, .host = &run->host};
    run->memory_limit = bench_memory_limit(&run->device);
    return bench_host_make(&run->input, &run->host) ? EXIT_DONE : no_memory();
}

void bench_run_destroy(bench_run *run)
{
    bench_results_destroy(&run->results);
    bench_host_destroy(&run->host);
    device_close(&run->device);
    bench_input_destroy(&run->input);
}

/* Not every method has every bound. */
static bool is_doubtful(const bench_run *run, const bench_case *entry)
{
    return entry->is_named && bench_case_has_guarantee(entry) &&
           run->options->bound != VSA_BOUND_CLT;
}

int bench_run_probe(bench_run *run)
{
    for (size_t i = 0; i < run->cases.count; i++) {
        const bench_case *entry = &run->cases.items[i];
        const bench_plan plan = {
            .options = bench_case_options(entry, run->options),
            .tokens = run->lengths[0],
            .layers = 1,
            .tuning = run->tuning,
        };
        bench_session session;

        if (!is_doubtful(run, entry)) {
            continue;
        }
        const vsa_result result = bench_session_open(&run->context, &plan, &session);

        bench_session_close(&session);
        if (result != VSA_SUCCESS) {
            return device_fail(&run->device, result, "the session cannot be created");
        }
    }
    return EXIT_DONE;
}

int bench_run_copy(bench_run *run)
{
    double bytes_per_second;
    const vsa_result result =
        vsa_standalone_copy_bandwidth(run->device.standalone, &bytes_per_second);

    if (result != VSA_SUCCESS) {
        return device_fail(&run->device, result, "the copy bandwidth cannot be measured");
    }
    run->copy_gbps = 1e-9 * bytes_per_second;
    return EXIT_DONE;
}

/* ----------------------------------------------------------------------- run */

static void advance(void *user)
{
    bench_run *run = user;

    run->bar_done += run->bar_step;
    progress_update(&run->bar, (uint64_t)run->bar_done);
}

static bool is_memory(vsa_result result)
{
    return result == VSA_ERROR_OUT_OF_DEVICE_MEMORY || result == VSA_ERROR_OUT_OF_HOST_MEMORY;
}

/* Errors that rule out a case or a length, not the run. */
static bool is_refusal(vsa_result result)
{
    return result == VSA_ERROR_UNSUPPORTED_CONFIG || result == VSA_ERROR_INVALID_ARGUMENT ||
           is_memory(result);
}

static const char *sentence_of(const bench_run *run)
{
    return run->device.sentence[0] ? run->device.sentence : "not enough host memory";
}

static int omit(bench_run *run, uint32_t tokens, const char *what, const char *reason)
{
    return bench_results_omit(&run->results, tokens, what, reason) ? EXIT_DONE : no_memory();
}

/* A case that the first length does not take, no length takes. */
static int omit_case(bench_run *run, bench_case *entry, uint32_t tokens, vsa_result result)
{
    char name[BENCH_CASE_NAME_SIZE];

    entry->is_refused = !is_memory(result) && tokens == run->lengths[0];
    return omit(run, entry->is_refused ? 0 : tokens, bench_case_name(entry, name),
                sentence_of(run));
}

/* Runs the batch and tells its rows; dense is one of them in the first batch of a length. */
static int finish_batch(bench_run *run, bench_batch *batch,
                        void (*tell)(const bench_run *run, const bench_row *row), bool tells_dense)
{
    const vsa_result result = bench_batch_run(batch);

    progress_clear(&run->bar);
    if (result != VSA_SUCCESS) {
        return device_fail(&run->device, result, "a step cannot be run");
    }
    for (size_t i = tells_dense ? 0 : 1; i < batch->count; i++) {
        bench_row row;

        if (!bench_batch_row(batch, i, &row) || !bench_results_add(&run->results, &row)) {
            return no_memory();
        }
        tell(run, &run->results.rows[run->results.count - 1]);
    }
    return EXIT_DONE;
}

/* Adds cases from *next on, as many as memory holds at a time, but at least one. */
static int fill_batch(bench_run *run, bench_batch *batch, size_t *next)
{
    const uint64_t caches =
        batch->place->layers * bench_memory_of_layer(&run->input, batch->place->tokens);

    for (; *next < run->cases.count; ++*next) {
        bench_case *entry = &run->cases.items[*next];
        uint64_t largest;
        const uint64_t memory = caches + bench_batch_memory(batch, &largest);

        if (entry->is_refused) {
            continue;
        }
        if (run->memory_limit > 0 && batch->count > 1 && memory + largest > run->memory_limit) {
            return EXIT_DONE;
        }
        run->device.sentence[0] = '\0';

        const vsa_result result = bench_batch_add(batch, entry);
        int code = EXIT_DONE;

        if (is_memory(result) && batch->count > 1) {
            return EXIT_DONE;
        }
        if (result != VSA_SUCCESS) {
            code = is_refusal(result) ? omit_case(run, entry, batch->place->tokens, result)
                                      : device_fail(&run->device, result, "a step cannot be run");
        }
        if (code != EXIT_DONE) {
            return code;
        }
        progress_update(&run->bar, (uint64_t)run->bar_done);
    }
    return EXIT_DONE;
}

static int run_cases(bench_run *run, const bench_place *place,
                     void (*tell)(const bench_run *run, const bench_row *row),
                     double *out_setup_seconds)
{
    bench_batch *batch = malloc(sizeof *batch);
    size_t next = 1;
    int code = batch ? EXIT_DONE : no_memory();

    *out_setup_seconds = 0.0;
    run->bar_step =
        (double)place->tokens / run->options->repeat / (run->options->kernels ? 2.0 : 1.0);
    for (bool is_first = true; code == EXIT_DONE && (is_first || next < run->cases.count);
         is_first = false) {
        const vsa_result result =
            bench_batch_begin(&run->context, place, &run->cases.items[0], batch);

        code = result == VSA_SUCCESS ? fill_batch(run, batch, &next)
                                     : device_fail(&run->device, result, "a step cannot be run");
        if (code == EXIT_DONE) {
            code = finish_batch(run, batch, tell, is_first);
        }
        *out_setup_seconds += batch->setup_seconds;
        bench_batch_end(batch);
    }
    free(batch);
    return code;
}

/* The caches are written once, for all cases. */
static int run_length(bench_run *run, uint32_t tokens,
                      void (*tell)(const bench_run *run, const bench_row *row),
                      bench_effort *out_effort)
{
    const bench_plan plan = {
        .options = bench_case_options(&run->cases.items[0], run->options),
        .tokens = tokens,
        .layers = bench_memory_layers(&run->input, tokens, run->memory_limit),
        .tuning = run->tuning,
    };
    const double start = platform_seconds();
    bench_session cache;
    bench_truth truth = {0};
    int code;

    progress_update(&run->bar, (uint64_t)run->bar_done);
    run->device.sentence[0] = '\0';

    const vsa_result result = bench_session_open(&run->context, &plan, &cache);

    if (result != VSA_SUCCESS) {
        return is_refusal(result)
                   ? omit(run, tokens, NULL, sentence_of(run))
                   : device_fail(&run->device, result, "the caches cannot be written");
    }
    if (bench_truth_make(&run->input, tokens, run->options->repeat, plan.layers,
                         run->options->error_rows, &truth)) {
        const bench_place place = {
            .tokens = tokens,
            .layers = plan.layers,
            .cache = &cache,
            .truth = &truth,
            .tuning = run->tuning,
            .advance = advance,
            .user = run,
        };

        double setup;

        code = run_cases(run, &place, tell, &setup);
        setup += cache.setup_seconds;
        *out_effort = (bench_effort){.setup = setup, .work = platform_seconds() - start - setup};
    } else {
        code = no_memory();
    }
    bench_truth_destroy(&truth);
    bench_session_close(&cache);
    return code;
}

/* Why a length is not run; NULL = it is. `before`: what the last length took. */
static const char *reason_to_omit(const bench_run *run, uint32_t tokens, uint32_t tokens_before,
                                  bench_effort before, double elapsed, char text[BENCH_REASON_SIZE])
{
    const tool_options *options = run->options;
    const bool has_limit = options->lengths.count == 0 || options_given(options, "time-limit");
    const uint64_t memory = bench_memory_of_session(&run->input, tokens, 1);

    if (run->memory_limit > 0 && memory > run->memory_limit) {
        char needed[REPORT_BYTES_SIZE], allowed[REPORT_BYTES_SIZE];

        snprintf(text, BENCH_REASON_SIZE, "takes %s of device memory, %s are set aside for it",
                 report_bytes((double)memory, needed),
                 report_bytes((double)run->memory_limit, allowed));
        return text;
    }
    const double predicted =
        tokens_before > 0 ? before.setup + before.work * tokens / tokens_before : 0.0;

    if (has_limit && elapsed + predicted > options->time_limit) {
        snprintf(text, BENCH_REASON_SIZE,
                 "would end after about %.0f s, the time limit is %g s (--time-limit)",
                 elapsed + predicted, options->time_limit);
        return text;
    }
    return NULL;
}

static void begin_bar(bench_run *run)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < run->length_count; i++) {
        total += (uint64_t)run->lengths[i] * run->cases.count;
    }
    run->bar = progress_begin("bench", total, !run->options->no_progress);
}

int bench_run_all(bench_run *run, void (*tell)(const bench_run *run, const bench_row *row))
{
    const double start = platform_seconds();
    bench_effort effort = {0};
    uint32_t tokens_before = 0;
    int code = EXIT_DONE;

    begin_bar(run);
    for (uint32_t i = 0; i < run->length_count && code == EXIT_DONE; i++) {
        const uint32_t tokens = run->lengths[i];
        char text[BENCH_REASON_SIZE];
        const char *reason =
            reason_to_omit(run, tokens, tokens_before, effort, platform_seconds() - start, text);

        if (reason) {
            code = omit(run, tokens, NULL, reason);
            continue;
        }
        code = run_length(run, tokens, tell, &effort);
        tokens_before = tokens;
    }
    if (code == EXIT_DONE && run->results.count == 0) {
        const bench_omission *first = &run->results.omissions[0];
        char text[BENCH_OMISSION_SIZE];

        code = tool_fail(EXIT_BAD_INPUT, "bench: nothing can be run: %s",
                         bench_omission_text(first, text));
    }
    return code;
}
