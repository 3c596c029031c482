/*
 * eval_sweep.h - the cases that eval runs: every method with every scorer, bound and target that
 * the library has and the command line leaves open, at several settings or densities. Scorers other
 * than exact are swept with one target, unless the command line names them. Pure.
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
    double density; /* to be reached by eval_case_move; 0 = the settings are as they are */
    option_share sink, window, base;
    bool is_doubtful; /* asked for, though the library does not have that bound for it */
} eval_case;

typedef struct eval_sweep {
    eval_case *cases;
    size_t count, capacity;
} eval_sweep;

/* False when memory is out. */
bool eval_sweep_make(const tool_options *options, eval_sweep *out_sweep);
void eval_sweep_destroy(eval_sweep *sweep);

/* The command line's options with the values of the case. */
tool_options eval_case_options(const eval_case *entry, const tool_options *options);

/* Whether the method's rows carry a bound on their error. */
bool eval_case_has_guarantee(const eval_case *entry);

/* "none" for a method that has no scorer, or no bound. */
const char *eval_case_scorer_name(const eval_case *entry);
const char *eval_case_bound_name(const eval_case *entry);

/* "vattention, exact, clt": cases that differ only in target and setting. */
enum { EVAL_FAMILY_SIZE = 96 };
void eval_case_family(const eval_case *entry, char text[EVAL_FAMILY_SIZE]);
bool eval_case_same_family(const eval_case *a, const eval_case *b);

/* The top-k or top-p that the case reads: "0.05", "100" or "" where it has none. */
enum { EVAL_SETTING_SIZE = 32 };
void eval_case_top_k(const eval_case *entry, char text[EVAL_SETTING_SIZE]);
void eval_case_top_p(const eval_case *entry, char text[EVAL_SETTING_SIZE]);

/* ---- cases with a density */

/* Settles what the command line leaves open for rows of that length: sink, window and base sample
 * take a sixteenth each of the tokens that the density allows, and the top-k of vattention half. */
void eval_case_settle(eval_case *entry, const tool_options *options, uint32_t tokens);

/* Moves the one setting on which the density depends: top-k for topk, top-p for topp, epsilon for
 * the others. From place 0, where least is read, to place 1, where most is. */
void eval_case_move(eval_case *entry, double place);

/* A place near which a settled case may have its density. */
double eval_case_start(const eval_case *entry, uint32_t tokens);

#endif
