/*
 * bench_html.h - the page of bench.
 */
#ifndef VSA_TOOL_BENCH_HTML_H
#define VSA_TOOL_BENCH_HTML_H

#include "bench_run.h"

/* An exit code, after one line on standard error. */
int bench_html_write(const bench_run *run, const char *path);

#endif
