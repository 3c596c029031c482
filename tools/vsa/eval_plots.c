#include "eval_plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"

/* Smaller errors are arithmetic, not the method's. */
static const double error_floor = 1e-7;

/* Methods, scorers and bounds make a family, which is a series of a plot. */
enum { MAX_FAMILIES = 64, MAXIMA_FAMILIES = 8, EPSILON_COLOURS = 5 };

struct eval_plots {
    FILE *stream;
    const eval_run *run;
    plot_point *points; /* room for one plot */
    size_t used;
    plot_series series[2 * MAX_FAMILIES];
    size_t series_count;
    plot_tick *ticks;
};

static const eval_row *row_at(const eval_plots *p, size_t index)
{
    return &p->run->results.rows[index];
}

static size_t row_count(const eval_plots *p)
{
    return p->run->results.count;
}

static void clear_plot(eval_plots *p)
{
    p->used = 0;
    p->series_count = 0;
}

/* The first row of the input with that target, or of that row's family; dense has no place on a
 * plot of errors. */
static bool is_family_first(const eval_plots *p, size_t index, uint32_t input, int target)
{
    const eval_row *row = row_at(p, index);

    if (row->input != input || row->target != target || row->entry.method == VSA_METHOD_DENSE) {
        return false;
    }
    for (size_t i = 0; i < index; i++) {
        const eval_row *other = row_at(p, i);

        if (other->input == input && other->target == target &&
            eval_case_same_family(&other->entry, &row->entry)) {
            return false;
        }
    }
    return true;
}

static plot_series *add_series(eval_plots *p, const eval_case *entry)
{
    plot_series *series = &p->series[p->series_count++];

    *series = (plot_series){
        .shape = (unsigned)entry->scorer - 1u,
        .points = p->points + p->used,
    };
    eval_case_family(entry, series->name);
    snprintf(series->colour, sizeof series->colour, "m-%s%s", options_method_name(entry->method),
             entry->bound == VSA_BOUND_STRICT ? " strict" : "");
    return series;
}

static void add_point(eval_plots *p, plot_series *series, plot_point point)
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

static void add_error_series(eval_plots *p, const eval_row *family, bool of_maximum, bool in_bytes)
{
    const size_t first = p->used;
    plot_series *series = add_series(p, &family->entry);

    series->is_joined = true;
    series->is_hollow = of_maximum;
    series->is_not_in_legend = of_maximum;
    for (size_t i = 0; i < row_count(p); i++) {
        const eval_row *row = row_at(p, i);

        /* Rows that are all dense have only rounding errors. */
        if (row->input == family->input && row->target == family->target &&
            row->rows.exact < row->rows.rows &&
            eval_case_same_family(&row->entry, &family->entry)) {
            add_point(p, series,
                      (plot_point){.x = cost_of(row, in_bytes),
                                   .y = of_maximum ? row->error.max : row->error.mean});
        }
    }
    qsort(p->points + first, series->count, sizeof *p->points, by_x);
}

static size_t count_families(const eval_plots *p, uint32_t input, int target)
{
    size_t count = 0;

    for (size_t i = 0; i < row_count(p); i++) {
        count += is_family_first(p, i, input, target);
    }
    return count;
}

static void write_error_plot(eval_plots *p, uint32_t input, int target, bool in_bytes)
{
    const char *target_name = options_target_name(target);
    char title[96], y_label[96];

    const bool with_maxima = count_families(p, input, target) <= MAXIMA_FAMILIES;

    clear_plot(p);
    for (size_t i = 0; i < row_count(p) && p->series_count < 2 * MAX_FAMILIES; i++) {
        if (!is_family_first(p, i, input, target)) {
            continue;
        }
        add_error_series(p, row_at(p, i), false, in_bytes);
        if (with_maxima) {
            add_error_series(p, row_at(p, i), true, in_bytes);
        }
    }
    snprintf(title, sizeof title, "Error of the %s against %s", target_name,
             in_bytes ? "bytes read" : "density");
    snprintf(y_label, sizeof y_label, "relative error of the %s", target_name);

    const plot figure = {
        .title = title,
        .note = with_maxima
                    ? "Filled, solid: mean over the rows. Hollow, dashed: maximum. Pale: bound "
                      "strict."
                    : "Mean over the rows. Pale: bound strict.",
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

static void add_dots(eval_plots *p, const eval_row *family)
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
            eval_case_same_family(&row->entry, &family->entry)) {
            add_point(p, series, (plot_point){.x = dot->actual, .y = dot->certified});
        }
    }
}

static void write_certified_plot(eval_plots *p, uint32_t input)
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
static size_t make_head_ticks(eval_plots *p, uint32_t input)
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
static size_t epsilon_rank(const eval_plots *p, const eval_row *row, size_t *out_count)
{
    size_t rank = 0;

    *out_count = 0;
    for (size_t i = 0; i < row_count(p); i++) {
        const eval_row *other = row_at(p, i);

        if (other->input == row->input && other->target == row->target &&
            eval_case_same_family(&other->entry, &row->entry)) {
            ++*out_count;
            rank += other->entry.epsilon < row->entry.epsilon;
        }
    }
    return rank;
}

static void add_budgets(eval_plots *p, const eval_row *row)
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

static void write_budget_plot(eval_plots *p, const eval_row *family)
{
    char title[160], name[EVAL_FAMILY_SIZE];

    clear_plot(p);
    for (size_t i = 0; i < row_count(p) && p->series_count < 2 * MAX_FAMILIES; i++) {
        const eval_row *row = row_at(p, i);

        if (row->input == family->input && row->target == family->target &&
            eval_case_same_family(&row->entry, &family->entry)) {
            add_budgets(p, row);
        }
    }
    eval_case_family(&family->entry, name);
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

/* -------------------------------------------------------------------- object */

/* Of every family with budgets, for its first target. */
static void write_budget_plots(eval_plots *p, uint32_t input)
{
    for (size_t i = 0; i < row_count(p); i++) {
        const eval_row *row = row_at(p, i);
        bool is_first = row->input == input && row->heads;

        for (size_t j = 0; j < i && is_first; j++) {
            is_first = row_at(p, j)->input != input ||
                       !eval_case_same_family(&row_at(p, j)->entry, &row->entry);
        }
        if (is_first) {
            write_budget_plot(p, row);
        }
    }
}

void eval_plots_write(eval_plots *p, uint32_t input)
{
    static const int targets[] = {VSA_TARGET_OUTPUT, VSA_TARGET_NUMERATOR, VSA_TARGET_DENOMINATOR};

    for (size_t t = 0; t < sizeof targets / sizeof targets[0]; t++) {
        write_error_plot(p, input, targets[t], false);
        write_error_plot(p, input, targets[t], true);
    }
    write_certified_plot(p, input);
    write_budget_plots(p, input);
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

eval_plots *eval_plots_create(FILE *stream, const eval_run *run)
{
    eval_plots *p = calloc(1, sizeof *p);

    if (!p) {
        return NULL;
    }
    p->stream = stream;
    p->run = run;
    p->points = malloc(point_capacity(run) * sizeof *p->points);
    p->ticks = malloc(tick_capacity(run) * sizeof *p->ticks);
    if (!p->points || !p->ticks) {
        eval_plots_destroy(p);
        return NULL;
    }
    return p;
}

void eval_plots_destroy(eval_plots *p)
{
    if (p) {
        free(p->points);
        free(p->ticks);
    }
    free(p);
}
