/* Estimate, error and budget of one row: docs/algorithm.md from "Base sample" to its end. */
#include "reference.h"

#include <math.h>
#include <string.h>

static uint32_t round_up(uint32_t value)
{
    return (value + REF_GROUPS - 1) / REF_GROUPS * REF_GROUPS;
}

static uint32_t round_down(uint32_t value)
{
    return value / REF_GROUPS * REF_GROUPS;
}

uint32_t ref_base_samples(const vsa_policy *policy, uint32_t residual_count)
{
    uint32_t base = ref_fraction_of(policy->base_fraction, residual_count);
    if (base < policy->base_samples) {
        base = policy->base_samples;
    }
    if (policy->base_max_samples != 0 && base > policy->base_max_samples) {
        base = policy->base_max_samples;
    }
    if (policy->max_samples != 0 && base > round_down(policy->max_samples)) {
        base = round_down(policy->max_samples);
    }
    if (base < REF_GROUPS) {
        base = REF_GROUPS;
    }
    base = round_up(base);
    return (uint64_t)2 * base >= residual_count ? 0 : base;
}

/* Sums over a set of tokens: l = sum w, B = sum w v. */
typedef struct sums {
    double weight;
    double value[REF_MAX_DIM];
} sums;

static int add_token(sums *s, const ref_row *row, uint32_t token, double weight)
{
    const float *v = row->v + token * row->v_stride;
    int finite = 1;
    s->weight += weight;
    for (uint32_t c = 0; c < row->head_dim; c++) {
        finite = finite && isfinite(v[c]);
        s->value[c] += weight * (double)v[c];
    }
    return finite;
}

static double dot(const double *a, const double *b, uint32_t count)
{
    double sum = 0;
    for (uint32_t c = 0; c < count; c++) {
        sum += a[c] * b[c];
    }
    return sum;
}

/* Method topk: the exact set normalised by its own weights, with nothing said about the rest. */
static void exact_set_alone(const ref_row *row, ref_row_result *out)
{
    sums exact = { 0 };
    double shift = -INFINITY;
    int finite = 1;
    for (uint32_t i = 0; i < row->length; i++) {
        finite = finite && isfinite(row->logits[i]);
        shift = fmax(shift, row->member[i] ? row->logits[i] : -INFINITY);
    }
    for (uint32_t i = 0; i < row->length && finite; i++) {
        if (row->member[i]) {
            finite = add_token(&exact, row, i, exp(row->logits[i] - shift));
        }
    }
    out->status = finite ? VSA_CERTIFICATE_MISSED : VSA_CERTIFICATE_INVALID;
    out->error = (double)INFINITY;
    out->exact_tokens = row->length - row->residual_count;
    if (finite) {
        out->log_normaliser = shift + log(exact.weight);
        for (uint32_t c = 0; c < row->head_dim; c++) {
            out->out[c] = exact.value[c] / exact.weight;
        }
    }
}

/* V, T and h of the random groups' contributions rho_g: target output or numerator. */
static void group_spread(const vsa_policy *policy, const ref_row *row, const sums *groups,
                         double expansion, double sampled_share, ref_estimate *e)
{
    static const double G = REF_GROUPS;
    uint32_t dim = row->head_dim;
    double rho[REF_GROUPS][REF_MAX_DIM], mean[REF_MAX_DIM] = { 0 };
    for (uint32_t g = 0; g < REF_GROUPS; g++) {
        double centre = policy->target == VSA_TARGET_NUMERATOR ? 0 : groups[g].weight;
        for (uint32_t c = 0; c < dim; c++) {
            rho[g][c] = expansion * (groups[g].value[c] - centre * e->out[c]) / e->denominator;
            mean[c] += rho[g][c] / G;
        }
    }
    for (uint32_t g = 0; g < REF_GROUPS; g++) {
        for (uint32_t c = 0; c < dim; c++) {
            rho[g][c] -= mean[c];
        }
    }
    double total = 0, pairs = 0;
    for (uint32_t g = 0; g < REF_GROUPS; g++) {
        total += dot(rho[g], rho[g], dim);
        for (uint32_t other = 0; other < REF_GROUPS; other++) {
            if (other != g) {
                double product = dot(rho[g], rho[other], dim);
                pairs += product * product;
            }
        }
    }
    double T = total / (G - 1);
    double t2 = pairs / (G * (G - 1)) - T * T / (G * G);
    double rank = t2 > 0 ? 0.7 * T * T / t2 : dim;
    e->rank = fmin(fmax(rank, 1), dim);
    double V = G * T * (1 - sampled_share);
    e->spread = G * T;   /* V b / (1 - b/N), still without the factor b */
    e->size2 = fmax(dot(e->out, e->out, dim) - V, 0);
    if (e->rank < 1.3) {
        double t = ref_student_quantile(1 - (double)policy->delta / 2, G - 1);
        e->quantile = t * t;
    } else {
        e->quantile = ref_f_quantile_paulson(1 - (double)policy->delta, e->rank,
                                             (G - 1) * e->rank);
    }
}

