// Asks for workgroups of a stage that is dispatched indirectly. Needs the binding `control`.
#ifndef ADD_RANGES_GLSL
#define ADD_RANGES_GLSL
#include "ranges.glsl"

// `total` workgroups for each cell of the group.
void add_ranges(uint set, uint group, uint total)
{
    Ranges ranges = ranges_of(set);
    uint first = group * ranges_cells(set) / ranges.ny * ranges.rx;
    for (uint i = 0; i < ranges.rx; i++) {
        uint count = min(ranges.nx, total - min(i * ranges.nx, total));
        uint word = (set * VSA_MAX_RANGES + first + i) * VSA_ARGS_WORDS;
        atomicMax(control[word + 1u - cells_axis(set)], count);
    }
}
#endif
