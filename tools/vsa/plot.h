/*
 * plot.h - scatter and line plots as inline SVG, with axes, ticks and a legend. The colours are
 * classes of html.h.
 */
#ifndef VSA_TOOL_PLOT_H
#define VSA_TOOL_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum plot_unit {
    PLOT_NUMBER,
    PLOT_PERCENT, /* of 1 */
    PLOT_BYTES
} plot_unit;

typedef struct plot_tick {
    double at;
    char text[24];
} plot_tick;

typedef struct plot_axis {
    const char *label;
    plot_unit unit;
    bool is_log;
    double floor;           /* log axes: smaller values are drawn here */
    const plot_tick *ticks; /* NULL: round numbers */
    size_t tick_count;
} plot_axis;

typedef struct plot_point {
    double x, y;      /* a point that is not finite is left out */
    double low, high; /* of y: a vertical range, when low < high */
} plot_point;

enum { PLOT_SHAPES = 5 };

typedef struct plot_series {
    char name[96];
    char colour[24]; /* class */
    unsigned shape;  /* modulo PLOT_SHAPES */
    bool is_joined;  /* by a line, in the order of the points */
    bool is_hollow;  /* and its line dashed */
    bool is_cloud;   /* many points: small, without a text of their own */
    bool is_not_in_legend;
    const plot_point *points;
    size_t count;
} plot_series;

typedef struct plot {
    const char *title, *note; /* note: NULL = none */
    plot_axis x, y;
    bool has_diagonal; /* x = y */
    const plot_series *series;
    size_t series_count;
} plot;

/* A whole <figure>; nothing when there is no point. */
void plot_write(FILE *stream, const plot *figure);

#endif
