/*
 * eval_csv.h - the rows of a sweep as comma-separated values (RFC 4180). A number that is not
 * finite is an empty field.
 */
#ifndef VSA_TOOL_EVAL_CSV_H
#define VSA_TOOL_EVAL_CSV_H

#include "eval_run.h"

/* An exit code, after one line on standard error. */
int eval_csv_write(const eval_run *run, const char *path);

#endif
