/*
 * coverage - simulates the certificates' promise on synthetic rows, without a GPU.
 *
 *   coverage [--models A,B] [--tokens N,N] [--rows N] [--dim N] [--threads N]
 *            [--epsilons X,X] [--deltas X,X] [--sink N] [--window N] [--top-k X]
 *            [--base-min N] [--base X] [--base-max N] [--floor X]
 *            [--mean X] [--margin X,X] [--guided-margin X,X] [--strict-margin X,X]
 *            [--quick] [--list]
 *
 * Every row (logits, values, truth) is decoded by methods vattention and guided, bounds clt and
 * strict, for every target, epsilon and delta. Results go to stdout, one line per cell and
 * tab-separated under a header line; a cell fails when a one-sided binomial test at 99% says that
 * more rows than delta are above epsilon. The exit code is 1 when a cell fails, models aside whose
 * scorer misses tokens.
 *
 * Method guided knows D exactly, so that its relative errors of numerator and output are the
 * same number and its target denominator has none: one line stands for all three.
 */
#include "fast.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCHES_PER_VALUES = 8, KINDS = 6, MAX_THREADS = 64, MAX_LIST = 16 };

typedef struct options {
    stat_settings settings;
    const char *models;
    double   tokens[MAX_LIST], epsilons[MAX_LIST], deltas[MAX_LIST];
    uint32_t tokens_count, epsilon_count, delta_count;
    uint32_t rows, dim, threads;
    double   mean;
} options;

/* What is judged about a row for each goal. */
static const struct kind {
    const char *method, *bound, *target;
} kinds[KINDS] = {
    { "vattention", "clt", "denominator" }, { "vattention", "clt", "numerator" },
    { "vattention", "clt", "output" },      { "vattention", "strict", "denominator" },
    { "guided", "clt", "output" },          { "guided", "strict", "output" },
};

typedef struct tally {
    uint32_t rows, met, failures, last, floored;
    double   stages, certified, read, gathered, tokens;
    uint32_t *samples;   /* per row that met */
} tally;

typedef struct worker {
    const options    *options;
    const stat_model *model;
    uint32_t tokens, index, rows;
    tally   *tallies;   /* [kind][goal] */
} worker;

/* ------------------------------------------------------------------ one cell */

static void count(tally *t, const stat_outcome *o, uint32_t tokens, double epsilon)
{
    t->rows++;
    t->stages += o->stages;
    t->last += o->last;
    t->gathered += o->gathered;
    t->read += o->met ? o->exact + o->samples : tokens;
    t->tokens += tokens;
    if (o->met) {
        t->samples[t->met++] = o->samples;
        t->certified += (double)o->certified;
        t->failures += !((double)o->error <= epsilon);
        t->floored += (o->flags & VSA_CERTIFICATE_FLOORED) != 0;
    }
}

static void run_row(const worker *w, stat_work *work, const stat_batch *batch, const stat_row *row,
                    uint64_t seed, uint32_t number)
{
    const stat_settings *settings = &w->options->settings;
    uint32_t goals = settings->goal_count;
    stat_outcome uniform[STAT_MAX_GOALS][STAT_TARGETS], strict[STAT_MAX_GOALS];
    int known = w->model->missed == 0;
    stat_uniform(work, batch, row, settings, seed, number, uniform, known ? strict : NULL);
    for (uint32_t g = 0; g < goals; g++) {
        double epsilon = settings->goals[g].epsilon;
        for (uint32_t t = 0; t < STAT_TARGETS; t++) {
            count(&w->tallies[t * goals + g], &uniform[g][t], w->tokens, epsilon);
        }
        if (known) {
            count(&w->tallies[3 * goals + g], &strict[g], w->tokens, epsilon);
        }
    }
    for (uint32_t b = 0; b < 2 && known; b++) {
        stat_guided(work, batch, row, settings, b == 0 ? VSA_BOUND_CLT : VSA_BOUND_STRICT, seed,
                    number, strict);
        for (uint32_t g = 0; g < goals; g++) {
            count(&w->tallies[(4 + b) * goals + g], &strict[g], w->tokens,
                  settings->goals[g].epsilon);
        }
    }
}

/* Thread i of n takes the i-th of every n blocks of rows that share values. */
static void *run_worker(void *argument)
{
    const worker *w = argument;
    const uint32_t block = BATCHES_PER_VALUES * STAT_BATCH;
    stat_work *work = stat_work_create(w->tokens, w->options->dim);
    stat_batch batch;
    stat_batch_init(&batch, w->model, w->tokens, w->options->dim);
    batch.mean = (float)w->options->mean;
    for (uint32_t first = w->index * block; first < w->rows; first += w->options->threads * block) {
        uint64_t seed = ((uint64_t)(w->model - stat_models) << 48) + ((uint64_t)w->tokens << 24)
                        + first;
        stat_batch_values(&batch, seed);
        for (uint32_t i = 0; i < block && first + i < w->rows; i++) {
            if (i % STAT_BATCH == 0) {
                stat_batch_rows(&batch, seed + 1 + i);
            }
            run_row(w, work, &batch, &batch.rows[i % STAT_BATCH], seed, i);
        }
    }
    stat_batch_free(&batch);
    stat_work_destroy(work);
    return NULL;
}

