/* The only file that calls vkCmd*. Each stage is a list of dispatches of bounded size; between
 * stages stands one global memory barrier. */
#include <string.h>

#include "layer.h"
#include "ranges.h"

typedef struct recorder {
    const vsa_layer *layer;
    const vsai_shape *shape;
    const vsai_vk_table *vk;
    VkCommandBuffer cmd;
    const vsa_step *step;
    vsai_push push;
    uint32_t groups;          /* of this step */
    uint32_t score_chunks, select_chunks, dense_chunks;
    /* Of the stages that are dispatched indirectly. */
    vsai_ranges dense, samples, combines, scans, picks, exacts;
} recorder;

/* ----------------------------------------------------------------- helpers */

static uint32_t or_one(uint32_t value)
{
    return value != 0 ? value : 1;
}

static uint32_t max32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t chunks_of(uint32_t tokens, uint32_t chunk)
{
    return (tokens + chunk - 1) / chunk;
}

/* The end of a kernel; NULL: where kernels begin. */
static void mark(const recorder *r, const char *kernel)
{
    vsa_kernel_marks *marks = r->step->marks;

    if (marks == NULL) {
        return;
    }
    if (marks->count < marks->capacity) {
        marks->kernels[marks->count] = kernel;
        r->vk->CmdWriteTimestamp(r->cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, marks->queries,
                                 marks->first_query + marks->count);
    }
    marks->count++;
}

static vsa_result check_step(const vsa_layer *layer, const vsa_step *step)
{
    const vsa_plan_create_info *info = &layer->plan->shape.info;
    const vsa_log *log = &layer->plan->context->log;

    if (step->sequence_count > info->max_sequences || step->query_count > info->max_queries) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "step has %u sequences and %u queries, the plan allows %u and %u",
                         step->sequence_count, step->query_count, info->max_sequences,
                         info->max_queries);
    }
    if (step->max_length_tokens == 0 || step->max_length_tokens > info->max_tokens) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "max_length_tokens is %u, must be 1 to the plan's max_tokens %u",
                         step->max_length_tokens, info->max_tokens);
    }
    return VSA_SUCCESS;
}

