/* Method guided for a group of one row. */
#include "fast_work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STAGES = REF_MAX_EXTENSIONS + 1, MIN_SAMPLES = 8 };

#define HEAVY        0.5f
#define LEAST_GROWTH (1 + 1.0 / 16)
#define FEW_GROWTH   2

/* One decision procedure: a goal. */
typedef struct job {
    const stat_goal *goal;
    double        c;          /* of the next stage; 0 = finished */
    float         centre[STAT_MAX_DIM];
    stat_outcome *out;
} job;

/* Sums over the tokens of a stage for one c. */
typedef struct sums {
    double   c;
    uint32_t heavy, sampled;
    double   light;           /* W */
    double   squares, certain;   /* of the samples: sum x^2, x^2 pi */
    double   radius2;         /* largest |v|^2 of what is read */
    double   exact_norms;     /* C_f */
    double   l, norms;        /* of the samples: sum x, x |v|^2 */
    double   exact[STAT_MAX_DIM], B[STAT_MAX_DIM];
    double   trace, rank;
} sums;

typedef struct state {
    stat_work           *work;
    const stat_values   *values;
    const stat_row      *row;
    const stat_settings *settings;
    vsa_bound            bound;
    ref_draw_key         key;
    ref_permutation      permutation;
    ref_exact_set        set;
    uint32_t candidates;
    /* By number of heavy bins: H, T, Q, in units of the row's largest weight, as all that follows:
     * that makes this c the spec's over exp(m). */
    double reference;         /* m */
    double heavy[REF_BINS + 1], light[REF_BINS + 1], squares[REF_BINS + 1];
    double omega[REF_BINS + 1];
    double all_weight;        /* over the candidates */
    double end_weight, end_norms, end_radius2, end_value[STAT_MAX_DIM];   /* sink and window */
    uint32_t listed;
} state;

static uint32_t group_count(const sums *s)
{
    return s->sampled < REF_GROUPS ? s->sampled : REF_GROUPS;
}

/* ------------------------------------------------------------------ scales */

static void count_bins(state *s)
{
    uint32_t count[REF_BINS] = { 0 };
    float scores[REF_PROBE_RUNS * REF_PROBE_RUN], reference = -INFINITY;
    ref_probe probe;
    ref_probe_make(&s->key, s->set.sink_end, s->set.window_begin, &probe);
    for (uint32_t j = 0; j < probe.count; j++) {
        scores[j] = s->row->s[probe.tokens[j]];
        reference = fmaxf(reference, scores[j]);
    }
    s->reference = (double)reference;
    for (uint32_t j = 0; j < probe.count; j++) {
        float bin = 16 * (reference - scores[j]);
        count[bin < REF_BINS ? (uint32_t)bin : REF_BINS - 1] += probe.step;
    }
    s->light[REF_BINS] = s->squares[REF_BINS] = s->omega[REF_BINS] = 0;
    for (int k = REF_BINS - 1; k >= 0; k--) {
        double w = exp(s->reference - (k + 0.5) / 16);
        s->omega[k] = w;
        s->light[k] = s->light[k + 1] + count[k] * w;
        s->squares[k] = s->squares[k + 1] + count[k] * w * w;
    }
    s->heavy[0] = 0;
    for (int k = 0; k < REF_BINS; k++) {
        s->heavy[k + 1] = s->heavy[k] + count[k];
    }
}

static ref_scale scale_made(const state *s, double c, int t)
{
    return (ref_scale){ c, c * s->light[t], s->heavy[t] + c * s->light[t], s->light[t],
                        fmax(s->light[t] / c - s->squares[t], 0) };
}

static ref_scale scale_for_samples(const state *s, double samples)
{
    for (int t = 0; t < REF_BINS && s->light[t] > 0; t++) {
        if (samples / s->light[t] * s->omega[t] < (double)HEAVY) {
            return scale_made(s, samples / s->light[t], t);
        }
    }
    return (ref_scale){ 0 };
}

static ref_scale scale_for_tokens(const state *s, double tokens)
{
    for (int t = 0; t < REF_BINS && s->light[t] > 0 && s->heavy[t] < tokens; t++) {
        double c = (tokens - s->heavy[t]) / s->light[t];
        if (c * s->omega[t] < (double)HEAVY) {
            return scale_made(s, c, t);
        }
    }
    return (ref_scale){ 0 };
}

