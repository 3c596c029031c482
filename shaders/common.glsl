// Specialisation constants, push constants, and the control records that all shaders share.
#ifndef COMMON_GLSL
#define COMMON_GLSL
#define VSA_GLSL
#include "vsa_shared.h"

layout(local_size_x_id = VSA_ID_WG, local_size_y = 1, local_size_z = 1) in;

layout(constant_id = VSA_ID_WG) const uint WG = 128;
layout(constant_id = VSA_ID_DK) const uint DK = 64;
layout(constant_id = VSA_ID_DV) const uint DV = 64;
layout(constant_id = VSA_ID_Q_HEADS) const uint Q_HEADS = 1;
layout(constant_id = VSA_ID_KV_HEADS) const uint KV_HEADS = 1;
layout(constant_id = VSA_ID_HEAD_BLOCK) const uint HEAD_BLOCK = 1;
layout(constant_id = VSA_ID_Q_TYPE) const uint Q_TYPE = VSA_TYPE_F32;
layout(constant_id = VSA_ID_OUT_TYPE) const uint OUT_TYPE = VSA_TYPE_F32;
layout(constant_id = VSA_ID_TOKEN_STRIDE) const uint TOKEN_STRIDE = 0;
layout(constant_id = VSA_ID_ONLY_DENSE) const uint ONLY_DENSE = 0;
layout(constant_id = VSA_ID_SAMPLES) const uint SAMPLES = 0;
layout(constant_id = VSA_ID_GUIDED) const uint GUIDED = 0;
layout(constant_id = VSA_ID_NORMS) const uint NORMS = 0;
layout(constant_id = VSA_ID_LIST_STRIDE) const uint LIST_STRIDE = 0;
layout(constant_id = VSA_ID_SAMPLE_STRIDE) const uint SAMPLE_STRIDE = 0;
layout(constant_id = VSA_ID_EXACT_SPLITS) const uint EXACT_SPLITS = 0;
layout(constant_id = VSA_ID_HIST_OFFSET) const uint HIST_OFFSET = 0;
layout(constant_id = VSA_ID_COUNTS_OFFSET) const uint COUNTS_OFFSET = 0;
layout(constant_id = VSA_ID_ROWS_OFFSET) const uint ROWS_OFFSET = 0;
layout(constant_id = VSA_ID_GROUPS_OFFSET) const uint GROUPS_OFFSET = 0;
layout(constant_id = VSA_ID_TOP_OFFSET) const uint TOP_OFFSET = 0;
layout(constant_id = VSA_ID_BITS_OFFSET) const uint BITS_OFFSET = 0;
layout(constant_id = VSA_ID_SAMPLES_OFFSET) const uint SAMPLES_OFFSET = 0;
layout(constant_id = VSA_ID_DENSE_OFFSET) const uint DENSE_OFFSET = 0;
layout(constant_id = VSA_ID_DENSE_SPLITS) const uint DENSE_SPLITS = 1;

const uint GROUP = Q_HEADS / KV_HEADS;                           // query heads per KV head
const uint BLOCKS = (GROUP + HEAD_BLOCK - 1) / HEAD_BLOCK;       // workgroups per group
const uint PARTIAL_WORDS = VSA_PARTIAL_VALUES + DV;
const uint ROW_PARTIALS = EXACT_SPLITS + VSA_RANDOM_GROUPS;

layout(push_constant) uniform Push { VSA_PUSH_FIELDS } push;

// A group is one (sequence, query, KV head); its rows follow one another, one per query head.
uint group_sequence(uint group) { return group / (push.query_count * KV_HEADS); }
uint group_query(uint group) { return (group / KV_HEADS) % push.query_count; }
uint group_kv_head(uint group) { return group % KV_HEADS; }

uint group_word(uint group, uint field) { return GROUPS_OFFSET + group * VSA_G_WORDS + field; }
uint row_word(uint row, uint field) { return ROWS_OFFSET + row * VSA_R_WORDS + field; }
uint partial_word(uint row, uint slot) { return (row * ROW_PARTIALS + slot) * PARTIAL_WORDS; }
uint dense_word(uint row, uint split)
{
    return DENSE_OFFSET + (row * DENSE_SPLITS + split) * PARTIAL_WORDS;
}

layout(constant_id = VSA_ID_HEADS_TOGETHER) const uint HEADS_TOGETHER = 0;

// Of kernels that read all of K: part of the context (x) and cell (y) of this workgroup. Workgroups
// mostly run in the order of their index, x first: where the heads of a token lie side by side, the
// cells are along the dispatch's x, so that those that read the same tokens follow each other.
uvec2 stream_place()
{
    uvec2 at = HEADS_TOGETHER != VSA_HEADS_APART ? gl_WorkGroupID.yx : gl_WorkGroupID.xy;
    return at + uvec2(push.first_x, push.first_y);
}

// How the exact set is split. Method guided reads sink and window once and the heavy tokens in every
// stage, so each of the two has splits of its own, half of them at most.
struct ExactSplits {
    uint fixed_count;    // splits of sink and window; other methods: of all members
    uint fixed_chunk;    // members of each
    uint heavy_count;    // behind them
    uint heavy_chunk;
};

ExactSplits exact_splits(uint members, uint heavy)
{
    const uint most = max(GUIDED != 0u ? EXACT_SPLITS / 2u : EXACT_SPLITS, 1u);
    uint fixed_members = GUIDED != 0u ? members - heavy : members;
    heavy = GUIDED != 0u ? heavy : 0u;
    ExactSplits s;
    s.fixed_chunk = max(uint(VSA_EXACT_CHUNK), (fixed_members + most - 1u) / most);
    s.fixed_count = (fixed_members + s.fixed_chunk - 1u) / s.fixed_chunk;
    s.heavy_chunk = max(uint(VSA_EXACT_CHUNK), (heavy + most - 1u) / most);
    s.heavy_count = (heavy + s.heavy_chunk - 1u) / s.heavy_chunk;
    return s;
}

// n, but no compiler can know it: keeps a loop a loop. Drivers unroll constant trip counts, and a
// long body unrolled 32 times takes seconds to compile and registers that some do not have. A minimum
// would not do: Mesa takes it for the count. Nor does an end that varies over an array of constant
// size: it then takes the array's, unless the loop begins at LOOP(0), too.
#define LOOP(n) ((n) + (push.sequence_count >> 31))

// 64-bit product rounded to nearest: docs/algorithm.md, "Counts from fractions".
uint fraction_of(uint n, uint fraction)
{
    uint high, low;
    umulExtended(n, fraction, high, low);
    return high + (low >> 31);
}
#endif
