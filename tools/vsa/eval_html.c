#include "eval_html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "output_file.h"
#include "plot.h"
#include "tool.h"

/* Smaller errors are arithmetic, not the method's. */
static const double error_floor = 1e-7;

/* Methods, scorers and bounds make a family, which is a series of a plot. */
enum { MAX_FAMILIES = 64, EPSILON_COLOURS = 5 };

typedef struct page {
    FILE *stream;
    const eval_run *run;
    plot_point *points; /* room for one plot */
    size_t used;
    plot_series series[2 * MAX_FAMILIES];
    size_t series_count;
    plot_tick *ticks;
} page;

static const eval_row *row_at(const page *p, size_t index)
{
    return &p->run->results.rows[index];
}

static size_t row_count(const page *p)
{
    return p->run->results.count;
}

static void clear_plot(page *p)
{
    p->used = 0;
    p->series_count = 0;
}

static bool same_family(const eval_row *a, const eval_row *b)
{
    return a->entry.method == b->entry.method && a->entry.scorer == b->entry.scorer &&
           a->entry.bound == b->entry.bound;
}

/* The first row of the input with that target, or of that row's family; dense has no place on a
 * plot of errors. */
static bool is_family_first(const page *p, size_t index, uint32_t input, int target)
{
    const eval_row *row = row_at(p, index);

    if (row->input != input || row->target != target || row->entry.method == VSA_METHOD_DENSE) {
        return false;
    }
    for (size_t i = 0; i < index; i++) {
        const eval_row *other = row_at(p, i);

        if (other->input == input && other->target == target && same_family(other, row)) {
            return false;
        }
    }
    return true;
}

static void family_name(const eval_case *entry, char *text, size_t size)
{
    const char *scorer = eval_case_scorer_name(entry), *bound = eval_case_bound_name(entry);

    snprintf(text, size, "%s%s%s%s%s", options_method_name(entry->method),
             strcmp(scorer, "none") ? ", " : "", strcmp(scorer, "none") ? scorer : "",
             strcmp(bound, "none") ? ", " : "", strcmp(bound, "none") ? bound : "");
}

static plot_series *add_series(page *p, const eval_case *entry)
{
    plot_series *series = &p->series[p->series_count++];

    *series = (plot_series){
        .shape = (unsigned)entry->scorer - 1u,
        .points = p->points + p->used,
    };
    family_name(entry, series->name, sizeof series->name);
    snprintf(series->colour, sizeof series->colour, "m-%s", options_method_name(entry->method));
    return series;
}

static void add_point(page *p, plot_series *series, plot_point point)
{
    p->points[p->used++] = point;
    series->count++;
}

/* ------------------------------------------------------------ error by cost */

static int by_x(const void *a, const void *b)
{
    const double x = ((const plot_point *)a)->x, y = ((const plot_point *)b)->x;

    return (x > y) - (x < y);
}

static double cost_of(const eval_row *row, bool in_bytes)
{
    return in_bytes ? (double)row->bytes_read : row->rows.density;
}

static void add_error_series(page *p, const eval_row *family, bool of_maximum, bool in_bytes)
{
    const size_t first = p->used;
    plot_series *series = add_series(p, &family->entry);

    series->is_joined = true;
    series->is_hollow = of_maximum;
    series->is_not_in_legend = of_maximum;
    for (size_t i = 0; i < row_count(p); i++) {
        const eval_row *row = row_at(p, i);

        if (row->input == family->input && row->target == family->target &&
            same_family(row, family)) {
            add_point(p, series,
                      (plot_point){.x = cost_of(row, in_bytes),
                                   .y = of_maximum ? row->error.max : row->error.mean});
        }
    }
    qsort(p->points + first, series->count, sizeof *p->points, by_x);
}

