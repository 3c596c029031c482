/* Method guided: which tokens a group reads, and what its rows conclude. "Guided". */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_SAMPLES = 8, STAGES = REF_MAX_EXTENSIONS + 1 };

#define HEAVY         0.5              /* probability from which on a token is read surely */
#define LEAST_GROWTH  (1 + 1.0 / 16)   /* of c, or of 1 / A */
#define STRICT_MARGIN 1.1              /* of c */
#define FEW_GROWTH    2                /* of c, least, when there are too few samples to judge by */

/* Bound clt, of 1 / A, by extension: no extension follows the last. */
static const double margin[STAGES - 1] = { 3.0 / 16, 3.0 / 16, 1.0 / 2 };
/* Bound strict: shares of delta that the stages spend. */
static const double stage_share[STAGES] = { 0.02, 0.9, 0.06, 0.02 };

static void make_probe(const vsa_policy *policy, const ref_group *group, ref_probe *out)
{
    ref_exact_set set;
    ref_exact_counts(policy, group->length, &set);
    ref_probe_make(&group->key, set.sink_end, set.window_begin, out);
}

/* Is the error that the light tokens as a whole can make known? Then few of them will do. */
static int knows_rest(const vsa_policy *policy)
{
    return policy->bound == VSA_BOUND_CLT && policy->target != VSA_TARGET_DENOMINATOR
           && !(policy->value_floor > 0);
}

/* ------------------------------------------------------------------ draws */

