/*
 * coverage - simulates the certificate's promise with the double-precision reference.
 *
 *   coverage [--rows N] [--tokens N] [--dim N] [--epsilon X] [--delta X] [--top-k X]
 *            [--ends N] [--base X] [--base-min N] [--base-max N] [--scores A,B] [--values A,B]
 *
 * Every cell draws rows of synthetic logits and values, decodes each one with method vattention,
 * bound clt and on_miss dense, and counts the rows whose actual error is above epsilon. The last
 * column is the one-sided binomial probability of that many failures if the promise held; a cell
 * under .01 fails, and so does the program.
 *
 * "met a/b(c)" per evaluation: b rows were evaluated, a met their target, c of those failed.
 */
#include "reference.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 2, ROWS_PER_VALUES = 8, TARGETS = 3 };

typedef struct options {
    uint32_t rows, tokens, dim;
    uint32_t ends;   /* sink_tokens and window_tokens */
    uint32_t base_min, base_max;
    double epsilon, delta, top_k, base;
    const char *scores, *values;
} options;

/* ------------------------------------------------------------------ inputs */

static double gaussian_half(ref_random *r, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    return 0.5 * ref_random_normal(r);
}

static double gaussian1(ref_random *r, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    return ref_random_normal(r);
}

static double gaussian2(ref_random *r, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    return 2 * ref_random_normal(r);
}

static double gaussian4(ref_random *r, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    return 4 * ref_random_normal(r);
}

static double flat(ref_random *r, uint32_t i, uint32_t n)
{
    (void)r, (void)i, (void)n;
    return 0;
}

static double uniform(ref_random *r, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    return 2 * ref_random_uniform(r) - 1;
}

static double laplace(ref_random *r, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    double u = ref_random_uniform(r) - 0.5;
    return u < 0 ? log1p(2 * u) : -log1p(-2 * u);
}

/* Student's t with 3 degrees of freedom: a few logits far above the rest. */
static double student3(ref_random *r, uint32_t i, uint32_t n)
{
    (void)i, (void)n;
    double a = ref_random_normal(r), b = ref_random_normal(r), c = ref_random_normal(r);
    return ref_random_normal(r) / sqrt((a * a + b * b + c * c) / 3);
}

static double local(ref_random *r, uint32_t i, uint32_t n)
{
    double distance = (double)(n - 1 - i) / n;
    return ref_random_normal(r) + 4 * exp(-8 * distance);
}

typedef struct score_model {
    const char *name;
    double (*logit)(ref_random *random, uint32_t token, uint32_t tokens);
} score_model;

static const score_model score_models[] = {
    { "gauss.5", gaussian_half }, { "gauss1", gaussian1 }, { "gauss2", gaussian2 },
    { "gauss4", gaussian4 },      { "flat", flat },        { "uniform", uniform },
    { "laplace", laplace },       { "student3", student3 }, { "local", local },
};

/* v = noise + a mean of length mean * sqrt(dim), noise of the given rank (0 = full). `heavy`
 * multiplies each token's noise by a log-normal factor; `drift` correlates neighbours. */
typedef struct value_model {
    const char *name;
    double mean, heavy, drift;
    uint32_t rank;
} value_model;

static const value_model value_models[] = {
    { "mean", 0.5, 0, 0, 0 },   { "zero", 0, 0, 0, 0 },     { "rank1", 0.5, 0, 0, 1 },
    { "rank2", 0.5, 0, 0, 2 },  { "rank4", 0.5, 0, 0, 4 },  { "heavy", 0.5, 1.0, 0, 0 },
    { "drift", 0.5, 0, 0.995, 0 }, { "zrank1", 0, 0, 0, 1 },
};

static void make_values(ref_random *r, const value_model *m, uint32_t tokens, uint32_t dim,
                        float *v)
{
    double mean[REF_MAX_DIM], basis[8][REF_MAX_DIM], state[REF_MAX_DIM] = { 0 };
    for (uint32_t c = 0; c < dim; c++) {
        mean[c] = m->mean * ref_random_normal(r);
        for (uint32_t k = 0; k < m->rank; k++) {
            basis[k][c] = ref_random_normal(r) * 0.7071;
        }
    }
    for (uint32_t i = 0; i < tokens; i++) {
        double factor = m->heavy > 0 ? exp(m->heavy * ref_random_normal(r)) : 1;
        double coordinate[8];
        for (uint32_t k = 0; k < m->rank; k++) {
            coordinate[k] = ref_random_normal(r);
        }
        for (uint32_t c = 0; c < dim; c++) {
            double noise = 0;
            for (uint32_t k = 0; k < m->rank; k++) {
                noise += basis[k][c] * coordinate[k];
            }
            if (m->rank == 0) {
                noise = ref_random_normal(r);
            }
            if (m->drift > 0) {
                state[c] = m->drift * state[c] + sqrt(1 - m->drift * m->drift) * noise;
                noise = state[c];
            }
            v[(size_t)i * dim + c] = (float)(mean[c] + factor * noise);
        }
    }
}