static void write_error_plot(page *p, uint32_t input, int target, bool in_bytes)
{
    const char *target_name = options_target_name(target);
    char title[96], y_label[96];

    clear_plot(p);
    for (size_t i = 0; i < row_count(p) && p->series_count < 2 * MAX_FAMILIES; i++) {
        if (is_family_first(p, i, input, target)) {
            add_error_series(p, row_at(p, i), false, in_bytes);
            add_error_series(p, row_at(p, i), true, in_bytes);
        }
    }
    snprintf(title, sizeof title, "Error of the %s against %s", target_name,
             in_bytes ? "bytes read" : "density");
    snprintf(y_label, sizeof y_label, "relative error of the %s", target_name);

    const plot figure = {
        .title = title,
        .note = "Filled, solid: mean over the rows. Hollow, dashed: maximum.",
        .x = {.label =
                  in_bytes ? "bytes of K and V read, all rows" : "density: tokens read / tokens",
              .unit = in_bytes ? PLOT_BYTES : PLOT_PERCENT,
              .is_log = true,
              .floor = in_bytes ? 1.0 : 1e-6},
        .y = {.label = y_label, .is_log = true, .floor = error_floor},
        .series = p->series,
        .series_count = p->series_count,
    };

    plot_write(p->stream, &figure);
}

/* ------------------------------------------------------ certified by actual */

static void add_dots(page *p, const eval_row *family)
{
    const eval_results *results = &p->run->results;
    plot_series *series = add_series(p, &family->entry);

    series->is_cloud = true;
    series->shape = (unsigned)(VSA_TARGET_OUTPUT - family->target);
    snprintf(series->name + strlen(series->name), sizeof series->name - strlen(series->name),
             ", %s", options_target_name(family->target));
    for (size_t i = 0; i < results->dot_count; i++) {
        const eval_dot *dot = &results->dots[i];
        const eval_row *row = row_at(p, dot->row);

        if (row->input == family->input && row->target == family->target &&
            same_family(row, family)) {
            add_point(p, series, (plot_point){.x = dot->actual, .y = dot->certified});
        }
    }
}

static void write_certified_plot(page *p, uint32_t input)
{
    char note[192];

    clear_plot(p);
    for (size_t i = 0; i < row_count(p) && p->series_count < 2 * MAX_FAMILIES; i++) {
        if (eval_case_has_guarantee(&row_at(p, i)->entry) &&
            is_family_first(p, i, input, row_at(p, i)->target)) {
            add_dots(p, row_at(p, i));
        }
    }
    snprintf(
        note, sizeof note,
        "A dot is one row with a bound; above the dotted line its bound holds. Its probability "
        "to hold is %g by the certificate. Rows computed densely are not here.",
        1.0 - p->run->options->delta);

    const plot figure = {
        .title = "Certified error against actual error",
        .note = note,
        .x = {.label = "actual relative error", .is_log = true, .floor = error_floor},
        .y = {.label = "certified relative error", .is_log = true, .floor = error_floor},
        .has_diagonal = true,
        .series = p->series,
        .series_count = p->series_count,
    };

    plot_write(p->stream, &figure);
}

/* ------------------------------------------------------------------- budget */

/* One name per head, or per layer where heads are many. */
static size_t make_head_ticks(page *p, uint32_t input)
{
    const eval_input *item = &p->run->inputs.items[input];
    const trace_layer *layers = p->run->inputs.all.layers + item->first_layer;
    uint32_t heads = 0, head = 0, every;
    size_t count = 0;

    for (uint32_t i = 0; i < item->layer_count; i++) {
        heads += layers[i].q_heads;
    }
    every = (heads + 15) / 16;
    for (uint32_t i = 0; i < item->layer_count; i++) {
        for (uint32_t h = 0; h < layers[i].q_heads; h++, head++) {
            if (head % every == 0) {
                plot_tick *tick = &p->ticks[count++];

                tick->at = head;
                snprintf(tick->text, sizeof tick->text, "%u:%u", i, h);
            }
        }
    }
    return count;
}

