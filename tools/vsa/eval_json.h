/*
 * eval_json.h - the one JSON object of eval.
 */
#ifndef VSA_TOOL_EVAL_JSON_H
#define VSA_TOOL_EVAL_JSON_H

#include "eval_run.h"

/* Prints it on standard output. An exit code. */
int eval_json_print(const eval_run *run);

#endif
