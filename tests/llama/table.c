#include "table.h"

#include <math.h>
#include <string.h>

#define SIGNIFICANT 1.96 /* standard errors: 95%, two-sided */
#define MAX_LENGTHS 8

/* ------------------------------------------------------------------ counting */

static int is_wanted(const recall_row *row, uint32_t length, int kind, const char *method,
                     double target)
{
    return row->length == length && (kind < 0 || (int)row->kind == kind) && row->target == target &&
           strcmp(row->method, method) == 0;
}

static int is_same_context(const recall_row *a, const recall_row *b)
{
    return a->length == b->length && a->family == b->family && a->context == b->context;
}

/* Rows of a context lie together in the list, whatever the order of contexts. */
static const recall_row *find_dense(const recall_rows *list, size_t near)
{
    const recall_row *wanted = &list->rows[near];
    size_t i = near;
    while (i > 0 && is_same_context(&list->rows[i - 1], wanted)) {
        i--;
    }
    for (; i < list->count && is_same_context(&list->rows[i], wanted); i++) {
        if (list->rows[i].question == wanted->question &&
            strcmp(list->rows[i].method, SETTING_DENSE) == 0) {
            return &list->rows[i];
        }
    }
    return NULL;
}

typedef struct cell_sums {
    double questions, right, dense_right, agreed, compared, same, attended, visible, rows, exact;
    uint32_t gained, lost;
} cell_sums;

static void add_row(cell_sums *sums, const recall_row *row, const recall_row *dense)
{
    sums->questions++;
    sums->right += row->is_right;
    sums->dense_right += dense->is_right;
    sums->gained += row->is_right && !dense->is_right;
    sums->lost += !row->is_right && dense->is_right;
    sums->agreed += row->agreed;
    sums->compared += row->compared;
    sums->same += row->agreed == row->compared;
    sums->attended += row->attended;
    sums->visible += row->visible;
    sums->rows += row->rows;
    sums->exact += row->exact_rows;
}

/* The sum over clusters of (sum of its differences - its questions * mean)^2: the variance of the
 * mean of clustered observations times questions^2 (Liang and Zeger 1986), and the clusters. */
