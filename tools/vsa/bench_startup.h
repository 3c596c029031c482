/*
 * bench_startup.h - how long a context and a plan take to create: without a cache, with an empty one
 * and with a full one, by one thread and by several.
 */
#ifndef VSA_TOOL_BENCH_STARTUP_H
#define VSA_TOOL_BENCH_STARTUP_H

#include "options.h"

/* An exit code, after one line on standard error. */
int bench_startup(const tool_options *options);

#endif
