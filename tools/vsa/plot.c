#include "plot.h"

#include <math.h>
#include <string.h>

#include "html.h"

enum {
    WIDTH = 560,
    HEIGHT = 340,
    LEFT = 66,
    RIGHT = 26,
    TOP = 10,
    BOTTOM = 46,
    MAX_TICKS = 64,
    TEXT_SIZE = 48
};

/* An axis with its domain: pixel = from + (value - low) / (high - low) * (to - from), on a log
 * axis with the logarithms. */
typedef struct scale {
    const plot_axis *axis;
    double low, high;
    double from, to;
    double ticks[MAX_TICKS];
    size_t tick_count;
} scale;

/* --------------------------------------------------------------------- scale */

static double clamp_value(const plot_axis *axis, double value)
{
    return axis->is_log && value < axis->floor ? axis->floor : value;
}

static double position(const scale *s, double value)
{
    const double x = clamp_value(s->axis, value);
    const double share = s->axis->is_log ? log(x / s->low) / log(s->high / s->low)
                                         : (x - s->low) / (s->high - s->low);

    return s->from + share * (s->to - s->from);
}

static const double steps[] = {1.0, 2.0, 5.0, 10.0};

/* 1, 2 or 5 times a power of ten, at or beside `value`. */
static double round_down(double value)
{
    const double power = pow(10.0, floor(log10(value) + 1e-9));
    int i = 2;

    while (i > 0 && steps[i] * power > value * (1.0 + 1e-9)) {
        i--;
    }
    return steps[i] * power;
}

static double round_up(double value)
{
    const double power = pow(10.0, floor(log10(value) - 1e-9));
    int i = 0;

    while (i < 3 && steps[i] * power < value * (1.0 - 1e-9)) {
        i++;
    }
    return steps[i] * power;
}

static void make_log_ticks(scale *s)
{
    const bool only_powers = s->high / s->low > 2e3;

    for (double power = pow(10.0, floor(log10(s->low) + 1e-9)); power <= s->high * 1.0001;
         power *= 10.0) {
        for (int i = 0; i < (only_powers ? 1 : 3); i++) {
            const double tick = steps[i] * power;

            if (tick >= s->low * 0.9999 && tick <= s->high * 1.0001 && s->tick_count < MAX_TICKS) {
                s->ticks[s->tick_count++] = tick;
            }
        }
    }
}

static void make_linear_ticks(scale *s)
{
    const double step = round_up((s->high - s->low) / 8.0);

    s->low = step * floor(s->low / step + 1e-9);
    s->high = step * ceil(s->high / step - 1e-9);
    for (double i = 0.0; s->low + i * step <= s->high + 0.01 * step; i += 1.0) {
        if (s->tick_count < MAX_TICKS) {
            s->ticks[s->tick_count++] = s->low + i * step;
        }
    }
}

static void make_ticks(scale *s)
{
    const plot_axis *axis = s->axis;

    if (axis->ticks) {
        for (size_t i = 0; i < axis->tick_count && i < MAX_TICKS; i++) {
            s->ticks[s->tick_count++] = axis->ticks[i].at;
        }
    } else if (axis->is_log) {
        make_log_ticks(s);
    } else {
        make_linear_ticks(s);
    }
}

static void widen(scale *s, double value)
{
    const double x = clamp_value(s->axis, value);

    s->low = x < s->low ? x : s->low;
    s->high = x > s->high ? x : s->high;
}

static bool is_shown(const plot_point *point)
{
    return isfinite(point->x) && isfinite(point->y);
}

/* False when there is no point. */
static bool find_domain(const plot *figure, scale *x, scale *y)
{
    x->low = y->low = HUGE_VAL;
    x->high = y->high = -HUGE_VAL;
    for (size_t i = 0; i < figure->series_count; i++) {
        for (size_t j = 0; j < figure->series[i].count; j++) {
            const plot_point *point = &figure->series[i].points[j];

            if (!is_shown(point)) {
                continue;
            }
            widen(x, point->x);
            widen(y, point->y);
            if (point->low < point->high) {
                widen(y, point->low);
                widen(y, point->high);
            }
        }
    }
    return x->low <= x->high;
}

