/*
 * vsa bench: how long a step takes by every method and scorer, at several lengths, and how far its
 * result is from dense attention. With --tune: which tuning of the kernels is fastest. With --startup:
 * how long a plan takes to create.
 */
#include <stdlib.h>
#include <string.h>

#include "bench_csv.h"
#include "bench_html.h"
#include "bench_json.h"
#include "bench_run.h"
#include "bench_startup.h"
#include "bench_summary.h"
#include "bench_table.h"
#include "bench_tune.h"
#include "commands.h"
#include "output_file.h"
#include "tool.h"

static int exclude(const tool_options *options, const char *one, const char *other)
{
    if (options_given(options, one) && options_given(options, other)) {
        return tool_fail(EXIT_BAD_INPUT, "bench: options --%s and --%s exclude each other", one,
                         other);
    }
    return EXIT_DONE;
}

static int check_pairs(const tool_options *options)
{
    static const char *const pairs[][2] = {
        {"method", "methods"}, {"trace", "q-heads"}, {"trace", "kv-heads"}, {"trace", "dim"},
        {"trace", "std"},      {"tune", "csv"},      {"tune", "html"},
        {"startup", "tune"},   {"startup", "csv"},   {"startup", "html"},
        {"startup", "trace"},  {"startup", "methods"}, {"kernels", "tune"},
        {"kernels", "startup"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const int code = exclude(options, pairs[i][0], pairs[i][1]);

        if (code != EXIT_DONE) {
            return code;
        }
    }
    return EXIT_DONE;
}

static int check_numbers(const tool_options *options)
{
    if (options->head_dim % 8 != 0) {
        return tool_fail(EXIT_BAD_INPUT, "option --dim: %u is not a multiple of 8",
                         options->head_dim);
    }
    if (options->q_heads % options->kv_heads != 0) {
        return tool_fail(EXIT_BAD_INPUT,
                         "option --q-heads: %u is not a multiple of the %u KV heads",
                         options->q_heads, options->kv_heads);
    }
    if (options->tuning.count != 0 && options->tuning.count != 5) {
        return tool_fail(EXIT_BAD_INPUT,
                         "option --tuning: needs 5 numbers, workgroup, lanes, repeat, "
                         "value_chunks and query_chunks, got %u",
                         options->tuning.count);
    }
    if ((options->tune || options->startup) && options->lengths.count > 1) {
        return tool_fail(EXIT_BAD_INPUT, "option --tokens: --%s takes one length, got %u",
                         options->tune ? "tune" : "startup", options->lengths.count);
    }
    return EXIT_DONE;
}

static int check_outputs(const tool_options *options)
{
    const char *const outputs[] = {options->csv, options->html};

    if (options->csv && options->html && strcmp(options->csv, options->html) == 0) {
        return tool_fail(EXIT_BAD_INPUT, "bench: options --csv and --html name the same file");
    }
    for (int i = 0; i < 2; i++) {
        int code;

        if (!outputs[i]) {
            continue;
        }
        if (options->trace && strcmp(outputs[i], options->trace) == 0) {
            return tool_fail(EXIT_BAD_INPUT, "%s: is the input, too", outputs[i]);
        }
        if ((code = output_file_check(outputs[i])) != EXIT_DONE) {
            return code;
        }
    }
    return EXIT_DONE;
}

static void tell_row(const bench_run *run, const bench_row *row)
{
    if (run->options->json) {
        return;
    }
    if (run->results.count == 1) {
        bench_table_begin(run);
    }
    bench_table_row(run, row);
}

static int tune(bench_run *run)
{
    bench_tunings *found = calloc(1, sizeof *found);
    int code;

    if (!found) {
        return tool_fail(EXIT_BAD_INPUT, "bench: not enough memory");
    }
    if ((code = bench_tune_all(run, found)) == EXIT_DONE &&
        (code = device_check_validation(&run->device)) == EXIT_DONE) {
        code = run->options->json ? bench_json_print(run, found) : tool_finish_output();
    }
    free(found);
    return code;
}

static int measure(bench_run *run)
{
    const tool_options *options = run->options;
    int code;

    if ((code = bench_run_copy(run)) != EXIT_DONE) {
        return code;
    }
    if ((code = bench_run_all(run, tell_row)) != EXIT_DONE ||
        (code = device_check_validation(&run->device)) != EXIT_DONE ||
        (options->csv && (code = bench_csv_write(run, options->csv)) != EXIT_DONE) ||
        (options->html && (code = bench_html_write(run, options->html)) != EXIT_DONE)) {
        return code;
    }
    if (options->json) {
        code = bench_json_print(run, NULL);
    } else {
        bench_table_end(run);
        code = tool_finish_output();
    }
    return code == EXIT_DONE && options->strict_exit && !bench_summary_kept_every_promise(run)
               ? EXIT_CHECK_FAILED
               : code;
}

int command_bench(const tool_options *options)
{
    bench_run *run;
    int code;

    if ((code = check_pairs(options)) != EXIT_DONE ||
        (code = check_numbers(options)) != EXIT_DONE ||
        (code = check_outputs(options)) != EXIT_DONE) {
        return code;
    }
    if (options->startup) {
        return bench_startup(options);
    }
    run = calloc(1, sizeof *run);
    if (!run) {
        return tool_fail(EXIT_BAD_INPUT, "bench: not enough memory");
    }
    if ((code = bench_run_open(options, run)) == EXIT_DONE &&
        (code = bench_run_probe(run)) == EXIT_DONE) {
        code = options->tune ? tune(run) : measure(run);
    }
    bench_run_destroy(run);
    free(run);
    return code;
}
