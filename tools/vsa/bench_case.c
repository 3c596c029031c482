#include "bench_case.h"

#include <stdio.h>

#include "method_traits.h"

/* Whether the command line asks for the method, or everything is compared with it; *out_named: by
 * name. */
static bool is_wanted(const tool_options *options, int method, bool *out_named)
{
    const option_enums *several = &options->methods;

    const bool one = options_given(options, "method");

    *out_named = one && options->method == method;
    for (uint32_t i = 0; i < several->count; i++) {
        *out_named = *out_named || several->items[i] == method;
    }
    return *out_named || method == VSA_METHOD_DENSE || (!one && several->count == 0);
}

static void add_method(const tool_options *options, const method_traits *traits, bool is_named,
                       bench_cases *cases)
{
    const bool one = options_given(options, "scorer") || !traits->scores;
    const int *scorers = one ? &options->scorer : all_scorers;
    const size_t count = one ? 1 : SCORER_COUNT;

    for (size_t i = 0; i < count && cases->count < BENCH_MAX_CASES; i++) {
        cases->items[cases->count++] = (bench_case){
            .method = traits->method,
            .scorer = traits->scores ? scorers[i] : VSA_SCORER_EXACT,
            /* A scorer that was not asked for may be one that this version does not have. */
            .is_named = one && (is_named || traits->scores),
        };
    }
}

void bench_cases_make(const tool_options *options, bench_cases *out_cases)
{
    *out_cases = (bench_cases){0};
    for (int i = 0; i < METHOD_COUNT; i++) {
        bool is_named;

        if (is_wanted(options, all_methods[i].method, &is_named)) {
            add_method(options, &all_methods[i], is_named, out_cases);
        }
    }
}

tool_options bench_case_options(const bench_case *entry, const tool_options *options)
{
    tool_options result = *options;

    result.method = entry->method;
    result.carry_budget = options->carry_budget && entry->method == VSA_METHOD_GUIDED &&
                          options->bound == VSA_BOUND_CLT;
    result.scorer = entry->scorer;
    return result;
}

bool bench_case_scores(const bench_case *entry)
{
    return method_traits_of(entry->method)->scores;
}

bool bench_case_has_guarantee(const bench_case *entry)
{
    return method_traits_of(entry->method)->guarantees;
}

const char *bench_case_scorer_name(const bench_case *entry)
{
    return bench_case_scores(entry) ? options_scorer_name(entry->scorer) : "none";
}

const char *bench_case_name(const bench_case *entry, char text[BENCH_CASE_NAME_SIZE])
{
    snprintf(text, BENCH_CASE_NAME_SIZE, "%s%s%s", options_method_name(entry->method),
             bench_case_scores(entry) ? ", " : "",
             bench_case_scores(entry) ? options_scorer_name(entry->scorer) : "");
    return text;
}