/* Room for one point, and for marks on the border. */
static void pad(scale *s)
{
    if (s->axis->is_log) {
        s->low = round_down(s->low * 0.97);
        s->high = round_up(s->high * 1.03);
    } else if (s->axis->ticks) {
        s->low -= 0.6;
        s->high += 0.6;
    } else if (s->low == s->high) {
        s->low -= 0.5;
        s->high += 0.5;
    }
}

/* ---------------------------------------------------------------------- text */

static void format_number(double value, char text[TEXT_SIZE])
{
    if (value != 0.0 && fabs(value) < 1e-3) {
        const double exponent = floor(log10(fabs(value)) + 1e-9);

        snprintf(text, TEXT_SIZE, "%.3ge%.0f", value / pow(10.0, exponent), exponent);
    } else {
        snprintf(text, TEXT_SIZE, "%.4g", value);
    }
}

static void format_value(const plot_axis *axis, double value, char text[TEXT_SIZE])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    int unit = 0;

    switch (axis->unit) {
    case PLOT_NUMBER:
        format_number(value, text);
        break;
    case PLOT_PERCENT:
        snprintf(text, TEXT_SIZE, "%.4g%%", 100.0 * value);
        break;
    case PLOT_BYTES:
        for (; value >= 999.5 && unit < 5; unit++) {
            value /= 1000.0;
        }
        snprintf(text, TEXT_SIZE, "%.3g %s", value, units[unit]);
        break;
    }
}

static void tick_text(const scale *s, size_t index, char text[TEXT_SIZE])
{
    if (s->axis->ticks) {
        snprintf(text, TEXT_SIZE, "%s", s->axis->ticks[index].text);
    } else {
        format_value(s->axis, s->ticks[index], text);
    }
}

/* ---------------------------------------------------------------------- axes */