static vsa_result recorder_init(recorder *r, const vsa_layer *layer, VkCommandBuffer cmd,
                                const vsa_step *step)
{
    const vsai_shape *shape;
    const vsa_plan_create_info *info;
    vsa_result result;
    uint32_t cells;
    uint32_t most;   /* dispatches of one stage */

    if (layer == NULL || cmd == VK_NULL_HANDLE || step == NULL) {
        return VSA_ERROR_INVALID_ARGUMENT;
    }
    if ((result = check_step(layer, step)) != VSA_SUCCESS) {
        return result;
    }
    shape = &layer->plan->shape;
    info = &shape->info;
    memset(r, 0, sizeof(*r));
    r->layer = layer;
    r->shape = shape;
    r->vk = &layer->plan->context->vk;
    r->cmd = cmd;
    r->step = step;
    r->push.sequence_count = or_one(step->sequence_count);
    r->push.query_count = or_one(step->query_count);
    r->push.max_length = step->max_length_tokens;
    r->push.seed_low = (uint32_t)step->seed;
    r->push.seed_high = (uint32_t)(step->seed >> 32);
    r->push.stream = step->stream;
    r->push.chunk_tokens = vsai_dense_chunk(step->max_length_tokens);
    r->groups = r->push.sequence_count * r->push.query_count * info->kv_heads;
    r->score_chunks = chunks_of(step->max_length_tokens, VSA_SCORE_CHUNK);
    r->select_chunks = chunks_of(step->max_length_tokens, VSA_SELECT_CHUNK);
    r->dense_chunks = chunks_of(step->max_length_tokens, r->push.chunk_tokens);

    cells = r->groups * shape->blocks;
    r->dense = vsai_ranges_make(r->dense_chunks, cells, info->kv_heads * shape->blocks,
                                r->push.chunk_tokens, info->max_dispatch_tokens);
    /* A random group holds at most 1/32 of the largest sample: half of the residual, or, where
     * the rows of a group sample for each other, all of it. */
    r->samples = vsai_ranges_make(
        VSA_RANDOM_GROUPS, cells, info->kv_heads * shape->blocks,
        chunks_of(step->max_length_tokens, (shape->method.guided ? 1 : 2) * VSA_RANDOM_GROUPS),
        info->max_dispatch_tokens);
    r->combines = vsai_ranges_make(shape->group, r->groups, info->kv_heads, 1,
                                   info->max_dispatch_tokens);
    r->scans = vsai_ranges_make(r->score_chunks, cells, info->kv_heads * shape->blocks,
                                VSA_SCORE_CHUNK, info->max_dispatch_tokens);
    r->picks = vsai_ranges_make(r->select_chunks, r->groups, info->kv_heads, VSA_SELECT_CHUNK,
                                info->max_dispatch_tokens);
    r->exacts = vsai_ranges_make(shape->exact_splits, cells, info->kv_heads * shape->blocks,
                                 shape->exact_chunk, info->max_dispatch_tokens);
    r->push.dense_nx = r->dense.nx;
    r->push.dense_ny = r->dense.ny;
    r->push.dense_rx = r->dense.rx;
    r->push.sample_nx = r->samples.nx;
    r->push.sample_ny = r->samples.ny;
    r->push.sample_rx = r->samples.rx;
    r->push.combine_nx = r->combines.nx;
    r->push.combine_ny = r->combines.ny;
    r->push.combine_rx = r->combines.rx;
    r->push.scan_nx = r->scans.nx;
    r->push.scan_ny = r->scans.ny;
    r->push.scan_rx = r->scans.rx;
    r->push.pick_nx = r->picks.nx;
    r->push.pick_ny = r->picks.ny;
    r->push.pick_rx = r->picks.rx;
    r->push.exact_nx = r->exacts.nx;
    r->push.exact_ny = r->exacts.ny;
    r->push.exact_rx = r->exacts.rx;
    most = max32(vsai_ranges_count(&r->dense), vsai_ranges_count(&r->samples));
    most = max32(most, vsai_ranges_count(&r->combines));
    if (shape->method.guided) {
        most = max32(most, vsai_ranges_count(&r->scans));
        most = max32(most, vsai_ranges_count(&r->picks));
        most = max32(most, vsai_ranges_count(&r->exacts));
    }
    if (most > VSA_MAX_RANGES) {
        return vsai_fail(&layer->plan->context->log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "the step needs %u dispatches for one stage, limit %u: raise "
                         "max_dispatch_tokens", most, VSA_MAX_RANGES);
    }
    r->vk->CmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE,
                                 layer->plan->pipeline_layout, 0, 1, &layer->set, 0, NULL);
    mark(r, NULL);
    return VSA_SUCCESS;
}

/* Vulkan 1.2, 7.6: a global memory barrier from every compute write to every later read, write
 * or indirect argument fetch of the library. Also orders writes after earlier reads. */
static void barrier_stage(const recorder *r)
{
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_INDIRECT_COMMAND_READ_BIT};

    r->vk->CmdPipelineBarrier(r->cmd,
                              VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                                  VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
                              VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                                  VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
                              0, 1, &barrier, 0, NULL, 0, NULL);
}

static void timestamp(const recorder *r, vsa_timestamp which)
{
    if (r->step->timestamps != VK_NULL_HANDLE) {
        r->vk->CmdWriteTimestamp(r->cmd, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                 r->step->timestamps, r->step->first_query + (uint32_t)which);
    }
}

static void bind(const recorder *r, vsai_kernel kernel)
{
    r->vk->CmdBindPipeline(r->cmd, VK_PIPELINE_BIND_POINT_COMPUTE,
                           r->layer->plan->pipelines[kernel]);
}

