#include "eval_sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "method_traits.h"

static const int all_bounds[] = {VSA_BOUND_CLT, VSA_BOUND_STRICT};
static const int all_targets[] = {VSA_TARGET_OUTPUT, VSA_TARGET_DENOMINATOR, VSA_TARGET_NUMERATOR};
static const double all_epsilons[] = {0.02, 0.05, 0.1, 0.2, 0.3};
static const double all_top_k[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.4};
static const double all_top_p[] = {0.5, 0.8, 0.9, 0.95, 0.99};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Whether the library has the bound for the case: vsa.h, vsa_bound and vsa_policy::value_floor. */
static bool has_bound(const eval_case *entry, const tool_options *options)
{
    if (!method_traits_of(entry->method)->guarantees || entry->bound == VSA_BOUND_CLT) {
        return true;
    }
    if (entry->scorer == VSA_SCORER_PAGE || entry->scorer == VSA_SCORER_SIGN ||
        options->value_floor > 0.0) {
        return false;
    }
    return entry->method == VSA_METHOD_GUIDED ||
           (entry->method == VSA_METHOD_VATTENTION && entry->targets[0] == VSA_TARGET_DENOMINATOR);
}

/* ---------------------------------------------------------------------- make */

typedef struct maker {
    const tool_options *options;
    bool with_unknown; /* also bounds that the library is not known to have */
    eval_sweep sweep;
} maker;

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

static bool add(maker *m, eval_case entry)
{
    eval_sweep *sweep = &m->sweep;

    entry.is_doubtful = !has_bound(&entry, m->options);
    if (entry.is_doubtful && !m->with_unknown) {
        return true;
    }
    eval_case *cases =
        array_reserve(sweep->cases, sweep->count, 1, &sweep->capacity, sizeof *cases);

    if (!cases) {
        return false;
    }
    sweep->cases = cases;
    cases[sweep->count++] = entry;
    return true;
}

static bool add_densities(maker *m, eval_case entry)
{
    const option_reals *densities = &m->options->densities;

    for (uint32_t i = 0; i < densities->count; i++) {
        entry.density = densities->items[i];
        if (!add(m, entry)) {
            return false;
        }
    }
    return true;
}

/* Every epsilon, top-k or top-p. */
static bool add_settings(maker *m, const method_traits *traits, eval_case entry)
{
    const bool sweeps_top_k = !traits->guarantees && traits->has_top_k;
    const char *name = traits->guarantees ? "epsilon" : sweeps_top_k ? "top-k" : "top-p";
    const reals all = traits->guarantees ? (reals){all_epsilons, COUNT(all_epsilons)}
                      : sweeps_top_k     ? (reals){all_top_k, COUNT(all_top_k)}
                                         : (reals){all_top_p, COUNT(all_top_p)};

    if (m->options->densities.count > 0) {
        return add_densities(m, entry);
    }
    if (entry.method == VSA_METHOD_DENSE || options_given(m->options, name)) {
        return add(m, entry);
    }
    for (size_t i = 0; i < all.count; i++) {
        if (traits->guarantees) {
            entry.epsilon = all.items[i];
        } else if (sweeps_top_k) {
            entry.top_k = (option_share){.is_fraction = true, .fraction = all.items[i]};
        } else {
            entry.top_p = all.items[i];
        }
        if (!add(m, entry)) {
            return false;
        }
    }
    return true;
}

/* A guarantee is for one target; other methods run once and are measured on all of them. */
static bool add_targets(maker *m, const method_traits *traits, eval_case entry)
{
    const bool is_strict_denominator =
        entry.bound == VSA_BOUND_STRICT && entry.method == VSA_METHOD_VATTENTION;
    const bool only_output = entry.method == VSA_METHOD_DENSE || m->options->densities.count > 0 ||
                             (entry.scorer != VSA_SCORER_EXACT && !is_strict_denominator &&
                              !options_given(m->options, "scorer"));
    const values targets = choose(m->options, "target", &m->options->target, all_targets,
                                  only_output ? 1 : COUNT(all_targets));

    if (!traits->guarantees) {
        memcpy(entry.targets, targets.items, targets.count * sizeof *targets.items);
        entry.target_count = (uint32_t)targets.count;
        return add_settings(m, traits, entry);
    }
    for (size_t i = 0; i < targets.count; i++) {
        entry.targets[0] = targets.items[i];
        entry.target_count = 1;
        if (!add_settings(m, traits, entry)) {
            return false;
        }
    }
    return true;
}

static bool add_method(maker *m, const method_traits *traits)
{
    const tool_options *options = m->options;
    /* A value without meaning for the method is not swept. */
    const values scorers =
        choose(options, "scorer", &options->scorer, all_scorers,
               traits->scores && options->densities.count == 0 ? SCORER_COUNT : 1);
    const values bounds =
        choose(options, "bound", &options->bound, all_bounds,
               traits->guarantees && options->densities.count == 0 ? COUNT(all_bounds) : 1);

    for (size_t i = 0; i < scorers.count; i++) {
        for (size_t j = 0; j < bounds.count; j++) {
            const eval_case entry = {
                .method = traits->method,
                .scorer = traits->scores ? scorers.items[i] : VSA_SCORER_EXACT,
                .bound = traits->guarantees ? bounds.items[j] : VSA_BOUND_CLT,
                .epsilon = options->epsilon,
                .top_k = options->top_k,
                .top_p = options->top_p,
                .sink = options->sink,
                .window = options->window,
                .base = options->base,
            };

            if (!add_targets(m, traits, entry)) {
                return false;
            }
        }
    }
    return true;
}

