/*
 * Which sequence of a plan holds whose index. A scorer's `state` is kept per sequence and place in
 * it; rows of a step come in any number and order. Each row is given the sequence whose list of
 * cells begins most like its own, and told what of it has to be indexed again. Pure.
 */
#ifndef VSAI_GGML_SLOTS_H
#define VSAI_GGML_SLOTS_H

#include <stdint.h>

enum { VSAI_GGML_SLOTS = 16, VSAI_GGML_SLOT_RANGES = 16 };

/* What sequence s holds: `counts[s]` cells, and the version of each when it was indexed. */
typedef struct vsai_ggml_slots {
    uint32_t  slot_count, capacity;
    uint32_t *cells, *versions;   /* [slot][capacity] */
    uint32_t  counts[VSAI_GGML_SLOTS];
} vsai_ggml_slots;

/* Tokens [first, end). */
typedef struct vsai_ggml_range {
    uint32_t first, end;
} vsai_ggml_range;

typedef struct vsai_ggml_ranges {
    vsai_ggml_range ranges[VSAI_GGML_SLOT_RANGES];
    uint32_t count;
} vsai_ggml_ranges;

/* 0 = no memory. */
int vsai_ggml_slots_create(vsai_ggml_slots *out_slots, uint32_t slot_count, uint32_t capacity);
void vsai_ggml_slots_destroy(vsai_ggml_slots *slots);

/* out_slots[r] = the slot of row r, each another; row_count <= slot_count. */
void vsai_ggml_slots_assign(const vsai_ggml_slots *slots, const uint32_t *const *rows,
                            const uint32_t *counts, uint32_t row_count, uint32_t *out_slots);

/* Makes the slot hold this row, and adds what differed to the ranges, as few as fit. `versions` is
 * per cell. */
void vsai_ggml_slots_update(vsai_ggml_slots *slots, uint32_t slot, const uint32_t *row,
                            uint32_t count, const uint32_t *versions, vsai_ggml_ranges *ranges);

#endif
