/* Uniform samples: estimate, error and budget of one row, "Base sample" to "Budget". */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t round_up(uint32_t value)
{
    return (value + REF_GROUPS - 1) / REF_GROUPS * REF_GROUPS;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int is_strict(const vsa_policy *policy)
{
    return policy->method == VSA_METHOD_VATTENTION && policy->bound == VSA_BOUND_STRICT;
}

uint32_t ref_sample_limit(const vsa_policy *policy)
{
    if (policy->max_samples == 0) {
        return UINT32_MAX;
    }
    if (!is_strict(policy)) {
        return larger(policy->max_samples / REF_GROUPS * REF_GROUPS, REF_GROUPS);
    }
    uint32_t end = ref_bet_block(0);
    while (end + ref_bet_block(end) <= policy->max_samples) {
        end += ref_bet_block(end);
    }
    return end;
}

uint32_t ref_base_samples(const vsa_policy *policy, uint32_t residual_count)
{
    uint32_t base = larger(ref_fraction_of(policy->base_fraction, residual_count),
                           policy->base_samples);
    if (policy->base_max_samples != 0) {
        base = smaller(base, policy->base_max_samples);
    }
    base = round_up(larger(smaller(base, ref_sample_limit(policy)), REF_GROUPS));
    base = is_strict(policy) ? ref_bet_round_up(base) : base;
    return (uint64_t)2 * base >= residual_count ? 0 : base;
}

/* Methods topk and topp: the exact set normalised by its own weights, with nothing said about the
 * rest. */
static void exact_set_alone(const ref_row *row, ref_row_result *out)
{
    ref_sums exact = { 0 };
    double shift = -INFINITY;
    int finite = 1;
    for (uint32_t i = 0; i < row->length; i++) {
        finite = finite && isfinite(row->logits[i]);
        shift = fmax(shift, row->member[i] ? row->logits[i] : -INFINITY);
    }
    for (uint32_t i = 0; i < row->length && finite; i++) {
        if (row->member[i]) {
            finite = ref_sums_add(&exact, row->v + i * row->v_stride, row->head_dim,
                                  exp(row->logits[i] - shift));
        }
    }
    out->status = finite ? VSA_CERTIFICATE_MISSED : VSA_CERTIFICATE_INVALID;
    out->error = (double)INFINITY;
    out->normaliser_bound = (double)INFINITY;
    out->exact_tokens = row->length - row->residual_count;
    out->gathered_tokens = out->exact_tokens;
    if (finite) {
        out->log_normaliser = shift + log(exact.weight);
        for (uint32_t c = 0; c < row->head_dim; c++) {
            out->out[c] = exact.value[c] / exact.weight;
        }
    }
}

/* What an evaluation knows before it judges. */
typedef struct sample {
    ref_sums exact, groups[REF_GROUPS], all;
    double N, b;
    double heaviest;   /* largest sampled weight */
    int    known;      /* the residual's weights, from the exact scorer */
    double W1, W2, tau;
} sample;

static int gather(const vsa_policy *policy, const ref_row *row, uint32_t samples, double shift,
                  sample *s)
{
    int finite = 1;
    memset(s, 0, sizeof *s);
    s->N = row->residual_count;
    s->b = samples;
    s->known = policy->method == VSA_METHOD_VATTENTION;
    for (uint32_t i = 0; i < row->length && finite; i++) {
        double weight = exp(row->logits[i] - shift);
        if (row->member[i]) {
            finite = ref_sums_add(&s->exact, row->v + i * row->v_stride, row->head_dim, weight);
        } else if (s->known) {
            s->W1 += weight;
            s->W2 += weight * weight;
            s->tau = fmax(s->tau, weight);
        }
    }
    for (uint32_t i = 0; i < samples && finite; i++) {
        double weight = exp(row->logits[row->samples[i]] - shift);
        ref_sums *group = &s->groups[i % REF_GROUPS];
        finite = ref_sums_add(group, row->v + row->samples[i] * row->v_stride, row->head_dim,
                              weight);
        s->heaviest = fmax(s->heaviest, weight);
    }
    for (uint32_t g = 0; g < REF_GROUPS; g++) {
        ref_sums_merge(&s->all, &s->groups[g], row->head_dim);
    }
    return finite;
}

/* Target denominator: S and q. Known weights say what D is as well. */
static double denominator_spread(const vsa_policy *policy, const sample *s, double estimate,
                                 double *quantile)
{
    double denominator = s->known ? s->exact.weight + s->W1 : estimate;
    double probability = 1 - (double)policy->delta / 2;
    double variance = s->known ? (s->W2 - s->W1 * s->W1 / s->N) / (s->N - 1)
                               : (s->all.squares - s->all.weight * s->all.weight / s->b)
                                         / (s->b - 1);
    double t = s->known ? ref_normal_quantile(probability)
                        : ref_student_quantile(probability, s->b - 1);
    *quantile = t * t;
    return s->N * s->N * fmax(variance, 0) / (denominator * denominator);
}

static void clt(const vsa_policy *policy, const ref_row *row, const sample *s, ref_estimate *e)
{
    double shrink = 1 / s->b - 1 / s->N, epsilon = (double)policy->epsilon;
    e->rank = 1;
    e->size2 = 1;
    e->spread = denominator_spread(policy, s, e->denominator, &e->quantile);
    e->normaliser_error = sqrt(e->quantile * e->spread * shrink);
    if (policy->target != VSA_TARGET_DENOMINATOR) {
        static const double zero[REF_MAX_DIM];
        double expansion = s->N / s->b, eta = (double)policy->value_floor;
        ref_spread spread;
        ref_group_spread(s->groups, REF_GROUPS,
                         policy->target == VSA_TARGET_OUTPUT ? e->out : zero,
                         expansion / e->denominator, row->head_dim, (double)policy->delta,
                         &spread);
        e->rank = spread.rank;
        e->quantile = spread.quantile;
        e->spread = REF_GROUPS * spread.trace * s->b;
        if (s->known && s->W1 <= REF_NOTHING * e->denominator) {
            e->spread = 0;
        } else if (s->known && s->all.squares > 0) {
            double share = s->W2 / (expansion * s->all.squares);
            e->spread *= fmax(1, (1 + share) / 2);
        }
        double rms2 = (s->exact.norms + expansion * s->all.norms) / e->denominator;
        e->size2 = ref_relative_size(ref_dot(e->out, e->out, row->head_dim), e->spread * shrink,
                                     eta, rms2, &e->flags);
        if (policy->target == VSA_TARGET_OUTPUT) {
            ref_shrink(e->out, &s->exact, row->head_dim, e->spread * shrink, e->rank);
        }
    }
    double wanted = s->N;   /* the limit of the corrected b* as size goes to 0 */
    e->error = (double)INFINITY;
    if (e->size2 > 0) {
        double b_star = e->quantile * e->spread / (epsilon * epsilon * e->size2);
        wanted = b_star / (1 + b_star / s->N);
        e->error = sqrt(e->quantile * e->spread * shrink / e->size2);
    }
    e->wanted = round_up((uint32_t)ceil(wanted));
}

/* Target denominator, bound strict. */
static void strict(const vsa_policy *policy, const ref_row *row, const sample *s, ref_estimate *e)
{
    uint32_t draws = (uint32_t)s->b;
    e->rank = 1;
    e->size2 = 1;
    e->wanted = draws;
    if (s->tau > 0) {
        double *x = malloc(draws * sizeof *x), needed = log(2 / (double)policy->delta);
        ref_bet_result bet;
        for (uint32_t i = 0; i < draws; i++) {
            x[i] = exp(row->logits[row->samples[i]] - e->shift) / s->tau;
        }
        ref_bet(x, draws, s->N, s->exact.weight / s->tau, (double)policy->epsilon,
                (double)policy->delta, &bet);
        free(x);
        e->flags |= bet.broken ? VSA_CERTIFICATE_BOUND_BROKEN : 0;
        int met = bet.evidence_high >= needed && bet.evidence_low >= needed;
        e->error = met ? (double)policy->epsilon : (double)INFINITY;
        e->wanted = bet.wanted;
    }
    e->normaliser_error = e->error;
}

/* The rules of "Budget" after the first, in order. */
static ref_action decide(const vsa_policy *policy, const ref_row *row, const sample *s,
                         uint32_t extensions, ref_estimate *e)
{
    uint32_t samples = (uint32_t)s->b, limit = ref_sample_limit(policy);
    int strictly = is_strict(policy);
    if (e->flags & VSA_CERTIFICATE_BOUND_BROKEN) {
        return REF_ACTION_DENSE;
    }
    if (e->size2 == 0) {
        e->flags |= VSA_CERTIFICATE_UNATTAINABLE;
        return REF_ACTION_DENSE;
    }
    if (!strictly && s->heaviest > (double)policy->epsilon / 2 * e->denominator) {
        e->flags |= VSA_CERTIFICATE_HEAVY_SAMPLE;
        return REF_ACTION_DENSE;
    }
    if (e->error <= (double)policy->epsilon) {
        return REF_ACTION_MET;
    }
    /* The next estimate of S may be larger; after the last extension that would mean dense. */
    e->next = e->wanted + round_up(e->wanted / (extensions + 1 < REF_MAX_EXTENSIONS ? 16 : 4));
    e->next = larger(e->next, samples + REF_GROUPS);
    e->next = strictly ? ref_bet_round_up(e->next) : e->next;
    e->next = smaller(e->next, limit);
    if ((uint64_t)2 * e->next >= row->residual_count) {
        e->flags |= VSA_CERTIFICATE_UNATTAINABLE;
        return REF_ACTION_DENSE;
    }
    if (samples >= limit || extensions >= REF_MAX_EXTENSIONS) {
        return policy->on_miss == VSA_MISS_DENSE ? REF_ACTION_DENSE : REF_ACTION_MISSED;
    }
    return REF_ACTION_EXTEND;
}

void ref_evaluate(const vsa_policy *policy, const ref_row *row, uint32_t samples,
                  uint32_t extensions, ref_estimate *e)
{
    sample *s = malloc(sizeof *s);
    int finite = 1;
    memset(e, 0, sizeof *e);
    e->shift = -INFINITY;
    for (uint32_t i = 0; i < row->length; i++) {
        finite = finite && isfinite(row->logits[i]);
        e->shift = fmax(e->shift, row->logits[i]);
    }
    if (!finite || !gather(policy, row, samples, e->shift, s)) {
        e->action = REF_ACTION_INVALID;
        free(s);
        return;
    }
    double expansion = s->N / s->b;   /* R */
    e->denominator = s->exact.weight + expansion * s->all.weight;
    for (uint32_t c = 0; c < row->head_dim; c++) {
        e->out[c] = (s->exact.value[c] + expansion * s->all.value[c]) / e->denominator;
    }
    if (is_strict(policy)) {
        strict(policy, row, s, e);
    } else {
        clt(policy, row, s, e);
    }
    e->action = decide(policy, row, s, extensions, e);
    free(s);
}

void ref_finish_dense(const double *logits, const float *v, size_t v_stride, uint32_t head_dim,
                      uint32_t length, ref_row_result *out)
{
    out->log_normaliser = ref_attend(logits, v, v_stride, head_dim, length, out->out);
    int valid = !isnan(out->log_normaliser);
    out->status = valid ? VSA_CERTIFICATE_EXACT : VSA_CERTIFICATE_INVALID;
    out->error = valid ? 0 : (double)INFINITY;
    out->normaliser_bound = out->error;
    out->exact_tokens = length;
    out->sampled_tokens = 0;
    out->flags &= ~(uint32_t)VSA_CERTIFICATE_FLOORED;
}

void ref_decode_row(const vsa_policy *policy, const ref_row *row, ref_row_result *out)
{
    ref_estimate e;
    uint32_t samples = ref_base_samples(policy, row->residual_count);
    int alone = policy->method == VSA_METHOD_TOP_K || policy->method == VSA_METHOD_TOP_P;
    memset(out, 0, sizeof *out);
    if (alone && row->residual_count > 0) {
        exact_set_alone(row, out);
        return;
    }
    memset(&e, 0, sizeof e);
    int dense = samples == 0 || policy->method == VSA_METHOD_DENSE || alone;
    e.action = dense ? REF_ACTION_DENSE : REF_ACTION_EXTEND;
    while (e.action == REF_ACTION_EXTEND) {
        out->path[out->extensions] = samples;
        out->gathered_tokens = row->length - row->residual_count + samples;
        ref_evaluate(policy, row, samples, out->extensions, &e);
        if (e.action == REF_ACTION_EXTEND) {
            out->extensions++;
            samples = e.next;
        }
    }
    out->wanted_samples = e.wanted;
    out->flags = e.flags;
    if (e.action == REF_ACTION_DENSE) {
        ref_finish_dense(row->logits, row->v, row->v_stride, row->head_dim, row->length, out);
        return;
    }
    out->exact_tokens = row->length - row->residual_count;
    out->sampled_tokens = samples;
    out->error = e.error;
    out->normaliser_bound = e.normaliser_error;
    if (e.action == REF_ACTION_INVALID) {
        out->status = VSA_CERTIFICATE_INVALID;
        out->error = out->normaliser_bound = (double)INFINITY;
        return;
    }
    memcpy(out->out, e.out, sizeof out->out);
    out->status = e.action == REF_ACTION_MET ? VSA_CERTIFICATE_MET : VSA_CERTIFICATE_MISSED;
    out->log_normaliser = e.shift + log(e.denominator);
}