/* Place of the row's epsilon among those of its family, ascending. */
static size_t epsilon_rank(const page *p, const eval_row *row, size_t *out_count)
{
    size_t rank = 0;

    *out_count = 0;
    for (size_t i = 0; i < row_count(p); i++) {
        const eval_row *other = row_at(p, i);

        if (other->input == row->input && other->target == row->target && same_family(other, row)) {
            ++*out_count;
            rank += other->entry.epsilon < row->entry.epsilon;
        }
    }
    return rank;
}

static void add_budgets(page *p, const eval_row *row)
{
    size_t count, rank = epsilon_rank(p, row, &count);
    plot_series *series = add_series(p, &row->entry);

    series->shape = 0;
    snprintf(series->name, sizeof series->name, "epsilon %g", row->entry.epsilon);
    snprintf(series->colour, sizeof series->colour, "e%u", (unsigned)(rank % EPSILON_COLOURS));
    for (uint32_t h = 0; h < row->head_count; h++) {
        const eval_head *head = &row->heads[h];

        add_point(p, series,
                  (plot_point){
                      .x = h + 0.12 * ((double)rank - 0.5 * (double)(count - 1)),
                      /* Of rows that were computed densely without asking for samples. */
                      .y = head->mean > 0.0 ? head->mean : (double)NAN,
                      .low = head->low,
                      .high = head->high,
                  });
    }
}

static void write_budget_plot(page *p, const eval_row *family)
{
    char title[160], name[96];

    clear_plot(p);
    for (size_t i = 0; i < row_count(p) && p->series_count < 2 * MAX_FAMILIES; i++) {
        const eval_row *row = row_at(p, i);

        if (row->input == family->input && row->target == family->target &&
            same_family(row, family)) {
            add_budgets(p, row);
        }
    }
    family_name(&family->entry, name, sizeof name);
    snprintf(title, sizeof title, "Budget per head: %s, target %s", name,
             options_target_name(family->target));

    const plot figure = {
        .title = title,
        .note = "Samples that the last budget asked for: mean over the head's rows, and the 5th to "
                "95th percentile. Rows that went dense instead count with what they asked for.",
        .x = {.label = "query head (layer:head)",
              .ticks = p->ticks,
              .tick_count = make_head_ticks(p, family->input)},
        .y = {.label = "samples per row", .is_log = true, .floor = 1.0},
        .series = p->series,
        .series_count = p->series_count,
    };

    plot_write(p->stream, &figure);
}

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
    write_number(stream, "%g", entry->epsilon);
    eval_case_top_k(entry, text);
    write_cell(stream, text, false);
    eval_case_top_p(entry, text);
    write_cell(stream, text, false);
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
    fprintf(stream, "<td>%u</td><td>%u</td><td>%u</td><td>%u</td></tr>\n", row->rows.met,
            row->rows.exact, row->rows.missed, row->rows.invalid);
}

static void write_table(const page *p, uint32_t input)
{
    fputs("<div class=\"table\"><table>\n<tr><th class=\"word\">method</th>"
          "<th class=\"word\">scorer</th><th class=\"word\">bound</th>"
          "<th class=\"word\">target</th><th>epsilon</th><th>top-k</th><th>top-p</th>"
          "<th>density</th><th>bytes read</th><th>error mean</th><th>p95</th><th>max</th>"
          "<th>certified mean</th><th>max</th><th>coverage</th><th>within "
          "bound</th><th>met</th><th>exact</th>"
          "<th>missed</th><th>invalid</th></tr>\n",
          p->stream);
    for (size_t i = 0; i < row_count(p); i++) {
        if (row_at(p, i)->input == input) {
            write_table_row(p, row_at(p, i));
        }
    }
    fprintf(p->stream,
            "</table></div>\n<p class=\"note\">Coverage: share of the rows whose actual error is "
            "at most epsilon. &#9660; marks a method with a guarantee that is below 1 - delta = "
            "%g; with few rows chance alone can do that. Within bound: share of the rows with a "
            "bound whose actual error is at most that bound.</p>\n",
            1.0 - p->run->options->delta);
}