static void push_first(const recorder *r, uint32_t first_x, uint32_t first_y)
{
    vsai_push push = r->push;

    push.first_x = first_x;
    push.first_y = first_y;
    r->vk->CmdPushConstants(r->cmd, r->layer->plan->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT,
                            0, sizeof(push), &push);
}

static uint32_t part_of(uint32_t total, uint32_t first, uint32_t each)
{
    return total - first < each ? total - first : each;
}

/* stream_place() in common.glsl. */
static int cells_are_along_x(const recorder *r, vsai_kernel kernel)
{
    return r->shape->constants[VSA_ID_HEADS_TOGETHER] != VSA_HEADS_APART &&
           (kernel == VSAI_KERNEL_SCORE || kernel == VSAI_KERNEL_SCAN ||
            kernel == VSAI_KERNEL_ATTEND_DENSE);
}

static void dispatch_ranges(const recorder *r, vsai_kernel kernel, const vsai_ranges *ranges)
{
    const int swapped = cells_are_along_x(r, kernel);

    bind(r, kernel);
    for (uint32_t y = 0; y < ranges->total_y; y += ranges->ny) {
        for (uint32_t x = 0; x < ranges->total_x; x += ranges->nx) {
            const uint32_t nx = part_of(ranges->total_x, x, ranges->nx);
            const uint32_t ny = part_of(ranges->total_y, y, ranges->ny);
            push_first(r, x, y);
            r->vk->CmdDispatch(r->cmd, swapped ? ny : nx, swapped ? nx : ny, 1);
        }
    }
    mark(r, vsai_kernel_name(kernel));
}

/* The same ranges with the counts that combine.comp left in argument set `set`. */
static void dispatch_indirect(const recorder *r, vsai_kernel kernel, const vsai_ranges *ranges,
                              uint32_t set)
{
    VkDeviceSize at = r->layer->control_offset +
                      (VkDeviceSize)set * VSA_MAX_RANGES * VSA_ARGS_WORDS * sizeof(uint32_t);

    bind(r, kernel);
    for (uint32_t y = 0; y < ranges->ry; y++) {
        for (uint32_t x = 0; x < ranges->rx; x++) {
            /* A range writes beside the arguments of the next one: nothing that has to wait, but tools
             * that follow whole buffers see a hazard. */
            if (x + y != 0) {
                barrier_stage(r);
            }
            push_first(r, x * ranges->nx, y * ranges->ny);
            r->vk->CmdDispatchIndirect(r->cmd, r->layer->control, at);
            at += VSA_ARGS_WORDS * sizeof(uint32_t);
        }
    }
    mark(r, vsai_kernel_name(kernel));
}

/* total_x by total_y workgroups of tokens_per_x tokens each, cut into bounded dispatches. */
static void dispatch(const recorder *r, vsai_kernel kernel, uint32_t total_x, uint32_t total_y,
                     uint32_t cells_per_query, uint32_t tokens_per_x)
{
    const vsai_ranges ranges = vsai_ranges_make(total_x, total_y, cells_per_query, tokens_per_x,
                                                r->shape->info.max_dispatch_tokens);
    dispatch_ranges(r, kernel, &ranges);
}

/* ------------------------------------------------------------------ stages */

static vsai_kernel scan_kernel(const recorder *r)
{
    return r->shape->keys_stride != 0 ? VSAI_KERNEL_SCAN_KEYS : VSAI_KERNEL_SCAN;
}

/* Method guided: a few scores say how likely each token is to be read, then all are scored. */
static void record_scan(recorder *r)
{
    const uint32_t cells = r->groups * r->shape->blocks;
    const uint32_t kv_cells = r->shape->info.kv_heads * r->shape->blocks;

    barrier_stage(r);
    r->push.items = 1;
    dispatch(r, scan_kernel(r), VSA_PROBE_TOKENS / VSA_PROBE_CHUNK, cells, kv_cells,
             VSA_PROBE_CHUNK);
    barrier_stage(r);
    r->push.items = 0;
    dispatch(r, VSAI_KERNEL_GUIDE, 1, r->groups * r->shape->group, r->shape->info.q_heads, 1);
    barrier_stage(r);
    dispatch_ranges(r, scan_kernel(r), &r->scans);
}

