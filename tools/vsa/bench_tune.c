#include "bench_tune.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "bench_memory.h"
#include "tool.h"

enum { FIELDS = 5, MAX_VALUES = 6, MAX_PASSES = 3, MAX_TRIED = 64, MAX_PAIRS = 64, FIRST_LOOK = 3 };

/* A candidate replaces the best so far when it is this much faster in the median of all pairs, and
 * faster in three quarters of them; and again in as many pairs. */
static const double least_gain = 1.02;
/* After FIRST_LOOK pairs, a candidate below this is given up. */
static const double hopeless = 0.8;

static const struct {
    const char *name;
    size_t offset;
    uint32_t values[MAX_VALUES]; /* 0 ends them */
} fields[FIELDS] = {
    {"workgroup", offsetof(vsa_tuning, workgroup), {8, 16, 32, 64, 128}},
    {"lanes", offsetof(vsa_tuning, lanes), {1, 2, 4, 8, 16, 32}},
    {"repeat", offsetof(vsa_tuning, repeat), {1, 2, 4, 8}},
    {"value_chunks", offsetof(vsa_tuning, value_chunks), {1, 2, 3, 4}},
    {"query_chunks", offsetof(vsa_tuning, query_chunks), {1, 4, 8, 16, 256}},
};

static uint32_t *field_of(vsa_tuning *tuning, int field)
{
    return (uint32_t *)((char *)tuning + fields[field].offset);
}

typedef struct candidate {
    vsa_tuning tuning;
    bench_session session;
} candidate;

typedef struct search {
    bench_run *run;
    tool_options options; /* of the case */
    bench_tuning *result;
    uint32_t layers, pairs;
    candidate start, best;
    vsa_tuning tried[MAX_TRIED];
    uint32_t next_step;
} search;

const char *bench_tuning_text(const vsa_tuning *tuning, char text[BENCH_TUNING_SIZE])
{
    vsa_tuning copy = *tuning;
    size_t used = 0;

    for (int i = 0; i < FIELDS; i++) {
        const uint32_t value = *field_of(&copy, i);
        char number[16] = "default";

        if (value > 0) {
            snprintf(number, sizeof number, "%u", value);
        }
        used += (size_t)snprintf(text + used, BENCH_TUNING_SIZE - used, "%s%s %s", i ? ", " : "",
                                 fields[i].name, number);
    }
    return text;
}

bool bench_tuning_changed(const bench_tuning *tuning)
{
    return memcmp(&tuning->start, &tuning->best, sizeof tuning->start) != 0;
}

/* ------------------------------------------------------------------- compare */

static vsa_result time_step(search *s, const candidate *one, uint32_t step, double *out_ms)
{
    vsa_session_step_result result;
    double wall_ms;
    const vsa_result status =
        bench_session_step(&s->run->context, &one->session, step, &result, &wall_ms);

    *out_ms = result.gpu_ms > 0.0 ? result.gpu_ms : wall_ms;
    return status;
}

static bench_gain gain_of(double *ratios, uint32_t count)
{
    const bench_spread whole = bench_spread_of(ratios, count);

    return (bench_gain){
        .median = whole.median, .low = ratios[count / 4], .high = ratios[count - 1 - count / 4]};
}

/* How many times faster `b` is than `a`: pairs of steps with the same queries and draws, which of
 * the two goes first alternates. */
static vsa_result compare(search *s, const candidate *a, const candidate *b, uint32_t pairs,
                          bool may_give_up, bench_gain *out_gain, bench_tuning *out_times)
{
    double ratios[MAX_PAIRS], a_ms[MAX_PAIRS], b_ms[MAX_PAIRS];
    uint32_t count = 0;

    while (count < pairs) {
        const uint32_t step = s->next_step++;
        const bool a_first = count % 2 == 0;
        vsa_result status;

        if ((status = time_step(s, a_first ? a : b, step, a_first ? &a_ms[count] : &b_ms[count])) !=
                VSA_SUCCESS ||
            (status = time_step(s, a_first ? b : a, step, a_first ? &b_ms[count] : &a_ms[count])) !=
                VSA_SUCCESS) {
            return status;
        }
        ratios[count] = a_ms[count] / b_ms[count];
        count++;
        if (may_give_up && count == FIRST_LOOK) {
            double first[FIRST_LOOK];

            memcpy(first, ratios, sizeof first);
            if (bench_spread_of(first, FIRST_LOOK).median < hopeless) {
                break;
            }
        }
    }
    *out_gain = gain_of(ratios, count);
    if (out_times) {
        out_times->start_ms = bench_spread_of(a_ms, count).median;
        out_times->best_ms = bench_spread_of(b_ms, count).median;
    }
    return VSA_SUCCESS;
}

