/* Method guided: which tokens a group reads, and what its rows conclude. "Guided". */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_SAMPLES = 8, STAGES = REF_MAX_EXTENSIONS + 1 };

#define HEAVY         0.5              /* probability from which on a token is read surely */
#define LEAST_GROWTH  (1 + 1.0 / 16)   /* of c, or of 1 / A */
#define STRICT_MARGIN 1.1              /* of c */

/* Bound clt, of 1 / A, by extension: no extension follows the last. */
static const double margin[STAGES - 1] = { 3.0 / 16, 3.0 / 16, 1.0 / 2 };
/* Bound strict: shares of delta that the stages spend. */
static const double stage_share[STAGES] = { 0.02, 0.9, 0.06, 0.02 };

static double row_maximum(const ref_group *group, uint32_t head)
{
    double maximum = -INFINITY;
    for (uint32_t i = 0; i < group->length; i++) {
        maximum = fmax(maximum, group->logits[head][i]);
    }
    return maximum;
}

/* ------------------------------------------------------------------ draws */

void ref_guided_draw_stage(const vsa_policy *policy, const ref_group *group, const double *c,
                           uint32_t stage, ref_guided_draw *out)
{
    uint32_t length = group->length, count = 0;
    ref_exact_set set;
    ref_exact_counts(policy, length, &set);
    *out = (ref_guided_draw){ .member = malloc(length),
                              .probability = calloc(length, sizeof(double)),
                              .samples = malloc(length * sizeof(uint32_t)) };
    for (uint32_t head = 0; head < group->heads; head++) {
        double maximum = row_maximum(group, head);
        for (uint32_t i = set.sink_end; c[head] > 0 && i < set.window_begin; i++) {
            double wish = c[head] * exp(group->logits[head][i] - maximum);
            out->probability[i] = fmax(out->probability[i], wish);
        }
    }
    uint32_t start = 0x9e3779b9u + (policy->bound == VSA_BOUND_STRICT ? stage : 0);
    uint32_t key = ref_key(start, &group->key);
    uint32_t *ascending = malloc(length * sizeof *ascending);
    for (uint32_t i = 0; i < length; i++) {
        int candidate = i >= set.sink_end && i < set.window_begin;
        out->member[i] = !candidate || out->probability[i] >= HEAVY;
        if (out->member[i]) {
            out->probability[i] = 1;
            out->heavy_count += candidate;
            continue;
        }
        uint32_t t = (uint32_t)(out->probability[i] * 0x1p32);
        out->probability[i] = (t + 1.0) * 0x1p-32;
        if (ref_chain(key, i) <= t) {
            ascending[count++] = i;
        }
    }
    out->sample_count = count;
    if (count > 0) {
        ref_permutation permutation;
        ref_permutation_init(&permutation, group->key.seed, group->key.stream,
                             group->key.sequence, group->key.kv_head, group->key.length);
        ref_permutation_resize(&permutation, count);
        for (uint32_t p = 0; p < count; p++) {
            out->samples[ref_permute(&permutation, p)] = ascending[p];
        }
    }
    free(ascending);
}

void ref_guided_draw_free(ref_guided_draw *draw)
{
    free(draw->member);
    free(draw->probability);
    free(draw->samples);
    memset(draw, 0, sizeof *draw);
}

/* ------------------------------------------------------------------ one row */

typedef struct sample {
    ref_sums exact, groups[REF_GROUPS], all;   /* of the samples: weights are x = w / pi */
    double   W, A, Q;   /* of the candidates below HEAVY: sum w, w^2 (1 / pi - 1), w^2 */
    double   radius;   /* r = max |v|, over all tokens */
} sample;

static uint32_t group_count(const ref_guided_draw *draw)
{
    return draw->sample_count < REF_GROUPS ? draw->sample_count : REF_GROUPS;
}

