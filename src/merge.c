/* Two parts of a context into the whole: docs/algorithm.md, "Merging". Pure. */
#include "vsa.h"

#include <math.h>

/* What the certificate of one part says. Bounds are in [0, 1) or infinite. */
typedef struct statement {
    double error;      /* e, of the target */
    double normaliser; /* d, of D */
    double delta;      /* that not all of it holds, at most */
} statement;

/* Both outputs, in coordinates of the plane that they span. */
typedef struct plane {
    double first[2], second[2];
} plane;

typedef struct shares {
    double first, second; /* of D; their sum is 1 */
} shares;

typedef struct ball {
    double centre[2], radius;
} ball;

/* ------------------------------------------------------------------ certificates */

static int is_exact(const vsa_certificate *c)
{
    return VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_EXACT;
}

static int is_estimated(const vsa_certificate *c)
{
    const vsa_certificate_status status = VSA_CERTIFICATE_STATUS(c->status);

    return status == VSA_CERTIFICATE_MET || status == VSA_CERTIFICATE_MISSED;
}

/* Estimated rows name a target, and two of them the same one. */
static int targets_agree(const vsa_certificate *a, const vsa_certificate *b)
{
    const vsa_target first = VSA_CERTIFICATE_TARGET(a->status);
    const vsa_target second = VSA_CERTIFICATE_TARGET(b->status);

    if (is_estimated(a) && (first < VSA_TARGET_DENOMINATOR || first > VSA_TARGET_OUTPUT)) {
        return 0;
    }
    if (is_estimated(b) && (second < VSA_TARGET_DENOMINATOR || second > VSA_TARGET_OUTPUT)) {
        return 0;
    }
    return !is_estimated(a) || !is_estimated(b) || first == second;
}

/* What is not a number says nothing either. */
static double bound_of(float bound)
{
    return bound >= 0.0f && bound < 1.0f ? (double)bound : (double)INFINITY;
}

static statement statement_of(const vsa_certificate *c)
{
    const vsa_target target = VSA_CERTIFICATE_TARGET(c->status);
    const uint32_t flags = VSA_CERTIFICATE_FLAGS(c->status);
    const double delta = c->delta >= 0.0f && c->delta < 1.0f ? (double)c->delta : 1.0;
    statement s = {.error = bound_of(c->error_bound), .normaliser = bound_of(c->normaliser_bound)};
    int two;

    if (is_exact(c)) {
        return (statement){.error = 0.0};
    }
    if (target == VSA_TARGET_DENOMINATOR) {
        s.normaliser = s.error;
    } else if ((flags & VSA_CERTIFICATE_FLOORED) != 0) {
        s.error = (double)INFINITY; /* relative to what the certificate does not say */
    }
    two = target != VSA_TARGET_DENOMINATOR && (flags & VSA_CERTIFICATE_MERGED) == 0 &&
          s.normaliser > 0.0;
    s.delta = two ? 2.0 * delta : delta;
    return s;
}

/* The bound that both can stand for: the weaker of the estimated rows'. */
static uint32_t common_bound(const vsa_certificate *a, const vsa_certificate *b)
{
    const uint32_t first = (uint32_t)VSA_CERTIFICATE_BOUND(a->status);
    const uint32_t second = (uint32_t)VSA_CERTIFICATE_BOUND(b->status);

    if (is_estimated(a) != is_estimated(b)) {
        return is_estimated(a) ? first : second;
    }
    return first < second ? first : second;
}