static void write_x_axis(FILE *stream, const scale *x)
{
    char text[TEXT_SIZE];

    for (size_t i = 0; i < x->tick_count; i++) {
        const double at = position(x, x->ticks[i]);

        tick_text(x, i, text);
        fprintf(stream,
                "<path class=\"grid\" d=\"M%.1f %dV%d\"/>"
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">",
                at, TOP, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 17);
        html_text(stream, text);
        fputs("</text>\n", stream);
    }
    fprintf(stream, "<text class=\"name\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
    html_text(stream, x->axis->label);
    fputs("</text>\n", stream);
}

static void write_y_axis(FILE *stream, const scale *y)
{
    const int middle = (TOP + HEIGHT - BOTTOM) / 2;
    char text[TEXT_SIZE];

    for (size_t i = 0; i < y->tick_count; i++) {
        const double at = position(y, y->ticks[i]);

        tick_text(y, i, text);
        fprintf(stream,
                "<path class=\"grid\" d=\"M%d %.1fH%d\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                LEFT, at, WIDTH - RIGHT, LEFT - 6, at + 4.0);
        html_text(stream, text);
        fputs("</text>\n", stream);
    }
    fprintf(stream,
            "<text class=\"name\" x=\"14\" y=\"%d\" text-anchor=\"middle\" "
            "transform=\"rotate(-90 14 %d)\">",
            middle, middle);
    html_text(stream, y->axis->label);
    fputs("</text>\n", stream);
}

/* -------------------------------------------------------------------- series */

static void write_mark(FILE *stream, unsigned shape, double radius, double x, double y)
{
    static const char *const paths[PLOT_SHAPES] = {
        NULL,
        "M-1-1H1V1H-1Z",
        "M0-1.2L1.1.9H-1.1Z",
        "M0-1.3L1.3 0L0 1.3L-1.3 0Z",
        "M-1.1-.9H1.1L0 1.2Z",
    };

    if (shape % PLOT_SHAPES == 0) {
        fprintf(stream, "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"", x, y, radius);
    } else {
        fprintf(stream,
                "<path class=\"mark\" vector-effect=\"non-scaling-stroke\" d=\"%s\" "
                "transform=\"translate(%.1f %.1f) scale(%.1f)\"",
                paths[shape % PLOT_SHAPES], x, y, radius);
    }
}

static void write_curve(FILE *stream, const plot_series *series, const scale *x, const scale *y)
{
    char command = 'M';

    fputs("<path class=\"curve\" d=\"", stream);
    for (size_t i = 0; i < series->count; i++) {
        if (is_shown(&series->points[i])) {
            fprintf(stream, "%c%.1f %.1f", command, position(x, series->points[i].x),
                    position(y, series->points[i].y));
            command = 'L';
        }
    }
    fputs("\"/>\n", stream);
}

static void write_point(FILE *stream, const plot_series *series, const plot_point *point,
                        const scale *x, const scale *y)
{
    const double at_x = position(x, point->x);
    char x_text[TEXT_SIZE], y_text[TEXT_SIZE];

    if (point->low < point->high) {
        fprintf(stream, "<path class=\"range\" d=\"M%.1f %.1fV%.1f\"/>", at_x,
                position(y, point->low), position(y, point->high));
    }
    write_mark(stream, series->shape, series->is_cloud ? 1.5 : 3.5, at_x, position(y, point->y));
    if (series->is_cloud) {
        fputs("/>\n", stream);
        return;
    }
    format_value(x->axis, point->x, x_text);
    format_value(y->axis, point->y, y_text);
    fputs("><title>", stream);
    html_text(stream, series->name);
    /* Where ticks are names, x is only a place. */
    fprintf(stream, "%s%s, %s</title></%s>\n", x->axis->ticks ? "" : ": ",
            x->axis->ticks ? "" : x_text, y_text,
            series->shape % PLOT_SHAPES == 0 ? "circle" : "path");
}

static void write_series(FILE *stream, const plot_series *series, const scale *x, const scale *y)
{
    fprintf(stream, "<g class=\"%s%s%s\">\n", series->colour, series->is_hollow ? " hollow" : "",
            series->is_cloud ? " cloud" : "");
    if (series->is_joined) {
        write_curve(stream, series, x, y);
    }
    for (size_t i = 0; i < series->count; i++) {
        if (is_shown(&series->points[i])) {
            write_point(stream, series, &series->points[i], x, y);
        }
    }
    fputs("</g>\n", stream);
}

static void write_diagonal(FILE *stream, const scale *x, const scale *y)
{
    const double low = x->low > y->low ? x->low : y->low;
    const double high = x->high < y->high ? x->high : y->high;

    if (low < high) {
        fprintf(stream, "<path class=\"diagonal\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", position(x, low),
                position(y, low), position(x, high), position(y, high));
    }
}

static void write_legend(FILE *stream, const plot *figure)
{
    fputs("<ul class=\"keys\">\n", stream);
    for (size_t i = 0; i < figure->series_count; i++) {
        const plot_series *series = &figure->series[i];

        if (series->is_not_in_legend || series->count == 0) {
            continue;
        }
        fprintf(stream, "<li><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\"><g class=\"%s%s\">",
                series->colour, series->is_hollow ? " hollow" : "");
        if (series->is_joined) {
            fputs("<path class=\"curve\" d=\"M0 6H24\"/>", stream);
        }
        write_mark(stream, series->shape, 3.5, 12.0, 6.0);
        fputs("/></g></svg>", stream);
        html_text(stream, series->name);
        fputs("</li>\n", stream);
    }
    fputs("</ul>\n", stream);
}

void plot_write(FILE *stream, const plot *figure)
{
    scale x = {.axis = &figure->x, .from = LEFT, .to = WIDTH - RIGHT};
    scale y = {.axis = &figure->y, .from = HEIGHT - BOTTOM, .to = TOP};

    if (!find_domain(figure, &x, &y)) {
        return;
    }
    pad(&x);
    pad(&y);
    make_ticks(&x);
    make_ticks(&y);

    fputs("<figure>\n<figcaption>", stream);
    html_text(stream, figure->title);
    fprintf(stream, "</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
            HEIGHT);
    html_text(stream, figure->title);
    fputs("\">\n", stream);
    write_x_axis(stream, &x);
    write_y_axis(stream, &y);
    fprintf(stream, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, HEIGHT - BOTTOM,
            WIDTH - RIGHT);
    if (figure->has_diagonal) {
        write_diagonal(stream, &x, &y);
    }
    for (size_t i = 0; i < figure->series_count; i++) {
        write_series(stream, &figure->series[i], &x, &y);
    }
    fputs("</svg>\n", stream);
    write_legend(stream, figure);
    if (figure->note) {
        fputs("<p class=\"note\">", stream);
        html_text(stream, figure->note);
        fputs("</p>\n", stream);
    }
    fputs("</figure>\n", stream);
}