static ref_scale scale_for_squares(const state *s, double squares)
{
    for (int t = 0; t < REF_BINS && s->light[t] > 0; t++) {
        double c = s->light[t] / (squares + s->squares[t]);
        if (c * s->omega[t] < (double)HEAVY) {
            return scale_made(s, c, t);
        }
    }
    return (ref_scale){ 0 };
}

static ref_scale scale_of(const state *s, double c)
{
    double t = 16 * (s->reference + log(c / (double)HEAVY)) - 0.5;   /* c omega_t = HEAVY */
    int first = t < 0 ? 0 : t >= REF_BINS ? REF_BINS : (int)t + 1;
    return scale_made(s, c, first);
}

/* ------------------------------------------------------------------ draws */

static void hash_tokens(state *s, uint32_t stage)
{
    uint32_t start = 0x9e3779b9u + (s->bound == VSA_BOUND_STRICT ? stage : 0);
    uint32_t key = ref_key(start, &s->key);
    for (uint32_t i = 0; i < s->values->tokens; i += LANES) {
        vecu hash = vec_mix32((key ^ vec_iota(i)) + 0x9e3779b9u);
        memcpy(s->work->hash + i, &hash, sizeof hash);
    }
}

static int is_read(float p, uint32_t hash)
{
    return p >= HEAVY || hash <= (uint32_t)(p * 0x1p32f);
}

/* The tokens that scale c reads, in ascending order. */
static void list_tokens(state *s, float c)
{
    stat_work *work = s->work;
    uint32_t count = 0;
    for (uint32_t i = s->set.sink_end; i < s->set.window_begin; i++) {
        work->list_token[count] = i;
        work->list_hash[count] = work->hash[i];
        work->list_weight[count] = s->row->w[i];
        count += (uint32_t)is_read(c * s->row->w[i], work->hash[i]);
    }
    s->listed = count;
}

/* The same for a scale that is smaller than that of the list. */
static void shorten_list(state *s, float c)
{
    stat_work *work = s->work;
    uint32_t count = 0;
    for (uint32_t j = 0; j < s->listed; j++) {
        uint32_t hash = work->list_hash[j];
        float w = work->list_weight[j];
        work->list_token[count] = work->list_token[j];
        work->list_hash[count] = hash;
        work->list_weight[count] = w;
        count += (uint32_t)is_read(c * w, hash);
    }
    s->listed = count;
}

/* ------------------------------------------------------------------ sums */

static void add_value(double *sum, const float *v, float w, uint32_t dim)
{
    for (uint32_t i = 0; i < dim; i++) {
        sum[i] += (double)(w * v[i]);
    }
}

static void sum_ends(state *s)
{
    uint32_t n = s->values->tokens, dim = s->values->dim;
    for (uint32_t i = 0; i < n; i++) {
        if (i == s->set.sink_end) {
            i = s->set.window_begin;
        }
        if (i < n) {
            s->end_weight += (double)s->row->w[i];
            s->end_norms += (double)(s->row->w[i] * s->values->norm2[i]);
            s->end_radius2 = fmax(s->end_radius2, (double)s->values->norm2[i]);
            add_value(s->end_value, s->values->v + (size_t)i * dim, s->row->w[i], dim);
        }
    }
    for (uint32_t i = s->set.sink_end; i < s->set.window_begin; i++) {
        s->all_weight += (double)s->row->w[i];
    }
}

/* Splits the list into heavy tokens, which are summed, and samples. */
static void split_list(state *s, sums *out)
{
    stat_work *work = s->work;
    uint32_t dim = s->values->dim;
    double heavy_weight = 0;
    float radius2 = (float)s->end_radius2;
    for (uint32_t j = 0; j < s->listed; j++) {
        uint32_t token = work->list_token[j];
        float w = work->list_weight[j], p = (float)out->c * w;
        radius2 = fmaxf(radius2, s->values->norm2[token]);
        if (p >= HEAVY) {
            out->heavy++;
            heavy_weight += (double)w;
            out->exact_norms += (double)(w * s->values->norm2[token]);
            add_value(out->exact, s->values->v + (size_t)token * dim, w, dim);
        } else {
            double pi = ((uint32_t)(p * 0x1p32f) + 1.0) * 0x1p-32, x = (double)w / pi;
            work->samples[out->sampled] = token;
            work->x[out->sampled++] = (float)x;
            out->squares += x * x;
            out->certain += x * x * pi;
        }
    }
    out->radius2 = (double)radius2;
    out->light = s->all_weight - heavy_weight;
    if (out->heavy == s->candidates || out->light <= REF_NOTHING * s->row->D) {
        out->light = 0;
    }
}