static void record_score(recorder *r)
{
    const uint32_t kv_heads = r->shape->info.kv_heads;

    barrier_stage(r);
    dispatch(r, VSAI_KERNEL_BEGIN, 1, r->groups, kv_heads, 1);
    if (!r->shape->method.scores) {
        return;
    }
    if (r->shape->keys_stride != 0) {
        dispatch(r, VSAI_KERNEL_QUERY, 1, r->groups * r->shape->group, r->shape->info.q_heads, 1);
    }
    if (r->shape->method.guided) {
        record_scan(r);
        return;
    }
    barrier_stage(r);
    dispatch(r, r->shape->keys_stride != 0 ? VSAI_KERNEL_SCORE_KEYS : VSAI_KERNEL_SCORE,
             r->score_chunks, r->groups * r->shape->blocks, kv_heads * r->shape->blocks,
             VSA_SCORE_CHUNK);
}

static void select_step(recorder *r, vsai_kernel kernel, uint32_t digit)
{
    barrier_stage(r);
    r->push.round = digit;
    dispatch(r, kernel, r->select_chunks, r->groups, r->shape->info.kv_heads, VSA_SELECT_CHUNK);
}

/* Needs no barrier towards the base sample: both read the membership bits. */
static void record_moments(recorder *r)
{
    if (r->shape->method.samples) {
        barrier_stage(r);
        dispatch(r, VSAI_KERNEL_RESIDUAL, r->select_chunks, r->groups * r->shape->group,
                 r->shape->info.q_heads, VSA_SELECT_CHUNK);
    }
}

/* Weights of the candidates, by row. */
static void weigh_step(recorder *r, vsai_kernel kernel, uint32_t digit)
{
    barrier_stage(r);
    r->push.round = digit;
    dispatch(r, kernel, r->select_chunks, r->groups * r->shape->group, r->shape->info.q_heads,
             VSA_SELECT_CHUNK);
}

static void record_select(recorder *r)
{
    if (!r->shape->method.scores || r->shape->method.guided) {
        return;
    }
    select_step(r, VSAI_KERNEL_RANK, 0);
    if (r->shape->method.top_p) {
        for (uint32_t digit = 0; digit < 3; digit++) {
            weigh_step(r, VSAI_KERNEL_MASS, digit);
            barrier_stage(r);
            dispatch(r, VSAI_KERNEL_FIND, 1, r->groups, r->shape->info.kv_heads, 1);
        }
    } else {
        select_step(r, VSAI_KERNEL_REFINE, 1);
        select_step(r, VSAI_KERNEL_REFINE, 2);
    }
    select_step(r, VSAI_KERNEL_COUNT, 0);
    select_step(r, VSAI_KERNEL_EMIT, 0);
    record_moments(r);
}

/* Method guided, extension `stage`: for the groups that want one. */
static void extend_guided(recorder *r, uint32_t stage)
{
    barrier_stage(r);
    r->push.round = stage;
    r->push.items = 0;
    dispatch_indirect(r, scan_kernel(r), &r->scans, VSA_ARGS_SCAN + stage);
    barrier_stage(r);
    dispatch_indirect(r, VSAI_KERNEL_PICK, &r->picks, VSA_ARGS_PICK + stage);
    barrier_stage(r);
    dispatch_indirect(r, VSAI_KERNEL_PLACE, &r->picks, VSA_ARGS_PICK + stage);
}

/* Sample number `stage`: 0 the base sample, then the extensions. */
static void record_sample(recorder *r, uint32_t stage)
{
    if (!r->shape->method.samples) {
        return;
    }
    if (r->shape->method.guided) {
        if (stage > 0) {
            extend_guided(r, stage);
        } else {
            select_step(r, VSAI_KERNEL_PICK, 0);
            select_step(r, VSAI_KERNEL_PLACE, 0);
        }
        return;
    }
    barrier_stage(r);
    dispatch(r, VSAI_KERNEL_SAMPLE, 1, r->groups, r->shape->info.kv_heads, 1);
}

