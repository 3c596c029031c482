/* What was computed, per layer. Pure. */
#ifndef VSAI_GGML_SUMMARY_H
#define VSAI_GGML_SUMMARY_H

#include "vsa.h"
#include "vsa_ggml.h"

enum { VSAI_GGML_SUMMARY_LAYERS = 1024 };   /* layers above are counted with the last */

typedef struct vsai_ggml_counts {
    struct vsa_ggml_summary layers[VSAI_GGML_SUMMARY_LAYERS];
    uint32_t layer_count;
} vsai_ggml_counts;

struct vsa_ggml_summary *vsai_ggml_counts_layer(vsai_ggml_counts *counts, uint32_t layer);

/* The rows of one query token: by certificate. */
void vsai_ggml_counts_rows(struct vsa_ggml_summary *layer, const vsa_certificate *rows,
                           uint32_t row_count, int dense, uint64_t read_bytes,
                           uint64_t dense_bytes);
void vsai_ggml_counts_host(struct vsa_ggml_summary *layer, uint32_t row_count, uint32_t tokens,
                           uint64_t bytes);
void vsai_ggml_counts_verified(struct vsa_ggml_summary *layer, const vsa_certificate *row,
                               double error);

void vsai_ggml_counts_total(const vsai_ggml_counts *counts, struct vsa_ggml_summary *out_total);
/* As vsa_print_summary_fn. */
uint64_t vsai_ggml_counts_print(const vsai_ggml_counts *counts, char *text, uint64_t capacity);

#endif