/* ------------------------------------------------------------------ one cell */

typedef struct tally {
    uint32_t rows, failures, exact, met[REF_MAX_EXTENSIONS + 1], evaluated[REF_MAX_EXTENSIONS + 1];
    uint32_t last;   /* dense after the last extension, for want of another */
    uint32_t met_failures[REF_MAX_EXTENSIONS + 1];
    double samples, read;
    uint32_t *sampled;   /* per MET row, for the median */
} tally;

typedef struct worker {
    const options *options;
    const score_model *scores;
    const value_model *values;
    uint32_t first_row, row_count;
    uint64_t seed;
    tally tallies[TARGETS];
} worker;

static void decode(const options *o, const vsa_policy *policy, const ref_row *row,
                   const double *truth, double truth_log, tally *t)
{
    static const double worst = 1e30;
    ref_estimate e;
    uint32_t samples = ref_base_samples(policy, row->residual_count), extensions = 0;
    memset(&e, 0, sizeof e);
    e.action = samples == 0 ? REF_ACTION_DENSE : REF_ACTION_EXTEND;
    t->rows++;
    while (e.action == REF_ACTION_EXTEND) {
        ref_evaluate(policy, row, samples, extensions, &e);
        t->evaluated[extensions]++;
        if (e.action == REF_ACTION_EXTEND) {
            samples = e.next;
            extensions++;
        }
    }
    if (e.action != REF_ACTION_MET) {
        t->exact++;
        t->last += extensions == REF_MAX_EXTENSIONS && 2 * e.next < row->residual_count;
        t->read += row->length;
        return;
    }
    double error = worst, scale = exp(e.shift + log(e.denominator) - truth_log);   /* D^ / D */
    switch (policy->target) {
    case VSA_TARGET_DENOMINATOR:
        error = fabs(scale - 1);
        break;
    case VSA_TARGET_NUMERATOR:
        for (uint32_t c = 0; c < row->head_dim; c++) {
            e.out[c] *= scale;
        }
        error = ref_relative_error(e.out, truth, row->head_dim);
        break;
    default:
        error = ref_relative_error(e.out, truth, row->head_dim);
    }
    t->sampled[t->rows - 1 - t->exact] = samples;
    t->met[extensions]++;
    t->samples += samples;
    t->read += samples + row->length - row->residual_count;
    if (error > o->epsilon) {
        t->failures++;
        t->met_failures[extensions]++;
    }
}

static void *run_worker(void *argument)
{
    worker *w = argument;
    const options *o = w->options;
    uint32_t n = o->tokens;
    vsa_policy policy = { .method = VSA_METHOD_VATTENTION,
                          .sink_tokens = o->ends,
                          .window_tokens = o->ends,
                          .top_k_fraction = (float)o->top_k,
                          .base_samples = o->base_min,
                          .base_fraction = (float)o->base,
                          .base_max_samples = o->base_max,
                          .epsilon = (float)o->epsilon,
                          .delta = (float)o->delta };
    ref_random random = { w->seed + w->first_row };
    float *v = malloc((size_t)n * o->dim * sizeof *v);
    double *logits = malloc(n * sizeof *logits);
    uint8_t *member = malloc(n);
    uint32_t *samples = malloc(n * sizeof *samples);
    double truth[REF_MAX_DIM];
    for (uint32_t i = 0; i < w->row_count; i++) {
        if (i % ROWS_PER_VALUES == 0) {
            make_values(&random, w->values, n, o->dim, v);
        }
        for (uint32_t t = 0; t < n; t++) {
            logits[t] = w->scores->logit(&random, t, n);
        }
        const double *heads[1] = { logits };
        ref_exact_set set;
        ref_select(&policy, heads, 1, n, &set, member);
        ref_permutation permutation;
        ref_permutation_init(&permutation, w->seed, 0, 0, w->first_row + i, n);
        ref_draw(&permutation, member, set.residual_count / 2 + 64, samples);
        ref_row row = { logits, v, o->dim, o->dim, n, member, set.residual_count, samples };
        double truth_log = ref_attend(logits, v, o->dim, o->dim, n, truth);
        for (int target = 0; target < TARGETS; target++) {
            policy.target = (vsa_target)(VSA_TARGET_DENOMINATOR + target);
            decode(o, &policy, &row, truth, truth_log, &w->tallies[target]);
        }
    }
    free(v);
    free(logits);
    free(member);
    free(samples);
    return NULL;
}