void ref_guided_draw_stage(const vsa_policy *policy, const ref_group *group, const double *c,
                           uint32_t stage, ref_guided_draw *out)
{
    uint32_t length = group->length, count = 0;
    ref_exact_set set;
    ref_probe probe;
    ref_exact_counts(policy, length, &set);
    make_probe(policy, group, &probe);
    *out = (ref_guided_draw){ .member = malloc(length),
                              .probability = calloc(length, sizeof(double)),
                              .samples = malloc(length * sizeof(uint32_t)) };
    for (uint32_t head = 0; head < group->heads; head++) {
        double reference = ref_probe_reference(&probe, group->logits[head]);
        for (uint32_t i = set.sink_end; c[head] > 0 && i < set.window_begin; i++) {
            double wish = c[head] * exp(group->logits[head][i] - reference);
            out->probability[i] = fmax(out->probability[i], fmin(wish, 1));
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
    double   D, W;          /* sum of w: of all tokens; of the light ones */
    double   certainty;     /* pi~ */
    double   radius;        /* max |v| over all tokens */
    double   read_radius;   /* over those that were read */
} sample;

static uint32_t group_count(const ref_guided_draw *draw)
{
    return draw->sample_count < REF_GROUPS ? draw->sample_count : REF_GROUPS;
}

static double length_of(const float *v, uint32_t head_dim)
{
    double norm2 = 0;
    for (uint32_t c = 0; c < head_dim; c++) {
        norm2 += (double)v[c] * (double)v[c];
    }
    return sqrt(norm2);
}

static int gather(const ref_group *group, uint32_t head, const ref_guided_draw *draw,
                  double reference, sample *s)
{
    const double *logits = group->logits[head];
    double W = 0, squares = 0, certain = 0;   /* of the samples: sum x^2, x^2 pi */
    int finite = 1;
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < group->length && finite; i++) {
        const float *v = group->v + i * group->v_stride;
        double weight = exp(logits[i] - reference), length = length_of(v, group->head_dim);
        s->radius = fmax(s->radius, length);
        if (draw->member[i]) {
            s->read_radius = fmax(s->read_radius, length);
            finite = ref_sums_add(&s->exact, v, group->head_dim, weight);
        } else {
            W += weight;
        }
    }
    for (uint32_t j = 0; j < draw->sample_count && finite; j++) {
        uint32_t i = draw->samples[j];
        const float *v = group->v + i * group->v_stride;
        double pi = draw->probability[i], x = exp(logits[i] - reference) / pi;
        squares += x * x;
        certain += x * x * pi;
        s->read_radius = fmax(s->read_radius, length_of(v, group->head_dim));
        finite = ref_sums_add(&s->groups[j % group_count(draw)], v, group->head_dim, x);
    }
    for (uint32_t g = 0; g < REF_GROUPS; g++) {
        ref_sums_merge(&s->all, &s->groups[g], group->head_dim);
    }
    s->D = s->exact.weight + W;
    s->W = W > REF_NOTHING * s->D ? W : 0;
    s->certainty = squares > 0 ? certain / squares : 0;
    return finite;
}

/* The light tokens' mean and its estimate are both shorter than the longest value, if that was
 * among those read. */
static double rest_error(const vsa_policy *policy, const sample *s, double length)
{
    double rest = s->W > 0 ? 2 * (s->W / s->D + 1e-6) * s->read_radius : 0;
    return knows_rest(policy) && rest < length ? rest / (length - rest) : (double)INFINITY;
}

/* Bound clt: the ratio estimate and its error. Returns size^2. */
static double clt(const vsa_policy *policy, const ref_group *group, const sample *s,
                  uint32_t samples, ref_guided_estimate *e)
{
    uint32_t groups = samples < REF_GROUPS ? samples : REF_GROUPS;
    double R = s->W > 0 && samples > 0 ? s->W / s->all.weight : 0, V = 0;
    ref_spread spread = { 0 };
    for (uint32_t c = 0; c < group->head_dim; c++) {
        e->out[c] = (s->exact.value[c] + R * s->all.value[c]) / s->D;
    }
    double out2 = ref_dot(e->out, e->out, group->head_dim);
    e->rest_error = rest_error(policy, s, sqrt(out2));
    if (s->W > 0 && samples < MIN_SAMPLES) {
        e->error = e->rest_error;
        return out2;
    }
    if (s->W > 0) {
        ref_group_spread(s->groups, groups, e->light_mean, R / s->D, group->head_dim,
                         (double)policy->delta, &spread);
        V = groups * spread.trace * (1 - s->certainty);
    }
    double rms2 = (s->exact.norms + R * s->all.norms) / s->D;
    double size2 = ref_relative_size(out2, V, (double)policy->value_floor, rms2, &e->flags);
    e->rank = spread.rank;
    if (policy->target == VSA_TARGET_OUTPUT && s->W > 0) {
        ref_shrink(e->out, &s->exact, group->head_dim, V, spread.rank);
    }
    e->error = size2 > 0 ? fmin(sqrt(spread.quantile * V / size2), e->rest_error)
                         : (double)INFINITY;
    return size2;
}

/* Bound clt: the next stage's scale, and in *wanted that without a margin. */
static ref_scale clt_scale(const vsa_policy *policy, const ref_bins *bins, double c, int few,
                           uint32_t stage, double error, ref_scale *wanted, double *need)
{
    double epsilon = (double)policy->epsilon, ratio = epsilon / error;
    double more = stage + 1 < STAGES ? 1 + margin[stage] : 1;
    double A = ref_scale_of(bins, c).squares, own = A * ratio * ratio;
    double whole = ref_scale_of(bins, 0).light;
    *need = own / (whole * whole);
    if (error > epsilon && (few || A <= 0)) {
        ref_scale enough = ref_scale_for_samples(bins, REF_FEW_WANTED);
        *wanted = ref_scale_of(bins, fmax(enough.c, FEW_GROWTH * c));
        return *wanted;
    }
    *wanted = ref_scale_for_squares(bins, own);
    return ref_scale_for_squares(bins, fmin(own / more, A / LEAST_GROWTH));
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
        e->out[i] = (s->exact.value[i] + light) / s->D;
    }
    e->rest_error = (double)INFINITY;
    double centre2 = ref_dot(centre, centre, dim);
    double R = s->radius + sqrt(centre2), M = R / c;
    double along = ref_dot(centre, s->all.value, dim);
    double y = (s->all.norms - 2 * along + centre2 * s->all.weight) / c;
    double bound = s->W > 0 ? bernstein(M, fmax(y, 0), stage_share[stage] * delta) : 0;
    /* Whatever was drawn, no more than this is off. */
    double most = s->W > 0 ? (s->W + s->all.weight) * R : 0;
    double own = fmin(bound, most) / s->D, length = sqrt(ref_dot(e->out, e->out, dim));
    e->error = own < length ? own / (length - own) : (double)INFINITY;
    if (e->error <= epsilon || stage + 1 == STAGES || s->W <= 0) {
        return c;
    }
    double mean2 = ref_dot(e->light_mean, e->light_mean, dim);
    double next_M = (s->radius + sqrt(mean2)) / c;
    double next_y = fmax(s->all.norms - mean2 * s->all.weight, 0) / c;
    double goal = epsilon * length * s->D / (1 + epsilon);
    double light = ref_scale_of(bins, c).light, found = c, share = 1;
    /* A larger scale has fewer light tokens left: solved again with what the last answer leaves. */
    for (int i = 0; i < 3; i++) {
        found = strict_scale(c, next_M, next_y * share, stage_share[stage + 1] * delta, goal);
        share = light > 0 ? ref_scale_of(bins, found).light / light : 1;
    }
    return found * STRICT_MARGIN;
}

