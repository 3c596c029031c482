/* How one stage is cut into dispatches of bounded work. Pure. */
#ifndef VSAI_RANGES_H
#define VSAI_RANGES_H

#include <stdint.h>

typedef struct vsai_ranges {
    uint32_t total_x, total_y;  /* workgroups of the whole stage */
    uint32_t nx, ny;            /* of one dispatch, at most */
    uint32_t rx, ry;            /* dispatches along each axis */
} vsai_ranges;

/* A stage of total_x by total_y workgroups. total_y counts query tokens x cells_per_query, and a
 * dispatch never parts the cells of one query token. One workgroup column handles tokens_per_x
 * tokens; a dispatch handles at most max_tokens tokens x query tokens, and at least one of each. */
vsai_ranges vsai_ranges_make(uint32_t total_x, uint32_t total_y, uint32_t cells_per_query,
                             uint32_t tokens_per_x, uint32_t max_tokens);

static inline uint32_t vsai_ranges_count(const vsai_ranges *ranges)
{
    return ranges->rx * ranges->ry;
}

#endif
