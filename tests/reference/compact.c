/* The scores of the compact scorers: docs/scorers.md. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_LEVELS 16
#define PAGE_TOKENS  16

static uint32_t padded(uint32_t dim)
{
    uint32_t size = 32;
    while (size < dim) {
        size *= 2;
    }
    return size;
}

/* `out` has room for padded(dim). */
static void rotate(const float *vector, uint32_t dim, double *out)
{
    uint32_t size = padded(dim);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t hash = ref_mix32(i * 0x9e3779b9u + 0x7f4a7c15u);
        out[i] = i < dim ? (hash & 1 ? -1.0 : 1.0) * (double)vector[i] : 0;
    }
    for (uint32_t half = 1; half < size; half *= 2) {
        for (uint32_t i = 0; i < size; i++) {
            if ((i & half) == 0) {
                double a = out[i], b = out[i + half];
                out[i] = a + b;
                out[i + half] = a - b;
            }
        }
    }
    for (uint32_t i = 0; i < size; i++) {
        out[i] /= sqrt(size);
    }
}

/* The smallest f16 that is not below x >= 0. */
static double f16_up(double x)
{
    uint16_t bits = ref_f16_from_f32((float)x);
    return (double)ref_f32_from_f16((double)ref_f32_from_f16(bits) < x ? bits + 1 : bits);
}

static double f16(double x)
{
    return (double)ref_f32_from_f16(ref_f16_from_f32((float)x));
}

/* g and the signs, times a query that is already in levels. */
static double sign_score(const double *q, const double *k, uint32_t size)
{
    double squares = 0, magnitudes = 0, sum = 0;
    for (uint32_t i = 0; i < size; i++) {
        squares += k[i] * k[i];
        magnitudes += fabs(k[i]);
        sum += k[i] >= 0 ? q[i] : -q[i];
    }
    return magnitudes > 0 ? f16(squares / magnitudes) * sum : 0;
}

static double level_score(const double *q, const double *k, uint32_t size, double levels)
{
    double largest = 0, sum = 0;
    for (uint32_t i = 0; i < size; i++) {
        largest = fmax(largest, fabs(k[i]));
    }
    double step = f16_up(largest * 2 / (levels - 1));
    for (uint32_t i = 0; i < size; i++) {
        double code = step > 0 ? floor(k[i] / step + levels / 2) : 0;
        sum += q[i] * (fmin(fmax(code, 0), levels - 1) + 0.5 - levels / 2) * step;
    }
    return sum;
}

/* Scorer sign: the nearest of 16 levels, the outermost at the largest magnitude. */
static void round_query(double *q, uint32_t size)
{
    double largest = 0;
    for (uint32_t i = 0; i < size; i++) {
        largest = fmax(largest, fabs(q[i]));
    }
    double step = largest * 2 / (QUERY_LEVELS - 1);
    for (uint32_t i = 0; i < size && step > 0; i++) {
        double level = floor(q[i] / step + QUERY_LEVELS / 2);
        q[i] = (fmin(fmax(level, 0), QUERY_LEVELS - 1) + 0.5 - QUERY_LEVELS / 2) * step;
    }
}

static double page_score(const float *q, const float *k, size_t k_stride, uint32_t dim,
                         uint32_t count, double scale)
{
    double mean_score = 0, spread = 0;
    for (uint32_t c = 0; c < dim; c++) {
        double mean = 0, squares = 0;
        for (uint32_t t = 0; t < count; t++) {
            mean += (double)k[t * k_stride + c] / count;
        }
        for (uint32_t t = 0; t < count; t++) {
            double off = (double)k[t * k_stride + c] - mean;
            squares += off * off / count;
        }
        mean_score += scale * (double)q[c] * f16(mean);
        double part = scale * (double)q[c] * f16(sqrt(squares));
        spread += part * part;
    }
    return mean_score + sqrt(spread);
}

void ref_compact_scores(vsa_scorer scorer, const float *q, const float *k, size_t k_stride,
                        uint32_t dim, uint32_t tokens, double scale, double *out)
{
    double *rotated_q = malloc(2 * padded(dim) * sizeof *rotated_q);
    double *rotated_k = rotated_q + padded(dim);
    uint32_t size = padded(dim);
    rotate(q, dim, rotated_q);
    for (uint32_t i = 0; i < size; i++) {
        rotated_q[i] *= scale;
    }
    if (scorer == VSA_SCORER_SIGN) {
        round_query(rotated_q, size);
    }
    for (uint32_t t = 0; t < tokens; t++) {
        const float *key = k + t * k_stride;
        if (scorer == VSA_SCORER_PAGE) {
            uint32_t first = t / PAGE_TOKENS * PAGE_TOKENS;
            uint32_t count = tokens - first < PAGE_TOKENS ? tokens - first : PAGE_TOKENS;
            out[t] = t > first ? out[first]
                               : page_score(q, key, k_stride, dim, count, scale);
            continue;
        }
        rotate(key, dim, rotated_k);
        out[t] = scorer == VSA_SCORER_SIGN ? sign_score(rotated_q, rotated_k, size)
                                           : level_score(rotated_q, rotated_k, size,
                                                         scorer == VSA_SCORER_INT8 ? 256 : 16);
    }
    free(rotated_q);
}