static int gather(const ref_group *group, uint32_t head, const ref_guided_draw *draw,
                  double maximum, sample *s)
{
    const double *logits = group->logits[head];
    int finite = 1;
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < group->length && finite; i++) {
        const float *v = group->v + i * group->v_stride;
        double weight = exp(logits[i] - maximum), pi = draw->probability[i], norm2 = 0;
        for (uint32_t c = 0; c < group->head_dim; c++) {
            norm2 += (double)v[c] * (double)v[c];
        }
        s->radius = fmax(s->radius, sqrt(norm2));
        if (draw->member[i]) {
            finite = ref_sums_add(&s->exact, v, group->head_dim, weight);
        } else {
            s->W += weight;
            s->A += weight * weight * (1 / pi - 1);
            s->Q += weight * weight;
        }
    }
    for (uint32_t j = 0; j < draw->sample_count && finite; j++) {
        uint32_t i = draw->samples[j];
        double x = exp(logits[i] - maximum) / draw->probability[i];
        finite = ref_sums_add(&s->groups[j % group_count(draw)], group->v + i * group->v_stride,
                              group->head_dim, x);
    }
    for (uint32_t g = 0; g < REF_GROUPS; g++) {
        ref_sums_merge(&s->all, &s->groups[g], group->head_dim);
    }
    return finite;
}

/* Bound clt: the ratio estimate and its error. Returns what A would have to be. */
static double clt(const vsa_policy *policy, const ref_group *group, const sample *s,
                  uint32_t groups, ref_guided_estimate *e)
{
    double epsilon = (double)policy->epsilon, eta = (double)policy->value_floor;
    double R = s->W > 0 ? s->W / s->all.weight : 0, V = 0;
    ref_spread spread = { 0 };
    for (uint32_t c = 0; c < group->head_dim; c++) {
        e->out[c] = (s->exact.value[c] + R * s->all.value[c]) / e->denominator;
    }
    if (s->W > 0) {
        ref_group_spread(s->groups, groups, e->light_mean, R / e->denominator, group->head_dim,
                         (double)policy->delta, &spread);
        V = groups * spread.trace * s->A / (s->A + s->Q);
    }
    double rms2 = (s->exact.norms + R * s->all.norms) / e->denominator;
    double size2 = ref_relative_size(ref_dot(e->out, e->out, group->head_dim), V, eta, rms2,
                                     &e->flags);
    e->rank = spread.rank;
    e->error = size2 > 0 ? sqrt(spread.quantile * V / size2) : (double)INFINITY;
    return s->A * epsilon / e->error * epsilon / e->error;
}

/* |error| D that Bernstein's inequality leaves: terms up to M, observed squares y. */
static double bernstein(double M, double y, double delta)
{
    double L = log(2 / (0.9 * delta)), Lv = log(1 / (0.1 * delta));
    double deviation = sqrt(y + M * M * Lv / 2) + M * sqrt(Lv / 2);
    double range = M * L / 3;
    return range + sqrt(range * range + 2 * deviation * deviation * L);
}

