/*
 * vsa eval: every method, scorer, bound and target over a sweep of settings, or at equal density, each
 * row compared with dense attention.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "eval_csv.h"
#include "eval_html.h"
#include "eval_json.h"
#include "eval_run.h"
#include "eval_table.h"
#include "output_file.h"
#include "tool.h"

/* What --density finds cannot be given. */
static int check_density(const tool_options *options)
{
    static const char *const found[] = {"epsilon", "top-p"};

    if (options->densities.count == 0) {
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        if (options_given(options, found[i])) {
            return tool_fail(EXIT_BAD_INPUT,
                             "eval: options --density and --%s exclude each other: --density "
                             "finds it",
                             found[i]);
        }
    }
    if (options_given(options, "method") && options->method == VSA_METHOD_DENSE) {
        return tool_fail(EXIT_BAD_INPUT, "eval: option --density: method dense reads everything");
    }
    return EXIT_DONE;
}

static int check_options(const tool_options *options)
{
    const char *const outputs[] = {options->csv, options->html};
    const int density = check_density(options);

    if (density != EXIT_DONE) {
        return density;
    }
    if (options->tokens > 0 && (options->input || options->specifications.count > 0)) {
        return tool_fail(EXIT_BAD_INPUT,
                         "eval: option --tokens is for the built-in inputs, not for --%s",
                         options->input ? "input" : "synthetic");
    }

    if (options->input && options->specifications.count > 0) {
        return tool_fail(EXIT_BAD_INPUT, "eval: options --input and --synthetic exclude each "
                                         "other");
    }
    if (options->csv && options->html && strcmp(options->csv, options->html) == 0) {
        return tool_fail(EXIT_BAD_INPUT, "eval: options --csv and --html name the same file");
    }
    for (int i = 0; i < 2; i++) {
        int code;

        if (!outputs[i]) {
            continue;
        }
        if (options->input && strcmp(outputs[i], options->input) == 0) {
            return tool_fail(EXIT_BAD_INPUT, "%s: is the input, too", outputs[i]);
        }
        if ((code = output_file_check(outputs[i])) != EXIT_DONE) {
            return code;
        }
    }
    return EXIT_DONE;
}

static int run_sweep(eval_run *run)
{
    const bool prints = !run->options->json;
    int code = EXIT_DONE;

    if (prints) {
        eval_table_begin(run);
    }
    eval_run_begin(run);
    for (size_t i = 0; i < run->sweep.count && code == EXIT_DONE; i++) {
        const size_t before = run->results.count;

        progress_update(&run->setup.bar, run->setup.done);
        code = eval_run_case(run, i);
        progress_clear(&run->setup.bar);
        for (size_t j = before; j < run->results.count && prints; j++) {
            eval_table_row(run, &run->results.rows[j]);
        }
        fflush(stdout);
    }
    if (prints && run->options->densities.count > 0 && code == EXIT_DONE) {
        eval_table_compare(run);
    }
    return code;
}

static int tell(eval_run *run)
{
    const tool_options *options = run->options;
    int code = EXIT_DONE;

    if (options->csv) {
        code = eval_csv_write(run, options->csv);
    }
    if (options->html && code == EXIT_DONE) {
        code = eval_html_write(run, options->html);
    }
    if (code == EXIT_DONE) {
        code = options->json ? eval_json_print(run) : tool_finish_output();
    }
    return code;
}

/* Methods without a guarantee miss by definition. */
static bool kept_every_promise(const eval_run *run)
{
    for (size_t i = 0; i < run->results.count; i++) {
        const eval_row *row = &run->results.rows[i];

        if (row->rows.invalid > 0 || row->rows.none > 0 ||
            (row->rows.missed > 0 && eval_case_has_guarantee(&row->entry))) {
            return false;
        }
    }
    return true;
}

static int execute(eval_run *run)
{
    const tool_options *options = run->options;
    int code;

    if ((code = check_options(options)) != EXIT_DONE ||
        (code = eval_inputs_load(options, &run->inputs)) != EXIT_DONE) {
        return code;
    }
    if (!eval_sweep_make(options, &run->sweep)) {
        return tool_fail(EXIT_BAD_INPUT, "eval: not enough memory");
    }
    if ((code = device_open(&run->device, options)) != EXIT_DONE ||
        (code = eval_run_open(run)) != EXIT_DONE ||
        (code = eval_inputs_compare(options, &run->inputs)) != EXIT_DONE ||
        (code = run_sweep(run)) != EXIT_DONE ||
        (code = device_check_validation(&run->device)) != EXIT_DONE ||
        (code = tell(run)) != EXIT_DONE) {
        return code;
    }
    return kept_every_promise(run) || !options->strict_exit ? EXIT_DONE : EXIT_CHECK_FAILED;
}

int command_eval(const tool_options *options)
{
    eval_run *run = calloc(1, sizeof *run);

    if (!run) {
        return tool_fail(EXIT_BAD_INPUT, "eval: not enough memory");
    }
    run->options = options;

    const int code = execute(run);

    eval_run_destroy(run);
    free(run);
    return code;
}
