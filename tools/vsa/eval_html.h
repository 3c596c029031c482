/*
 * eval_html.h - the rows of a sweep as a page of plots and tables.
 */
#ifndef VSA_TOOL_EVAL_HTML_H
#define VSA_TOOL_EVAL_HTML_H

#include "eval_run.h"

/* An exit code, after one line on standard error. */
int eval_html_write(const eval_run *run, const char *path);

#endif