/* Rules 2 to 6 of "Budget", in order. Rule 1 was applied before. */
static ref_action decide(const vsa_policy *policy, const ref_row *row, uint32_t samples,
                         uint32_t extensions, double largest_weight, ref_estimate *e)
{
    uint32_t cap = policy->max_samples == 0 ? UINT32_MAX : round_down(policy->max_samples);
    if (policy->max_samples != 0 && cap < REF_GROUPS) {
        cap = REF_GROUPS;   /* the base sample is at least 32 */
    }
    if (e->size2 == 0 || largest_weight > (double)policy->epsilon / 2 * e->denominator) {
        return REF_ACTION_DENSE;
    }
    if (e->error <= (double)policy->epsilon) {
        return REF_ACTION_MET;
    }
    e->next = e->wanted + round_up(e->wanted / 8);   /* the next estimate of S may be larger */
    e->next = e->next > samples + REF_GROUPS ? e->next : samples + REF_GROUPS;
    e->next = e->next < cap ? e->next : cap;
    if ((uint64_t)2 * e->next >= row->residual_count) {
        return REF_ACTION_DENSE;
    }
    if (samples >= cap || extensions >= REF_MAX_EXTENSIONS) {
        return policy->on_miss == VSA_MISS_DENSE ? REF_ACTION_DENSE : REF_ACTION_MISSED;
    }
    return REF_ACTION_EXTEND;
}

