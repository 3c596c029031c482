/*
 * search.h - finds the parameter at which a measured quantity, monotone but for noise, reaches a
 * target. Pure.
 */
#ifndef VSA_LLAMA_SEARCH_H
#define VSA_LLAMA_SEARCH_H

typedef struct recall_search {
    double low, high;   /* the parameter lies between them */
    int    is_rising;   /* the quantity rises with the parameter */
    double target;
    double next;        /* the parameter to measure at */
    double best, best_value;   /* nearest so far, and what was measured there */
    int    steps;
} recall_search;

void search_start(recall_search *out, double low, double high, double guess, int is_rising,
                  double target);
/* Takes the value measured at `next`. 1: measure again; 0: `best` is within `tolerance` of the
 * target (relative), or max_steps measurements were made, or the bounds have met. */
int search_step(recall_search *search, double value, double tolerance, int max_steps);

#endif
