/* Methods vattention and sample: one sweep over the draws serves every goal and target. */
#include "fast_work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_JOBS = STAT_MAX_GOALS * (STAT_TARGETS + 1), STRICT = STAT_TARGETS };

/* One decision procedure: a goal, and a target or the strict bound. */
typedef struct job {
    const stat_goal *goal;
    int           target;   /* from 0; STRICT: denominator */
    uint32_t      next;     /* samples at the next evaluation; 0 = finished */
    uint32_t      extensions;
    stat_outcome *out;
} job;

/* Everything about the row; sums are in units of its largest weight. */
typedef struct state {
    stat_work           *work;
    const stat_values   *values;
    const stat_row      *row;
    const stat_settings *settings;
    ref_permutation      permutation;
    uint32_t N, n_f, counter, drawn, summed;
    int      known;
    double   W1, W2, tau;
    double   exact_weight, exact_norms;
    double   exact_value[STAT_MAX_DIM];
    double   heaviest;
    /* Estimates at `summed` samples; `spread_of` says which T and h are there. */
    double   l, B[STAT_MAX_DIM], D, out[STAT_MAX_DIM];
    int      has_spread[STAT_TARGETS];
    double   trace[STAT_TARGETS], rank[STAT_TARGETS];
} state;

/* ------------------------------------------------------------------ exact set */

static int compare_ranks(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Bits that order floats up to 0 as their values do. */
static uint32_t order_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value == 0 ? 0x80000000u : ~bits;
}

/* Marks the k candidates of highest score: a histogram of the leading bits, then a sort of the
 * bin that the k-th falls into. */
static void select_top(stat_work *work, const float *seen, uint32_t first, uint32_t end, uint32_t k)
{
    enum { SHIFT = 16, BINS = 1 << 16 };
    static _Thread_local uint32_t histogram[BINS];
    memset(histogram, 0, sizeof histogram);
    for (uint32_t i = first; i < end; i++) {
        histogram[order_bits(seen[i]) >> SHIFT]++;
    }
    uint32_t bin = BINS - 1, above = 0;
    while (bin > 0 && above + histogram[bin] < k) {
        above += histogram[bin--];
    }
    uint64_t *ranks = malloc((histogram[bin] + 1) * sizeof *ranks);
    uint32_t count = 0;
    for (uint32_t i = first; i < end; i++) {
        uint32_t bits = order_bits(seen[i]), own = bits >> SHIFT;
        work->member[i] = own > bin;
        if (own == bin) {
            ranks[count++] = (uint64_t)bits << 32 | (uint32_t)~i;
        }
    }
    qsort(ranks, count, sizeof *ranks, compare_ranks);
    for (uint32_t i = 0; i < count && above + i < k; i++) {
        work->member[~(uint32_t)ranks[i]] = 1;
    }
    free(ranks);
}

static void choose_exact_set(state *s)
{
    const stat_settings *settings = s->settings;
    uint32_t n = s->values->tokens, dim = s->values->dim;
    ref_exact_set set;
    ref_exact_counts(&settings->policy, n, &set);
    memset(s->work->member, 1, n);
    if (set.top_k > 0) {
        select_top(s->work, s->row->seen, set.sink_end, set.window_begin, set.top_k);
    } else {
        memset(s->work->member + set.sink_end, 0, set.residual_count);
    }
    s->N = set.residual_count;
    s->n_f = n - s->N;
    for (uint32_t i = 0; i < n; i++) {
        float w = s->row->w[i];
        if (s->work->member[i]) {
            const float *v = s->values->v + (size_t)i * dim;
            s->exact_weight += (double)w;
            s->exact_norms += (double)w * (double)s->values->norm2[i];
            for (uint32_t c = 0; c < dim; c++) {
                s->exact_value[c] += (double)(w * v[c]);
            }
        } else if (s->known) {
            s->W1 += (double)w;
            s->W2 += (double)w * (double)w;
            s->tau = fmax(s->tau, (double)w);
        }
    }
}

/* ------------------------------------------------------------------ draws and sums */

