#include "dense_reference.h"

#include <math.h>

enum { LANES = 8, MAX_HEAD_DIM = 256 };

/* Independent lanes, so that the compiler may use vectors without reordering a sum. */
static double dot(const double *a, const float *b, uint32_t count)
{
    double lane[LANES] = {0};
    double sum = 0.0;

    for (uint32_t i = 0; i < count; i += LANES) {
        for (uint32_t j = 0; j < LANES; j++) {
            lane[j] += a[i + j] * (double)b[i + j];
        }
    }
    for (uint32_t j = 0; j < LANES; j++) {
        sum += lane[j];
    }
    return sum;
}

dense_truth dense_reference(const dense_row *row, double *weights, double *out)
{
    double q[MAX_HEAD_DIM];
    double largest = -HUGE_VAL, normaliser = 0.0, squares = 0.0;

    for (uint32_t c = 0; c < row->head_dim_k; c++) {
        q[c] = row->softmax_scale * (double)row->q[c];
    }
    for (uint32_t i = 0; i < row->length_tokens; i++) {
        weights[i] = dot(q, row->k + (size_t)i * row->head_dim_k, row->head_dim_k);
        largest = weights[i] > largest ? weights[i] : largest;
    }
    for (uint32_t c = 0; c < row->head_dim_v; c++) {
        out[c] = 0.0;
    }
    for (uint32_t i = 0; i < row->length_tokens; i++) {
        const double weight = exp(weights[i] - largest);
        const float *v = row->v + (size_t)i * row->head_dim_v;
        double square = 0.0;

        normaliser += weight;
        for (uint32_t c = 0; c < row->head_dim_v; c++) {
            out[c] += weight * (double)v[c];
            square += (double)v[c] * (double)v[c];
        }
        squares += weight * square;
    }
    for (uint32_t c = 0; c < row->head_dim_v; c++) {
        out[c] /= normaliser;
    }
    return (dense_truth){.log_normaliser = largest + log(normaliser),
                         .value_rms = sqrt(squares / normaliser)};
}

double dense_reference_error(vsa_target target, uint32_t head_dim_v, const float *out,
                             double log_normaliser, const double *reference, dense_truth truth,
                             double value_floor)
{
    const double ratio = exp(log_normaliser - truth.log_normaliser);

    if (target == VSA_TARGET_DENOMINATOR) {
        return fabs(ratio - 1.0);
    }
    const double factor = target == VSA_TARGET_NUMERATOR ? ratio : 1.0;
    double difference = 0.0, norm = 0.0;

    for (uint32_t c = 0; c < head_dim_v; c++) {
        const double d = factor * (double)out[c] - reference[c];

        difference += d * d;
        norm += reference[c] * reference[c];
    }
    if (difference == 0.0) {
        return 0.0;
    }
    const double size = fmax(sqrt(norm), value_floor * truth.value_rms);

    return size > 0.0 ? sqrt(difference) / size : HUGE_VAL;
}
