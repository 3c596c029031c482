#include "tuning.h"

#include "vsa_shared.h"

/* GPUs merge neighbouring 16-byte reads, so a row is spread over many invocations. CPU drivers run
 * few wide vectors and pay for every shared access and for every subgroup of a workgroup, so an
 * invocation does more of a row and a workgroup is one vector, whatever the subgroup size. */
static const vsa_tuning gpu_tuning = {.workgroup = 128, .lanes = 16, .repeat = 4,
                                      .value_chunks = 1};
static const vsa_tuning cpu_tuning = {.workgroup = 8, .lanes = 4, .repeat = 8,
                                      .value_chunks = 2};

/* Every head of a block has an invocation. */
#define MIN_WORKGROUP VSA_MAX_HEAD_BLOCK
#define MAX_WORKGROUP 128u

/* maxComputeSharedMemorySize of the portability floor. */
#define SHARED_LIMIT 32768u

static int is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Bytes of shared memory that attend.comp takes: the arrays of logits.glsl and its own. */
static uint32_t shared_size(const vsa_tuning *t, uint32_t head_block)
{
    const uint32_t tile = t->workgroup / t->lanes * t->repeat;
    const uint32_t logits = (head_block + 3) / 4 * tile * t->lanes;
    const uint32_t values = VSA_STAGED_HEADS * t->workgroup * t->value_chunks * 2;
    const uint32_t pool = logits > values ? logits : values;

    return pool * 16 + tile * 4 + 2 * head_block * tile * 4 + 2 * t->workgroup * 4 +
           2 * head_block * 4 + 4;
}

vsa_result vsai_tuning_choose(vsa_tuning *tuning, int is_cpu, uint32_t head_dim_k,
                              uint32_t head_dim_v, uint32_t head_block, const vsa_log *log)
{
    const vsa_tuning *defaults = is_cpu ? &cpu_tuning : &gpu_tuning;
    const int own_lanes = tuning->lanes != 0;
    const int own_workgroup = tuning->workgroup != 0;

    tuning->workgroup = own_workgroup ? tuning->workgroup : defaults->workgroup;
    tuning->lanes = own_lanes ? tuning->lanes : defaults->lanes;
    tuning->repeat = tuning->repeat != 0 ? tuning->repeat : defaults->repeat;
    tuning->value_chunks = tuning->value_chunks != 0 ? tuning->value_chunks
                                                     : defaults->value_chunks;
    while (!own_lanes && tuning->lanes > head_dim_k / 8) {
        tuning->lanes /= 2;
    }
    while (!own_workgroup && tuning->workgroup < MAX_WORKGROUP &&
           (tuning->workgroup < tuning->lanes ||
            tuning->workgroup * tuning->value_chunks < head_dim_v / 8)) {
        tuning->workgroup *= 2;
    }
    if (!is_power_of_two(tuning->workgroup) || tuning->workgroup < MIN_WORKGROUP ||
        tuning->workgroup > MAX_WORKGROUP || !is_power_of_two(tuning->lanes) ||
        tuning->lanes > 32 || tuning->lanes > tuning->workgroup || tuning->repeat > 8 ||
        tuning->value_chunks > 4) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "tuning is workgroup %u, lanes %u, repeat %u, value_chunks %u: must be a "
                         "power of two in 8 to 128, a power of two up to 32 and to workgroup, 1 to "
                         "8 and 1 to 4",
                         tuning->workgroup, tuning->lanes, tuning->repeat, tuning->value_chunks);
    }
    if (head_dim_v / 8 > tuning->workgroup * tuning->value_chunks) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "tuning: a workgroup of %u with %u value_chunks does not cover head_dim_v "
                         "%u", tuning->workgroup, tuning->value_chunks, head_dim_v);
    }
    if (shared_size(tuning, head_block) > SHARED_LIMIT) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "tuning takes %u bytes of shared memory, limit %u",
                         shared_size(tuning, head_block), SHARED_LIMIT);
    }
    return VSA_SUCCESS;
}
