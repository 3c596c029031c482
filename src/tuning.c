#include "tuning.h"

#include "vsa_shared.h"

/* GPUs merge neighbouring 16-byte reads, so a row is spread over many invocations. CPU drivers run
 * few wide vectors and pay for every shared access and for every subgroup of a workgroup, so an
 * invocation does more of a row and a workgroup is one vector, whatever the subgroup size. To find
 * the segment of a row takes registers that small groups would fill with queries. */
static const struct {
    int is_cpu;
    uint32_t head_block;   /* up to */
    uint32_t segments;     /* up to */
    vsa_tuning tuning;
} defaults[] = {
    {0, 4, 1,
     {.workgroup = 128, .lanes = 16, .repeat = 4, .value_chunks = 1, .query_chunks = 4}},
    {0, 4, VSA_MAX_SEGMENTS,
     {.workgroup = 128, .lanes = 16, .repeat = 4, .value_chunks = 1, .query_chunks = 2}},
    {0, VSA_MAX_HEAD_BLOCK, VSA_MAX_SEGMENTS,
     {.workgroup = 128, .lanes = 8, .repeat = 2, .value_chunks = 1, .query_chunks = 4}},
    {1, VSA_MAX_HEAD_BLOCK, VSA_MAX_SEGMENTS,
     {.workgroup = 8, .lanes = 4, .repeat = 8, .value_chunks = 2, .query_chunks = 256}},
};

/* Every head of a block has an invocation. */
#define MIN_WORKGROUP VSA_MAX_HEAD_BLOCK
#define MAX_WORKGROUP 128u

/* maxComputeSharedMemorySize of the portability floor. */
#define SHARED_LIMIT 32768u
/* Defaults stay below: 8 workgroups of 128 share the 128 KB that 4 SIMD units of RDNA have. */
#define SHARED_GOAL 16384u

static int is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Bytes of shared memory that attend.comp takes at most: the arrays of logits.glsl and its own. */
static uint32_t shared_size(const vsa_tuning *t, const vsai_tuning_case *of)
{
    const uint32_t tile = t->workgroup / t->lanes * t->repeat;
    const uint32_t pool = VSA_POOL_SIZE((of->head_block + 3) / 4 * tile * t->lanes,
                                        t->workgroup * t->value_chunks * 2);
    const uint32_t chunks = of->head_block * ((of->head_dim_k / 8 + t->lanes - 1) / t->lanes);
    const uint32_t queries = chunks <= t->query_chunks ? 1 : chunks * 2 * t->lanes;

    return (pool + queries) * 16 + (2 + 2 * of->head_block) * tile * 4 + 3 * t->workgroup * 4 +
           2 * of->head_block * 4 + 4;
}

/* Fills the zero fields. */
static void fill(vsa_tuning *tuning, const vsai_tuning_case *of)
{
    const int own_workgroup = tuning->workgroup != 0;
    const int own_lanes = tuning->lanes != 0;
    const int own_repeat = tuning->repeat != 0;
    const vsa_tuning *from = &defaults[0].tuning;

    for (size_t i = sizeof defaults / sizeof *defaults; i-- > 0;) {
        if (defaults[i].is_cpu == (of->is_cpu != 0) && of->head_block <= defaults[i].head_block &&
            of->segments <= defaults[i].segments) {
            from = &defaults[i].tuning;
        }
    }
    tuning->workgroup = own_workgroup ? tuning->workgroup : from->workgroup;
    tuning->lanes = own_lanes ? tuning->lanes : from->lanes;
    tuning->repeat = own_repeat ? tuning->repeat : from->repeat;
    tuning->value_chunks = tuning->value_chunks != 0 ? tuning->value_chunks : from->value_chunks;
    tuning->query_chunks = tuning->query_chunks != 0 ? tuning->query_chunks : from->query_chunks;
    while (!own_lanes && tuning->lanes > of->head_dim_k / 8) {
        tuning->lanes /= 2;
    }
    while (!own_workgroup && tuning->workgroup < MAX_WORKGROUP &&
           (tuning->workgroup < tuning->lanes ||
            tuning->workgroup * tuning->value_chunks < of->head_dim_v / 8)) {
        tuning->workgroup *= 2;
    }
    while (!own_repeat && tuning->repeat > 1 && shared_size(tuning, of) > SHARED_GOAL) {
        tuning->repeat /= 2;
    }
}

vsa_result vsai_tuning_choose(vsa_tuning *tuning, const vsai_tuning_case *of, const vsa_log *log)
{
    fill(tuning, of);
    if (!is_power_of_two(tuning->workgroup) || tuning->workgroup < MIN_WORKGROUP ||
        tuning->workgroup > MAX_WORKGROUP || !is_power_of_two(tuning->lanes) ||
        tuning->lanes > 32 || tuning->lanes > tuning->workgroup || tuning->repeat > 8 ||
        tuning->value_chunks > 4 || tuning->query_chunks > 256) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "tuning is workgroup %u, lanes %u, repeat %u, value_chunks %u, "
                         "query_chunks %u: must be a power of two in 8 to 128, a power of two up "
                         "to 32 and to workgroup, 1 to 8, 1 to 4 and 1 to 256",
                         tuning->workgroup, tuning->lanes, tuning->repeat, tuning->value_chunks,
                         tuning->query_chunks);
    }
    if (of->head_dim_v / 8 > tuning->workgroup * tuning->value_chunks) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "tuning: a workgroup of %u with %u value_chunks does not cover head_dim_v "
                         "%u", tuning->workgroup, tuning->value_chunks, of->head_dim_v);
    }
    if (shared_size(tuning, of) > SHARED_LIMIT) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "tuning takes %u bytes of shared memory, limit %u",
                         shared_size(tuning, of), SHARED_LIMIT);
    }
    return VSA_SUCCESS;
}
