// Workgroups of the stages that are dispatched indirectly: one record of arguments for each range that
// record.c cuts the stage into. Needs the binding `control`.
#ifndef RANGES_GLSL
#define RANGES_GLSL

// How a stage is cut: nx by ny workgroups a range, rx ranges along x.
struct Ranges {
    uint nx, ny, rx;
};

Ranges ranges_of(uint set)
{
    if (set == VSA_ARGS_DENSE) {
        return Ranges(push.dense_nx, push.dense_ny, push.dense_rx);
    }
    if (set <= VSA_ARGS_COMBINE) {
        return Ranges(push.sample_nx, push.sample_ny, push.sample_rx);
    }
    if (set <= VSA_ARGS_SCAN) {
        return Ranges(push.combine_nx, push.combine_ny, push.combine_rx);
    }
    if (set <= VSA_ARGS_PICK) {
        return Ranges(push.scan_nx, push.scan_ny, push.scan_rx);
    }
    if (set < VSA_ARGS_EXACT) {
        return Ranges(push.pick_nx, push.pick_ny, push.pick_rx);
    }
    return Ranges(push.exact_nx, push.exact_ny, push.exact_rx);
}

// stream_place() in common.glsl: which of a dispatch's counts is that of the cells.
uint cells_axis(uint set)
{
    bool streams = set == VSA_ARGS_DENSE
                       ? HEADS_TOGETHER != VSA_HEADS_APART
                       : set > VSA_ARGS_SCAN && set <= VSA_ARGS_PICK &&
                             HEADS_TOGETHER == VSA_HEADS_SCANNED;
    return streams ? 0u : 1u;
}

// Cells that a group has in this stage.
uint ranges_cells(uint set)
{
    bool by_group = (set > VSA_ARGS_COMBINE && set <= VSA_ARGS_SCAN) ||
                    (set > VSA_ARGS_PICK && set < VSA_ARGS_EXACT);
    return by_group ? 1u : BLOCKS;
}
#endif