/* ------------------------------------------------------------------ results */

static int compare_counts(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void merge(tally *into, const tally *from)
{
    memcpy(into->samples + into->met, from->samples, from->met * sizeof *from->samples);
    into->rows += from->rows;
    into->met += from->met;
    into->failures += from->failures;
    into->last += from->last;
    into->floored += from->floored;
    into->stages += from->stages;
    into->certified += from->certified;
    into->read += from->read;
    into->gathered += from->gathered;
    into->tokens += from->tokens;
}

static void print_header(void)
{
    puts("model\ttokens\tmethod\tbound\ttarget\tepsilon\tdelta\trows\tfailures\tdense\tlast\t"
         "floored\tmean\tmedian\tcertified\tdensity\tgathered\tstages\tp\tverdict");
}

/* Returns 1 when the cell fails. */
static int report(const worker *w, const struct kind *kind, const stat_goal *goal, tally *t)
{
    if (t->rows == 0) {
        return 0;
    }
    double p = ref_binomial_tail(t->failures, t->rows, goal->delta), samples = 0;
    int fails = p < 0.01;
    qsort(t->samples, t->met, sizeof *t->samples, compare_counts);
    for (uint32_t i = 0; i < t->met; i++) {
        samples += t->samples[i];
    }
    printf("%s\t%u\t%s\t%s\t%s\t%g\t%g\t%u\t%u\t%u\t%u\t%u\t", w->model->name, w->tokens,
           kind->method, kind->bound, kind->target, goal->epsilon, goal->delta, t->rows,
           t->failures, t->rows - t->met, t->last, t->floored);
    if (t->met > 0) {
        printf("%.1f\t%u\t%.5f\t", samples / t->met, t->samples[t->met / 2], t->certified / t->met);
    } else {
        printf("-\t-\t-\t");
    }
    printf("%.4f\t%.4f\t%.2f\t%.4f\t%s\n", t->read / t->tokens, t->gathered / t->tokens,
           t->stages / t->rows, p, fails ? "FAILS" : "holds");
    return fails && w->model->missed == 0;
}

static int run_cell(const options *o, const stat_model *model, uint32_t tokens)
{
    const uint32_t goals = o->settings.goal_count, cells = KINDS * goals;
    worker workers[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    int failed = 0;
    for (uint32_t i = 0; i < o->threads; i++) {
        workers[i] = (worker){ o, model, tokens, i, o->rows, calloc(cells, sizeof(tally)) };
        for (uint32_t c = 0; c < cells; c++) {
            workers[i].tallies[c].samples = malloc((o->rows + 1) * sizeof(uint32_t));
        }
    }
    for (uint32_t i = 1; i < o->threads; i++) {
        pthread_create(&threads[i], NULL, run_worker, &workers[i]);
    }
    run_worker(&workers[0]);
    for (uint32_t i = 1; i < o->threads; i++) {
        pthread_join(threads[i], NULL);
        for (uint32_t c = 0; c < cells; c++) {
            merge(&workers[0].tallies[c], &workers[i].tallies[c]);
            free(workers[i].tallies[c].samples);
        }
        free(workers[i].tallies);
    }
    for (uint32_t c = 0; c < cells; c++) {
        tally *t = &workers[0].tallies[c];
        failed |= report(&workers[0], &kinds[c / goals], &o->settings.goals[c % goals], t);
        free(t->samples);
    }
    free(workers[0].tallies);
    fflush(stdout);
    return failed;
}

/* ------------------------------------------------------------------ options */

/* Is `name` in the comma-separated `list`? */
static int listed(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == 0 || at[size] == ',')) {
            return 1;
        }
    }
    return strcmp(list, "all") == 0;
}

static uint32_t parse_list(const char *text, double *out)
{
    uint32_t n = 0;
    while (n < MAX_LIST && *text != 0) {
        char *end;
        out[n++] = strtod(text, &end);
        text = *end == ',' ? end + 1 : "";
    }
    return n;
}

/* One per extension; the last stands for those that are not given. */
static int parse_margin(const char *text, double *out)
{
    double list[MAX_LIST];
    uint32_t n = parse_list(text, list);
    for (uint32_t i = 0; i < REF_MAX_EXTENSIONS && n > 0; i++) {
        out[i] = list[i < n ? i : n - 1];
    }
    return n > 0;
}