void ref_evaluate(const vsa_policy *policy, const ref_row *row, uint32_t samples,
                  uint32_t extensions, ref_estimate *e)
{
    sums exact = { 0 }, groups[REF_GROUPS];
    double N = row->residual_count, b = samples;
    double squares = 0, largest_weight = 0;
    int finite = 1;
    memset(groups, 0, sizeof groups);
    memset(e, 0, sizeof *e);

    e->shift = -INFINITY;
    for (uint32_t i = 0; i < row->length; i++) {
        finite = finite && isfinite(row->logits[i]);
        e->shift = fmax(e->shift, row->logits[i]);
    }
    for (uint32_t i = 0; i < row->length && finite; i++) {
        if (row->member[i]) {
            finite = add_token(&exact, row, i, exp(row->logits[i] - e->shift));
        }
    }
    for (uint32_t i = 0; i < samples && finite; i++) {
        double weight = exp(row->logits[row->samples[i]] - e->shift);
        finite = add_token(&groups[i % REF_GROUPS], row, row->samples[i], weight);
        squares += weight * weight;
        largest_weight = fmax(largest_weight, weight);
    }
    if (!finite) {
        e->action = REF_ACTION_INVALID;
        return;
    }

    double expansion = N / b;   /* R */
    double sampled = 0;         /* l */
    memcpy(e->out, exact.value, sizeof e->out);
    for (uint32_t g = 0; g < REF_GROUPS; g++) {
        sampled += groups[g].weight;
        for (uint32_t c = 0; c < row->head_dim; c++) {
            e->out[c] += expansion * groups[g].value[c];
        }
    }
    e->denominator = exact.weight + expansion * sampled;
    for (uint32_t c = 0; c < row->head_dim; c++) {
        e->out[c] /= e->denominator;
    }

    /* Method sample scores nothing: it has only the samples to learn the residual from. */
    int known = policy->method != VSA_METHOD_SAMPLE;
    double all = 0, all_squares = 0;   /* sums of w and w^2 over the residual */
    for (uint32_t i = 0; i < row->length && known; i++) {
        double weight = row->member[i] ? 0 : exp(row->logits[i] - e->shift);
        all += weight;
        all_squares += weight * weight;
    }
    if (policy->target == VSA_TARGET_DENOMINATOR) {
        double variance = known ? (all_squares - all * all / N) / (N - 1)
                                : (squares - sampled * sampled / b) / (b - 1);
        double probability = 1 - (double)policy->delta / 2;
        double t = known ? ref_normal_quantile(probability)
                         : ref_student_quantile(probability, b - 1);
        e->rank = 1;
        e->size2 = 1;
        e->quantile = t * t;
        e->spread = N * N * fmax(variance, 0) / (e->denominator * e->denominator);
    } else {
        group_spread(policy, row, groups, expansion, b / N, e);
        e->spread *= b;
        if (known && squares > 0) {
            e->spread *= all_squares / (expansion * squares);
        }
        e->size2 = fmax(dot(e->out, e->out, row->head_dim) - e->spread * (1 / b - 1 / N), 0);
    }

    double epsilon = (double)policy->epsilon;
    double V = e->spread * (1 / b - 1 / N);
    double wanted = N;   /* the limit of the corrected b* as size goes to 0 */
    e->error = (double)INFINITY;
    if (e->size2 > 0) {
        double b_star = e->quantile * e->spread / (epsilon * epsilon * e->size2);
        wanted = b_star / (1 + b_star / N);
        e->error = sqrt(e->quantile * V / e->size2);
    }
    e->wanted = round_up((uint32_t)ceil(wanted));
    e->action = decide(policy, row, samples, extensions, largest_weight, e);
}

void ref_decode_row(const vsa_policy *policy, const ref_row *row, ref_row_result *out)
{
    ref_estimate e;
    uint32_t samples = ref_base_samples(policy, row->residual_count);
    memset(out, 0, sizeof *out);
    if (policy->method == VSA_METHOD_TOP_K && row->residual_count > 0) {
        exact_set_alone(row, out);
        return;
    }
    memset(&e, 0, sizeof e);
    int dense = samples == 0 || policy->method == VSA_METHOD_DENSE
                || policy->method == VSA_METHOD_TOP_K;
    e.action = dense ? REF_ACTION_DENSE : REF_ACTION_EXTEND;
    while (e.action == REF_ACTION_EXTEND) {
        out->path[out->extensions] = samples;
        ref_evaluate(policy, row, samples, out->extensions, &e);
        if (e.action == REF_ACTION_EXTEND) {
            out->extensions++;
            samples = e.next;
        }
    }
    out->wanted_samples = e.wanted;

    if (e.action == REF_ACTION_DENSE) {
        out->log_normaliser = ref_attend(row->logits, row->v, row->v_stride, row->head_dim,
                                         row->length, out->out);
        out->status = isnan(out->log_normaliser) ? VSA_CERTIFICATE_INVALID
                                                 : VSA_CERTIFICATE_EXACT;
        out->exact_tokens = row->length;
        return;
    }
    out->exact_tokens = row->length - row->residual_count;
    out->sampled_tokens = samples;
    if (e.action == REF_ACTION_INVALID) {
        out->status = VSA_CERTIFICATE_INVALID;
        return;
    }
    memcpy(out->out, e.out, sizeof out->out);
    out->status = e.action == REF_ACTION_MET ? VSA_CERTIFICATE_MET : VSA_CERTIFICATE_MISSED;
    out->log_normaliser = e.shift + log(e.denominator);
    out->error = e.error;
}
