#include "eval_sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct method_traits {
    int method;
    bool scores, guarantees, has_top_k, has_top_p;
} method_traits;

static const method_traits all_methods[] = {
    {.method = VSA_METHOD_DENSE},
    {.method = VSA_METHOD_TOP_K, .scores = true, .has_top_k = true},
    {.method = VSA_METHOD_TOP_P, .scores = true, .has_top_p = true},
    {.method = VSA_METHOD_SAMPLE, .guarantees = true},
    {.method = VSA_METHOD_VATTENTION, .scores = true, .guarantees = true, .has_top_k = true},
    {.method = VSA_METHOD_GUIDED, .scores = true, .guarantees = true},
};
static const int all_scorers[] = {VSA_SCORER_EXACT, VSA_SCORER_PAGE, VSA_SCORER_SIGN,
                                  VSA_SCORER_INT8, VSA_SCORER_INT4};
static const int all_bounds[] = {VSA_BOUND_CLT, VSA_BOUND_STRICT};
static const int all_targets[] = {VSA_TARGET_OUTPUT, VSA_TARGET_DENOMINATOR, VSA_TARGET_NUMERATOR};
static const double all_epsilons[] = {0.02, 0.05, 0.1, 0.2, 0.3};
static const double all_top_k[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.4};
static const double all_top_p[] = {0.5, 0.8, 0.9, 0.95, 0.99};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const method_traits *traits_of(int method)
{
    for (size_t i = 0; i < COUNT(all_methods); i++) {
        if (all_methods[i].method == method) {
            return &all_methods[i];
        }
    }
    return &all_methods[0];
}

/* ---------------------------------------------------------------------- make */

/* The one value that the command line names, or all of them. */
typedef struct values {
    const int *items;
    size_t count;
} values;

static values choose(const tool_options *options, const char *name, const int *given,
                     const int *all, size_t count)
{
    return options_given(options, name) ? (values){given, 1} : (values){all, count};
}

typedef struct reals {
    const double *items;
    size_t count;
} reals;

static bool add(eval_sweep *sweep, const eval_case *entry)
{
    if (sweep->count == sweep->capacity) {
        const size_t capacity = sweep->capacity ? 2 * sweep->capacity : 64;
        eval_case *cases = realloc(sweep->cases, capacity * sizeof *cases);

        if (!cases) {
            return false;
        }
        sweep->cases = cases;
        sweep->capacity = capacity;
    }
    sweep->cases[sweep->count++] = *entry;
    return true;
}

/* Every epsilon, or every density. */
static bool add_settings(eval_sweep *sweep, const tool_options *options,
                         const method_traits *traits, eval_case entry)
{
    const bool sweeps_top_k = !traits->guarantees && traits->has_top_k;
    const char *name = traits->guarantees ? "epsilon" : sweeps_top_k ? "top-k" : "top-p";
    const reals all = traits->guarantees ? (reals){all_epsilons, COUNT(all_epsilons)}
                      : sweeps_top_k     ? (reals){all_top_k, COUNT(all_top_k)}
                                         : (reals){all_top_p, COUNT(all_top_p)};

    if (entry.method == VSA_METHOD_DENSE || options_given(options, name)) {
        return add(sweep, &entry);
    }
    for (size_t i = 0; i < all.count; i++) {
        if (traits->guarantees) {
            entry.epsilon = all.items[i];
        } else if (sweeps_top_k) {
            entry.top_k = (option_share){.is_fraction = true, .fraction = all.items[i]};
        } else {
            entry.top_p = all.items[i];
        }
        if (!add(sweep, &entry)) {
            return false;
        }
    }
    return true;
}

/* A guarantee is for one target; other methods run once and are measured on all of them. */
static bool add_targets(eval_sweep *sweep, const tool_options *options, const method_traits *traits,
                        eval_case entry)
{
    const values targets = choose(options, "target", &options->target, all_targets,
                                  entry.method == VSA_METHOD_DENSE ? 1 : COUNT(all_targets));

    if (!traits->guarantees) {
        memcpy(entry.targets, targets.items, targets.count * sizeof *targets.items);
        entry.target_count = (uint32_t)targets.count;
        return add_settings(sweep, options, traits, entry);
    }
    for (size_t i = 0; i < targets.count; i++) {
        entry.targets[0] = targets.items[i];
        entry.target_count = 1;
        if (!add_settings(sweep, options, traits, entry)) {
            return false;
        }
    }
    return true;
}

static bool add_method(eval_sweep *sweep, const tool_options *options, const method_traits *traits)
{
    /* A value without meaning for the method is not swept. */
    const values scorers = choose(options, "scorer", &options->scorer, all_scorers,
                                  traits->scores ? COUNT(all_scorers) : 1);
    const values bounds = choose(options, "bound", &options->bound, all_bounds,
                                 traits->guarantees ? COUNT(all_bounds) : 1);

    for (size_t i = 0; i < scorers.count; i++) {
        for (size_t j = 0; j < bounds.count; j++) {
            const eval_case entry = {
                .method = traits->method,
                .scorer = traits->scores ? scorers.items[i] : VSA_SCORER_EXACT,
                .bound = traits->guarantees ? bounds.items[j] : VSA_BOUND_CLT,
                .epsilon = options->epsilon,
                .top_k = options->top_k,
                .top_p = options->top_p,
            };

            if (!add_targets(sweep, options, traits, entry)) {
                return false;
            }
        }
    }
    return true;
}

