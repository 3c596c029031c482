#include "search.h"

#include <math.h>

void search_start(recall_search *out, double low, double high, double guess, int is_rising,
                  double target)
{
    *out = (recall_search){ .low = low, .high = high, .is_rising = is_rising, .target = target,
                     .next = guess, .best = guess, .best_value = INFINITY };
}

int search_step(recall_search *search, double value, double tolerance, int max_steps)
{
    const double at = search->next;
    if (fabs(value - search->target) < fabs(search->best_value - search->target)) {
        search->best = at;
        search->best_value = value;
    }
    search->steps++;
    if (fabs(value - search->target) <= tolerance * search->target ||
        search->steps >= max_steps) {
        return 0;
    }
    if ((value < search->target) == (search->is_rising != 0)) {
        search->low = at;
    } else {
        search->high = at;
    }
    /* Halves the ratio where there is one: epsilon spans orders of magnitude. */
    search->next = search->low > 0 ? sqrt(search->low * search->high)
                                   : (search->low + search->high) / 2;
    return search->high - search->low > 1e-6;
}