static void attend_exact(recorder *r)
{
    r->push.items = VSA_ITEMS_EXACT;
    if (r->shape->method.guided) {   /* how many tokens are heavy is known on the device alone */
        dispatch_indirect(r, VSAI_KERNEL_ATTEND_SPARSE, &r->exacts,
                          VSA_ARGS_EXACT + r->push.round);
        return;
    }
    dispatch(r, VSAI_KERNEL_ATTEND_SPARSE, r->shape->exact_splits, r->groups * r->shape->blocks,
             r->shape->info.kv_heads * r->shape->blocks, r->shape->exact_chunk);
}

static void record_attend(recorder *r)
{
    barrier_stage(r);
    r->push.round = 0;
    attend_exact(r);
    if (r->shape->method.samples) {
        r->push.items = VSA_ITEMS_SAMPLES;
        dispatch_ranges(r, VSAI_KERNEL_ATTEND_SPARSE, &r->samples);
    }
}

static void record_extensions(recorder *r)
{
    const uint32_t rounds = r->shape->method.samples ? VSA_ROUNDS : 1;
    const vsai_kernel combine = r->shape->method.guided ? VSAI_KERNEL_COMBINE_GUIDED
                                                        : VSAI_KERNEL_COMBINE;

    for (uint32_t round = 0; round < rounds; round++) {
        barrier_stage(r);
        r->push.round = round;
        if (round == 0) {
            dispatch_ranges(r, combine, &r->combines);
        } else {
            dispatch_indirect(r, combine, &r->combines, VSA_ARGS_COMBINE + round);
        }
        if (round + 1 < rounds) {
            record_sample(r, round + 1);
            barrier_stage(r);
            if (r->shape->method.guided) {
                attend_exact(r);   /* more tokens are heavy now */
            }
            r->push.items = VSA_ITEMS_SAMPLES;
            dispatch_indirect(r, VSAI_KERNEL_ATTEND_SPARSE, &r->samples,
                              VSA_ARGS_SAMPLES + round + 1);
        }
    }
}

static void record_fallback(recorder *r)
{
    barrier_stage(r);
    dispatch_indirect(r, VSAI_KERNEL_ATTEND_DENSE, &r->dense, VSA_ARGS_DENSE);
    barrier_stage(r);
    dispatch(r, VSAI_KERNEL_FINISH, 1, r->groups * r->shape->group, r->shape->info.q_heads, 1);
    if (r->shape->carries) {
        dispatch(r, VSAI_KERNEL_LEARN, 1, r->push.sequence_count, 1, 1);
    }
}

static void record_dense(recorder *r)
{
    barrier_stage(r);
    dispatch(r, VSAI_KERNEL_BEGIN_DENSE, 1, r->groups, r->shape->info.kv_heads, 1);
    barrier_stage(r);
    dispatch_ranges(r, VSAI_KERNEL_ATTEND_DENSE, &r->dense);
    barrier_stage(r);
    dispatch(r, VSAI_KERNEL_FINISH_DENSE, 1, r->groups * r->shape->group,
             r->shape->info.q_heads, 1);
}