static bool add_methods(maker *m)
{
    const bool one = options_given(m->options, "method");

    m->sweep.count = 0;
    for (int i = 0; i < METHOD_COUNT; i++) {
        const bool wanted =
            one ? all_methods[i].method == m->options->method
                : all_methods[i].method != VSA_METHOD_DENSE || m->options->densities.count == 0;

        if (wanted && !add_method(m, &all_methods[i])) {
            return false;
        }
    }
    return true;
}

static bool covers_bound(const eval_sweep *sweep, int bound)
{
    for (size_t i = 0; i < sweep->count; i++) {
        if (eval_case_has_guarantee(&sweep->cases[i]) && sweep->cases[i].bound == bound) {
            return true;
        }
    }
    return false;
}

bool eval_sweep_make(const tool_options *options, eval_sweep *out_sweep)
{
    maker m = {.options = options};
    bool good = add_methods(&m);

    /* Asked for a bound that no case has: the library is to say why. */
    if (good && options_given(options, "bound") && !covers_bound(&m.sweep, options->bound)) {
        m.with_unknown = true;
        good = add_methods(&m);
    }
    *out_sweep = m.sweep;
    if (!good) {
        eval_sweep_destroy(out_sweep);
    }
    return good;
}

void eval_sweep_destroy(eval_sweep *sweep)
{
    free(sweep->cases);
    *sweep = (eval_sweep){0};
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
    result.sink = entry->sink;
    result.window = entry->window;
    result.base = entry->base;
    return result;
}

bool eval_case_has_guarantee(const eval_case *entry)
{
    return method_traits_of(entry->method)->guarantees;
}

const char *eval_case_scorer_name(const eval_case *entry)
{
    return method_traits_of(entry->method)->scores ? options_scorer_name(entry->scorer) : "none";
}

const char *eval_case_bound_name(const eval_case *entry)
{
    return method_traits_of(entry->method)->guarantees ? options_bound_name(entry->bound) : "none";
}

void eval_case_family(const eval_case *entry, char text[EVAL_FAMILY_SIZE])
{
    const method_traits *traits = method_traits_of(entry->method);

    snprintf(text, EVAL_FAMILY_SIZE, "%s%s%s%s%s", options_method_name(entry->method),
             traits->scores ? ", " : "", traits->scores ? options_scorer_name(entry->scorer) : "",
             traits->guarantees ? ", " : "",
             traits->guarantees ? options_bound_name(entry->bound) : "");
}

bool eval_case_same_family(const eval_case *a, const eval_case *b)
{
    return a->method == b->method && a->scorer == b->scorer && a->bound == b->bound;
}

void eval_case_top_k(const eval_case *entry, char text[EVAL_SETTING_SIZE])
{
    text[0] = '\0';
    if (!method_traits_of(entry->method)->has_top_k) {
        return;
    }
    if (entry->top_k.is_fraction) {
        snprintf(text, EVAL_SETTING_SIZE, "%.6g", entry->top_k.fraction);
    } else {
        snprintf(text, EVAL_SETTING_SIZE, "%u", entry->top_k.count);
    }
}

void eval_case_top_p(const eval_case *entry, char text[EVAL_SETTING_SIZE])
{
    text[0] = '\0';
    if (method_traits_of(entry->method)->has_top_p) {
        snprintf(text, EVAL_SETTING_SIZE, "%.9g", entry->top_p);
    }
}

/* ------------------------------------------------------------------- density */

/* The ends of each setting, by place: powers in between. */
static const double loosest_epsilon = 0.999, tightest_epsilon = 1e-4;
static const double smallest_top_k = 1e-6;
/* Of -log(1 - p): p = 1e-4, and the last but one before 1 in f32. */
static const double smallest_mass = 1e-4, largest_mass = 16.0;

void eval_case_settle(eval_case *entry, const tool_options *options, uint32_t tokens)
{
    const double sixteenth = floor(entry->density * tokens / 16.0 + 0.5);
    const uint32_t part = sixteenth < 1.0 ? 1 : (uint32_t)sixteenth;

    if (!options_given(options, "sink")) {
        entry->sink = (option_share){.count = part};
    }
    if (!options_given(options, "window")) {
        entry->window = (option_share){.count = part};
    }
    if (!options_given(options, "base")) {
        entry->base = (option_share){.count = part};
    }
    if (!options_given(options, "top-k")) {
        entry->top_k = (option_share){.is_fraction = true, .fraction = entry->density * 0.375};
    }
}

static double between(double from, double to, double place)
{
    return from * pow(to / from, place);
}

void eval_case_move(eval_case *entry, double place)
{
    const method_traits *traits = method_traits_of(entry->method);

    if (traits->guarantees) {
        entry->epsilon = between(loosest_epsilon, tightest_epsilon, place);
    } else if (traits->has_top_k) {
        entry->top_k =
            (option_share){.is_fraction = true, .fraction = between(smallest_top_k, 1.0, place)};
    } else if (traits->has_top_p) {
        entry->top_p = -expm1(-between(smallest_mass, largest_mass, place));
    }
}

static double share_of(option_share share, uint32_t tokens)
{
    return share.is_fraction ? share.fraction : (double)share.count / tokens;
}

double eval_case_start(const eval_case *entry, uint32_t tokens)
{
    const method_traits *traits = method_traits_of(entry->method);
    const double ends = share_of(entry->sink, tokens) + share_of(entry->window, tokens);

    if (traits->guarantees) {
        return 0.2; /* epsilon .16 */
    }
    if (traits->has_top_k) {
        return 1.0 - log(fmax(entry->density - ends, smallest_top_k)) / log(smallest_top_k);
    }
    return 0.84; /* p = .9 */
}
