/*
 * bench_case.h - what bench compares: dense attention, always first, and every method with every
 * scorer that the command line leaves open. Pure.
 */
#ifndef VSA_TOOL_BENCH_CASE_H
#define VSA_TOOL_BENCH_CASE_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

typedef struct bench_case {
    int method, scorer;
    bool is_named;   /* on the command line: to be refused, not left out, when there is none */
    bool is_refused; /* by the library, whatever the length */
} bench_case;

enum { BENCH_MAX_CASES = 64 };

typedef struct bench_cases {
    bench_case items[BENCH_MAX_CASES];
    size_t count;
} bench_cases;

void bench_cases_make(const tool_options *options, bench_cases *out_cases);

/* The command line's options with the method and scorer of the case. */
tool_options bench_case_options(const bench_case *entry, const tool_options *options);

bool bench_case_scores(const bench_case *entry);
/* Whether the method's rows carry a bound on their error. */
bool bench_case_has_guarantee(const bench_case *entry);

/* "none" for a method that has no scorer. */
const char *bench_case_scorer_name(const bench_case *entry);

/* "vattention, exact"; the method alone where it has no scorer. */
enum { BENCH_CASE_NAME_SIZE = 64 };
const char *bench_case_name(const bench_case *entry, char text[BENCH_CASE_NAME_SIZE]);

#endif