/* `state` for the last push.new_tokens tokens (items 0), or those from token push.capacity on. */
static void record_state(recorder *r, uint32_t tokens)
{
    const uint32_t cells = r->push.sequence_count * r->shape->info.kv_heads;

    if (r->shape->state_size == 0) {
        return;
    }
    barrier_stage(r);
    r->push.new_tokens = tokens;
    if (r->shape->carries) {
        dispatch(r, VSAI_KERNEL_FORGET, 1, r->push.sequence_count, 1, 1);
    }
    if (r->shape->norm_blocks != 0) {
        dispatch(r, VSAI_KERNEL_NORMS, tokens / VSA_NORM_BLOCK + 2, cells, 1, VSA_NORM_BLOCK);
    }
    if ((r->shape->norm_blocks != 0 || r->shape->carries) && r->shape->keys_stride != 0) {
        barrier_stage(r);   /* both write `state` */
    }
    if (r->shape->keys_stride != 0 && r->shape->info.policy.scorer == VSA_SCORER_PAGE) {
        dispatch(r, VSAI_KERNEL_PAGES, tokens / VSA_PAGE_TOKENS + 2, cells, 1, VSA_PAGE_TOKENS);
    } else if (r->shape->keys_stride != 0) {
        dispatch(r, VSAI_KERNEL_KEYS, tokens, cells, 1, 1);
    }
}

/* ------------------------------------------------------------------ public */

/* Invocations of append for one row: pairs of channels, or blocks. */
static uint32_t append_items(vsa_dtype dtype, uint32_t head_dim)
{
    return head_dim / (vsai_is_quantised(dtype) ? VSA_QUANT_BLOCK : 2);
}

vsa_result vsa_cmd_append(const vsa_layer *layer, VkCommandBuffer cmd, const vsa_step *step,
                          uint32_t new_tokens)
{
    recorder r;
    const vsa_plan_create_info *info;
    uint64_t rows;
    uint64_t k_size;
    uint64_t v_size;
    uint32_t items;
    uint32_t workgroup;
    vsa_result result = recorder_init(&r, layer, cmd, step);

    if (result != VSA_SUCCESS || new_tokens == 0) {
        return result;
    }
    info = &r.shape->info;
    rows = (uint64_t)r.push.sequence_count * new_tokens;
    k_size = rows * info->kv_heads * vsa_dtype_row_size(info->new_dtype, info->head_dim_k);
    v_size = rows * info->kv_heads * vsa_dtype_row_size(info->new_dtype, info->head_dim_v);
    if (new_tokens > step->max_length_tokens || layer->new_k_size < k_size ||
        layer->new_v_size < v_size) {
        return vsai_fail(&layer->plan->context->log, VSA_ERROR_BUFFER_TOO_SMALL,
                         "append of %u tokens: new_k has %llu bytes and new_v %llu, they need "
                         "%llu and %llu", new_tokens, (unsigned long long)layer->new_k_size,
                         (unsigned long long)layer->new_v_size, (unsigned long long)k_size,
                         (unsigned long long)v_size);
    }
    barrier_stage(&r);
    r.push.new_tokens = new_tokens;
    items = info->kv_heads * (append_items(info->kv.k.dtype, info->head_dim_k) +
                              append_items(info->kv.v.dtype, info->head_dim_v));
    workgroup = layer->plan->append_workgroup;
    dispatch(&r, VSAI_KERNEL_APPEND, chunks_of(items, workgroup), (uint32_t)rows, 1, 1);
    r.push.items = 0;
    record_state(&r, new_tokens);
    return VSA_SUCCESS;
}

vsa_result vsa_cmd_index(const vsa_layer *layer, VkCommandBuffer cmd, const vsa_step *step,
                         uint32_t first_token, uint32_t token_count)
{
    recorder r;
    const vsa_result result = recorder_init(&r, layer, cmd, step);

    if (result == VSA_SUCCESS &&
        (uint64_t)first_token + token_count > r.shape->info.max_tokens) {
        return vsai_fail(&layer->plan->context->log, VSA_ERROR_INVALID_ARGUMENT,
                         "index of tokens %u to %llu, the plan's max_tokens is %u", first_token,
                         (unsigned long long)first_token + token_count,
                         r.shape->info.max_tokens);
    }
    if (result == VSA_SUCCESS && token_count != 0) {
        r.push.items = 1;
        r.push.capacity = first_token;
        record_state(&r, token_count);
    }
    return result;
}

