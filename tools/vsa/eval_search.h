/*
 * eval_search.h - finds the place in [0, 1] at which a density that grows with the place is as
 * wanted, in few steps: each costs a run. Pure.
 */
#ifndef VSA_TOOL_EVAL_SEARCH_H
#define VSA_TOOL_EVAL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

enum { EVAL_SEARCH_STEPS = 14 };

/* Begin with the wanted density and a place to start from; the rest zero. */
typedef struct eval_search {
    double density, start;
    double places[EVAL_SEARCH_STEPS], found[EVAL_SEARCH_STEPS];
    size_t count;
} eval_search;

/* The next place to try; false when there is nothing better to be had. */
bool eval_search_next(const eval_search *search, double *out_place);

/* What was found at a place. Returns whether it is the best so far. */
bool eval_search_add(eval_search *search, double place, double density);

/* Whether a density is as wanted: within 2% of it. */
bool eval_density_is_near(double density, double wanted);

#endif
