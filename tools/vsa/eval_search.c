#include "eval_search.h"

#include <math.h>

static const double tolerance = 0.02;
static const double first_step = 0.04, smallest_interval = 1e-4;

bool eval_density_is_near(double density, double wanted)
{
    return fabs(density - wanted) <= tolerance * wanted;
}

static double distance(const eval_search *search, size_t index)
{
    const double found = search->found[index];

    return found > 0.0 ? fabs(log(found / search->density)) : HUGE_VAL;
}

static size_t best_of(const eval_search *search)
{
    size_t best = 0;

    for (size_t i = 1; i < search->count; i++) {
        if (distance(search, i) < distance(search, best)) {
            best = i;
        }
    }
    return best;
}

bool eval_search_add(eval_search *search, double place, double density)
{
    search->places[search->count] = place;
    search->found[search->count] = density;
    search->count++;
    return best_of(search) == search->count - 1;
}

/* The nearest two places with too low and too high a density (densities need not grow strictly), or
 * the outermost one where all are on one side. Indices; `count` = none. */
static void find_sides(const eval_search *search, size_t *low, size_t *high)
{
    double nearest = HUGE_VAL;

    *low = *high = search->count;
    for (size_t i = 0; i < search->count; i++) {
        for (size_t j = 0; j < search->count; j++) {
            const bool crosses =
                search->found[i] < search->density && search->found[j] >= search->density;
            const double apart = fabs(search->places[i] - search->places[j]);

            if (crosses && apart < nearest) {
                nearest = apart;
                *low = i;
                *high = j;
            }
        }
    }
    for (size_t i = 0; i < search->count && nearest == HUGE_VAL; i++) {
        if (search->found[i] < search->density) {
            *low = *low == search->count || search->places[i] > search->places[*low] ? i : *low;
        } else {
            *high = *high == search->count || search->places[i] < search->places[*high] ? i : *high;
        }
    }
}

/* Whether the last two places fell on one side. */
static bool is_one_sided(const eval_search *search)
{
    const double *last = search->found + search->count - 2;

    return (last[0] < search->density) == (last[1] < search->density);
}

/* False position on the logarithms, or the middle where that gets on slowly. */
static double between(const eval_search *search, size_t low, size_t high)
{
    const double a = log(fmax(search->found[low], 1e-9) / search->density);
    const double b = log(search->found[high] / search->density);
    double share = b > a ? -a / (b - a) : 0.5;

    if (search->count > 3 && is_one_sided(search)) {
        share = 0.5;
    }
    share = fmin(fmax(share, 0.1), 0.9);
    return search->places[low] + share * (search->places[high] - search->places[low]);
}

bool eval_search_next(const eval_search *search, double *out_place)
{
    size_t low, high;

    *out_place = search->start;
    if (search->count == 0) {
        return true;
    }
    if (search->count == EVAL_SEARCH_STEPS ||
        eval_density_is_near(search->found[best_of(search)], search->density)) {
        return false;
    }
    find_sides(search, &low, &high);

    const double step = ldexp(first_step, (int)search->count - 1);

    if (high == search->count) {
        *out_place = fmin(search->places[low] + step, 1.0);
        return search->places[low] < 1.0;
    }
    if (low == search->count) {
        *out_place = fmax(search->places[high] - step, 0.0);
        return search->places[high] > 0.0;
    }
    *out_place = between(search, low, high);
    return fabs(search->places[high] - search->places[low]) > smallest_interval;
}
