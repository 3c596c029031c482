#include "eval_html.h"

#include <math.h>
#include <string.h>

#include "eval_plots.h"
#include "eval_search.h"
#include "html.h"
#include "output_file.h"
#include "tool.h"

typedef struct page {
    FILE *stream;
    const eval_run *run;
    eval_plots *plots;
} page;

/* -------------------------------------------------------------------- tables */

static void write_cell(FILE *stream, const char *text, bool is_word)
{
    fprintf(stream, is_word ? "<td class=\"word\">" : "<td>");
    html_text(stream, text);
    fputs("</td>", stream);
}

static void write_number(FILE *stream, const char *format, double value)
{
    char text[64] = "";

    if (isfinite(value)) {
        snprintf(text, sizeof text, format, value);
    } else if (!isnan(value)) {
        snprintf(text, sizeof text, "infinite");
    }
    write_cell(stream, text, false);
}

static void write_table_row(const page *p, const eval_row *row)
{
    const eval_case *entry = &row->entry;
    const bool is_short =
        eval_case_has_guarantee(entry) && row->error.coverage < 1.0 - p->run->options->delta;
    char text[REPORT_BYTES_SIZE + EVAL_SETTING_SIZE];
    FILE *stream = p->stream;

    fputs("<tr>", stream);
    write_cell(stream, options_method_name(entry->method), true);
    write_cell(stream, eval_case_scorer_name(entry), true);
    write_cell(stream, eval_case_bound_name(entry), true);
    write_cell(stream, options_target_name(row->target), true);
    if (p->run->options->densities.count > 0) {
        fprintf(stream,
                eval_density_is_near(row->rows.density, entry->density)
                    ? "<td>%g%%</td>"
                    : "<td class=\"flag\">%g%% not reached</td>",
                100.0 * entry->density);
    }
    write_number(stream, "%.4g", entry->epsilon);
    eval_case_top_k(entry, text);
    write_cell(stream, text, false);
    eval_case_top_p(entry, text);
    write_cell(stream, text, false);
    fprintf(stream, "<td>%g</td><td>%g</td>", option_share_value(entry->sink),
            option_share_value(entry->window));
    write_number(stream, "%.2f%%", 100.0 * row->rows.density);
    write_cell(stream, report_bytes((double)row->bytes_read, text), false);
    write_number(stream, "%.2e", row->error.mean);
    write_number(stream, "%.2e", row->error.p95);
    write_number(stream, "%.2e", row->error.max);
    write_number(stream, "%.2e", row->certified_mean);
    write_number(stream, "%.2e", row->certified_max);
    fprintf(stream, "<td%s>%.4f%s</td>", is_short ? " class=\"flag\"" : "", row->error.coverage,
            is_short ? " &#9660;" : "");
    write_number(stream, "%.4f", row->within_bound);
    fprintf(stream, "<td>%u</td><td>%u</td><td>%u</td><td>%u</td>", row->rows.met, row->rows.exact,
            row->rows.missed, row->rows.invalid);
    fprintf(stream, "<td>%u</td><td>%u</td><td>%u</td><td>%u</td></tr>\n", row->rows.unattainable,
            row->rows.heavy_sample, row->rows.bound_broken, row->rows.floored);
}

static void write_table(const page *p, uint32_t input)
{
    fprintf(
        p->stream,
        "<div class=\"table\"><table>\n<tr><th class=\"word\">method</th>"
        "<th class=\"word\">scorer</th><th class=\"word\">bound</th>"
        "<th class=\"word\">target</th>%s<th>epsilon</th><th>top-k</th><th>top-p</th>"
        "<th>sink</th><th>window</th><th>density</th><th>bytes read</th><th>error mean</th>"
        "<th>p95</th><th>max</th><th>certified mean</th><th>max</th><th>coverage</th>"
        "<th>within bound</th><th>met</th><th>exact</th><th>missed</th><th>invalid</th>"
        "<th>unattainable</th><th>heavy sample</th><th>bound broken</th><th>floored</th></tr>\n",
        p->run->options->densities.count > 0 ? "<th>at density</th>" : "");
    for (size_t i = 0; i < p->run->results.count; i++) {
        if (p->run->results.rows[i].input == input) {
            write_table_row(p, &p->run->results.rows[i]);
        }
    }
    fprintf(p->stream,
            "</table></div>\n<p class=\"note\">Coverage: share of the rows whose actual error is "
            "at most epsilon. &#9660; marks a method with a guarantee that is below 1 - delta = "
            "%g; with few rows chance alone can do that. Within bound: share of the rows with a "
            "bound whose actual error is at most that bound. The last four count rows by the flags "
            "of their certificates.</p>\n",
            1.0 - p->run->options->delta);
}

/* ---------------------------------------------------------------------- page */

static void write_facts(const page *p)
{
    const eval_run *run = p->run;
    char text[224];

    html_facts_begin(p->stream);
    html_run_facts(p->stream, "eval", run->options, vsa_standalone_device(run->device.standalone));
    snprintf(text, sizeof text, "delta %g, value floor %g, on a miss: %s, KV cache %s, seed %llu",
             run->options->delta, run->options->value_floor,
             options_on_miss_name(run->options->on_miss),
             options_dtype_name((int)run->inputs.all.layers[0].kv_type),
             (unsigned long long)run->options->seed);
    html_fact(p->stream, "Settings", text);
    html_facts_end(p->stream);
    fputs("<p>Every row (one query of one head) is compared with dense attention in double "
          "precision over the same keys and values, rounded as the cache keeps them.</p>\n",
          p->stream);
}

static void write_input(const page *p, uint32_t input)
{
    const eval_input *item = &p->run->inputs.items[input];
    const trace_layer *layer = &p->run->inputs.all.layers[item->first_layer];

    fputs("<h2>", p->stream);
    html_text(p->stream, item->name);
    fprintf(p->stream,
            "</h2>\n<p>%u %s%u query heads over %u KV heads, head size %u, %u tokens, the last "
            "%u queries</p>\n<div class=\"plots\">\n",
            item->layer_count, item->layer_count == 1 ? "layer: " : "layers, the first with ",
            layer->q_heads, layer->kv_heads, layer->head_dim_k, layer->tokens, layer->queries);
    eval_plots_write(p->plots, input);
    fputs("</div>\n", p->stream);
    write_table(p, input);
}

int eval_html_write(const eval_run *run, const char *path)
{
    output_file file = {0};
    const int code = output_file_open(path, &file);

    if (code != EXIT_DONE) {
        return code;
    }
    const page p = {
        .stream = file.stream, .run = run, .plots = eval_plots_create(file.stream, run)};

    if (!p.plots) {
        output_file_discard(&file);
        return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to write it", path);
    }
    html_begin(p.stream, "vsa eval: error, bytes and certificates");
    write_facts(&p);
    for (uint32_t i = 0; i < run->inputs.count; i++) {
        write_input(&p, i);
    }
    html_end(p.stream);
    eval_plots_destroy(p.plots);
    return output_file_commit(&file);
}
