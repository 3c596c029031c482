/*
 * bench_json.h - the JSON object of bench.
 */
#ifndef VSA_TOOL_BENCH_JSON_H
#define VSA_TOOL_BENCH_JSON_H

#include "bench_run.h"
#include "bench_tune.h"

/* `tuned`: NULL unless --tune. An exit code. */
int bench_json_print(const bench_run *run, const bench_tunings *tuned);

#endif