static void sum_groups(state *s, sums *out)
{
    stat_work *work = s->work;
    stat_groups *groups = &work->groups;
    uint32_t dim = s->values->dim, count = out->sampled;
    memset(groups, 0, sizeof *groups);
    if (count == 0) {
        return;
    }
    ref_permutation_resize(&s->permutation, count);
    for (uint32_t first = 0; first < count; first += LANES) {
        vecu counters = vec_iota(first);
        uint32_t valid = count - first < LANES ? count - first : LANES;
        for (uint32_t lane = valid; lane < LANES; lane++) {
            counters[lane] = 0;
        }
        vecu place = stat_permute(&s->permutation, counters);
        for (uint32_t lane = 0; lane < valid; lane++) {
            uint32_t token = work->samples[first + lane], g = place[lane] % group_count(out);
            float x = work->x[first + lane];
            const float *v = s->values->v + (size_t)token * dim;
            for (uint32_t i = 0; i < dim; i += LANES) {
                float *sum = &groups->value[g][i];
                vec_store(sum, vec_load(sum) + x * vec_load(v + i));
            }
            groups->weight[g] += x;
        }
    }
}

static void sum_samples(state *s, sums *out)
{
    stat_work *work = s->work;
    uint32_t dim = s->values->dim;
    vecf B[STAT_MAX_DIM / LANES];
    for (uint32_t i = 0; i < dim / LANES; i++) {
        B[i] = vec_set(0);
    }
    for (uint32_t j = 0; j < out->sampled; j++) {
        uint32_t token = work->samples[j];
        float x = work->x[j];
        const float *v = s->values->v + (size_t)token * dim;
        out->l += (double)x;
        out->norms += (double)x * (double)s->values->norm2[token];
        for (uint32_t i = 0; i < dim / LANES; i++) {
            B[i] += x * vec_load(v + i * LANES);
        }
    }
    for (uint32_t i = 0; i < dim; i++) {
        out->B[i] = (double)B[i / LANES][i % LANES];
    }
}

/* Everything that the tokens of scale c say, without a goal. */
static void sum_stage(state *s, double c, sums *out)
{
    memset(out, 0, sizeof *out);
    out->c = c;
    memcpy(out->exact, s->end_value, sizeof out->exact);
    out->exact_norms = s->end_norms;
    split_list(s, out);
    sum_samples(s, out);
    if (s->bound == VSA_BOUND_CLT && out->sampled >= MIN_SAMPLES && out->light > 0) {
        float mean[STAT_MAX_DIM];
        sum_groups(s, out);
        for (uint32_t i = 0; i < s->values->dim; i++) {
            mean[i] = (float)(out->B[i] / out->l);
        }
        stat_spread(&s->work->groups, group_count(out), mean, out->light / out->l / s->row->D,
                    s->values->dim, &out->trace, &out->rank);
    }
}

/* ------------------------------------------------------------------ judgement */

typedef struct judgement {
    double    error;
    ref_scale next;
    double    size2;
    uint32_t  flags;
    double    out[STAT_MAX_DIM];
} judgement;

static void judge_clt(const state *s, const sums *t, const job *j, uint32_t stage,
                      judgement *result)
{
    double D = s->row->D, R = t->l > 0 ? t->light / t->l : 0, V = 0, out2 = 0;
    for (uint32_t i = 0; i < s->values->dim; i++) {
        result->out[i] = (t->exact[i] + R * t->B[i]) / D;
        out2 += result->out[i] * result->out[i];
    }
    double eta = (double)s->settings->policy.value_floor, length = sqrt(out2);
    double rest = t->light > 0 ? 2 * (t->light / D + 1e-6) * sqrt(t->radius2) : 0;
    double rest_error = !(eta > 0) && rest < length ? rest / (length - rest) : (double)INFINITY;
    int few = t->light > 0 && t->sampled < MIN_SAMPLES;
    if (t->light > 0 && !few) {
        V = group_count(t) * t->trace * (1 - t->certain / t->squares);
    }
    double rms2 = (t->exact_norms + R * t->norms) / D;
    result->size2 = few ? out2 : ref_relative_size(out2, V, eta, rms2, &result->flags);
    if (t->light > 0 && !few) {
        stat_shrink(result->out, t->exact, D - t->light, s->values->dim, V, t->rank);
    }
    double q = t->rank > 0 ? stat_quantile(j->goal, t->rank, group_count(t)) : 0;
    double error = few ? (double)INFINITY : sqrt(q * V / result->size2);
    result->error = fmin(error, rest_error);
    if (result->error <= j->goal->epsilon || result->size2 <= 0) {
        return;
    }
    double A = scale_of(s, t->c).squares, ratio = j->goal->epsilon / result->error;
    double margin = stage + 1 < STAGES ? s->settings->guided_margin[stage] : 0;
    if (few || A <= 0) {
        result->next = scale_of(s, fmax(scale_for_samples(s, REF_FEW_WANTED).c, FEW_GROWTH * t->c));
    } else {
        result->next = scale_for_squares(s, A * fmin(ratio * ratio / (1 + margin),
                                                     1 / LEAST_GROWTH));
    }
}

