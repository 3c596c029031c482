/*
 * vsa eval: every method, scorer, bound and target over a sweep, each row compared with dense
 * attention.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "eval_csv.h"
#include "eval_html.h"
#include "eval_run.h"
#include "json.h"
#include "output_file.h"
#include "tool.h"

/* --------------------------------------------------------------------- table */

static void print_heading(const eval_run *run)
{
    const vsa_device_info *device = vsa_standalone_device(run->device.standalone);

    printf("device    %s (%s)\n", device->name, device->driver);
    for (uint32_t i = 0; i < run->inputs.count; i++) {
        printf("input %-3u %s\n", i + 1, run->inputs.items[i].name);
    }
    printf("\n%s%-10s %-6s %-6s %-11s %7s %6s %6s %7s %10s %9s %9s %9s %9s %9s %8s %s\n",
           run->inputs.count > 1 ? "in " : "", "method", "scorer", "bound", "target", "epsilon",
           "delta", "k or p", "density", "bytes_read", "err_mean", "err_p95", "err_max",
           "cert_mean", "cert_max", "coverage", "met/exact/missed");
}

/* "-" for what the row does not have. */
static const char *number(double value, char text[16])
{
    if (isnan(value)) {
        return "-";
    }
    snprintf(text, 16, "%.2e", value);
    return text;
}

static void print_row(const eval_run *run, const eval_row *row)
{
    const eval_case *entry = &row->entry;
    char setting[EVAL_SETTING_SIZE], read[REPORT_BYTES_SIZE], texts[2][16];

    eval_case_top_k(entry, setting);
    if (setting[0] == '\0') {
        eval_case_top_p(entry, setting);
    }
    if (run->inputs.count > 1) {
        printf("%2u ", row->input + 1);
    }
    printf("%-10s %-6s %-6s %-11s %7g %6g %6s %7.4f %10s %9.2e %9.2e %9.2e %9s %9s %8.4f "
           "%u/%u/%u",
           options_method_name(entry->method), eval_case_scorer_name(entry),
           eval_case_bound_name(entry), options_target_name(row->target), entry->epsilon,
           run->options->delta, setting[0] ? setting : "-", row->rows.density,
           report_bytes((double)row->bytes_read, read), row->error.mean, row->error.p95,
           row->error.max, number(row->certified_mean, texts[0]),
           number(row->certified_max, texts[1]), row->error.coverage, row->rows.met,
           row->rows.exact, row->rows.missed);
    if (row->rows.invalid > 0) {
        printf(", %u invalid", row->rows.invalid);
    }
    printf("\n");
}

/* ---------------------------------------------------------------------- JSON */

static void add_setting(cJSON *object, const char *name, const char *text)
{
    if (text[0] != '\0') {
        cJSON_AddNumberToObject(object, name, strtod(text, NULL));
    } else {
        cJSON_AddNullToObject(object, name);
    }
}

static cJSON *make_row(const eval_run *run, const eval_row *row)
{
    const eval_case *entry = &row->entry;
    cJSON *object = cJSON_CreateObject();
    char text[EVAL_SETTING_SIZE];

    cJSON_AddStringToObject(object, "input", run->inputs.items[row->input].name);
    cJSON_AddStringToObject(object, "method", options_method_name(entry->method));
    cJSON_AddStringToObject(object, "scorer", eval_case_scorer_name(entry));
    cJSON_AddStringToObject(object, "bound", eval_case_bound_name(entry));
    cJSON_AddStringToObject(object, "target", options_target_name(row->target));
    cJSON_AddNumberToObject(object, "epsilon", entry->epsilon);
    cJSON_AddNumberToObject(object, "delta", run->options->delta);
    eval_case_top_k(entry, text);
    add_setting(object, "top_k", text);
    eval_case_top_p(entry, text);
    add_setting(object, "top_p", text);
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
    cJSON_AddNumberToObject(object, "gpu_ms", row->gpu_ms);
    return object;
}

static int print_json(const eval_run *run, const char *missing)
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
    cJSON_AddStringToObject(object, "not_in_this_version", missing);
    for (size_t i = 0; i < run->results.count; i++) {
        cJSON_AddItemToArray(rows, make_row(run, &run->results.rows[i]));
    }
    cJSON_AddItemToObject(object, "rows", rows);
    return json_print(object);
}

/* ------------------------------------------------------------------- command */

static int check_options(const tool_options *options)
{
    const char *const outputs[] = {options->csv, options->html};

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
    int code = eval_run_begin(run);

    for (size_t i = 0; i < run->sweep.count && code == EXIT_DONE; i++) {
        const size_t before = run->results.count;

        progress_update(&run->bar, run->done);
        code = eval_run_case(run, i);
        if (run->options->json || run->results.count == before) {
            continue;
        }
        progress_clear(&run->bar);
        if (before == 0) {
            print_heading(run);
        }
        for (size_t j = before; j < run->results.count; j++) {
            print_row(run, &run->results.rows[j]);
        }
        fflush(stdout);
    }
    progress_clear(&run->bar);
    /* A sweep of which nothing can run is a mistake; its sentence is the library's. */
    return code == EXIT_DONE && run->results.count == 0
               ? device_fail(&run->device, VSA_ERROR_UNSUPPORTED_CONFIG, "nothing to evaluate")
               : code;
}

static int tell(eval_run *run)
{
    const tool_options *options = run->options;
    char missing[EVAL_REFUSED_SIZE];
    int code = EXIT_DONE;

    eval_sweep_list_refused(&run->sweep, missing);
    if (options->csv) {
        code = eval_csv_write(run, options->csv);
    }
    if (options->html && code == EXIT_DONE) {
        code = eval_html_write(run, missing, options->html);
    }
    if (code == EXIT_DONE) {
        code = options->json ? print_json(run, missing) : tool_finish_output();
    }
    if (missing[0] != '\0' && code == EXIT_DONE) {
        fprintf(stderr, "vsa: not in this version: %s\n", missing);
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