/* The smallest scale from c on that would meet the target: y and M as at c, of the next centre. */
static double strict_scale(double c, double M, double y, double delta, double goal)
{
    double low = 0, high = 1;   /* of log2(c' / c) */
    while (high < 64 && bernstein(M * exp2(-high), y * exp2(-high), delta) > goal) {
        high *= 2;
    }
    for (int i = 0; i < 40; i++) {
        double middle = 0.5 * (low + high), shrink = exp2(-middle);
        if (bernstein(M * shrink, y * shrink, delta) > goal) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return c * exp2(high);
}

/* Bound strict. Returns the next stage's scale, with its margin. */
static double strict(const vsa_policy *policy, const ref_group *group, const sample *s,
                     const ref_bins *bins, double c, const double *centre, uint32_t stage,
                     ref_guided_estimate *e)
{
    double epsilon = (double)policy->epsilon, delta = (double)policy->delta;
    uint32_t dim = group->head_dim;
    for (uint32_t i = 0; i < dim; i++) {
        double light = s->all.value[i] + (s->W - s->all.weight) * centre[i];
        e->out[i] = (s->exact.value[i] + light) / e->denominator;
    }
    double centre2 = ref_dot(centre, centre, dim);
    double M = (s->radius + sqrt(centre2)) / c;
    double along = ref_dot(centre, s->all.value, dim);
    double y = (s->all.norms - 2 * along + centre2 * s->all.weight) / c;
    double bound = s->W > 0 ? bernstein(M, fmax(y, 0), stage_share[stage] * delta) : 0;
    double own = bound / e->denominator, length = sqrt(ref_dot(e->out, e->out, dim));
    e->error = own < length ? own / (length - own) : (double)INFINITY;
    if (e->error <= epsilon || stage + 1 == STAGES || s->W <= 0) {
        return c;
    }
    double mean2 = ref_dot(e->light_mean, e->light_mean, dim);
    double next_M = (s->radius + sqrt(mean2)) / c;
    double next_y = fmax(s->all.norms - mean2 * s->all.weight, 0) / c;
    double goal = epsilon * length * e->denominator / (1 + epsilon);
    double light = ref_scale_of(bins, c).light, found = c, share = 1;
    /* A larger scale has fewer light tokens left: solved again with what the last answer leaves. */
    for (int i = 0; i < 3; i++) {
        found = strict_scale(c, next_M, next_y * share, stage_share[stage + 1] * delta, goal);
        share = light > 0 ? ref_scale_of(bins, found).light / light : 1;
    }
    return found * STRICT_MARGIN;
}

static ref_action decide(const vsa_policy *policy, uint32_t candidates, double c, uint32_t stage,
                         double limit_c, ref_guided_estimate *e)
{
    if (e->error <= (double)policy->epsilon) {
        return REF_ACTION_MET;
    }
    if (e->next.c <= 0 || 2 * e->next.tokens >= candidates) {
        e->flags |= VSA_CERTIFICATE_UNATTAINABLE;
        return REF_ACTION_DENSE;
    }
    int capped = e->next.c > limit_c;
    if (stage + 1 == STAGES || (capped && limit_c < LEAST_GROWTH * c)) {
        return policy->on_miss == VSA_MISS_DENSE ? REF_ACTION_DENSE : REF_ACTION_MISSED;
    }
    return REF_ACTION_EXTEND;
}

void ref_guided_evaluate(const vsa_policy *policy, const ref_group *group, uint32_t head,
                         const ref_guided_draw *draw, double c, const double *centre,
                         uint32_t stage, ref_guided_estimate *e)
{
    sample *s = malloc(sizeof *s);
    ref_exact_set set;
    ref_bins bins;
    int finite = 1;
    memset(e, 0, sizeof *e);
    ref_exact_counts(policy, group->length, &set);
    uint32_t candidates = set.window_begin - set.sink_end;
    e->shift = row_maximum(group, head);
    for (uint32_t i = 0; i < group->length; i++) {
        finite = finite && isfinite(group->logits[head][i]);
    }
    if (!finite || !gather(group, head, draw, e->shift, s)) {
        e->action = REF_ACTION_INVALID;
        free(s);
        return;
    }
    ref_bins_count(group->logits[head], set.sink_end, set.window_begin, e->shift, &bins);
    e->denominator = s->exact.weight + s->W;
    e->light_weight = s->W;
    e->squares = s->A;
    for (uint32_t i = 0; i < group->head_dim && s->all.weight > 0; i++) {
        e->light_mean[i] = s->all.value[i] / s->all.weight;
    }
    if (s->W > 0 && draw->sample_count < MIN_SAMPLES) {
        e->action = REF_ACTION_DENSE;
        free(s);
        return;
    }
    if (policy->bound == VSA_BOUND_STRICT) {
        double next = strict(policy, group, s, &bins, c, centre, stage, e);
        e->next = ref_scale_of(&bins, next);
        e->wanted = (uint32_t)fmin(ceil(ref_scale_of(&bins, next / STRICT_MARGIN).tokens),
                                   candidates);
    } else {
        double squares = clt(policy, group, s, group_count(draw), e);
        e->wanted = (uint32_t)fmin(ceil(ref_scale_for_squares(&bins, squares).tokens), candidates);
        double more = stage + 1 < STAGES ? 1 + margin[stage] : 1;
        e->next = ref_scale_for_squares(&bins, fmin(squares / more, s->A / LEAST_GROWTH));
    }
    if (policy->target == VSA_TARGET_DENOMINATOR) {
        e->error = 0;
        e->wanted = draw->heavy_count + draw->sample_count;
    }
    ref_scale limit = { .c = (double)INFINITY };
    if (policy->max_samples != 0) {
        limit = ref_scale_for_tokens(&bins, ref_sample_limit(policy));
    }
    e->action = decide(policy, candidates, c, stage, limit.c, e);
    if (e->next.c > limit.c) {
        e->next = limit;
    }
    free(s);
}

/* ------------------------------------------------------------------ the group */

/* Stage 0: every row's scale, 0 where it is dense. Returns how many are not. */
static uint32_t first_scales(const vsa_policy *policy, const ref_group *group, double *c)
{
    ref_exact_set set;
    ref_exact_counts(policy, group->length, &set);
    uint32_t candidates = set.window_begin - set.sink_end, open = 0;
    uint32_t base = ref_base_samples(policy, candidates);
    for (uint32_t head = 0; head < group->heads && base > 0; head++) {
        ref_bins bins;
        ref_bins_count(group->logits[head], set.sink_end, set.window_begin,
                       row_maximum(group, head), &bins);
        c[head] = ref_first_scale(&bins, base, fmin(candidates / 4.0, ref_sample_limit(policy))).c;
        open += c[head] > 0;
    }
    return open;
}

static void record(const ref_group *group, const ref_guided_draw *draw, uint32_t stage,
                   const ref_guided_estimate *e, ref_row_result *out)
{
    uint32_t members = 0;
    for (uint32_t i = 0; i < group->length; i++) {
        members += draw->member[i];
    }
    out->extensions = stage;
    out->path[stage] = draw->sample_count;
    out->gathered_tokens += members + draw->sample_count;
    out->exact_tokens = members;
    out->sampled_tokens = draw->sample_count;
    out->wanted_samples = e->wanted;
    out->flags = e->flags;
    out->error = e->error;
    if (e->action == REF_ACTION_INVALID) {
        out->status = VSA_CERTIFICATE_INVALID;
        out->error = out->normaliser_bound = (double)INFINITY;
        memset(out->out, 0, sizeof out->out);
        return;
    }
    out->status = e->action == REF_ACTION_MET ? VSA_CERTIFICATE_MET : VSA_CERTIFICATE_MISSED;
    memcpy(out->out, e->out, sizeof out->out);
    out->log_normaliser = e->shift + log(e->denominator);
}

void ref_decode_guided(const vsa_policy *policy, const ref_group *group, ref_row_result *out,
                       ref_guided_draw *last)
{
    double *c = calloc(group->heads, sizeof *c);
    double(*centre)[REF_MAX_DIM] = calloc(group->heads, sizeof *centre);
    ref_guided_draw draw = { 0 };
    memset(out, 0, group->heads * sizeof *out);
    uint32_t extended = first_scales(policy, group, c);
    for (uint32_t stage = 0; stage < STAGES && extended > 0; stage++) {
        ref_guided_draw_free(&draw);
        ref_guided_draw_stage(policy, group, c, stage, &draw);
        extended = 0;
        for (uint32_t head = 0; head < group->heads; head++) {
            ref_guided_estimate e;
            if (c[head] == 0) {
                continue;
            }
            ref_guided_evaluate(policy, group, head, &draw, c[head], centre[head], stage, &e);
            record(group, &draw, stage, &e, &out[head]);
            memcpy(centre[head], e.light_mean, sizeof centre[head]);
            if (e.action == REF_ACTION_EXTEND) {
                c[head] = e.next.c;
                extended++;
            } else if (e.action == REF_ACTION_DENSE) {
                c[head] = 0;
            }
        }
    }
    for (uint32_t head = 0; head < group->heads; head++) {
        if (c[head] == 0) {
            ref_finish_dense(group->logits[head], group->v, group->v_stride, group->head_dim,
                             group->length, &out[head]);
        }
    }
    if (last != NULL) {
        *last = draw;
    } else {
        ref_guided_draw_free(&draw);
    }
    free(centre);
    free(c);
}
