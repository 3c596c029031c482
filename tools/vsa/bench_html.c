#include "bench_html.h"

#include <math.h>

#include "bench_plots.h"
#include "bench_summary.h"
#include "html.h"
#include "output_file.h"
#include "tool.h"

static void write_number(FILE *stream, const char *format, double value)
{
    char text[64] = "";

    if (!isnan(value)) {
        snprintf(text, sizeof text, format, value);
    }
    fprintf(stream, "<td>%s</td>", text);
}

static void write_case(FILE *stream, const bench_case *entry)
{
    fprintf(stream, "<td class=\"word\">%s</td><td class=\"word\">%s</td>",
            options_method_name(entry->method), bench_case_scorer_name(entry));
}

static void write_facts(FILE *stream, const bench_run *run)
{
    char text[BENCH_SETTINGS_SIZE];

    html_facts_begin(stream);
    html_run_facts(stream, "bench", run->options, vsa_standalone_device(run->device.standalone));
    snprintf(text, sizeof text, "%.4g GB/s, read and written together", run->copy_gbps);
    html_fact(stream, "Copy bandwidth", text);
    html_fact(stream, "Step", bench_summary_shape(run, text));
    html_fact(stream, "Policy", bench_summary_policy(run, text));
    html_facts_end(stream);
    fprintf(stream,
            "<p>A step appends one token to one layer and attends with its queries. Every length "
            "has its own caches; up to 8 layers take turns, so that no step finds its keys in a "
            "cache of the device. Times are medians of %u steps, each with other queries and "
            "draws. Actual errors are those of up to %u rows, drawn at random, against dense "
            "attention in double precision; certified errors are means over all rows with a finite "
            "bound. Bytes are those of K, V and of what a scorer keeps of them, not of scratch "
            "memory.</p>\n",
            run->options->repeat, run->options->error_rows);
}

static void write_row(FILE *stream, const bench_run *run, const bench_row *row)
{
    const double gbps = bench_row_gbps(row);

    fprintf(stream, "<tr><td>%u</td>", row->tokens);
    write_case(stream, &row->entry);
    write_number(stream, "%.3f", row->gpu_ms.median);
    write_number(stream, "%.3f", row->gpu_ms.low);
    write_number(stream, "%.3f", row->gpu_ms.high);
    write_number(stream, "%.3f", row->wall_ms.median);
    write_number(stream, "%.2f", row->speedup.median);
    write_number(stream, "%.4g", gbps);
    write_number(stream, "%.1f%%", 100.0 * gbps / run->copy_gbps);
    write_number(stream, "%.4g", 1e-6 * row->bytes);
    write_number(stream, "%.2f%%", 100.0 * row->rows.density);
    write_number(stream, "%.2e", row->error.mean);
    write_number(stream, "%.2e", row->error.max);
    write_number(stream, "%.2e", row->certified_mean);
    fprintf(stream, "<td>%u</td><td>%u</td><td>%u</td><td%s>%u</td></tr>\n", row->rows.met,
            row->rows.exact, row->rows.missed, row->rows.invalid ? " class=\"flag\"" : "",
            row->rows.invalid);
}

static void write_rows(FILE *stream, const bench_run *run)
{
    fputs("<h2>Steps</h2>\n<div class=\"table\"><table>\n<tr><th>tokens</th>"
          "<th class=\"word\">method</th><th class=\"word\">scorer</th><th>GPU ms</th><th>min</th>"
          "<th>max</th><th>wall ms</th><th>times dense</th><th>GB/s</th><th>of copy</th>"
          "<th>MB read</th><th>density</th><th>error mean</th><th>max</th>"
          "<th>certified mean</th><th>met</th><th>exact</th><th>missed</th><th>invalid</th></tr>\n",
          stream);
    for (size_t i = 0; i < run->results.count; i++) {
        write_row(stream, run, &run->results.rows[i]);
    }
    fputs("</table></div>\n", stream);
}

