#include "slots.h"

#include <stdlib.h>
#include <string.h>

/* Ranges that are closer become one: a dispatch costs more than a few tokens indexed again. */
enum { MIN_GAP = 64 };

/* Tokens that share an entry of `state`, at most (VSA_NORM_BLOCK): what a list that became shorter
 * leaves in its last entry is indexed again. */
enum { BLOCK = 64 };

int vsai_ggml_slots_create(vsai_ggml_slots *out_slots, uint32_t slot_count, uint32_t capacity)
{
    const size_t entries = (size_t)slot_count * capacity;

    *out_slots = (vsai_ggml_slots){.slot_count = slot_count, .capacity = capacity};
    out_slots->cells = malloc(entries * sizeof *out_slots->cells);
    out_slots->versions = malloc(entries * sizeof *out_slots->versions);
    if (out_slots->cells == NULL || out_slots->versions == NULL) {
        vsai_ggml_slots_destroy(out_slots);
        return 0;
    }
    return 1;
}

void vsai_ggml_slots_destroy(vsai_ggml_slots *slots)
{
    free(slots->cells);
    free(slots->versions);
    *slots = (vsai_ggml_slots){0};
}

static uint32_t common_prefix(const vsai_ggml_slots *slots, uint32_t slot, const uint32_t *row,
                              uint32_t count)
{
    const uint32_t *cells = slots->cells + (size_t)slot * slots->capacity;
    const uint32_t shared = slots->counts[slot] < count ? slots->counts[slot] : count;
    uint32_t i = 0;

    while (i < shared && cells[i] == row[i]) {
        i++;
    }
    return i;
}

void vsai_ggml_slots_assign(const vsai_ggml_slots *slots, const uint32_t *const *rows,
                            const uint32_t *counts, uint32_t row_count, uint32_t *out_slots)
{
    uint8_t taken[VSAI_GGML_SLOTS] = {0}, placed[VSAI_GGML_SLOTS] = {0};
    uint32_t prefix[VSAI_GGML_SLOTS][VSAI_GGML_SLOTS];

    for (uint32_t r = 0; r < row_count; r++) {
        for (uint32_t s = 0; s < slots->slot_count; s++) {
            prefix[r][s] = common_prefix(slots, s, rows[r], counts[r]);
        }
    }
    /* The best pair first. Of slots that are equally like, the emptiest: the longer list may be
     * that of a sequence that comes back. */
    for (uint32_t step = 0; step < row_count; step++) {
        uint32_t row = VSAI_GGML_SLOTS, slot = 0;
        for (uint32_t r = 0; r < row_count; r++) {
            for (uint32_t s = 0; s < slots->slot_count && !placed[r]; s++) {
                if (!taken[s] && (row == VSAI_GGML_SLOTS || prefix[r][s] > prefix[row][slot] ||
                                  (prefix[r][s] == prefix[row][slot] &&
                                   slots->counts[s] < slots->counts[slot]))) {
                    row = r;
                    slot = s;
                }
            }
        }
        placed[row] = 1;
        taken[slot] = 1;
        out_slots[row] = slot;
    }
}

static void add_range(vsai_ggml_ranges *ranges, uint32_t first, uint32_t end)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < ranges->count; i++) {
        const vsai_ggml_range r = ranges->ranges[i];
        if (r.first <= end + MIN_GAP && first <= r.end + MIN_GAP) {
            first = r.first < first ? r.first : first;
            end = r.end > end ? r.end : end;
        } else {
            ranges->ranges[kept++] = r;
        }
    }
    if (kept == VSAI_GGML_SLOT_RANGES) {
        /* Full: the last one reaches over the gap. */
        const vsai_ggml_range r = ranges->ranges[--kept];
        ranges->count = kept;
        add_range(ranges, r.first < first ? r.first : first, r.end > end ? r.end : end);
        return;
    }
    ranges->ranges[kept] = (vsai_ggml_range){first, end};
    ranges->count = kept + 1;
}

void vsai_ggml_slots_update(vsai_ggml_slots *slots, uint32_t slot, const uint32_t *row,
                            uint32_t count, const uint32_t *versions, vsai_ggml_ranges *ranges)
{
    uint32_t *cells = slots->cells + (size_t)slot * slots->capacity;
    uint32_t *held = slots->versions + (size_t)slot * slots->capacity;
    uint32_t first = count;   /* of the run of differences; count = none */

    for (uint32_t i = 0; i < count; i++) {
        const int same = i < slots->counts[slot] && cells[i] == row[i] &&
                         held[i] == versions[row[i]];
        if (!same) {
            cells[i] = row[i];
            held[i] = versions[row[i]];
            first = first == count ? i : first;
        } else if (first != count) {
            add_range(ranges, first, i);
            first = count;
        }
    }
    if (first != count) {
        add_range(ranges, first, count);
    }
    if (count != 0 && count < slots->counts[slot]) {
        add_range(ranges, (count - 1) / BLOCK * BLOCK, count);
    }
    slots->counts[slot] = count;
}