static void draw_until(state *s, uint32_t count)
{
    uint32_t n = s->values->tokens;
    while (s->drawn < count && s->counter < n) {
        vecu counters = vec_iota(s->counter);
        uint32_t valid = n - s->counter < LANES ? n - s->counter : LANES;
        for (uint32_t lane = valid; lane < LANES; lane++) {
            counters[lane] = 0;   /* walking from outside [0, n) might never enter it */
        }
        vecu tokens = stat_permute(&s->permutation, counters);
        for (uint32_t lane = 0; lane < valid; lane++) {
            uint32_t token = tokens[lane];
            s->work->samples[s->drawn] = token;
            s->drawn += !s->work->member[token];
        }
        s->counter += valid;
    }
}

static void sum_until(state *s, uint32_t count)
{
    stat_groups *groups = &s->work->groups;
    uint32_t dim = s->values->dim;
    for (uint32_t i = s->summed; i < count; i++) {
        uint32_t token = s->work->samples[i], g = i % REF_GROUPS;
        float w = s->row->w[token];
        const float *v = s->values->v + (size_t)token * dim;
        for (uint32_t c = 0; c < dim; c += LANES) {
            float *sum = &groups->value[g][c];
            vec_store(sum, vec_load(sum) + w * vec_load(v + c));
        }
        groups->weight[g] += w;
        groups->squares += (double)w * (double)w;
        groups->norms += (double)w * (double)s->values->norm2[token];
        s->heaviest = fmax(s->heaviest, (double)w);
        s->work->x[i] = w;
    }
    s->summed = count;

    double R = s->N / (double)count;
    s->l = 0;
    memset(s->B, 0, sizeof s->B);
    for (int g = 0; g < REF_GROUPS; g++) {
        s->l += (double)groups->weight[g];
        for (uint32_t c = 0; c < dim; c++) {
            s->B[c] += (double)groups->value[g][c];
        }
    }
    s->D = s->exact_weight + R * s->l;
    for (uint32_t c = 0; c < dim; c++) {
        s->out[c] = (s->exact_value[c] + R * s->B[c]) / s->D;
    }
    memset(s->has_spread, 0, sizeof s->has_spread);
}

static void need_spread(state *s, int target)
{
    float centre[STAT_MAX_DIM] = { 0 };
    if (s->has_spread[target]) {
        return;
    }
    for (uint32_t c = 0; c < s->values->dim && target == 2; c++) {
        centre[c] = (float)s->out[c];
    }
    stat_spread(&s->work->groups, REF_GROUPS, centre, s->N / (double)s->summed / s->D,
                s->values->dim, &s->trace[target], &s->rank[target]);
    s->has_spread[target] = 1;
}

/* ------------------------------------------------------------------ betting */

/* E_hi and E_lo of ref_bet, all but their certainty that a side is out: the weights are in x. */
static double evidence(const state *s, const stat_goal *goal)
{
    const double epsilon = goal->epsilon, tau = s->tau, b = s->summed;
    double exact = s->exact_weight / tau, N = s->N;
    double total = exact + N / b * s->l / tau;
    double high = total / (1 - epsilon) - exact, low = total / (1 + epsilon) - exact;
    double sum = 0, squares = 0, log_high = 0, log_low = 0;
    int high_is_out = 0, low_is_out = 0;
    uint32_t size;
    for (uint32_t first = 0; first < s->summed; first += size) {
        size = ref_bet_block(first);
        double mean = first > 0 ? sum / first : 0;
        double variance = first > 0 ? fmax(squares / first - mean * mean, 0) : 0;
        double gap = epsilon * (exact / N + mean);
        double stake = first > 0 ? fmin(0.75, gap / (variance + gap * gap)) : 0;
        double mean_high = (high - sum) / (N - first), mean_low = (low - sum) / (N - first);
        high_is_out = high_is_out || mean_high > 1;
        low_is_out = low_is_out || mean_low < 0;
        float up = (float)(1 + stake * fmin(fmax(mean_high, 0), 1)), bet = (float)(stake / tau);
        float down = (float)(1 - stake * fmin(fmax(mean_low, 0), 1));
        for (uint32_t part = first; part < first + size; part += 4 * LANES) {
            vecf product_high = vec_set(1), product_low = vec_set(1), x_sum = vec_set(0),
                 x_squares = vec_set(0);
            for (uint32_t i = part; i < part + 4 * LANES; i += LANES) {
                vecf x = vec_load(s->work->x + i);
                product_high *= up - bet * x;
                product_low *= down + bet * x;
                x_sum += x;
                x_squares += x * x;
            }
            double all_high = 1, all_low = 1;   /* 64 factors in [1/4, 7/4] */
            for (int lane = 0; lane < LANES; lane++) {
                all_high *= (double)product_high[lane];
                all_low *= (double)product_low[lane];
            }
            log_high += log(all_high);
            log_low += log(all_low);
            sum += (double)vec_sum(x_sum) / tau;
            squares += (double)vec_sum(x_squares) / (tau * tau);
        }
    }
    return fmin(high_is_out ? (double)INFINITY : log_high,
                low_is_out ? (double)INFINITY : log_low);
}