static int set_option(options *o, const char *name, const char *value)
{
    vsa_policy *policy = &o->settings.policy;
    const struct {
        const char *name;
        uint32_t   *count;
        float      *fraction;
        double     *number;
    } known[] = {
        { "--rows", &o->rows, NULL, NULL },
        { "--dim", &o->dim, NULL, NULL },
        { "--threads", &o->threads, NULL, NULL },
        { "--sink", &policy->sink_tokens, NULL, NULL },
        { "--window", &policy->window_tokens, NULL, NULL },
        { "--base-min", &policy->base_samples, NULL, NULL },
        { "--base-max", &policy->base_max_samples, NULL, NULL },
        { "--top-k", NULL, &policy->top_k_fraction, NULL },
        { "--base", NULL, &policy->base_fraction, NULL },
        { "--floor", NULL, &policy->value_floor, NULL },
        { "--mean", NULL, NULL, &o->mean },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            if (known[i].count != NULL) {
                *known[i].count = (uint32_t)strtoul(value, NULL, 10);
            } else if (known[i].fraction != NULL) {
                *known[i].fraction = strtof(value, NULL);
            } else {
                *known[i].number = strtod(value, NULL);
            }
            return 1;
        }
    }
    if (strcmp(name, "--margin") == 0) {
        return parse_margin(value, o->settings.margin);
    }
    if (strcmp(name, "--guided-margin") == 0) {
        return parse_margin(value, o->settings.guided_margin);
    }
    if (strcmp(name, "--strict-margin") == 0) {
        return parse_margin(value, o->settings.strict_margin);
    }
    if (strcmp(name, "--models") == 0) {
        o->models = value;
    } else if (strcmp(name, "--tokens") == 0) {
        o->tokens_count = parse_list(value, o->tokens);
    } else if (strcmp(name, "--epsilons") == 0) {
        o->epsilon_count = parse_list(value, o->epsilons);
    } else if (strcmp(name, "--deltas") == 0) {
        o->delta_count = parse_list(value, o->deltas);
    } else {
        return 0;
    }
    return 1;
}

static void set_quick(options *o)
{
    o->rows = 512;
    o->models = "gauss.5,gauss2,laplace,local,needle,shrinking";
    o->tokens_count = parse_list("300,2048", o->tokens);
    o->epsilon_count = parse_list("0.05,0.2", o->epsilons);
    o->delta_count = parse_list("0.05,0.2", o->deltas);
}

static void set_goals(options *o)
{
    stat_settings *s = &o->settings;
    s->goal_count = 0;
    for (uint32_t e = 0; e < o->epsilon_count; e++) {
        for (uint32_t d = 0; d < o->delta_count && s->goal_count < STAT_MAX_GOALS; d++) {
            stat_goal_init(&s->goals[s->goal_count++], o->epsilons[e], o->deltas[d]);
        }
    }
}

int main(int argc, char **argv)
{
    options o = { .models = "all", .rows = 10000, .dim = 32, .threads = 2, .mean = 0.5,
                  .settings.policy = { .method = VSA_METHOD_VATTENTION, .sink_tokens = 16,
                                       .window_tokens = 64, .top_k_fraction = 0.02f,
                                       .base_samples = 64, .base_fraction = 0.025f,
                                       .base_max_samples = 256 } };
    stat_settings_defaults(&o.settings);
    o.tokens_count = parse_list("300,2048,16384,65536", o.tokens);
    o.epsilon_count = parse_list("0.02,0.05,0.1,0.2,0.3", o.epsilons);
    o.delta_count = parse_list("0.01,0.05,0.1,0.2", o.deltas);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            set_quick(&o);
        } else if (strcmp(argv[i], "--list") == 0) {
            for (size_t m = 0; m < stat_model_count; m++) {
                printf("%s\t%s\n", stat_models[m].name, stat_models[m].what);
            }
            return 0;
        } else if (i + 1 == argc || !set_option(&o, argv[i], argv[i + 1])) {
            fprintf(stderr, "coverage: unknown option, or one without a value: %s\n", argv[i]);
            return 2;
        } else {
            i++;
        }
    }
    if (o.dim % 16 != 0 || o.dim == 0 || o.dim > STAT_MAX_DIM || o.threads == 0
        || o.threads > MAX_THREADS || o.epsilon_count * o.delta_count > STAT_MAX_GOALS) {
        fprintf(stderr,
                "coverage: dim must be a multiple of 16 up to %d, threads 1 to %d, epsilons times "
                "deltas at most %d\n",
                STAT_MAX_DIM, MAX_THREADS, STAT_MAX_GOALS);
        return 2;
    }
    set_goals(&o);
    int failed = 0;
    print_header();
    for (size_t m = 0; m < stat_model_count; m++) {
        for (uint32_t t = 0; t < o.tokens_count && listed(o.models, stat_models[m].name); t++) {
            failed |= run_cell(&o, &stat_models[m], (uint32_t)o.tokens[t]);
        }
    }
    return failed;
}
