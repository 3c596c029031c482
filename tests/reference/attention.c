/* Dense attention in double precision. */
#include "reference.h"

#include <math.h>

void ref_logits(const float *q, const float *k, size_t k_stride, uint32_t head_dim, uint32_t length,
                double scale, double softcap, double *out_logits)
{
    for (uint32_t i = 0; i < length; i++) {
        double dot = 0;
        for (uint32_t c = 0; c < head_dim; c++) {
            dot += (double)q[c] * (double)k[i * k_stride + c];
        }
        double logit = scale * dot;
        out_logits[i] = softcap > 0 ? softcap * tanh(logit / softcap) : logit;
    }
}

double ref_attend(const double *logits, const float *v, size_t v_stride, uint32_t head_dim,
                  uint32_t length, double *out)
{
    double maximum = -INFINITY;
    int finite = length > 0;
    for (uint32_t c = 0; c < head_dim; c++) {
        out[c] = 0;
    }
    for (uint32_t i = 0; i < length; i++) {
        finite = finite && isfinite(logits[i]);
        maximum = fmax(maximum, logits[i]);
    }
    double denominator = 0;
    for (uint32_t i = 0; i < length && finite; i++) {
        double weight = exp(logits[i] - maximum);
        denominator += weight;
        for (uint32_t c = 0; c < head_dim; c++) {
            finite = finite && isfinite(v[i * v_stride + c]);
            out[c] += weight * (double)v[i * v_stride + c];
        }
    }
    for (uint32_t c = 0; c < head_dim; c++) {
        out[c] = finite ? out[c] / denominator : 0;
    }
    return finite ? maximum + log(denominator) : (double)NAN;
}

static double ratio(double difference2, double size2)
{
    return difference2 == 0 ? 0 : sqrt(difference2 / size2);
}

double ref_relative_error(const double *a, const double *b, uint32_t count)
{
    double difference2 = 0, size2 = 0;
    for (uint32_t i = 0; i < count; i++) {
        difference2 += (a[i] - b[i]) * (a[i] - b[i]);
        size2 += b[i] * b[i];
    }
    return ratio(difference2, size2);
}

double ref_relative_error_f32(const float *a, const double *b, uint32_t count)
{
    double difference2 = 0, size2 = 0;
    for (uint32_t i = 0; i < count; i++) {
        double difference = (double)a[i] - b[i];
        difference2 += difference * difference;
        size2 += b[i] * b[i];
    }
    return ratio(difference2, size2);
}