static uint32_t add_counts(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* Everything but the status, the bounds and log D. */
static vsa_certificate add_certificates(const vsa_certificate *a, const vsa_certificate *b)
{
    const uint32_t flags = VSA_CERTIFICATE_FLAGS(a->status) | VSA_CERTIFICATE_FLAGS(b->status) |
                           (uint32_t)VSA_CERTIFICATE_MERGED;
    const uint32_t target = (uint32_t)VSA_CERTIFICATE_TARGET((is_estimated(a) ? a : b)->status);

    return (vsa_certificate){.status = common_bound(a, b) << 8 | target << 16 | flags << 24,
                             .length_tokens = add_counts(a->length_tokens, b->length_tokens),
                             .exact_tokens = add_counts(a->exact_tokens, b->exact_tokens),
                             .sampled_tokens = add_counts(a->sampled_tokens, b->sampled_tokens),
                             .wanted_samples = add_counts(a->wanted_samples, b->wanted_samples),
                             .gathered_tokens = add_counts(a->gathered_tokens, b->gathered_tokens)};
}

/* ------------------------------------------------------------------ bounds */

static shares shares_at(double log_odds)
{
    return (shares){.first = 1.0 / (1.0 + exp(-log_odds)), .second = 1.0 / (1.0 + exp(log_odds))};
}

/* An average of the two, weighted with the largest that D_1 and D_2 can be. */
static double normaliser_bound(shares share, double first, double second)
{
    const double a = share.first / (1.0 - first);
    const double b = share.second / (1.0 - second);

    return isinf(first) || isinf(second) ? (double)INFINITY : (a * first + b * second) / (a + b);
}

/* |out_i| <= error * |true out_i| leaves the true one this ball, as a multiple of the estimate:
 * centre `centre`, radius `radius` (Apollonius). */
static double centre_of(double error)
{
    return 1.0 / ((1.0 - error) * (1.0 + error));
}

static ball ball_at(const plane *p, shares share, double first, double second)
{
    const double a = share.first * centre_of(first);
    const double b = share.second * centre_of(second);

    return (ball){
        .centre = {a * p->first[0] + b * p->second[0], a * p->first[1] + b * p->second[1]},
        .radius = a * first * hypot(p->first[0], p->first[1]) +
                  b * second * hypot(p->second[0], p->second[1])};
}

/* max |estimate - x| / |x| over the ball: the root of the quadratic equation at which the sphere of
 * Apollonius touches it. 1 or more is infinite. */
static double worst_ratio(const ball *b, const double estimate[2])
{
    const double size = hypot(estimate[0], estimate[1]);
    const double centre = hypot(b->centre[0], b->centre[1]);
    const double gap = hypot(b->centre[0] - estimate[0], b->centre[1] - estimate[1]);
    const double nearest = (centre - b->radius) * (centre + b->radius);
    const double inner = b->radius * size;
    const double root = inner * inner + nearest * (gap - b->radius) * (gap + b->radius);
    double ratio;

    if (gap == 0.0 && b->radius == 0.0) {
        return 0.0;
    }
    ratio = (inner + sqrt(root > 0.0 ? root : 0.0)) / nearest;
    return centre > b->radius && ratio < 1.0 ? ratio : (double)INFINITY;
}

/* Of the output; with `shares_are_exact` of the numerator, sum D_i out_i, which has no other D. */
static double error_bound(const plane *p, double log_odds, const statement *first,
                          const statement *second, int shares_are_exact)
{
    const shares share = shares_at(log_odds);
    const ball estimate = ball_at(p, share, 0.0, 0.0);
    const double d_first = shares_are_exact ? 0.0 : first->normaliser;
    const double d_second = shares_are_exact ? 0.0 : second->normaliser;
    const int known = !isinf(d_first) && !isinf(d_second);
    const double low = known ? log_odds + log1p(-d_second) - log1p(d_first) : (double)-INFINITY;
    const double high = known ? log_odds + log1p(d_second) - log1p(-d_first) : (double)INFINITY;
    ball end;
    double worst;

    if (isinf(first->error) || isinf(second->error)) {
        return (double)INFINITY;
    }
    /* What is at most E < 1 off is a ball, so what lies between two ends that are in it is, too. */
    end = ball_at(p, shares_at(low), first->error, second->error);
    worst = worst_ratio(&end, estimate.centre);
    end = ball_at(p, shares_at(high), first->error, second->error);
    return fmax(worst, worst_ratio(&end, estimate.centre));
}

/* ------------------------------------------------------------------ rows */

/* Returns 0 when a channel is not finite. */
static int plane_of(const float *first, const float *second, uint32_t count, plane *out)
{
    double squares = 0.0;
    double other = 0.0;
    double product = 0.0;
    double rest = 0.0;
    double length;
    double along;

    for (uint32_t i = 0; i < count; i++) {
        squares += (double)first[i] * first[i];
        other += (double)second[i] * second[i];
        product += (double)first[i] * second[i];
    }
    if (!isfinite(squares) || !isfinite(other)) {
        return 0;
    }
    length = sqrt(squares);
    if (squares == 0.0) {
        *out = (plane){.second = {sqrt(other), 0.0}};
        return 1;
    }
    along = product / squares;
    for (uint32_t i = 0; i < count; i++) {
        const double off = second[i] - along * first[i];
        rest += off * off;
    }
    *out = (plane){.first = {length, 0.0}, .second = {along * length, sqrt(rest)}};
    return 1;
}

static double add_logs(double a, double b)
{
    const double high = fmax(a, b);

    return isinf(high) ? high : high + log1p(exp(fmin(a, b) - high));
}

static int takes_part(const vsa_certificate *c)
{
    return (is_estimated(c) || is_exact(c)) && c->log_normaliser < INFINITY; /* nor NaN */
}

static int is_known(const vsa_certificate *c)
{
    return is_estimated(c) || is_exact(c) ||
           VSA_CERTIFICATE_STATUS(c->status) == VSA_CERTIFICATE_INVALID;
}

static void fail_row(const vsa_certificate *a, const vsa_certificate *b, vsa_certificate *c,
                     float *out, uint32_t head_dim_v)
{
    c->status |=
        (uint32_t)(is_known(a) && is_known(b) ? VSA_CERTIFICATE_INVALID : VSA_CERTIFICATE_NONE);
    c->error_bound = INFINITY;
    c->normaliser_bound = INFINITY;
    c->delta = 1.0f;
    c->log_normaliser = -INFINITY;
    for (uint32_t i = 0; i < head_dim_v; i++) {
        out[i] = 0.0f;
    }
}

/* Fills in what add_certificates leaves open. */
static void certify(const vsa_certificate *a, const vsa_certificate *b, const plane *p,
                    double log_odds, float epsilon, vsa_certificate *c)
{
    const statement first = statement_of(a);
    const statement second = statement_of(b);
    const vsa_target target = VSA_CERTIFICATE_TARGET(c->status);
    const double delta = first.delta + second.delta;
    double normaliser = normaliser_bound(shares_at(log_odds), first.normaliser, second.normaliser);
    double error = target == VSA_TARGET_DENOMINATOR
                       ? normaliser
                       : error_bound(p, log_odds, &first, &second, target == VSA_TARGET_NUMERATOR);

    if (is_exact(a) && is_exact(b)) {
        c->status |= (uint32_t)VSA_CERTIFICATE_EXACT;
        return;
    }
    if (!(delta < 1.0)) {
        error = (double)INFINITY;
        normaliser = (double)INFINITY;
    }
    c->error_bound = (float)error;
    c->normaliser_bound = (float)normaliser;
    c->delta = delta < 1.0 ? (float)delta : 1.0f;
    c->epsilon = epsilon;
    c->status |=
        (uint32_t)(c->error_bound <= epsilon ? VSA_CERTIFICATE_MET : VSA_CERTIFICATE_MISSED);
}

static vsa_certificate merge_row(const float *first, const vsa_certificate *a, const float *second,
                                 const vsa_certificate *b, uint32_t head_dim_v, float epsilon,
                                 float *out)
{
    const double log_first = (double)a->log_normaliser;
    const double log_second = (double)b->log_normaliser;
    vsa_certificate c = add_certificates(a, b);
    double log_odds;
    shares share;
    plane p;

    if (!takes_part(a) || !takes_part(b) || !plane_of(first, second, head_dim_v, &p)) {
        fail_row(a, b, &c, out, head_dim_v);
        return c;
    }
    /* Neither has a token: any shares do. */
    log_odds = log_first == log_second ? 0.0 : log_first - log_second;
    certify(a, b, &p, log_odds, epsilon, &c);
    c.log_normaliser = (float)add_logs(log_first, log_second);
    share = shares_at(log_odds);
    for (uint32_t i = 0; i < head_dim_v; i++) {
        out[i] = (float)(share.first * first[i] + share.second * second[i]);
    }
    return c;
}

vsa_result vsa_merge(const vsa_part *first, const vsa_part *second, size_t row_count,
                     uint32_t head_dim_v, float epsilon, float *out,
                     vsa_certificate *out_certificates)
{
    if (head_dim_v == 0 || !(epsilon > 0.0f && epsilon < 1.0f)) {
        return VSA_ERROR_INVALID_ARGUMENT;
    }
    if (row_count == 0) {
        return VSA_SUCCESS;
    }
    if (first == NULL || first->out == NULL || first->certificates == NULL || second == NULL ||
        second->out == NULL || second->certificates == NULL || out == NULL ||
        out_certificates == NULL) {
        return VSA_ERROR_INVALID_ARGUMENT;
    }
    for (size_t i = 0; i < row_count; i++) {
        if (!targets_agree(&first->certificates[i], &second->certificates[i])) {
            return VSA_ERROR_INVALID_ARGUMENT;
        }
    }
    for (size_t i = 0; i < row_count; i++) {
        const size_t at = i * head_dim_v;

        out_certificates[i] = merge_row(first->out + at, &first->certificates[i], second->out + at,
                                        &second->certificates[i], head_dim_v, epsilon, out + at);
    }
    return VSA_SUCCESS;
}
