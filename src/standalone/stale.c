#include "stale.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void vsai_stale_add(vsai_stale *stale, uint32_t first, uint32_t end)
{
    if (first >= end) {
        return;
    }
    if (stale->first >= stale->end) {
        *stale = (vsai_stale){first, end};
        return;
    }
    stale->first = least(stale->first, first);
    stale->end = stale->end > end ? stale->end : end;
}

vsai_stale vsai_stale_union(const vsai_stale *stale, const uint32_t *lengths, uint32_t count)
{
    vsai_stale all = {0, 0};
    for (uint32_t i = 0; i < count; ++i) {
        vsai_stale_add(&all, stale[i].first, least(stale[i].end, lengths[i]));
    }
    return all;
}

void vsai_stale_indexed(vsai_stale *stale, const uint32_t *lengths, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i) {
        if (lengths[i] >= stale[i].end) {
            stale[i] = (vsai_stale){0, 0};
        } else if (lengths[i] > stale[i].first) {
            stale[i].first = lengths[i];
        }
    }
}
