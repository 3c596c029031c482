/* Sums over tokens, and the spread of the random groups: T, h and q of "Error". */
#include "reference.h"

#include <math.h>

int ref_sums_add(ref_sums *sums, const float *v, uint32_t head_dim, double weight)
{
    double norm2 = 0;
    for (uint32_t c = 0; c < head_dim; c++) {
        double value = (double)v[c];
        norm2 += value * value;
        sums->value[c] += weight * value;
    }
    sums->weight += weight;
    sums->squares += weight * weight;
    sums->norms += weight * norm2;
    return isfinite(norm2);
}

void ref_sums_merge(ref_sums *into, const ref_sums *from, uint32_t head_dim)
{
    into->weight += from->weight;
    into->squares += from->squares;
    into->norms += from->norms;
    for (uint32_t c = 0; c < head_dim; c++) {
        into->value[c] += from->value[c];
    }
}

double ref_dot(const double *a, const double *b, uint32_t count)
{
    double sum = 0;
    for (uint32_t c = 0; c < count; c++) {
        sum += a[c] * b[c];
    }
    return sum;
}

/* Szekely and Bakirov 2003: the quadratic form is compared with an F variable of h degrees. */
static double rank_quantile(double rank, double freedom, double delta)
{
    if (rank < 1.3) {
        double t = ref_student_quantile(1 - delta / 2, freedom);
        return t * t;
    }
    return ref_f_quantile_paulson(1 - delta, rank, freedom * rank);
}

void ref_group_spread(const ref_sums *groups, uint32_t group_count, const double *centre,
                      double factor, uint32_t head_dim, double delta, ref_spread *out)
{
    double G = group_count, rho[REF_GROUPS][REF_MAX_DIM], mean[REF_MAX_DIM] = { 0 };
    for (uint32_t g = 0; g < group_count; g++) {
        for (uint32_t c = 0; c < head_dim; c++) {
            rho[g][c] = factor * (groups[g].value[c] - groups[g].weight * centre[c]);
            mean[c] += rho[g][c] / G;
        }
    }
    for (uint32_t g = 0; g < group_count; g++) {
        for (uint32_t c = 0; c < head_dim; c++) {
            rho[g][c] -= mean[c];
        }
    }
    double total = 0, products = 0, pairs = 0;
    for (uint32_t g = 0; g < group_count; g++) {
        total += ref_dot(rho[g], rho[g], head_dim);
        for (uint32_t other = 0; other < group_count; other++) {
            if (other != g && other / REF_PAIR_BLOCK == g / REF_PAIR_BLOCK) {
                double product = ref_dot(rho[g], rho[other], head_dim);
                products += product * product;
                pairs++;
            }
        }
    }
    double T = total / (G - 1);
    double t2 = products / pairs - T * T / (G * G);
    double rank = t2 > 0 ? 0.7 * T * T / t2 : head_dim;
    out->trace = T;
    out->rank = fmin(fmax(rank, 1), head_dim);
    out->quantile = rank_quantile(out->rank, G - 1, delta);
}

double ref_relative_size(double out2, double variance, double floor, double rms2, uint32_t *flags)
{
    double size2 = fmax(out2 - variance, 0);
    double lowest = floor * floor * rms2;
    if (lowest > size2) {
        *flags |= VSA_CERTIFICATE_FLOORED;
        return lowest;
    }
    return size2;
}

void ref_shrink(double *out, const ref_sums *exact, uint32_t head_dim, double variance,
                double rank)
{
    double move[REF_MAX_DIM], moved = 0, noise = fmax(1 - sqrt(2.8 / rank), 0) * variance;
    if (!(exact->weight > 0) || !(noise > 0)) {
        return;
    }
    for (uint32_t c = 0; c < head_dim; c++) {
        move[c] = out[c] - exact->value[c] / exact->weight;
        moved += move[c] * move[c];
    }
    double taken = moved > noise ? noise / moved : 1;
    for (uint32_t c = 0; c < head_dim; c++) {
        out[c] -= taken * move[c];
    }
}