vsa_result vsa_cmd_stage(const vsa_layer *layer, VkCommandBuffer cmd, const vsa_step *step,
                         vsa_stage stage)
{
    recorder r;
    const vsa_result result = recorder_init(&r, layer, cmd, step);
    int dense;

    if (result != VSA_SUCCESS) {
        return result;
    }
    dense = r.shape->info.policy.method == VSA_METHOD_DENSE;
    switch (stage) {
    case VSA_STAGE_SCORE:
        timestamp(&r, VSA_TIMESTAMP_BEGIN);
        if (!dense) {
            record_score(&r);
        }
        timestamp(&r, VSA_TIMESTAMP_SCORE);
        break;
    case VSA_STAGE_SELECT:
        if (!dense) {
            record_select(&r);
        }
        timestamp(&r, VSA_TIMESTAMP_SELECT);
        break;
    case VSA_STAGE_SAMPLE:
        if (!dense) {
            record_sample(&r, 0);
        }
        timestamp(&r, VSA_TIMESTAMP_SAMPLE);
        break;
    case VSA_STAGE_ATTEND:
        if (dense) {
            record_dense(&r);
        } else {
            record_attend(&r);
        }
        timestamp(&r, VSA_TIMESTAMP_ATTEND);
        break;
    case VSA_STAGE_COMBINE:
        if (!dense) {
            record_extensions(&r);
        }
        timestamp(&r, VSA_TIMESTAMP_COMBINE);
        if (!dense) {
            record_fallback(&r);
        }
        timestamp(&r, VSA_TIMESTAMP_FALLBACK);
        break;
    default:
        return vsai_fail(&layer->plan->context->log, VSA_ERROR_INVALID_ARGUMENT,
                         "stage is %d, must be 1 to 5", (int)stage);
    }
    return VSA_SUCCESS;
}

vsa_result vsa_cmd_decode(const vsa_layer *layer, VkCommandBuffer cmd, const vsa_step *step)
{
    for (int stage = VSA_STAGE_SCORE; stage <= VSA_STAGE_COMBINE; stage++) {
        const vsa_result result = vsa_cmd_stage(layer, cmd, step, (vsa_stage)stage);
        if (result != VSA_SUCCESS) {
            return result;
        }
    }
    return VSA_SUCCESS;
}

vsa_result vsa_cmd_dense(const vsa_layer *layer, VkCommandBuffer cmd, const vsa_step *step)
{
    recorder r;
    const vsa_result result = recorder_init(&r, layer, cmd, step);

    if (result != VSA_SUCCESS) {
        return result;
    }
    for (int i = VSA_TIMESTAMP_BEGIN; i < VSA_TIMESTAMP_ATTEND; i++) {
        timestamp(&r, (vsa_timestamp)i);
    }
    record_dense(&r);
    for (int i = VSA_TIMESTAMP_ATTEND; i < VSA_TIMESTAMP_COUNT; i++) {
        timestamp(&r, (vsa_timestamp)i);
    }
    return VSA_SUCCESS;
}

vsa_result vsa_cmd_indices(const vsa_layer *layer, VkCommandBuffer cmd, const vsa_step *step,
                           uint32_t capacity)
{
    recorder r;
    uint32_t rows;
    vsa_result result = recorder_init(&r, layer, cmd, step);

    if (result != VSA_SUCCESS) {
        return result;
    }
    rows = r.groups * r.shape->group;
    if (capacity == 0 || (uint64_t)rows * capacity * 4 > layer->indices_size) {
        return vsai_fail(&layer->plan->context->log, VSA_ERROR_BUFFER_TOO_SMALL,
                         "indices has %llu bytes, %u rows of %u indices need %llu",
                         (unsigned long long)layer->indices_size, rows, capacity,
                         (unsigned long long)rows * capacity * 4);
    }
    barrier_stage(&r);
    r.push.capacity = capacity;
    dispatch(&r, VSAI_KERNEL_INDICES, chunks_of(capacity, layer->plan->indices_workgroup), rows,
             r.shape->info.q_heads, 1);
    return VSA_SUCCESS;
}
