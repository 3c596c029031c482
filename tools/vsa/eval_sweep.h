/*
 * eval_sweep.h - the combinations that eval runs: every method with every scorer, bound, target
 * and setting that the command line leaves open, whether or not this version has them. Pure.
 */
#ifndef VSA_TOOL_EVAL_SWEEP_H
#define VSA_TOOL_EVAL_SWEEP_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

enum { EVAL_MAX_TARGETS = 3 };

typedef struct eval_case {
    int method, scorer, bound; /* as the library takes them */
    /* What the rows' errors are measured on. With a guarantee: the one target of the policy. */
    int targets[EVAL_MAX_TARGETS];
    uint32_t target_count;
    double epsilon;
    option_share top_k;
    double top_p;
    bool refused;   /* this version does not have it: eval_sweep_refuse */
    bool explained; /* eval_sweep_list_refused has named it */
} eval_case;

typedef struct eval_sweep {
    eval_case *cases;
    size_t count, capacity;
} eval_sweep;

/* False when memory is out. */
bool eval_sweep_make(const tool_options *options, eval_sweep *out_sweep);
void eval_sweep_destroy(eval_sweep *sweep);

/* Marks the case and all that differ from it only in their setting. */
void eval_sweep_refuse(eval_sweep *sweep, const eval_case *refused);

/* "page, strict, topp": scorers, bounds, targets and methods of which every case was refused, then
 * what is left, as METHOD/SCORER/BOUND/TARGET. Empty when nothing was refused. */
enum { EVAL_REFUSED_SIZE = 512 };
void eval_sweep_list_refused(eval_sweep *sweep, char text[EVAL_REFUSED_SIZE]);

/* The command line's options with the values of the case. */
tool_options eval_case_options(const eval_case *entry, const tool_options *options);

/* Whether the method's rows carry a bound on their error. */
bool eval_case_has_guarantee(const eval_case *entry);

/* "none" for a method that has no scorer, or no bound. */
const char *eval_case_scorer_name(const eval_case *entry);
const char *eval_case_bound_name(const eval_case *entry);

/* The top-k or top-p that the case reads: "0.05", "100" or "" where it has none. */
enum { EVAL_SETTING_SIZE = 32 };
void eval_case_top_k(const eval_case *entry, char text[EVAL_SETTING_SIZE]);
void eval_case_top_p(const eval_case *entry, char text[EVAL_SETTING_SIZE]);

#endif