/* ------------------------------------------------------------------ decisions */

static uint32_t round_up(uint32_t value)
{
    return (value + REF_GROUPS - 1) / REF_GROUPS * REF_GROUPS;
}

/* The certified error, and the samples that would do. */
static double judge(state *s, const job *j, uint32_t *out_wanted, double *out_size2,
                    double *out_variance, uint32_t *flags)
{
    const stat_settings *settings = s->settings;
    double b = s->summed, N = s->N, shrink = 1 / b - 1 / N, epsilon = j->goal->epsilon;
    *out_size2 = 1;
    *out_variance = 0;
    if (j->target == STRICT) {
        double needed = log(2 / j->goal->delta), found = evidence(s, j->goal);
        double factor = found > 0 ? fmin(fmax(needed / found, 1.1), 1.5) : 1.5;
        double mean = s->l / b / s->tau, gap = epsilon * (s->exact_weight / s->tau / N + mean);
        double variance = fmax(s->work->groups.squares / b / (s->tau * s->tau) - mean * mean, 0);
        double plain = 2 * needed * (variance + gap * gap) / (gap * gap) + 64;
        *out_wanted = (uint32_t)fmin(ceil(fmax(plain / (1 + plain / N), b * factor)), N);
        return found >= needed ? epsilon : (double)INFINITY;
    }
    double q, S;
    if (j->target == 0) {
        double variance = s->known
            ? (s->W2 - s->W1 * s->W1 / N) / (N - 1)
            : (s->work->groups.squares - s->l * s->l / b) / (b - 1);
        double D = s->known ? s->exact_weight + s->W1 : s->D;
        q = s->known ? j->goal->z_two * j->goal->z_two : stat_student_squared(j->goal, b - 1);
        S = N * N * fmax(variance, 0) / (D * D);
    } else {
        need_spread(s, j->target);
        q = stat_quantile(j->goal, s->rank[j->target], REF_GROUPS);
        S = REF_GROUPS * s->trace[j->target] * b;
        if (s->known && s->W1 <= REF_NOTHING * s->D) {
            S = 0;
        } else if (s->known && s->work->groups.squares > 0) {
            S *= fmax(1, (1 + s->W2 / (N / b * s->work->groups.squares)) / 2);
        }
        double out2 = 0, rms2 = (s->exact_norms + N / b * s->work->groups.norms) / s->D;
        for (uint32_t c = 0; c < s->values->dim; c++) {
            out2 += s->out[c] * s->out[c];
        }
        *out_variance = S * shrink;
        *out_size2 = ref_relative_size(out2, S * shrink, (double)settings->policy.value_floor, rms2,
                                       flags);
    }
    double wanted = N, error = (double)INFINITY;
    if (*out_size2 > 0) {
        double plain = q * S / (epsilon * epsilon * *out_size2);
        wanted = plain / (1 + plain / N);
        error = sqrt(q * S * shrink / *out_size2);
    }
    *out_wanted = round_up((uint32_t)ceil(wanted));
    return error;
}