static int compare_counts(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int report(const options *o, const worker *workers, const score_model *scores,
                  const value_model *values, int target)
{
    static const char *const target_names[TARGETS] = { "denominator", "numerator", "output" };
    tally sum = { 0 };
    uint32_t *sampled = malloc((o->rows + 1) * sizeof *sampled), met = 0;
    for (int w = 0; w < THREADS; w++) {
        const tally *t = &workers[w].tallies[target];
        uint32_t met_here = t->rows - t->exact;
        memcpy(sampled + met, t->sampled, met_here * sizeof *sampled);
        met += met_here;
        sum.rows += t->rows;
        sum.failures += t->failures;
        sum.exact += t->exact;
        sum.samples += t->samples;
        sum.read += t->read;
        sum.last += t->last;
        for (int e = 0; e <= REF_MAX_EXTENSIONS; e++) {
            sum.met[e] += t->met[e];
            sum.evaluated[e] += t->evaluated[e];
            sum.met_failures[e] += t->met_failures[e];
        }
    }
    qsort(sampled, met, sizeof *sampled, compare_counts);
    double p = ref_binomial_tail(sum.failures, sum.rows, o->delta);
    double p_met = ref_binomial_tail(sum.failures, met, o->delta);
    printf("%-9s %-7s %-12s fail %5.2f%% of all %5.2f%% of met  exact %5.1f%%  samples %6.0f "
           "median %5u  density %5.3f  met ",
           scores->name, values->name, target_names[target], 100.0 * sum.failures / sum.rows,
           met ? 100.0 * sum.failures / met : 0.0, 100.0 * sum.exact / sum.rows,
           met ? sum.samples / met : 0.0, met ? sampled[met / 2] : 0,
           sum.read / ((double)sum.rows * o->tokens));
    for (int e = 0; e <= REF_MAX_EXTENSIONS; e++) {
        printf("%u/%u(%u) ", sum.met[e], sum.evaluated[e], sum.met_failures[e]);
    }
    printf(" last %u  p %.4f%s%s\n", sum.last, p, p < 0.01 ? " FAILS" : "",
           met > 200 && p_met < 0.01 && p >= 0.01 ? " fails-among-met" : "");
    fflush(stdout);
    free(sampled);
    return p < 0.01;
}

static int run_cell(const options *o, const score_model *scores, const value_model *values)
{
    worker workers[THREADS];
    pthread_t threads[THREADS];
    int failed = 0;
    for (int w = 0; w < THREADS; w++) {
        uint32_t share = o->rows / THREADS;
        workers[w] = (worker){ .options = o, .scores = scores, .values = values,
                               .first_row = (uint32_t)w * share, .row_count = share,
                               .seed = 0x5eed + 0x10001 * (uint64_t)(scores - score_models)
                                       + 0x1000003 * (uint64_t)(values - value_models) };
        for (int t = 0; t < TARGETS; t++) {
            workers[w].tallies[t].sampled = malloc((share + 1) * sizeof(uint32_t));
        }
        pthread_create(&threads[w], NULL, run_worker, &workers[w]);
    }
    for (int w = 0; w < THREADS; w++) {
        pthread_join(threads[w], NULL);
    }
    for (int t = 0; t < TARGETS; t++) {
        failed |= report(o, workers, scores, values, t);
        for (int w = 0; w < THREADS; w++) {
            free(workers[w].tallies[t].sampled);
        }
    }
    return failed;
}

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

static int set_option(options *o, const char *name, const char *value)
{
    const struct {
        const char  *name;
        uint32_t    *count;
        double      *number;
        const char **text;
    } known[] = {
        { "--rows", &o->rows, NULL, NULL },        { "--tokens", &o->tokens, NULL, NULL },
        { "--dim", &o->dim, NULL, NULL },          { "--ends", &o->ends, NULL, NULL },
        { "--base-min", &o->base_min, NULL, NULL }, { "--base-max", &o->base_max, NULL, NULL },
        { "--epsilon", NULL, &o->epsilon, NULL },  { "--delta", NULL, &o->delta, NULL },
        { "--top-k", NULL, &o->top_k, NULL },      { "--base", NULL, &o->base, NULL },
        { "--scores", NULL, NULL, &o->scores },    { "--values", NULL, NULL, &o->values },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            if (known[i].count != NULL) {
                *known[i].count = (uint32_t)strtoul(value, NULL, 10);
            } else if (known[i].number != NULL) {
                *known[i].number = strtod(value, NULL);
            } else {
                *known[i].text = value;
            }
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    options o = { .rows = 2000, .tokens = 4096, .dim = 64, .ends = 128, .base_min = 64,
                  .base_max = 256, .epsilon = .1, .delta = .1, .top_k = .02,
                  .base = .025, .scores = "all", .values = "mean,zero" };
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !set_option(&o, argv[i], argv[i + 1])) {
            fprintf(stderr, "coverage: unknown option, or one without a value: %s\n", argv[i]);
            return 2;
        }
    }
    int failed = 0;
    printf("tokens %u dim %u epsilon %g delta %g rows %u ends %u top-k %g\n", o.tokens, o.dim,
           o.epsilon, o.delta, o.rows, o.ends, o.top_k);
    for (size_t v = 0; v < sizeof value_models / sizeof *value_models; v++) {
        for (size_t s = 0; s < sizeof score_models / sizeof *score_models; s++) {
            if (listed(o.values, value_models[v].name) && listed(o.scores, score_models[s].name)) {
                failed |= run_cell(&o, &score_models[s], &value_models[v]);
            }
        }
    }
    return failed;
}
