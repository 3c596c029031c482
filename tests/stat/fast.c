/* Scratch memory, random groups and permutations of the fast simulation. */
#include "fast_work.h"

#include <math.h>
#include <stdlib.h>

void stat_goal_init(stat_goal *goal, double epsilon, double delta)
{
    *goal = (stat_goal){ .epsilon = epsilon, .delta = delta,
                         .z_one = ref_normal_quantile(1 - delta),
                         .z_two = ref_normal_quantile(1 - delta / 2) };
}

void stat_settings_defaults(stat_settings *settings)
{
    static const double margin[] = { 1.0 / 16, 1.0 / 16, 1.0 / 4 };
    static const double guided_margin[] = { 3.0 / 16, 3.0 / 16, 1.0 / 2 };
    static const double strict_margin[] = { 0.1, 0.1, 0.1 };
    static const double share[] = { 0.02, 0.9, 0.06, 0.02 };
    memcpy(settings->margin, margin, sizeof margin);
    memcpy(settings->guided_margin, guided_margin, sizeof guided_margin);
    memcpy(settings->strict_margin, strict_margin, sizeof strict_margin);
    memcpy(settings->stage_share, share, sizeof share);
}

static void *allocate(size_t count, size_t size)
{
    size_t bytes = (count * size + 4095) / 4096 * 4096;
    void *memory = aligned_alloc(64, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

stat_work *stat_work_create(uint32_t tokens, uint32_t dim)
{
    stat_work *work = allocate(1, sizeof *work);
    size_t room = tokens + 2 * LANES;
    *work = (stat_work){ .tokens = tokens, .dim = dim };
    work->member = allocate(room, 1);
    work->samples = allocate(room, sizeof(uint32_t));
    work->x = allocate(room, sizeof(float));
    work->hash = allocate(room, sizeof(uint32_t));
    work->list_token = allocate(room, sizeof(uint32_t));
    work->list_hash = allocate(room, sizeof(uint32_t));
    work->list_weight = allocate(room, sizeof(float));
    return work;
}

void stat_work_destroy(stat_work *work)
{
    if (work != NULL) {
        free(work->member);
        free(work->samples);
        free(work->x);
        free(work->hash);
        free(work->list_token);
        free(work->list_hash);
        free(work->list_weight);
        free(work);
    }
}

void stat_spread(const stat_groups *groups, uint32_t count, const float *centre, double factor,
                 uint32_t dim, double *out_trace, double *out_rank)
{
    float rho[REF_GROUPS][STAT_MAX_DIM], turned[STAT_MAX_DIM][REF_GROUPS];
    float mean[STAT_MAX_DIM] = { 0 };
    double G = count, total = 0, products = 0, pairs = 0;
    memset(turned, 0, sizeof turned);
    for (uint32_t g = 0; g < count; g++) {
        for (uint32_t c = 0; c < dim; c++) {
            rho[g][c] = (float)factor * (groups->value[g][c] - groups->weight[g] * centre[c]);
            mean[c] += rho[g][c] / (float)count;
        }
    }
    for (uint32_t g = 0; g < count; g++) {
        for (uint32_t c = 0; c < dim; c++) {
            rho[g][c] -= mean[c];
            turned[c][g] = rho[g][c];
        }
    }
    for (uint32_t g = 0; g < count; g++) {
        vecf row = vec_set(0);   /* with the groups of its own half */
        for (uint32_t c = 0; c < dim; c++) {
            row += rho[g][c] * vec_load(&turned[c][g / LANES * LANES]);
        }
        for (uint32_t i = g % LANES / REF_PAIR_BLOCK * REF_PAIR_BLOCK, end = i + REF_PAIR_BLOCK;
             i < end; i++) {
            double product = (double)row[i];
            total += i == g % LANES ? product : 0;
            products += i == g % LANES ? 0 : product * product;
        }
        uint32_t block = g / REF_PAIR_BLOCK * REF_PAIR_BLOCK;
        pairs += (count - block < REF_PAIR_BLOCK ? count - block : REF_PAIR_BLOCK) - 1.0;
    }
    double T = total / (G - 1);
    double t2 = products / pairs - T * T / (G * G);
    double rank = t2 > 0 ? 0.7 * T * T / t2 : dim;
    *out_trace = T;
    *out_rank = fmin(fmax(rank, 1), dim);
}

void stat_shrink(double *out, const double *exact_value, double exact_weight, uint32_t dim,
                 double variance, double rank)
{
    double noise = fmax(1 - sqrt(2.8 / rank), 0) * variance, moved = 0;
    if (!(exact_weight > 0) || !(noise > 0)) {
        return;
    }
    for (uint32_t c = 0; c < dim; c++) {
        double move = out[c] - exact_value[c] / exact_weight;
        moved += move * move;
    }
    double kept = moved > noise ? 1 - noise / moved : 0;
    for (uint32_t c = 0; c < dim; c++) {
        double mean = exact_value[c] / exact_weight;
        out[c] = mean + kept * (out[c] - mean);
    }
}

double stat_quantile(const stat_goal *goal, double rank, uint32_t group_count)
{
    double freedom = group_count - 1.0;
    if (rank < 1.3) {
        return stat_student_squared(goal, freedom);
    }
    double a = 2 / (9 * rank), b = 2 / (9 * freedom * rank), z = goal->z_one;
    double root = sqrt((1 - b) * (1 - b) * a + (1 - a) * (1 - a) * b - z * z * a * b);
    double cube_root = ((1 - a) * (1 - b) + z * root) / ((1 - b) * (1 - b) - z * z * b);
    return cube_root * cube_root * cube_root;
}

/* Cornish and Fisher's expansion of Student's quantile, Abramowitz and Stegun 26.7.5. */
double stat_student_squared(const stat_goal *goal, double freedom)
{
    double z = goal->z_two, z2 = z * z;
    double g1 = z * (z2 + 1) / 4;
    double g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
    double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    double g4 = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
    double t = z + (g1 + (g2 + (g3 + g4 / freedom) / freedom) / freedom) / freedom;
    return t * t;
}

static vecu permute_once(const ref_permutation *p, vecu x)
{
    uint32_t low_mask = (1u << p->low_bits) - 1, high_mask = (1u << p->high_bits) - 1;
    vecu high = x >> p->low_bits, low = x & low_mask;
    for (int r = 0; r < 8; r += 2) {
        high ^= vec_mix32(low ^ p->round_keys[r]) & high_mask;
        low ^= vec_mix32(high ^ p->round_keys[r + 1]) & low_mask;
    }
    return high << p->low_bits | low;
}

vecu stat_permute(const ref_permutation *p, vecu counter)
{
    vecu x = permute_once(p, counter);
    for (;;) {
        vecu outside = (vecu)(x >= p->length);
        uint32_t any = 0;
        for (int lane = 0; lane < LANES; lane++) {
            any |= outside[lane];
        }
        if (any == 0) {
            return x;
        }
        x = (permute_once(p, x) & outside) | (x & ~outside);
    }
}

double stat_error(const stat_row *row, const stat_settings *settings, const double *out,
                  double scale, uint32_t dim)
{
    double difference2 = 0, size2 = 0, eta = (double)settings->policy.value_floor;
    for (uint32_t c = 0; c < dim; c++) {
        double difference = out[c] * scale - row->truth[c];
        difference2 += difference * difference;
        size2 += row->truth[c] * row->truth[c];
    }
    size2 = fmax(size2, eta * eta * row->rms2);
    return difference2 == 0 ? 0 : sqrt(difference2 / size2);
}