static void finish(state *s, job *j, int met, double certified, double variance, uint32_t flags)
{
    stat_outcome *out = j->out;
    j->next = 0;
    out->met = (uint8_t)met;
    out->stages = (uint8_t)(j->extensions + 1);
    out->flags = (uint8_t)flags;
    out->samples = s->summed;
    out->exact = s->n_f;
    out->gathered = s->n_f + s->summed;
    out->certified = met ? (float)certified : 0;
    out->error = 0;
    if (met) {
        double scale = s->D / s->row->D, result[STAT_MAX_DIM];
        memcpy(result, s->out, sizeof result);
        if (j->target == 2) {
            stat_shrink(result, s->exact_value, s->exact_weight, s->values->dim, variance,
                        s->rank[2]);
        }
        out->error = (float)(j->target == 0 || j->target == STRICT
                                 ? fabs(scale - 1)
                                 : stat_error(s->row, s->settings, result,
                                              j->target == 1 ? scale : 1, s->values->dim));
    }
}

static void decide(state *s, job *j)
{
    uint32_t wanted, flags = 0;
    double size2, variance, certified = judge(s, j, &wanted, &size2, &variance, &flags);
    if (size2 == 0) {
        finish(s, j, 0, 0, 0, flags | VSA_CERTIFICATE_UNATTAINABLE);
        return;
    }
    if (j->target != STRICT && s->heaviest > j->goal->epsilon / 2 * s->D) {
        finish(s, j, 0, 0, 0, flags | VSA_CERTIFICATE_HEAVY_SAMPLE);
        return;
    }
    if (certified <= j->goal->epsilon) {
        finish(s, j, 1, certified, variance, flags);
        return;
    }
    uint32_t last = j->extensions < REF_MAX_EXTENSIONS ? j->extensions : REF_MAX_EXTENSIONS - 1;
    uint32_t next = wanted + round_up((uint32_t)(wanted * s->settings->margin[last]));
    next = next > s->summed + REF_GROUPS ? next : s->summed + REF_GROUPS;
    if (j->target == STRICT) {
        next = ref_bet_round_up(next);
    }
    if ((uint64_t)2 * next >= s->N) {
        finish(s, j, 0, 0, 0, flags | VSA_CERTIFICATE_UNATTAINABLE);
        return;
    }
    if (j->extensions == REF_MAX_EXTENSIONS) {
        finish(s, j, 0, 0, 0, flags);
        j->out->last = 1;
        return;
    }
    j->extensions++;
    j->next = next;
}

void stat_uniform(stat_work *work, const stat_batch *batch, const stat_row *row,
                  const stat_settings *settings, uint64_t seed, uint32_t kv_head,
                  stat_outcome (*out)[STAT_TARGETS], stat_outcome *strict)
{
    job jobs[MAX_JOBS];
    uint32_t job_count = 0;
    state s = { .work = work, .values = &batch->values, .row = row, .settings = settings,
                .known = settings->policy.method == VSA_METHOD_VATTENTION && row->seen == row->s };
    memset(&work->groups, 0, sizeof work->groups);
    choose_exact_set(&s);
    ref_permutation_init(&s.permutation, seed, 0, 0, kv_head, batch->values.tokens);
    vsa_policy policy = settings->policy;
    policy.bound = VSA_BOUND_CLT;
    uint32_t base = ref_base_samples(&policy, s.N);
    policy.bound = VSA_BOUND_STRICT;
    uint32_t strict_base = ref_base_samples(&policy, s.N);
    for (uint32_t g = 0; g < settings->goal_count; g++) {
        for (int t = 0; t <= STRICT; t++) {
            if (t == STRICT && (strict == NULL || !s.known)) {
                continue;
            }
            stat_outcome *o = t == STRICT ? &strict[g] : &out[g][t];
            uint32_t next = t == STRICT ? strict_base : base;
            *o = (stat_outcome){ 0 };
            jobs[job_count++] = (job){ &settings->goals[g], t, next, 0, o };
        }
    }
    for (;;) {
        uint32_t next = UINT32_MAX;
        for (uint32_t i = 0; i < job_count; i++) {
            next = jobs[i].next != 0 && jobs[i].next < next ? jobs[i].next : next;
        }
        if (next == UINT32_MAX) {
            return;
        }
        draw_until(&s, next);
        sum_until(&s, next);
        for (uint32_t i = 0; i < job_count; i++) {
            if (jobs[i].next == next) {
                decide(&s, &jobs[i]);
            }
        }
    }
}
