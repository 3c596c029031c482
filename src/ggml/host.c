#include "host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums of one head so far, scaled by exp(-maximum). */
typedef struct head_sum {
    double maximum, normaliser;
} head_sum;

static void to_float(const vsai_ggml_plane *plane, uint32_t cell, uint32_t kv_head, float *out)
{
    const char *row = vsai_ggml_plane_row(plane, cell, kv_head);

    if (plane->dtype == VSA_DTYPE_F32) {
        memcpy(out, row, plane->head_dim * sizeof *out);
    } else {
        ggml_get_type_traits(plane->tensor->type)->to_float(row, out, plane->head_dim);
    }
}

static double logit_of(const vsai_ggml_node *node, const float *q, const float *k)
{
    double sum = 0;

    for (uint32_t c = 0; c < node->k.head_dim; c++) {
        sum += (double)q[c] * k[c];
    }
    sum *= node->scale;
    return node->softcap != 0.0f ? node->softcap * tanh(sum / node->softcap) : sum;
}

static void add(head_sum *sum, double *out, const float *v, uint32_t head_dim, double logit)
{
    if (logit == -INFINITY) {
        return;
    }
    if (logit > sum->maximum) {
        const double shrink = exp(sum->maximum - logit);   /* 0 for the first */
        sum->normaliser *= shrink;
        for (uint32_t c = 0; c < head_dim; c++) {
            out[c] *= shrink;
        }
        sum->maximum = logit;
    }
    const double weight = exp(logit - sum->maximum);
    sum->normaliser += weight;
    for (uint32_t c = 0; c < head_dim; c++) {
        out[c] += weight * v[c];
    }
}

int vsai_ggml_host_attend(const vsai_ggml_node *node, uint32_t stream, uint32_t query,
                          double *out, double *log_normalisers)
{
    const uint16_t *mask = vsai_ggml_node_mask(node, stream, query);
    const uint32_t first_cell = vsai_ggml_node_first_cell(node, stream);
    const uint32_t group = node->q_heads / node->kv_heads, dim = node->v.head_dim;
    float *k = malloc((node->k.head_dim + dim) * sizeof *k);
    head_sum *sums = malloc(node->q_heads * sizeof *sums);

    if (k == NULL || sums == NULL) {
        free(k);
        free(sums);
        return 0;
    }
    float *v = k + node->k.head_dim;
    memset(out, 0, (size_t)node->q_heads * dim * sizeof *out);
    for (uint32_t h = 0; h < node->q_heads; h++) {
        sums[h] = (head_sum){.maximum = -INFINITY};
    }
    for (uint32_t cell = 0; cell < node->cells; cell++) {
        const double added = mask != NULL ? (double)ggml_fp16_to_fp32(mask[cell]) : 0;
        if (added == -INFINITY) {
            continue;
        }
        for (uint32_t kv_head = 0; kv_head < node->kv_heads; kv_head++) {
            to_float(&node->k, first_cell + cell, kv_head, k);
            to_float(&node->v, first_cell + cell, kv_head, v);
            for (uint32_t h = kv_head * group; h < (kv_head + 1) * group; h++) {
                const float *q = vsai_ggml_node_q(node, stream, query, h);
                add(&sums[h], out + (size_t)h * dim, v, dim, logit_of(node, q, k) + added);
            }
        }
    }
    for (uint32_t h = 0; h < node->q_heads; h++) {
        for (uint32_t c = 0; c < dim && sums[h].normaliser != 0; c++) {
            out[(size_t)h * dim + c] /= sums[h].normaliser;
        }
        if (log_normalisers != NULL) {
            log_normalisers[h] = sums[h].maximum + log(sums[h].normaliser);
        }
    }
    free(k);
    free(sums);
    return 1;
}
