#include "bench_plots.h"

#include <math.h>
#include <stdlib.h>

#include "bench_bars.h"
#include "plot.h"

/* Two series per case, and the line of the copy. */
enum { MAX_SERIES = 2 * BENCH_MAX_CASES + 1 };

typedef struct plots {
    FILE *stream;
    const bench_run *run;
    plot_series series[MAX_SERIES];
    size_t series_count;
    plot_point *points; /* room for a figure */
    size_t point_count;
    plot_tick ticks[BENCH_MAX_LENGTHS];
    size_t tick_count;
} plots;

/* Dense attention is off by f32 rounding alone: smaller errors are drawn here. */
static const double least_error = 1e-4;

static void tick_text(uint32_t tokens, plot_tick *out_tick)
{
    const bool is_mega = tokens % (1u << 20) == 0, is_kilo = tokens % 1024 == 0;

    out_tick->at = tokens;
    snprintf(out_tick->text, sizeof out_tick->text, "%u%s",
             is_mega   ? tokens >> 20
             : is_kilo ? tokens >> 10
                       : tokens,
             is_mega   ? "M"
             : is_kilo ? "K"
                       : "");
}

static void make_ticks(plots *p)
{
    for (uint32_t i = 0; i < p->run->length_count; i++) {
        for (size_t j = 0; j < p->run->results.count; j++) {
            if (p->run->results.rows[j].tokens == p->run->lengths[i]) {
                tick_text(p->run->lengths[i], &p->ticks[p->tick_count++]);
                break;
            }
        }
    }
}

/* The point of a row; its x or y may be NaN. */
typedef plot_point (*point_maker)(const bench_row *row);

static void add_series(plots *p, size_t case_index, bool is_hollow, point_maker make)
{
    const bench_case *entry = &p->run->cases.items[case_index];
    plot_series *series = &p->series[p->series_count++];
    char name[BENCH_CASE_NAME_SIZE];

    *series = (plot_series){
        .shape = (unsigned)entry->scorer - 1,
        .is_joined = true,
        .is_hollow = is_hollow,
        .points = p->points + p->point_count,
    };
    snprintf(series->name, sizeof series->name, "%s%s", bench_case_name(entry, name),
             is_hollow ? ", certified" : "");
    snprintf(series->colour, sizeof series->colour, "m-%s", options_method_name(entry->method));
    for (uint32_t i = 0; i < p->run->length_count; i++) {
        const bench_row *row = bench_results_find(&p->run->results, entry, p->run->lengths[i]);

        if (row) {
            p->points[p->point_count++] = make(row);
            series->count++;
        }
    }
}

static void add_all(plots *p, bool is_hollow, point_maker make)
{
    for (size_t i = 0; i < p->run->cases.count; i++) {
        add_series(p, i, is_hollow, make);
    }
}

static void write(plots *p, const char *title, const char *note, plot_axis x, plot_axis y)
{
    const plot figure = {
        .title = title,
        .note = note,
        .x = x,
        .y = y,
        .series = p->series,
        .series_count = p->series_count,
    };

    plot_write(p->stream, &figure);
    p->series_count = p->point_count = 0;
}

static plot_axis length_axis(const plots *p)
{
    return (plot_axis){.label = "tokens in the context",
                       .is_log = true,
                       .floor = 1.0,
                       .ticks = p->ticks,
                       .tick_count = p->tick_count};
}

static plot_axis log_axis(const char *label, plot_unit unit, double floor)
{
    return (plot_axis){.label = label, .unit = unit, .is_log = true, .floor = floor};
}

static plot_point time_at_length(const bench_row *row)
{
    const bench_spread spread = isnan(row->gpu_ms.median) ? row->wall_ms : row->gpu_ms;

    return (plot_point){
        .x = row->tokens, .y = spread.median, .low = spread.low, .high = spread.high};
}

static plot_point speedup_at_length(const bench_row *row)
{
    return (plot_point){.x = row->tokens,
                        .y = row->speedup.median,
                        .low = row->speedup.low,
                        .high = row->speedup.high};
}

static plot_point error_at_length(const bench_row *row)
{
    return (plot_point){.x = row->tokens, .y = row->error.mean};
}

static plot_point certified_at_length(const bench_row *row)
{
    return (plot_point){.x = row->tokens, .y = row->certified_mean};
}

static plot_point time_at_bytes(const bench_row *row)
{
    return (plot_point){.x = row->bytes, .y = bench_row_ms(row)};
}

static plot_point error_at_time(const bench_row *row)
{
    return (plot_point){.x = bench_row_ms(row), .y = row->error.mean};
}

/* What the copy would take for the fewest and the most bytes. */
static void add_copy_line(plots *p)
{
    const bench_results *results = &p->run->results;
    plot_series *series = &p->series[p->series_count++];
    double ends[2] = {HUGE_VAL, 0.0};

    for (size_t i = 0; i < results->count; i++) {
        ends[0] = fmin(ends[0], results->rows[i].bytes);
        ends[1] = fmax(ends[1], results->rows[i].bytes);
    }
    *series = (plot_series){
        .name = "at copy bandwidth",
        .colour = "e1",
        .is_joined = true,
        .is_hollow = true,
        .points = p->points + p->point_count,
        .count = p->run->copy_gbps > 0.0 && ends[0] > 0.0 ? 2 : 0,
    };
    for (size_t i = 0; i < series->count; i++) {
        p->points[p->point_count++] =
            (plot_point){.x = ends[i], .y = ends[i] / p->run->copy_gbps * 1e-6};
    }
}

static void write_all(plots *p)
{
    const plot_axis ms = log_axis("ms", PLOT_NUMBER, 1e-6);
    const plot_axis error = log_axis("relative error", PLOT_NUMBER, least_error);

    add_all(p, false, time_at_length);
    write(p, "Time of a step against length",
          "GPU time, or wall time where the queue has no timestamps: median, and the range of all "
          "steps.",
          length_axis(p), ms);
    add_all(p, false, speedup_at_length);
    write(p, "Speed-up over dense against length", NULL, length_axis(p),
          log_axis("times as fast as dense", PLOT_NUMBER, 1e-3));
    add_all(p, false, error_at_length);
    add_all(p, true, certified_at_length);
    write(p, "Error against length",
          "Filled: mean actual error of the rows that were compared. Hollow: mean certified error "
          "of all rows. Less than 1e-4 is drawn at 1e-4.",
          length_axis(p), error);
    add_copy_line(p);
    add_all(p, false, time_at_bytes);
    write(p, "Roofline: time against bytes",
          "The line is what the device's own copy takes for as many bytes, read and written.",
          log_axis("bytes of K, V and state that a step reads", PLOT_BYTES, 1.0), ms);
    add_all(p, false, error_at_time);
    write(p, "Error against time",
          "Mean actual error; one point per length, joined in the order of lengths.", ms, error);
}

bool bench_plots_write(FILE *stream, const bench_run *run)
{
    /* Twice: two series per case, and the line's ends. */
    const size_t room = 2 * run->results.count + 2;
    plots *p = calloc(1, sizeof *p);
    plot_point *points = calloc(room, sizeof *points);

    if (!p || !points) {
        free(p);
        free(points);
        return false;
    }
    *p = (plots){.stream = stream, .run = run, .points = points};
    make_ticks(p);
    write_all(p);
    for (uint32_t i = 0; i < run->length_count; i++) {
        bench_bars_write(stream, run, run->lengths[i]);
    }
    free(points);
    free(p);
    return true;
}