static double cluster_squares(const recall_rows *list, uint32_t length, int kind,
                              const char *method, double target, double mean,
                              uint32_t *out_clusters)
{
    double squares = 0, sum = 0;
    const recall_row *last = NULL;
    *out_clusters = 0;
    for (size_t i = 0; i < list->count; i++) {
        const recall_row *row = &list->rows[i];
        const recall_row *dense =
            is_wanted(row, length, kind, method, target) ? find_dense(list, i) : NULL;
        if (!dense) {
            continue;
        }
        if (!last || !is_same_context(last, row)) {
            squares += sum * sum;
            sum = 0;
            ++*out_clusters;
        }
        last = row;
        sum += row->is_right - dense->is_right - mean;
    }
    return squares + sum * sum;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

void table_count(const recall_rows *list, uint32_t length, int kind, const char *method,
                 double target, table_cell *out)
{
    cell_sums sums = {0};
    for (size_t i = 0; i < list->count; i++) {
        const recall_row *dense =
            is_wanted(&list->rows[i], length, kind, method, target) ? find_dense(list, i) : NULL;
        if (dense) {
            add_row(&sums, &list->rows[i], dense);
        }
    }
    const double n = sums.questions;
    *out = (table_cell){
        .questions = (uint32_t)n,
        .right = share(sums.right, n),
        .dense_right = share(sums.dense_right, n),
        .difference = share(sums.right - sums.dense_right, n),
        .gained = sums.gained,
        .lost = sums.lost,
        .agreement = share(sums.agreed, sums.compared),
        .same = share(sums.same, n),
        .density = share(sums.attended, sums.visible),
        .exact = share(sums.exact, sums.rows),
    };
    const double squares =
        cluster_squares(list, length, kind, method, target, out->difference, &out->clusters);
    out->standard_error =
        out->clusters > 1 ? sqrt(squares * out->clusters / (out->clusters - 1)) / n : INFINITY;
}

/* ------------------------------------------------------------------ writing */

static int compare_lengths(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

/* Rising; returns how many. */
static uint32_t find_lengths(const recall_rows *list, uint32_t out[MAX_LENGTHS])
{
    uint32_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        uint32_t place = 0;
        while (place < count && compare_lengths(out[place], list->rows[i].length) < 0) {
            place++;
        }
        if (place < count && out[place] == list->rows[i].length) {
            continue;
        }
        if (count == MAX_LENGTHS) {
            break;
        }
        memmove(out + place + 1, out + place, (count - place) * sizeof(*out));
        out[place] = list->rows[i].length;
        count++;
    }
    return count;
}

static const recall_setting *find_setting(const recall_setting *settings, size_t count,
                                          const recall_setting *wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (settings[i].length == wanted->length && settings[i].target == wanted->target &&
            strcmp(settings[i].method, wanted->method) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

static int is_below(const table_cell *cell)
{
    return cell->difference < -SIGNIFICANT * cell->standard_error;
}

/* "95.0 (-1.5 ± 1.1)", marked when it is worse than dense by more than chance explains. */
static void write_cell(FILE *file, const table_cell *cell, int has_difference)
{
    if (cell->questions == 0) {
        fprintf(file, " - |");
    } else if (!has_difference) {
        fprintf(file, " %.1f |", 100 * cell->right);
    } else {
        const char *mark = is_below(cell) ? "**" : "";
        fprintf(file, " %s%.1f (%+.1f ± %.1f)%s |", mark, 100 * cell->right, 100 * cell->difference,
                100 * cell->standard_error, mark);
    }
}

static void write_kinds(FILE *file, const recall_rows *list, uint32_t length, const char *method,
                        double target)
{
    for (int kind = 0; kind < TASK_KIND_COUNT; kind++) {
        table_cell cell;
        table_count(list, length, kind, method, target, &cell);
        write_cell(file, &cell, strcmp(method, SETTING_DENSE) != 0);
    }
    fputc('\n', file);
}

static void write_line(FILE *file, const recall_rows *list, const recall_setting *wanted,
                       const recall_setting *calibrated)
{
    table_cell all;
    table_count(list, wanted->length, -1, wanted->method, wanted->target, &all);
    if (all.questions == 0) {
        return;
    }
    fprintf(file, "| %s", wanted->method);
    if (wanted->target > 0) {
        fprintf(file, " %g%%", 100 * wanted->target);
    }
    if (calibrated) {
        fprintf(file, " | %s %.4g", setting_parameter_name(calibrated), calibrated->parameter);
    } else {
        fprintf(file, " |");
    }
    if (strcmp(wanted->method, SETTING_DENSE) == 0) {
        fprintf(file, " | | | |");
    } else {
        fprintf(file, " | %.1f | %.0f | %.1f |", 100 * all.density, 100 * all.exact,
                100 * all.agreement);
    }
    write_kinds(file, list, wanted->length, wanted->method, wanted->target);
}

static void write_length(FILE *file, const recall_rows *list, uint32_t length,
                         const recall_setting *settings, size_t setting_count)
{
    static const char *const whole[] = {SETTING_DENSE, SETTING_VSA_DENSE};
    fprintf(file, "\n## %u tokens\n| method | parameter | density %% | dense rows %% | tokens %% |",
            length);
    for (int kind = 0; kind < TASK_KIND_COUNT; kind++) {
        table_cell cell;
        table_count(list, length, kind, SETTING_DENSE, 0, &cell);
        fprintf(file, " %s (%u) |", task_kind_name((recall_kind)kind), cell.questions);
    }
    fprintf(file, "\n|---|---|---|---|---|");
    for (int kind = 0; kind < TASK_KIND_COUNT; kind++) {
        fprintf(file, "---|");
    }
    fputc('\n', file);
    for (int i = 0; i < 2; i++) {
        recall_setting line = {.length = length};
        snprintf(line.method, sizeof(line.method), "%s", whole[i]);
        write_line(file, list, &line, NULL);
    }
    for (uint32_t i = 0; i < SETTING_COUNT; i++) {
        recall_setting line;
        setting_init(&line, length, i);
        write_line(file, list, &line, find_setting(settings, setting_count, &line));
    }
}

static int has_target(const recall_rows *list, double target)
{
    size_t i = 0;
    while (i < list->count && list->rows[i].target != target) {
        i++;
    }
    return i < list->count;
}

/* A sentence for each cell of a density that is below dense, or one that says there is none. */
static void write_verdict(FILE *file, const recall_rows *list, const uint32_t *lengths,
                          uint32_t length_count, double target)
{
    uint32_t compared = 0, below = 0;
    if (!has_target(list, target)) {
        return;
    }
    fprintf(file, "\n## Worse than dense at %g%%\n", 100 * target);
    for (uint32_t l = 0; l < length_count; l++) {
        for (uint32_t i = 0; i < SETTING_COUNT; i++) {
            recall_setting line;
            setting_init(&line, lengths[l], i);
            for (int kind = 0; line.target == target && kind < TASK_KIND_COUNT; kind++) {
                table_cell cell;
                table_count(list, line.length, kind, line.method, target, &cell);
                compared += cell.questions > 0;
                if (cell.questions == 0 || !is_below(&cell)) {
                    continue;
                }
                below++;
                fprintf(file, "- %s, %s, %u tokens: %u of %u lost, %u gained (%+.1f ± %.1f).\n",
                        line.method, task_kind_name((recall_kind)kind), line.length, cell.lost,
                        cell.questions, cell.gained, 100 * cell.difference,
                        100 * cell.standard_error);
            }
        }
    }
    fprintf(file,
            "%s%u of %u comparisons are below dense by more than %g standard errors; chance "
            "alone makes %.0f of them so.\n",
            below ? "\n" : "", below, compared, SIGNIFICANT, 0.025 * compared);
}

int table_write(FILE *file, const recall_rows *list, const recall_setting *settings,
                size_t setting_count)
{
    uint32_t lengths[MAX_LENGTHS];
    const uint32_t count = find_lengths(list, lengths);
    for (uint32_t i = 0; i < count; i++) {
        write_length(file, list, lengths[i], settings, setting_count);
    }
    for (int i = 0; i < SETTING_DENSITIES && count; i++) {
        write_verdict(file, list, lengths, count, setting_densities[i]);
    }
    return count > 0;
}