bool eval_sweep_make(const tool_options *options, eval_sweep *out_sweep)
{
    const bool one = options_given(options, "method");

    *out_sweep = (eval_sweep){0};
    for (size_t i = 0; i < COUNT(all_methods); i++) {
        if ((!one || all_methods[i].method == options->method) &&
            !add_method(out_sweep, options, &all_methods[i])) {
            eval_sweep_destroy(out_sweep);
            return false;
        }
    }
    return true;
}

void eval_sweep_destroy(eval_sweep *sweep)
{
    free(sweep->cases);
    *sweep = (eval_sweep){0};
}

/* ------------------------------------------------------------------- refused */

void eval_sweep_refuse(eval_sweep *sweep, const eval_case *refused)
{
    const eval_case like = *refused;

    for (size_t i = 0; i < sweep->count; i++) {
        eval_case *entry = &sweep->cases[i];

        entry->refused |= entry->method == like.method && entry->scorer == like.scorer &&
                          entry->bound == like.bound && entry->targets[0] == like.targets[0];
    }
}

/* In the order in which they explain a refusal: a scorer that this version lacks is named as such,
 * not as the methods that were tried with it. */
typedef enum quality { SCORER, BOUND, TARGET, METHOD, QUALITY_COUNT } quality;

static int value_of(const eval_case *entry, quality which)
{
    const int all[QUALITY_COUNT] = {
        [SCORER] = entry->scorer,
        [BOUND] = entry->bound,
        [TARGET] = entry->targets[0],
        [METHOD] = entry->method,
    };

    return all[which];
}

static const char *name_of(const eval_case *entry, quality which)
{
    const char *const all[QUALITY_COUNT] = {
        [SCORER] = options_scorer_name(entry->scorer),
        [BOUND] = options_bound_name(entry->bound),
        [TARGET] = options_target_name(entry->targets[0]),
        [METHOD] = options_method_name(entry->method),
    };

    return all[which];
}

/* QUALITY_COUNT: whether they agree in all of them. */
static bool alike(const eval_case *a, const eval_case *b, quality which)
{
    if (which < QUALITY_COUNT) {
        return value_of(a, which) == value_of(b, which);
    }
    for (quality each = SCORER; each < QUALITY_COUNT; each++) {
        if (value_of(a, each) != value_of(b, each)) {
            return false;
        }
    }
    return true;
}

/* Whether every case of that value was refused. */
static bool all_refused(const eval_sweep *sweep, const eval_case *like, quality which)
{
    for (size_t i = 0; i < sweep->count; i++) {
        const eval_case *entry = &sweep->cases[i];

        if (!entry->refused && alike(entry, like, which)) {
            return false;
        }
    }
    return true;
}

static void explain(eval_sweep *sweep, const eval_case *like, quality which)
{
    for (size_t i = 0; i < sweep->count; i++) {
        if (alike(&sweep->cases[i], like, which)) {
            sweep->cases[i].explained = true;
        }
    }
}

static void append(char text[EVAL_REFUSED_SIZE], const char *name)
{
    const size_t used = strlen(text);

    snprintf(text + used, EVAL_REFUSED_SIZE - used, "%s%s", used ? ", " : "", name);
}

void eval_sweep_list_refused(eval_sweep *sweep, char text[EVAL_REFUSED_SIZE])
{
    text[0] = '\0';
    for (quality which = SCORER; which <= QUALITY_COUNT; which++) {
        for (size_t i = 0; i < sweep->count; i++) {
            const eval_case entry = sweep->cases[i];
            char name[128];

            if (!entry.refused || entry.explained || !all_refused(sweep, &entry, which)) {
                continue;
            }
            if (which < QUALITY_COUNT) {
                append(text, name_of(&entry, which));
            } else {
                snprintf(name, sizeof name, "%s/%s/%s/%s", name_of(&entry, METHOD),
                         name_of(&entry, SCORER), name_of(&entry, BOUND), name_of(&entry, TARGET));
                append(text, name);
            }
            explain(sweep, &entry, which);
        }
    }
}

/* ---------------------------------------------------------------------- case */

tool_options eval_case_options(const eval_case *entry, const tool_options *options)
{
    tool_options result = *options;

    result.method = entry->method;
    result.scorer = entry->scorer;
    result.bound = entry->bound;
    result.target = entry->targets[0];
    result.epsilon = entry->epsilon;
    result.top_k = entry->top_k;
    result.top_p = entry->top_p;
    return result;
}

bool eval_case_has_guarantee(const eval_case *entry)
{
    return traits_of(entry->method)->guarantees;
}

const char *eval_case_scorer_name(const eval_case *entry)
{
    return traits_of(entry->method)->scores ? options_scorer_name(entry->scorer) : "none";
}

const char *eval_case_bound_name(const eval_case *entry)
{
    return traits_of(entry->method)->guarantees ? options_bound_name(entry->bound) : "none";
}

void eval_case_top_k(const eval_case *entry, char text[EVAL_SETTING_SIZE])
{
    text[0] = '\0';
    if (!traits_of(entry->method)->has_top_k) {
        return;
    }
    if (entry->top_k.is_fraction) {
        snprintf(text, EVAL_SETTING_SIZE, "%g", entry->top_k.fraction);
    } else {
        snprintf(text, EVAL_SETTING_SIZE, "%u", entry->top_k.count);
    }
}

void eval_case_top_p(const eval_case *entry, char text[EVAL_SETTING_SIZE])
{
    text[0] = '\0';
    if (traits_of(entry->method)->has_top_p) {
        snprintf(text, EVAL_SETTING_SIZE, "%g", entry->top_p);
    }
}