static ref_action decide(const vsa_policy *policy, uint32_t candidates, double c, uint32_t stage,
                         double limit_c, double size2, ref_guided_estimate *e)
{
    if (size2 <= 0) {
        e->flags |= VSA_CERTIFICATE_UNATTAINABLE;
        return REF_ACTION_DENSE;
    }
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
    ref_probe probe;
    ref_bins bins;
    int finite = 1;
    memset(e, 0, sizeof *e);
    ref_exact_counts(policy, group->length, &set);
    make_probe(policy, group, &probe);
    uint32_t candidates = set.window_begin - set.sink_end;
    e->shift = ref_probe_reference(&probe, group->logits[head]);
    for (uint32_t i = 0; i < group->length; i++) {
        finite = finite && isfinite(group->logits[head][i]);
    }
    if (!finite || !gather(group, head, draw, e->shift, s)) {
        e->action = REF_ACTION_INVALID;
        free(s);
        return;
    }
    ref_bins_count(&probe, group->logits[head], &bins);
    e->denominator = s->D;
    e->light_weight = s->W;
    for (uint32_t i = 0; i < group->head_dim && s->all.weight > 0; i++) {
        e->light_mean[i] = s->all.value[i] / s->all.weight;
    }
    int few = s->W > 0 && draw->sample_count < MIN_SAMPLES;
    double size2;
    ref_scale wanted;
    if (policy->bound == VSA_BOUND_STRICT) {
        double next = strict(policy, group, s, &bins, c, centre, stage, e);
        size2 = ref_dot(e->out, e->out, group->head_dim);
        e->next = ref_scale_of(&bins, next);
        wanted = ref_scale_of(&bins, next / STRICT_MARGIN);
    } else {
        size2 = clt(policy, group, s, draw->sample_count, e);
        e->next = clt_scale(policy, &bins, c, few, stage, e->error, &wanted,
                            &e->need);
    }
    if (policy->target == VSA_TARGET_DENOMINATOR) {
        e->need = 0;
        e->error = 0;
        size2 = 1;
    }
    e->wanted = (uint32_t)fmin(ceil(wanted.tokens), candidates);
    if (e->error <= 0 || size2 <= 0 || wanted.c <= 0) {
        e->wanted = draw->heavy_count + draw->sample_count;
    }
    ref_scale limit = { .c = (double)INFINITY };
    if (policy->max_samples != 0) {
        limit = ref_scale_for_tokens(&bins, ref_sample_limit(policy));
    }
    e->action = decide(policy, candidates, c, stage, limit.c, size2, e);
    if (e->next.c > limit.c) {
        e->next = limit;
    }
    free(s);
}

/* ------------------------------------------------------------------ the group */

/* Stage 0: every row's scale, 0 where it is dense. Returns how many are not. `carried` may be NULL. */
static uint32_t first_scales(const vsa_policy *policy, const ref_group *group,
                             const ref_carried *carried, double *c, ref_row_result *out)
{
    ref_exact_set set;
    ref_probe probe;
    double negligible = knows_rest(policy) ? (double)policy->epsilon / 8 : 0;
    make_probe(policy, group, &probe);
    ref_exact_counts(policy, group->length, &set);
    uint32_t candidates = set.window_begin - set.sink_end, open = 0;
    uint32_t base = ref_base_samples(policy, candidates);
    for (uint32_t head = 0; head < group->heads && base > 0; head++) {
        ref_bins bins;
        ref_bins_count(&probe, group->logits[head], &bins);
        double limit = fmin(candidates / 4.0, ref_sample_limit(policy));
        ref_scale first = ref_first_scale(&bins, base, limit, negligible);
        if (carried != NULL && carried[head].deviation > 0 && first.c > 0) {
            first = ref_carried_scale(&bins, &first, &carried[head], limit);
        }
        c[head] = first.c;
        out[head].flags = c[head] > 0 ? 0 : VSA_CERTIFICATE_UNATTAINABLE;
        open += c[head] > 0;
    }
    return open;
}

static void record(const vsa_policy *policy, const ref_group *group, const ref_guided_draw *draw,
                   uint32_t stage, const ref_guided_estimate *e, ref_row_result *out)
{
    uint32_t members = 0;
    ref_exact_set ends;
    for (uint32_t i = 0; i < group->length; i++) {
        members += draw->member[i];
    }
    ref_exact_counts(policy, group->length, &ends);
    /* Sink and window are read in stage 0 alone. */
    uint32_t read_before = stage > 0 ? group->length - (ends.window_begin - ends.sink_end) : 0;
    out->extensions = stage;
    out->path[stage] = draw->sample_count;
    out->gathered_tokens += members + draw->sample_count - read_before;
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

/* `carried` and `needs` (by head) may be NULL. */
static void decode(const vsa_policy *policy, const ref_group *group, const ref_carried *carried,
                   double *needs, ref_row_result *out, ref_guided_draw *last)
{
    double *c = calloc(group->heads, sizeof *c);
    double(*centre)[REF_MAX_DIM] = calloc(group->heads, sizeof *centre);
    ref_guided_draw draw = { 0 };
    memset(out, 0, group->heads * sizeof *out);
    uint32_t extended = first_scales(policy, group, carried, c, out);
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
            record(policy, group, &draw, stage, &e, &out[head]);
            memcpy(centre[head], e.light_mean, sizeof centre[head]);
            if (needs != NULL) {
                needs[head] = e.action == REF_ACTION_DENSE ? 0 : e.need;
            }
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

void ref_decode_guided(const vsa_policy *policy, const ref_group *group, ref_row_result *out,
                       ref_guided_draw *last)
{
    decode(policy, group, NULL, NULL, out, last);
}

void ref_decode_carrying(const vsa_policy *policy, const ref_group *group,
                         const ref_carried *carried, double *needs, ref_row_result *out,
                         ref_guided_draw *last)
{
    memset(needs, 0, group->heads * sizeof *needs);
    decode(policy, group, carried, needs, out, last);
}
