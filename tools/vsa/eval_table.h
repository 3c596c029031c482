/*
 * eval_table.h - the rows of eval as text on standard output.
 */
#ifndef VSA_TOOL_EVAL_TABLE_H
#define VSA_TOOL_EVAL_TABLE_H

#include "eval_run.h"

void eval_table_begin(const eval_run *run);
void eval_table_row(const eval_run *run, const eval_row *row);

/* With --density: inputs and densities down, methods across, as Markdown tables of mean and largest
 * errors. */
void eval_table_compare(const eval_run *run);

#endif
