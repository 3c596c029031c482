#include "ranges.h"

/* maxComputeWorkGroupCount of every device is at least this. */
#define MAX_WORKGROUPS 65535u

static uint32_t at_least_one(uint32_t value)
{
    return value > 0 ? value : 1;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

vsai_ranges vsai_ranges_make(uint32_t total_x, uint32_t total_y, uint32_t cells_per_query,
                             uint32_t tokens_per_x, uint32_t max_tokens)
{
    const uint32_t queries = at_least_one(total_y / cells_per_query);
    const uint32_t columns = at_least_one(max_tokens / at_least_one(tokens_per_x));
    vsai_ranges ranges = {.total_x = total_x, .total_y = total_y};
    uint32_t queries_each = smaller(columns, queries);

    queries_each = at_least_one(smaller(queries_each, MAX_WORKGROUPS / cells_per_query));
    ranges.ny = queries_each * cells_per_query;
    ranges.nx = at_least_one(smaller(smaller(columns / queries_each, total_x), MAX_WORKGROUPS));
    ranges.rx = (total_x + ranges.nx - 1) / ranges.nx;
    ranges.ry = (total_y + ranges.ny - 1) / ranges.ny;
    return ranges;
}
