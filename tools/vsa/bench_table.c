#include "bench_table.h"

#include <math.h>
#include <stdio.h>

#include "bench_summary.h"

enum { NUMBER_SIZE = 32 };

/* "-" for what is not known. */
static const char *number(const char *format, double value, char text[NUMBER_SIZE])
{
    if (isnan(value)) {
        return "-";
    }
    snprintf(text, NUMBER_SIZE, format, value);
    return text;
}

static void print_name(const bench_case *entry)
{
    printf("%-10s %-6s", options_method_name(entry->method), bench_case_scorer_name(entry));
}

void bench_table_begin(const bench_run *run)
{
    const vsa_device_info *device = vsa_standalone_device(run->device.standalone);
    char text[BENCH_SETTINGS_SIZE];

    printf("device    %s (%s)\n", device->name, device->driver);
    printf("copy      %.4g GB/s, read and written\n", run->copy_gbps);
    printf("step      1 token of 1 layer, %s\n", bench_summary_shape(run, text));
    printf("policy    %s\n", bench_summary_policy(run, text));
    printf("times     ms: GPU time as median, minimum and maximum of %u steps, then the median of "
           "the wall time\n",
           run->options->repeat);
    printf("errors    of up to %u rows against double precision; certified: mean over all rows\n",
           run->options->error_rows);
    printf("\n%8s %-10s %-6s %9s %9s %9s %9s %8s %8s %7s %10s %8s %9s %9s %9s %s\n", "tokens",
           "method", "scorer", "gpu", "min", "max", "wall", "vs dense", "GB/s", "of copy", "bytes",
           "density", "err_mean", "err_max", "certified", "met/exact/missed");
}

void bench_table_row(const bench_run *run, const bench_row *row)
{
    const double gbps = bench_row_gbps(row);
    char texts[3][NUMBER_SIZE], bytes[REPORT_BYTES_SIZE];

    printf("%8u ", row->tokens);
    print_name(&row->entry);
    printf(" %9s %9s %9s", number("%.3f", row->gpu_ms.median, texts[0]),
           number("%.3f", row->gpu_ms.low, texts[1]), number("%.3f", row->gpu_ms.high, texts[2]));
    printf(" %9.3f %8s", row->wall_ms.median, number("%.2fx", row->speedup.median, texts[0]));
    printf(" %8s %7s %10s", number("%.4g", gbps, texts[0]),
           number("%.1f%%", run->copy_gbps > 0.0 ? 100.0 * gbps / run->copy_gbps : (double)NAN,
                  texts[1]),
           report_bytes(row->bytes, bytes));
    printf(" %8.4f %9.2e %9.2e %9s %u/%u/%u", row->rows.density, row->error.mean, row->error.max,
           number("%.2e", row->certified_mean, texts[0]), row->rows.met, row->rows.exact,
           row->rows.missed);
    if (row->rows.invalid > 0) {
        printf(", %u invalid", row->rows.invalid);
    }
    printf("\n");
    fflush(stdout);
}

/* Four a line. */
static void print_kernels(const bench_run *run)
{
    printf("\nKernels: medians in ms of %u more steps, timed with a timestamp after every kernel\n",
           run->options->repeat);
    for (size_t i = 0; i < run->results.count; i++) {
        const bench_row *row = &run->results.rows[i];

        printf("\n%8u ", row->tokens);
        print_name(&row->entry);
        for (uint32_t j = 0; j < row->kernels.count; j++) {
            printf("%s%15s %9.3f", j % 4 == 0 ? "\n        " : "", row->kernels.kernels[j].kernel,
                   row->kernels.kernels[j].ms);
        }
        printf("\n");
    }
}

static void print_stages(const bench_run *run)
{
    printf("\nStages: median in ms, and its share of the GPU time\n\n%8s %-10s %-6s", "tokens",
           "method", "scorer");
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        printf(" %15s", bench_stage_name(i));
    }
    printf("\n");
    for (size_t i = 0; i < run->results.count; i++) {
        const bench_row *row = &run->results.rows[i];

        printf("%8u ", row->tokens);
        print_name(&row->entry);
        for (int j = 0; j < VSA_TIMESTAMP_COUNT; j++) {
            if (row->stage_ms[j] > 0.0) {
                printf(" %9.3f %4.1f%%", row->stage_ms[j],
                       100.0 * row->stage_ms[j] / row->gpu_ms.median);
            } else {
                printf(" %15s", "-");
            }
        }
        printf("\n");
    }
    printf("\nBytes of K, V and state a step, by the stage that reads them, and the stage's GB/s; "
           "attend "
           "with the rows that combine gathers\n\n%8s %-10s %-6s %19s %19s %19s\n",
           "tokens", "method", "scorer", "score", "attend, combine", "fallback");
    for (size_t i = 0; i < run->results.count; i++) {
        static const int stages[] = {VSA_TIMESTAMP_SCORE, VSA_TIMESTAMP_ATTEND,
                                     VSA_TIMESTAMP_FALLBACK};
        const bench_row *row = &run->results.rows[i];

        printf("%8u ", row->tokens);
        print_name(&row->entry);
        for (size_t j = 0; j < sizeof stages / sizeof stages[0]; j++) {
            const double bytes = row->stage_bytes[stages[j]];
            const double ms =
                row->stage_ms[stages[j]] +
                (stages[j] == VSA_TIMESTAMP_ATTEND ? row->stage_ms[VSA_TIMESTAMP_COMBINE] : 0.0);
            char text[REPORT_BYTES_SIZE], rate[NUMBER_SIZE];

            if (bytes > 0.0) {
                printf(" %10s %8s", report_bytes(bytes, text),
                       number("%.4g", ms > 0.0 ? bytes / ms * 1e-6 : (double)NAN, rate));
            } else {
                printf(" %19s", "-");
            }
        }
        printf("\n");
    }
}

static void print_costs(const bench_run *run)
{
    printf(
        "\nCost against length: time ~ length^exponent; time = fixed + per token * length; host: "
        "wall time without GPU time\n\n%-10s %-6s %8s %9s %10s %13s %8s\n",
        "method", "scorer", "lengths", "exponent", "fixed us", "ns per token", "host us");
    for (size_t i = 0; i < run->cases.count; i++) {
        bench_cost cost;
        char texts[4][NUMBER_SIZE];

        if (!bench_summary_cost(run, i, &cost)) {
            continue;
        }
        print_name(cost.entry);
        printf(" %8u %9s %10s %13s %8s\n", cost.lengths,
               number("%.3f", cost.fit.exponent, texts[0]),
               number("%.1f", 1e3 * cost.fit.fixed, texts[1]),
               number("%.3f", 1e6 * cost.fit.per_token, texts[2]),
               number("%.1f", cost.host_us, texts[3]));
    }
}

void bench_table_end(const bench_run *run)
{
    if (run->results.count > 0 && !isnan(run->results.rows[0].gpu_ms.median)) {
        print_stages(run);
        if (run->options->kernels) {
            print_kernels(run);
        }
    }
    print_costs(run);
    if (run->results.omission_count > 0) {
        printf("\nLeft out\n");
    }
    for (size_t i = 0; i < run->results.omission_count; i++) {
        char text[BENCH_OMISSION_SIZE];

        printf("  %s\n", bench_omission_text(&run->results.omissions[i], text));
    }
}