static double bernstein(double M, double y, double delta)
{
    double L = log(2 / (0.9 * delta)), Lv = log(1 / (0.1 * delta));
    double deviation = sqrt(y + M * M * Lv / 2) + M * sqrt(Lv / 2);
    double range = M * L / 3;
    return range + sqrt(range * range + 2 * deviation * deviation * L);
}

static double strict_scale(double c, double M, double y, double delta, double goal)
{
    double low = 0, high = 1;
    while (high < 64 && bernstein(M * exp2(-high), y * exp2(-high), delta) > goal) {
        high *= 2;
    }
    for (int i = 0; i < 24; i++) {
        double middle = 0.5 * (low + high), shrink = exp2(-middle);
        if (bernstein(M * shrink, y * shrink, delta) > goal) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return c * exp2(high);
}

static void judge_strict(const state *s, const sums *t, const job *j, uint32_t stage,
                         judgement *result)
{
    const double *share = s->settings->stage_share;
    double D = s->row->D, epsilon = j->goal->epsilon, out2 = 0, centre2 = 0, along = 0, mean2 = 0;
    for (uint32_t i = 0; i < s->values->dim; i++) {
        double a = (double)j->centre[i];
        result->out[i] = (t->exact[i] + t->B[i] + (t->light - t->l) * a) / D;
        out2 += result->out[i] * result->out[i];
        centre2 += a * a;
        along += a * t->B[i];
        mean2 += t->l > 0 ? t->B[i] * t->B[i] / (t->l * t->l) : 0;
    }
    double radius = (double)s->values->radius, length = sqrt(out2);
    double reach = radius + sqrt(centre2), M = reach / t->c;
    double y = fmax(t->norms - 2 * along + centre2 * t->l, 0) / t->c;
    double own = t->light > 0 ? bernstein(M, y, share[stage] * j->goal->delta) / D : 0;
    own = fmin(own, (t->light + t->l) * reach / D);
    own = t->light > 0 ? own : 0;
    result->size2 = out2;
    result->error = own < length ? own / (length - own) : (double)INFINITY;
    result->next = scale_of(s, t->c);
    if (result->error <= epsilon || stage + 1 == STAGES) {
        return;
    }
    double next_M = (radius + sqrt(mean2)) / t->c, next_y = fmax(t->norms - mean2 * t->l, 0) / t->c;
    double goal = epsilon * length * D / (1 + epsilon), delta = share[stage + 1] * j->goal->delta;
    double light = scale_of(s, t->c).light, c = t->c, left = 1;
    for (int i = 0; i < 3; i++) {
        c = strict_scale(t->c, next_M, next_y * left, delta, goal);
        left = light > 0 ? scale_of(s, c).light / light : 1;
    }
    result->next = scale_of(s, c * (1 + s->settings->strict_margin[stage]));
}

static void finish(state *s, job *j, const sums *t, int met, const judgement *judged)
{
    stat_outcome *out = j->out;
    j->c = 0;
    out->met = (uint8_t)met;
    out->flags = (uint8_t)judged->flags;
    out->samples = t->sampled;
    out->exact = s->values->tokens - s->candidates + t->heavy;
    out->certified = met ? (float)judged->error : 0;
    out->error = met ? (float)stat_error(s->row, s->settings, judged->out, 1, s->values->dim) : 0;
}

static void decide(state *s, job *j, const sums *t, uint32_t stage)
{
    judgement judged = { 0 };
    j->out->stages = (uint8_t)(stage + 1);
    /* Sink and window are read in stage 0 alone. */
    j->out->gathered += (stage == 0 ? s->values->tokens - s->candidates : 0) + t->heavy + t->sampled;
    if (s->bound == VSA_BOUND_STRICT) {
        judge_strict(s, t, j, stage, &judged);
    } else {
        judge_clt(s, t, j, stage, &judged);
    }
    if (judged.size2 > 0 && judged.error <= j->goal->epsilon) {
        finish(s, j, t, 1, &judged);
    } else if (judged.size2 <= 0 || judged.next.c <= 0
               || 2 * judged.next.tokens >= s->candidates) {
        judged.flags |= VSA_CERTIFICATE_UNATTAINABLE;
        finish(s, j, t, 0, &judged);
    } else if (stage + 1 == STAGES) {
        finish(s, j, t, 0, &judged);
        j->out->last = 1;
    } else {
        j->c = (double)(float)judged.next.c;
        for (uint32_t i = 0; i < s->values->dim; i++) {
            j->centre[i] = t->l > 0 ? (float)(t->B[i] / t->l) : 0;
        }
    }
}

static int compare_scales(const void *a, const void *b)
{
    const job *x = *(job *const *)a, *y = *(job *const *)b;
    return x->c > y->c ? -1 : x->c < y->c;
}

/* All goals of one stage, the largest scale first. */
static void run_stage(state *s, job *jobs, uint32_t stage)
{
    job *order[STAT_MAX_GOALS];
    uint32_t open = 0;
    sums *t = malloc(sizeof *t);
    for (uint32_t i = 0; i < s->settings->goal_count; i++) {
        if (jobs[i].c > 0) {
            order[open++] = &jobs[i];
        }
    }
    qsort(order, open, sizeof *order, compare_scales);
    if (open > 0) {
        hash_tokens(s, stage);
        list_tokens(s, (float)order[0]->c);
    }
    for (uint32_t i = 0; i < open; i++) {
        double c = order[i]->c;
        if (i == 0 || c < t->c) {
            shorten_list(s, (float)c);
            sum_stage(s, c, t);
        }
        decide(s, order[i], t, stage);
    }
    free(t);
}

/* Stage 0: `base` expected tokens, 24 of them samples unless the light tokens hold no more than
 * `negligible` of all weight, in at most a quarter of the candidates. */
static ref_scale first_scale(const state *s, uint32_t base, double negligible)
{
    ref_scale most = scale_for_tokens(s, s->candidates / 4.0);
    ref_scale wanted = scale_for_tokens(s, base), enough = scale_for_samples(s, REF_FEW_WANTED);
    int alone = wanted.c > 0 && wanted.light <= negligible * s->light[0];
    if (!alone && (enough.c <= 0 || enough.c > wanted.c)) {
        wanted = enough;
    }
    return wanted.c <= 0 || wanted.c > most.c ? most : wanted;
}

void stat_guided(stat_work *work, const stat_batch *batch, const stat_row *row,
                 const stat_settings *settings, vsa_bound bound, uint64_t seed, uint32_t kv_head,
                 stat_outcome *out)
{
    job jobs[STAT_MAX_GOALS];
    state s = { .work = work, .values = &batch->values, .row = row, .settings = settings,
                .bound = bound,
                .key = { seed, 0, 0, kv_head, batch->values.tokens } };
    ref_permutation_init(&s.permutation, seed, 0, 0, kv_head, batch->values.tokens);
    vsa_policy policy = settings->policy;
    policy.method = VSA_METHOD_GUIDED;
    ref_exact_counts(&policy, batch->values.tokens, &s.set);
    s.candidates = s.set.window_begin - s.set.sink_end;
    uint32_t base = ref_base_samples(&policy, s.candidates);
    count_bins(&s);
    sum_ends(&s);
    int knows_rest = bound == VSA_BOUND_CLT && !(policy.value_floor > 0);
    for (uint32_t i = 0; i < settings->goal_count; i++) {
        const stat_goal *goal = &settings->goals[i];
        double c = base > 0 ? first_scale(&s, base, knows_rest ? goal->epsilon / 8 : 0).c : 0;
        out[i] = (stat_outcome){ .flags = base > 0 && c <= 0 ? VSA_CERTIFICATE_UNATTAINABLE : 0 };
        jobs[i] = (job){ .goal = goal, .c = (double)(float)c, .out = &out[i] };
    }
    for (uint32_t stage = 0; stage < STAGES; stage++) {
        run_stage(&s, jobs, stage);
    }
}