static bool is_faster(const bench_gain *gain)
{
    return gain->median >= least_gain && gain->low > 1.0;
}

/* -------------------------------------------------------------------- search */

static vsa_result open_candidate(search *s, const vsa_tuning *tuning, candidate *out)
{
    *out = (candidate){.tuning = *tuning};
    s->run->device.sentence[0] = '\0';

    const bench_plan plan = {
        .options = s->options,
        .tokens = s->result->tokens,
        .layers = s->layers,
        .tuning = *tuning,
        .cache_of = s->start.session.session ? &s->start.session : NULL,
    };
    vsa_result result = bench_session_open(&s->run->context, &plan, &out->session);

    if (result == VSA_SUCCESS) {
        result = bench_session_warm_up(&s->run->context, &out->session);
    }
    return result;
}

static void close_candidate(candidate *one)
{
    bench_session_close(&one->session);
}

static bool was_tried(const search *s, const vsa_tuning *tuning)
{
    for (uint32_t i = 0; i < s->result->tried; i++) {
        if (memcmp(&s->tried[i], tuning, sizeof *tuning) == 0) {
            return true;
        }
    }
    return false;
}

static void print_try(const search *s, const vsa_tuning *tuning, const bench_gain *gain,
                      const char *verdict)
{
    char text[BENCH_TUNING_SIZE], ratio[48] = "";

    if (s->run->options->json) {
        return;
    }
    if (gain) {
        snprintf(ratio, sizeof ratio, "%.3f (%.3f to %.3f)", gain->median, gain->low, gain->high);
    }
    printf("%-10s  %-75s  %-23s  %s\n", options_method_name(s->options.method),
           bench_tuning_text(tuning, text), ratio, verdict);
    fflush(stdout);
}

/* *out_better: the candidate is the best now. */
static vsa_result try_tuning(search *s, const vsa_tuning *tuning, bool *out_better)
{
    candidate one;
    bench_gain gain;
    vsa_result result = open_candidate(s, tuning, &one);

    *out_better = false;
    s->tried[s->result->tried++] = *tuning;
    if (result == VSA_ERROR_INVALID_ARGUMENT || result == VSA_ERROR_UNSUPPORTED_CONFIG) {
        s->result->refused++;
        print_try(s, tuning, NULL, "not possible");
        return VSA_SUCCESS;
    }
    if (result == VSA_SUCCESS) {
        result = compare(s, &s->best, &one, s->pairs, true, &gain, NULL);
    }
    if (result == VSA_SUCCESS && is_faster(&gain)) {
        result = compare(s, &s->best, &one, s->pairs, false, &gain, NULL);
        *out_better = result == VSA_SUCCESS && is_faster(&gain);
    }
    if (result == VSA_SUCCESS) {
        print_try(s, tuning, &gain, *out_better ? "better" : "");
    }
    if (*out_better) {
        const candidate old = s->best;

        s->best = one;
        one = old;
    }
    close_candidate(&one);
    return result;
}

static vsa_result run_pass(search *s, bool *out_changed)
{
    *out_changed = false;
    for (int i = 0; i < FIELDS; i++) {
        for (int j = 0; j < MAX_VALUES && fields[i].values[j] > 0; j++) {
            vsa_tuning tuning = s->best.tuning;
            bool better;
            vsa_result result;

            *field_of(&tuning, i) = fields[i].values[j];
            if (s->result->tried == MAX_TRIED || was_tried(s, &tuning)) {
                continue;
            }
            if ((result = try_tuning(s, &tuning, &better)) != VSA_SUCCESS) {
                return result;
            }
            *out_changed = *out_changed || better;
        }
    }
    return VSA_SUCCESS;
}