/* ---------------------------------------------------------------------- page */

static void write_facts(const page *p, const char *missing)
{
    const eval_run *run = p->run;
    char text[160];

    html_facts_begin(p->stream);
    html_run_facts(p->stream, "eval", run->options, vsa_standalone_device(run->device.standalone));
    snprintf(text, sizeof text,
             "delta %g, sink %u, window %u, on a miss: %s, KV cache %s, seed %llu",
             run->options->delta, run->options->sink_tokens, run->options->window_tokens,
             options_on_miss_name(run->options->on_miss),
             options_dtype_name((int)run->inputs.all.layers[0].kv_type),
             (unsigned long long)run->options->seed);
    html_fact(p->stream, "Settings", text);
    if (missing[0] != '\0') {
        html_fact(p->stream, "Not in this version", missing);
    }
    html_facts_end(p->stream);
    fputs("<p>Every row (one query of one head) is compared with dense attention in double "
          "precision over the same keys and values, rounded as the cache keeps them.</p>\n",
          p->stream);
}

static void write_input(page *p, uint32_t input)
{
    static const int targets[] = {VSA_TARGET_OUTPUT, VSA_TARGET_NUMERATOR, VSA_TARGET_DENOMINATOR};
    const eval_input *item = &p->run->inputs.items[input];
    const trace_layer *layer = &p->run->inputs.all.layers[item->first_layer];

    fputs("<h2>", p->stream);
    html_text(p->stream, item->name);
    fprintf(p->stream,
            "</h2>\n<p>%u %s%u query heads over %u KV heads, head size %u, %u tokens, the last "
            "%u queries</p>\n<div class=\"plots\">\n",
            item->layer_count, item->layer_count == 1 ? "layer: " : "layers, the first with ",
            layer->q_heads, layer->kv_heads, layer->head_dim_k, layer->tokens, layer->queries);
    for (size_t t = 0; t < sizeof targets / sizeof targets[0]; t++) {
        write_error_plot(p, input, targets[t], false);
        write_error_plot(p, input, targets[t], true);
    }
    write_certified_plot(p, input);
    for (size_t t = 0; t < sizeof targets / sizeof targets[0]; t++) {
        for (size_t i = 0; i < row_count(p); i++) {
            if (row_at(p, i)->heads && is_family_first(p, i, input, targets[t])) {
                write_budget_plot(p, row_at(p, i));
            }
        }
    }
    fputs("</div>\n", p->stream);
    write_table(p, input);
}

/* The most points that one plot can have. */
static size_t point_capacity(const eval_run *run)
{
    size_t count = EVAL_DOT_TOTAL + 2 * run->results.count;

    for (size_t i = 0; i < run->results.count; i++) {
        count += run->results.rows[i].head_count;
    }
    return count;
}

static size_t tick_capacity(const eval_run *run)
{
    size_t count = 1;

    for (uint32_t i = 0; i < run->inputs.all.layer_count; i++) {
        count += run->inputs.all.layers[i].q_heads;
    }
    return count;
}

int eval_html_write(const eval_run *run, const char *missing, const char *path)
{
    output_file file = {0};
    page *p = calloc(1, sizeof *p);
    int code = EXIT_DONE;

    if (p) {
        p->run = run;
        p->points = malloc(point_capacity(run) * sizeof *p->points);
        p->ticks = malloc(tick_capacity(run) * sizeof *p->ticks);
    }
    if (!p || !p->points || !p->ticks) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to write it", path);
    } else if ((code = output_file_open(path, &file)) == EXIT_DONE) {
        p->stream = file.stream;
        html_begin(p->stream, "vsa eval: error, bytes and certificates");
        write_facts(p, missing);
        for (uint32_t i = 0; i < run->inputs.count; i++) {
            write_input(p, i);
        }
        html_end(p->stream);
        code = output_file_commit(&file);
    }
    if (p) {
        free(p->points);
        free(p->ticks);
    }
    free(p);
    return code;
}
