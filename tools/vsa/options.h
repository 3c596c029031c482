/*
 * options.h - the command line as option_table.h describes it: one entry per option serves the
 * parser, its messages and --help alike.
 */
#ifndef VSA_TOOL_OPTIONS_H
#define VSA_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "vsa.h"

enum {
    COMMAND_DEVICES = 1,
    COMMAND_ATTEND = 2,
    COMMAND_DECODE = 4,
    COMMAND_EVAL = 8,
    COMMAND_BENCH = 16,
    COMMAND_VALIDATE = 32
};

/* "128" is a count, "0.05" a fraction. */
typedef struct option_share {
    bool is_fraction;
    uint32_t count;
    double fraction;
} option_share;

/* The number as it was given: %g of it is what the command line takes. */
double option_share_value(option_share share);

enum { OPTION_LIST_SIZE = 16 };

/* The values of an option that may be given several times. They point into argv. */
typedef struct option_list {
    const char *items[OPTION_LIST_SIZE];
    uint32_t count;
} option_list;

/* Several numbers in one value. */
typedef struct option_reals {
    double items[OPTION_LIST_SIZE];
    uint32_t count;
} option_reals;

typedef struct option_counts {
    uint32_t items[OPTION_LIST_SIZE];
    uint32_t count;
} option_counts;

/* Several of an option's choices. */
typedef struct option_enums {
    int items[OPTION_LIST_SIZE];
    uint32_t count;
} option_enums;

typedef struct tool_options {
    /* What follows the command's name, and which entries of the table it names, a bit each:
     * options_given. */
    char *const *arguments;
    int argument_count;
    uint64_t given;

    bool help;

    /* Files: NULL = not given. They point into argv. */
    const char *input, *output, *trace, *synthetic, *csv, *html;

    /* Of eval */
    option_list specifications; /* --synthetic, which eval takes several times */
    uint32_t queries;           /* only the last of every layer; 0 = all */
    uint32_t tokens;            /* of the built-in inputs; 0 = the default */
    option_reals densities;     /* none: a sweep of settings */

    /* Of bench */
    option_counts lengths; /* none: the default ones */
    option_enums methods;  /* none: all */
    option_counts tuning;  /* none, or the 5 fields of vsa_tuning */
    uint32_t repeat, error_rows;
    uint32_t q_heads, kv_heads, head_dim;
    double logit_std;
    double time_limit; /* seconds */
    bool tune, startup, kernels;
    uint32_t threads;      /* of --startup; 0 = the default */

    /* Of validate */
    bool compile_only;
    const char *cases;     /* part of the names of those to run; NULL = all */
    const char *skip;      /* part of the names of those to leave out; NULL = none */
    const char *json_file; /* of --json FILE; NULL with --json alone: standard output */
    const char *read;      /* results of earlier runs; NULL = run */

    /* Output */
    bool json, steps, no_progress, strict_exit, dump_indices;

    /* Device */
    const char *device; /* NULL = the library's choice */
    const char *cache;  /* NULL = none */
    int compiler;       /* vsa_compiler */
    bool vulkan_validation;

    /* Method; enums as int */
    int method, scorer, bound, target, on_miss;
    double epsilon, delta, top_p, value_floor;
    uint32_t max_samples;
    bool carry_budget;
    option_share sink, window, top_k;
    option_share base; /* count 0: the default, a fraction between two limits */
    uint64_t seed;

    /* Cache */
    int kv_type;          /* vsa_dtype; 0 = the type of k in the file, F32 if synthetic */
    int order;            /* vsa_kv_order */
    uint32_t page_tokens; /* 0 = contiguous */
} tool_options;

/* Parses what follows the command's name. EXIT_DONE, or EXIT_BAD_INPUT after one line on standard
 * error that names the option, its value and what is allowed. */
int options_parse(tool_options *out_options, int command, int argument_count,
                  char *const *arguments);

/* The options that `command` takes, on standard output. */
void options_help(int command);

/* Whether the command line names the option; `name` is without the dashes. */
bool options_given(const tool_options *options, const char *name);

vsa_policy options_policy(const tool_options *options);

/* The names that the command line uses; "?" for a value it does not know. */
const char *options_method_name(int method);
const char *options_scorer_name(int scorer);
const char *options_bound_name(int bound);
const char *options_target_name(int target);
const char *options_on_miss_name(int on_miss);
const char *options_dtype_name(int dtype);

#endif