static vsa_result run_search(search *s)
{
    bench_tuning *found = s->result;
    bool changed = true;
    vsa_result result;

    if ((result = open_candidate(s, &found->start, &s->start)) != VSA_SUCCESS ||
        (result = open_candidate(s, &found->start, &s->best)) != VSA_SUCCESS) {
        return result;
    }
    for (int pass = 0; pass < MAX_PASSES && changed; pass++) {
        if ((result = run_pass(s, &changed)) != VSA_SUCCESS) {
            return result;
        }
    }
    /* Once more against the start: the winner of many noisy comparisons looks better than it is. */
    result = compare(s, &s->start, &s->best, 2 * s->pairs, false, &found->gain, found);
    if (result == VSA_SUCCESS && is_faster(&found->gain)) {
        found->best = s->best.tuning;
    }
    return result;
}

/* -------------------------------------------------------------------- public */

static bool is_wanted(const bench_run *run, const bench_case *entry)
{
    const bool named = options_given(run->options, "method") || run->options->methods.count > 0;

    if (bench_case_scores(entry) && entry->scorer != run->options->scorer) {
        return false;
    }
    if (named && !entry->is_named && entry->method == VSA_METHOD_DENSE) {
        return false; /* there to be compared with */
    }
    return named || entry->method == VSA_METHOD_DENSE || entry->method == VSA_METHOD_VATTENTION;
}

static void print_result(const bench_tuning *found)
{
    const vsa_tuning *best = &found->best;
    char name[BENCH_CASE_NAME_SIZE], text[BENCH_TUNING_SIZE];

    printf("\n%s at %u tokens: ", bench_case_name(found->entry, name), found->tokens);
    if (bench_tuning_changed(found)) {
        printf("%s\n  %.2f times as fast as %s (%.2f to %.2f in the middle half of the pairs), "
               "%.3f ms instead of %.3f\n"
               "  vsa_tuning: {.workgroup = %u, .lanes = %u, .repeat = %u, .value_chunks = %u, "
               ".query_chunks = %u}\n"
               "  vsa bench:  --tuning %u,%u,%u,%u,%u\n\n",
               bench_tuning_text(best, text), found->gain.median,
               found->start.workgroup + found->start.lanes + found->start.repeat +
                       found->start.value_chunks + found->start.query_chunks
                   ? "the one that was given"
                   : "the default",
               found->gain.low, found->gain.high, found->best_ms, found->start_ms, best->workgroup,
               best->lanes, best->repeat, best->value_chunks, best->query_chunks, best->workgroup,
               best->lanes, best->repeat, best->value_chunks, best->query_chunks);
    } else {
        printf("nothing to propose: none of %u others was faster by 2%% and in three quarters of "
               "the pairs, again and again\n\n",
               found->tried - found->refused);
    }
}

static int tune_case(bench_run *run, const bench_case *entry, bench_tuning *out)
{
    const uint32_t tokens = run->lengths[0];
    const uint32_t repeat = run->options->repeat;

    *out =
        (bench_tuning){.entry = entry, .tokens = tokens, .start = run->tuning, .best = run->tuning};

    search s = {
        .run = run,
        .options = bench_case_options(entry, run->options),
        .result = out,
        .layers = bench_memory_layers(&run->input, tokens, run->memory_limit),
        .pairs = repeat < MAX_PAIRS / 2 ? repeat : MAX_PAIRS / 2,
    };

    s.pairs = s.pairs > FIRST_LOOK ? s.pairs : FIRST_LOOK;

    const vsa_result result = run_search(&s);

    close_candidate(&s.best);
    close_candidate(&s.start); /* the others use its caches */
    if (result != VSA_SUCCESS) {
        return device_fail(&run->device, result, "a step cannot be run");
    }
    if (!run->options->json) {
        print_result(out);
    }
    return EXIT_DONE;
}

int bench_tune_all(bench_run *run, bench_tunings *out_tunings)
{
    int code = EXIT_DONE;

    *out_tunings = (bench_tunings){0};
    if (!run->options->json) {
        const vsa_device_info *device = vsa_standalone_device(run->device.standalone);

        printf("device    %s (%s)\n\nTimes as fast as the best so far: median of %u pairs of steps "
               "(quartiles)\n\n",
               device->name, device->driver, run->options->repeat);
    }
    for (size_t i = 0; i < run->cases.count && code == EXIT_DONE; i++) {
        if (is_wanted(run, &run->cases.items[i])) {
            code = tune_case(run, &run->cases.items[i], &out_tunings->items[out_tunings->count++]);
        }
    }
    if (code == EXIT_DONE && !run->options->json) {
        printf("Nothing was written or changed.\n");
    }
    return code;
}
