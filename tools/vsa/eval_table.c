#include "eval_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval_search.h"

void eval_table_begin(const eval_run *run)
{
    const vsa_device_info *device = vsa_standalone_device(run->device.standalone);

    printf("device    %s (%s)\n", device->name, device->driver);
    for (uint32_t i = 0; i < run->inputs.count; i++) {
        printf("input %-3u %s\n", i + 1, run->inputs.items[i].name);
    }
    printf("\n%s%s%-10s %-6s %-6s %-11s %7s %6s %9s %7s %10s %9s %9s %9s %9s %9s %8s %s\n",
           run->inputs.count > 1 ? "in " : "", run->options->densities.count ? "    at " : "",
           "method", "scorer", "bound", "target", "epsilon", "delta", "k or p", "density",
           "bytes_read", "err_mean", "err_p95", "err_max", "cert_mean", "cert_max", "coverage",
           "met/exact/missed");
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

void eval_table_row(const eval_run *run, const eval_row *row)
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
    if (entry->density > 0.0) {
        printf("%5.4g%% ", 100.0 * entry->density);
    }
    printf("%-10s %-6s %-6s %-11s ", options_method_name(entry->method),
           eval_case_scorer_name(entry), eval_case_bound_name(entry),
           options_target_name(row->target));
    printf("%7.4g %6g %9s %7.4f %10s ", entry->epsilon, run->options->delta,
           setting[0] ? setting : "-", row->rows.density,
           report_bytes((double)row->bytes_read, read));
    printf("%9.2e %9.2e %9.2e %9s %9s %8.4f %u/%u/%u", row->error.mean, row->error.p95,
           row->error.max, number(row->certified_mean, texts[0]),
           number(row->certified_max, texts[1]), row->error.coverage, row->rows.met,
           row->rows.exact, row->rows.missed);
    if (row->rows.invalid > 0) {
        printf(", %u invalid", row->rows.invalid);
    }
    if (entry->density > 0.0 && !eval_density_is_near(row->rows.density, entry->density)) {
        printf(", density not reached");
    }
    printf("\n");
}

/* ------------------------------------------------------------------- compare */

enum { MAX_COLUMNS = 16 };

/* One table: the families that have rows with the target. */
typedef struct comparison {
    const eval_run *run;
    int target;
    bool of_maximum;
    const eval_case *columns[MAX_COLUMNS];
    size_t count;
} comparison;

static void find_columns(comparison *table)
{
    const eval_results *results = &table->run->results;

    for (size_t i = 0; i < results->count && table->count < MAX_COLUMNS; i++) {
        const eval_row *row = &results->rows[i];
        bool is_new = row->target == table->target;

        for (size_t j = 0; j < table->count; j++) {
            is_new = is_new && !eval_case_same_family(table->columns[j], &row->entry);
        }
        if (is_new) {
            table->columns[table->count++] = &row->entry;
        }
    }
}

static const eval_row *find_row(const comparison *table, size_t column, uint32_t input,
                                double density)
{
    const eval_results *results = &table->run->results;

    for (size_t i = 0; i < results->count; i++) {
        const eval_row *row = &results->rows[i];

        if (row->input == input && row->target == table->target && row->entry.density == density &&
            eval_case_same_family(&row->entry, table->columns[column])) {
            return row;
        }
    }
    return NULL;
}

static double error_of(const comparison *table, const eval_row *row)
{
    return table->of_maximum ? row->error.max : row->error.mean;
}

static bool is_near(const eval_row *row)
{
    return eval_density_is_near(row->rows.density, row->entry.density);
}

/* Bold: the smallest error of those whose density is as wanted. */
static void print_line(const comparison *table, uint32_t input, double density)
{
    const eval_row *rows[MAX_COLUMNS] = {NULL};
    const eval_row *best = NULL;

    for (size_t i = 0; i < table->count; i++) {
        rows[i] = find_row(table, i, input, density);
        if (rows[i] && is_near(rows[i]) &&
            (!best || error_of(table, rows[i]) < error_of(table, best))) {
            best = rows[i];
        }
    }
    printf("| %s | %g%% |", table->run->inputs.items[input].name, 100.0 * density);
    for (size_t i = 0; i < table->count; i++) {
        const char *mark = rows[i] && rows[i] == best ? "**" : "";

        if (!rows[i]) {
            printf(" |");
        } else if (is_near(rows[i])) {
            printf(" %s%.2g%s |", mark, error_of(table, rows[i]), mark);
        } else {
            printf(" %.2g at %.3g%% |", error_of(table, rows[i]), 100.0 * rows[i]->rows.density);
        }
    }
    printf("\n");
}

/* Over the inputs, of the columns that have the density on all of them. */
static void print_average(const comparison *table, double density)
{
    const uint32_t inputs = table->run->inputs.count;

    printf("| mean of the %u inputs | %g%% |", inputs, 100.0 * density);
    for (size_t i = 0; i < table->count; i++) {
        double sum = 0.0;
        bool complete = true;

        for (uint32_t input = 0; input < inputs; input++) {
            const eval_row *row = find_row(table, i, input, density);

            complete = complete && row && is_near(row);
            sum += row ? error_of(table, row) : 0.0;
        }
        if (complete) {
            printf(" %.2g |", sum / inputs);
        } else {
            printf(" |");
        }
    }
    printf("\n");
}

/* The method alone where that tells the columns apart. */
static void print_column(const comparison *table, size_t column)
{
    const eval_case *entry = table->columns[column];
    char name[EVAL_FAMILY_SIZE];
    size_t alike = 0;

    for (size_t i = 0; i < table->count; i++) {
        alike += table->columns[i]->method == entry->method;
    }
    eval_case_family(entry, name);
    printf(" %s |", alike > 1 ? name : options_method_name(entry->method));
}

static void print_comparison(comparison *table)
{
    const eval_run *run = table->run;
    const option_reals *densities = &run->options->densities;

    find_columns(table);
    if (table->count == 0) {
        return;
    }
    printf("\n%s relative error of the %s\n\n| input | density |",
           table->of_maximum ? "Largest" : "Mean", options_target_name(table->target));
    for (size_t i = 0; i < table->count; i++) {
        print_column(table, i);
    }
    printf("\n|---|---|");
    for (size_t i = 0; i < table->count; i++) {
        printf("---|");
    }
    printf("\n");
    for (uint32_t i = 0; i < run->inputs.count; i++) {
        for (uint32_t j = 0; j < densities->count; j++) {
            print_line(table, i, densities->items[j]);
        }
    }
    for (uint32_t j = 0; j < densities->count && run->inputs.count > 1; j++) {
        print_average(table, densities->items[j]);
    }
}

void eval_table_compare(const eval_run *run)
{
    static const int targets[] = {VSA_TARGET_OUTPUT, VSA_TARGET_NUMERATOR, VSA_TARGET_DENOMINATOR};

    for (size_t t = 0; t < sizeof targets / sizeof targets[0]; t++) {
        for (int of_maximum = 0; of_maximum < 2; of_maximum++) {
            comparison table = {.run = run, .target = targets[t], .of_maximum = of_maximum != 0};

            print_comparison(&table);
        }
    }
}