static void write_stages(FILE *stream, const bench_run *run)
{
    fputs("<h2>Stages, ms</h2>\n<div class=\"table\"><table>\n<tr><th>tokens</th>"
          "<th class=\"word\">method</th><th class=\"word\">scorer</th>",
          stream);
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        fprintf(stream, "<th>%s</th>", bench_stage_name(i));
    }
    fputs("<th>MB: score</th><th>attend, combine</th><th>fallback</th></tr>\n", stream);
    for (size_t i = 0; i < run->results.count; i++) {
        const bench_row *row = &run->results.rows[i];

        fprintf(stream, "<tr><td>%u</td>", row->tokens);
        write_case(stream, &row->entry);
        for (int j = 0; j < VSA_TIMESTAMP_COUNT; j++) {
            write_number(stream, "%.3f", row->stage_ms[j]);
        }
        write_number(stream, "%.4g", 1e-6 * row->stage_bytes[VSA_TIMESTAMP_SCORE]);
        write_number(stream, "%.4g", 1e-6 * row->stage_bytes[VSA_TIMESTAMP_ATTEND]);
        write_number(stream, "%.4g", 1e-6 * row->stage_bytes[VSA_TIMESTAMP_FALLBACK]);
        fputs("</tr>\n", stream);
    }
    fputs("</table></div>\n", stream);
}

static void write_kernels(FILE *stream, const bench_run *run)
{
    fputs("<h2>Kernels, ms</h2>\n<p>Medians of steps of their own, with a timestamp after every "
          "kernel.</p>\n<div class=\"table\"><table>\n<tr><th>tokens</th><th class=\"word\">"
          "method</th><th class=\"word\">scorer</th><th class=\"word\">kernels</th></tr>\n",
          stream);
    for (size_t i = 0; i < run->results.count; i++) {
        const bench_row *row = &run->results.rows[i];

        fprintf(stream, "<tr><td>%u</td>", row->tokens);
        write_case(stream, &row->entry);
        fputs("<td class=\"word\">", stream);
        for (uint32_t j = 0; j < row->kernels.count; j++) {
            fprintf(stream, "%s%s %.3f", j ? ", " : "", row->kernels.kernels[j].kernel,
                    row->kernels.kernels[j].ms);
        }
        fputs("</td></tr>\n", stream);
    }
    fputs("</table></div>\n", stream);
}

static void write_costs(FILE *stream, const bench_run *run)
{
    fputs("<h2>Cost against length</h2>\n<div class=\"table\"><table>\n<tr>"
          "<th class=\"word\">method</th><th class=\"word\">scorer</th><th>lengths</th>"
          "<th>exponent</th><th>fixed, us</th><th>ns per token</th><th>host, us</th></tr>\n",
          stream);
    for (size_t i = 0; i < run->cases.count; i++) {
        bench_cost cost;

        if (!bench_summary_cost(run, i, &cost)) {
            continue;
        }
        fputs("<tr>", stream);
        write_case(stream, cost.entry);
        fprintf(stream, "<td>%u</td>", cost.lengths);
        write_number(stream, "%.3f", cost.fit.exponent);
        write_number(stream, "%.1f", 1e3 * cost.fit.fixed);
        write_number(stream, "%.3f", 1e6 * cost.fit.per_token);
        write_number(stream, "%.1f", cost.host_us);
        fputs("</tr>\n", stream);
    }
    fputs("</table></div>\n<p class=\"note\">Exponent: of time = a length^p, least squares of the "
          "logarithms. Fixed and per token: of time = c + b length, least squares of the relative "
          "error, neither negative, from 3 lengths on. Host: wall time without GPU time.</p>\n",
          stream);
}

static void write_omissions(FILE *stream, const bench_results *results)
{
    if (results->omission_count == 0) {
        return;
    }
    fputs("<h2>Left out</h2>\n<ul>\n", stream);
    for (size_t i = 0; i < results->omission_count; i++) {
        char text[BENCH_OMISSION_SIZE];

        fputs("<li>", stream);
        html_text(stream, bench_omission_text(&results->omissions[i], text));
        fputs("</li>\n", stream);
    }
    fputs("</ul>\n", stream);
}

int bench_html_write(const bench_run *run, const char *path)
{
    output_file file = {0};
    const int code = output_file_open(path, &file);

    if (code != EXIT_DONE) {
        return code;
    }
    html_begin(file.stream, "vsa bench: time, bytes and error of a step");
    write_facts(file.stream, run);
    fputs("<div class=\"plots\">\n", file.stream);
    if (!bench_plots_write(file.stream, run)) {
        output_file_discard(&file);
        return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to write it", path);
    }
    fputs("</div>\n", file.stream);
    write_rows(file.stream, run);
    write_stages(file.stream, run);
    if (run->options->kernels) {
        write_kernels(file.stream, run);
    }
    write_costs(file.stream, run);
    write_omissions(file.stream, &run->results);
    html_end(file.stream);
    return output_file_commit(&file);
}
