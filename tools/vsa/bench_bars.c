#include "bench_bars.h"

#include <math.h>

#include "html.h"

enum { WIDTH = 560, LEFT = 130, RIGHT = 78, BAR = 20, GAP = 8, TOP = 6 };

/* Of html.c, by stage. */
static const char *const colours[VSA_TIMESTAMP_COUNT] = {
    [VSA_TIMESTAMP_BEGIN] = "--e0",      [VSA_TIMESTAMP_SCORE] = "--vattention",
    [VSA_TIMESTAMP_SELECT] = "--topk",   [VSA_TIMESTAMP_SAMPLE] = "--topp",
    [VSA_TIMESTAMP_ATTEND] = "--sample", [VSA_TIMESTAMP_COMBINE] = "--guided",
    [VSA_TIMESTAMP_FALLBACK] = "--dense"};

static double total_of(const bench_row *row)
{
    double total = 0.0;

    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        total += row->stage_ms[i];
    }
    return total;
}

static void write_bar(FILE *stream, const bench_row *row, int y, double ms_per_pixel)
{
    char name[BENCH_CASE_NAME_SIZE];
    double x = LEFT;

    fprintf(stream, "<text class=\"name\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", LEFT - 8,
            y + BAR - 6);
    html_text(stream, bench_case_name(&row->entry, name));
    fputs("</text>\n", stream);
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        const double width = row->stage_ms[i] / ms_per_pixel;

        if (width > 0.0) {
            fprintf(stream,
                    "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" "
                    "style=\"fill:var(%s)\"><title>%s, %s: %.3f ms</title></rect>\n",
                    x, y, width, BAR, colours[i], name, bench_stage_name(i), row->stage_ms[i]);
            x += width;
        }
    }
    fprintf(stream, "<text x=\"%.1f\" y=\"%d\">%.3g ms</text>\n", x + 6.0, y + BAR - 6,
            total_of(row));
}

static void write_keys(FILE *stream)
{
    fputs("<ul class=\"keys\">\n", stream);
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        fprintf(stream,
                "<li><svg viewBox=\"0 0 24 12\" aria-hidden=\"true\"><rect width=\"24\" "
                "height=\"12\" style=\"fill:var(%s)\"/></svg>%s</li>\n",
                colours[i], bench_stage_name(i));
    }
    fputs("</ul>\n", stream);
}

void bench_bars_write(FILE *stream, const bench_run *run, uint32_t tokens)
{
    double longest = 0.0;
    int count = 0, y = TOP;

    for (size_t i = 0; i < run->results.count; i++) {
        const bench_row *row = &run->results.rows[i];

        if (row->tokens == tokens && !isnan(row->gpu_ms.median)) {
            longest = fmax(longest, total_of(row));
            count++;
        }
    }
    if (longest <= 0.0) {
        return;
    }
    fprintf(stream,
            "<figure>\n<figcaption>Stages at %u tokens</figcaption>\n"
            "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Stages at %u tokens\">\n",
            tokens, WIDTH, TOP + count * (BAR + GAP), tokens);
    for (size_t i = 0; i < run->results.count; i++) {
        const bench_row *row = &run->results.rows[i];

        if (row->tokens == tokens && !isnan(row->gpu_ms.median)) {
            write_bar(stream, row, y, longest / (WIDTH - LEFT - RIGHT));
            y += BAR + GAP;
        }
    }
    fputs("</svg>\n", stream);
    write_keys(stream);
    fputs("</figure>\n", stream);
}
