#include "shape.h"

#include <math.h>
#include <string.h>

#include "bound.h"
#include "ranges.h"
#include "tuning.h"

#define MAX_PLANE_SIZE (UINT64_C(1) << 34)   /* 2^32 words: shaders address words */
#define MAX_TOKENS     (1u << 24)
#define MIN_DISPATCH   VSA_SELECT_CHUNK
#define SAMPLE_BLOCK   256u                  /* draws are kept in blocks of the sample workgroup */
#define SEGMENT_ALIGN  256u                  /* the largest legal minStorageBufferOffsetAlignment */

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

uint32_t vsai_dense_chunk(uint32_t max_length_tokens)
{
    const uint64_t even = ((uint64_t)max_length_tokens + VSA_MAX_DENSE_SPLITS - 1) /
                          VSA_MAX_DENSE_SPLITS;
    return (uint32_t)max64(round_up(even, 64), VSA_DENSE_CHUNK);
}

static int is_plain_dtype(vsa_dtype dtype)
{
    return dtype == VSA_DTYPE_F32 || dtype == VSA_DTYPE_F16 || dtype == VSA_DTYPE_BF16;
}

int vsai_is_quantised(vsa_dtype dtype)
{
    return dtype == VSA_DTYPE_Q8_0 || dtype == VSA_DTYPE_Q4_0;
}

/* ------------------------------------------------------------------ checks */

static vsa_result check_counts(const vsa_plan_create_info *info, const vsa_log *log)
{
    const uint32_t dims[2] = {info->head_dim_k, info->head_dim_v};

    for (int i = 0; i < 2; i++) {
        if (dims[i] < 32 || dims[i] > 256 || dims[i] % 8 != 0) {
            return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                             "head_dim_%c is %u, must be 32 to 256 and a multiple of 8",
                             i == 0 ? 'k' : 'v', dims[i]);
        }
    }
    if (info->q_heads == 0 || info->kv_heads == 0 || info->q_heads % info->kv_heads != 0) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "q_heads is %u and kv_heads %u: q_heads must be a positive multiple of "
                         "kv_heads", info->q_heads, info->kv_heads);
    }
    if (info->kv_heads > 65535 || info->q_heads > 65535) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "q_heads is %u and kv_heads %u, the limit is 65535", info->q_heads,
                         info->kv_heads);
    }
    if (info->max_tokens == 0 || info->max_tokens > MAX_TOKENS) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "max_tokens is %u, must be 1 to %u",
                         info->max_tokens, MAX_TOKENS);
    }
    if ((uint64_t)info->max_sequences * info->max_queries * info->q_heads > (1u << 24)) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "max_sequences %u x max_queries %u x q_heads %u exceeds 2^24 rows",
                         info->max_sequences, info->max_queries, info->q_heads);
    }
    if (!isfinite(info->softmax_scale) || info->softmax_scale < 0.0f) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "softmax_scale is %g, must be finite and >= 0",
                         (double)info->softmax_scale);
    }
    if (!isfinite(info->logit_softcap) || info->logit_softcap < 0.0f) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "logit_softcap is %g, must be finite and >= 0",
                         (double)info->logit_softcap);
    }
    if (info->max_dispatch_tokens < MIN_DISPATCH ||
        info->max_dispatch_tokens < vsai_dense_chunk(info->max_tokens)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "max_dispatch_tokens is %u, must be 0 or at least %u for max_tokens %u",
                         info->max_dispatch_tokens,
                         (uint32_t)max64(MIN_DISPATCH, vsai_dense_chunk(info->max_tokens)),
                         info->max_tokens);
    }
    return VSA_SUCCESS;
}

static vsa_result check_plane(const vsa_plan_create_info *info, const vsa_plane_layout *plane,
                              char name, uint32_t head_dim, const vsa_log *log)
{
    const uint32_t row_size = vsa_dtype_row_size(plane->dtype, head_dim);
    const int quantised = vsai_is_quantised(plane->dtype);
    const uint32_t unit = quantised ? 2 : 4;

    if (!is_plain_dtype(plane->dtype) && !quantised) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "%c dtype is %d, must be f32, f16, bf16, q8_0 or q4_0", name,
                         (int)plane->dtype);
    }
    if (quantised && head_dim % VSA_QUANT_BLOCK != 0) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "head_dim_%c is %u, must be a multiple of %u for %c of dtype %s",
                         name == 'K' ? 'k' : 'v', head_dim, VSA_QUANT_BLOCK, name,
                         plane->dtype == VSA_DTYPE_Q8_0 ? "q8_0" : "q4_0");
    }
    if (plane->token_stride % unit != 0 || plane->head_stride % unit != 0 ||
        plane->block_stride % unit != 0) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "%c strides are %u, %u and %llu bytes, must be multiples of %u", name,
                         plane->token_stride, plane->head_stride,
                         (unsigned long long)plane->block_stride, unit);
    }
    if (plane->token_stride < row_size || (info->kv_heads > 1 && plane->head_stride < row_size)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "%c token_stride is %u and head_stride %u, a row takes %u bytes", name,
                         plane->token_stride, plane->head_stride, row_size);
    }
    if (plane->block_stride < row_size &&
        (info->max_sequences > 1 || info->kv.page_tokens != 0)) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "%c block_stride is %llu, a row takes %u bytes", name,
                         (unsigned long long)plane->block_stride, row_size);
    }
    if (plane->block_stride > MAX_PLANE_SIZE) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG, "%c block_stride is %llu, limit 2^34",
                         name, (unsigned long long)plane->block_stride);
    }
    return VSA_SUCCESS;
}

static vsa_result check_layout(const vsa_plan_create_info *info, const vsa_log *log)
{
    const vsa_kv_layout *kv = &info->kv;
    vsa_result result;

    if ((kv->page_tokens & (kv->page_tokens - 1)) != 0) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "page_tokens is %u, must be 0 or a power of two", kv->page_tokens);
    }
    if (kv->page_tokens != 0 &&
        (uint64_t)kv->table_stride * kv->page_tokens < info->max_tokens) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "table_stride %u x page_tokens %u covers less than max_tokens %u",
                         kv->table_stride, kv->page_tokens, info->max_tokens);
    }
    result = check_plane(info, &kv->k, 'K', info->head_dim_k, log);
    if (result == VSA_SUCCESS) {
        result = check_plane(info, &kv->v, 'V', info->head_dim_v, log);
    }
    if (result == VSA_SUCCESS &&
        !(is_plain_dtype(info->q_dtype) && is_plain_dtype(info->out_dtype) &&
          is_plain_dtype(info->new_dtype))) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "q, out and new dtypes are %d, %d and %d, must be f32, f16 or bf16",
                         (int)info->q_dtype, (int)info->out_dtype, (int)info->new_dtype);
    }
    return result;
}

/* ---------------------------------------------------------- derived values */

static void fill_defaults(vsa_plan_create_info *info)
{
    info->name = NULL;
    info->max_sequences = info->max_sequences == 0 ? 1 : info->max_sequences;
    info->max_queries = info->max_queries == 0 ? 1 : info->max_queries;
    info->q_dtype = info->q_dtype == 0 ? VSA_DTYPE_F32 : info->q_dtype;
    info->out_dtype = info->out_dtype == 0 ? VSA_DTYPE_F32 : info->out_dtype;
    info->new_dtype = info->new_dtype == 0 ? VSA_DTYPE_F32 : info->new_dtype;
    info->max_dispatch_tokens =
        info->max_dispatch_tokens == 0 ? 1u << 20 : info->max_dispatch_tokens;
    if (info->softmax_scale == 0.0f && info->head_dim_k != 0) {
        info->softmax_scale = (float)(1.0 / sqrt((double)info->head_dim_k));
    }
}

uint64_t vsai_shape_plane_size(const vsai_shape *shape, const vsa_plane_layout *plane,
                               uint32_t head_dim)
{
    const vsa_plan_create_info *info = &shape->info;

    if (info->kv.page_tokens != 0) {
        return 0;
    }
    return round_up((uint64_t)(info->max_sequences - 1) * plane->block_stride +
                        (uint64_t)(info->kv_heads - 1) * plane->head_stride +
                        (uint64_t)(info->max_tokens - 1) * plane->token_stride +
                        vsa_dtype_row_size(plane->dtype, head_dim), 4);
}

static uint64_t planned_plane_size(const vsai_shape *shape, const vsa_plane_layout *plane,
                                   uint32_t head_dim)
{
    const vsa_plan_create_info *info = &shape->info;

    if (info->kv.page_tokens == 0) {
        return vsai_shape_plane_size(shape, plane, head_dim);
    }
    return info->kv_range_size != 0
               ? info->kv_range_size
               : round_up((uint64_t)info->max_sequences * info->kv.table_stride *
                              plane->block_stride, 4);
}

static vsa_result choose_segments(vsai_shape *shape, const vsai_limits *limits,
                                  const vsa_log *log)
{
    const vsa_plan_create_info *info = &shape->info;
    const uint64_t size = max64(planned_plane_size(shape, &info->kv.k, info->head_dim_k),
                                planned_plane_size(shape, &info->kv.v, info->head_dim_v));
    const uint32_t row_size = (uint32_t)max64(vsa_dtype_row_size(info->kv.k.dtype, info->head_dim_k),
                                              vsa_dtype_row_size(info->kv.v.dtype, info->head_dim_v));
    uint64_t reach;

    shape->segments = 1;
    shape->segment_stride = 0;
    if (size <= limits->max_storage_range) {
        return VSA_SUCCESS;
    }
    if (limits->max_descriptors < VSA_BIND_COUNT - 2 + 2 * VSA_MAX_SEGMENTS) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "K or V spans %llu bytes, device limit maxStorageBufferRange is %u, and "
                         "segments need %u storage buffers per stage of which it has %u",
                         (unsigned long long)size, limits->max_storage_range,
                         VSA_BIND_COUNT - 2 + 2 * VSA_MAX_SEGMENTS, limits->max_descriptors);
    }
    shape->segments = VSA_MAX_SEGMENTS;
    shape->segment_stride = (limits->max_storage_range - row_size) / SEGMENT_ALIGN * SEGMENT_ALIGN;
    reach = min64((uint64_t)(VSA_MAX_SEGMENTS - 1) * shape->segment_stride +
                      limits->max_storage_range, MAX_PLANE_SIZE);
    if (size > reach) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "K or V spans %llu bytes, %u segments of maxStorageBufferRange %u reach "
                         "%llu", (unsigned long long)size, VSA_MAX_SEGMENTS,
                         limits->max_storage_range, (unsigned long long)reach);
    }
    return VSA_SUCCESS;
}

/* Of the longest context. */
static uint64_t share_of(const vsa_plan_create_info *info, float fraction)
{
    return vsai_fraction_of(info->max_tokens, vsai_fraction_bits(fraction));
}

uint32_t vsai_shape_scan_bits(const vsai_shape *shape)
{
    if (!shape->method.scores) {
        return 0;
    }
    switch (shape->info.policy.scorer) {
    case VSA_SCORER_SIGN:
        return shape->padded + 16;
    case VSA_SCORER_INT8:
        return shape->padded * 8 + 32;
    case VSA_SCORER_INT4:
        return shape->padded * 4 + 32;
    case VSA_SCORER_PAGE:
        return shape->info.head_dim_k * 32 / VSA_PAGE_TOKENS;
    default:
        return vsa_dtype_row_size(shape->info.kv.k.dtype, shape->info.head_dim_k) * 8;
    }
}

/* `state`: norms of V, then what the scorer keeps of K. shaders/keys.glsl has the layout. */
static void size_keys(vsai_shape *shape)
{
    const vsa_plan_create_info *info = &shape->info;
    const uint64_t blocks = (info->max_tokens + VSA_KEY_BLOCK - 1) / VSA_KEY_BLOCK;
    uint64_t words;   /* per block of VSA_KEY_BLOCK tokens */

    if (!shape->method.scores || info->policy.scorer == VSA_SCORER_EXACT) {
        return;
    }
    shape->padded = 32;
    while (shape->padded < info->head_dim_k) {
        shape->padded *= 2;
    }
    words = vsai_shape_scan_bits(shape);   /* VSA_KEY_BLOCK tokens, 32 bits a word */
    shape->keys_stride = (uint32_t)(blocks * words);
    shape->constants[VSA_ID_KEYS_OFFSET] = (uint32_t)(shape->state_size / 4);
    shape->state_size += (uint64_t)info->max_sequences * info->kv_heads * blocks * words * 4;
}

/* `state`, last: what each query head needed; shaders/carry.glsl. */
static void size_carry(vsai_shape *shape)
{
    const vsa_plan_create_info *info = &shape->info;

    shape->constants[VSA_ID_CARRY_OFFSET] = VSA_CARRY_NONE;
    if (info->policy.carry_budget != 0 && shape->method.guided) {
        shape->constants[VSA_ID_CARRY_OFFSET] = (uint32_t)(shape->state_size / 4);
        shape->carries = 1;
        shape->state_size += (uint64_t)info->max_sequences * info->q_heads * VSA_CARRY_WORDS *
                             sizeof(uint32_t);
    }
}

static void size_lists(vsai_shape *shape)
{
    const vsa_plan_create_info *info = &shape->info;
    const vsa_policy *policy = &info->policy;
    uint64_t exact;
    uint64_t samples;
    uint32_t halves;

    if (policy->method == VSA_METHOD_DENSE) {
        return;
    }
    if (shape->method.scores) {
        shape->token_stride = (uint32_t)round_up(info->max_tokens, VSA_SELECT_CHUNK);
        shape->top_k_max = (uint32_t)min64(
            info->max_tokens, max64(policy->top_k, share_of(info, policy->top_k_fraction)));
        if (shape->method.guided || shape->method.top_p) {
            shape->top_k_max = info->max_tokens;   /* known only when the weights are */
        }
    }
    exact = max64(policy->sink_tokens, share_of(info, policy->sink_fraction)) +
            max64(policy->window_tokens, share_of(info, policy->window_fraction)) +
            shape->top_k_max;
    exact = min64(info->max_tokens, exact);
    /* Method guided: half for sink and window, half for the heavy tokens. */
    halves = shape->method.guided ? 2 : 1;
    shape->exact_splits = halves * (uint32_t)min64((exact + VSA_EXACT_CHUNK - 1) / VSA_EXACT_CHUNK,
                                                   VSA_MAX_EXACT_SPLITS / halves);
    shape->exact_chunk = (uint32_t)max64(
        VSA_EXACT_CHUNK, (exact * halves + VSA_MAX_EXACT_SPLITS - 1) / VSA_MAX_EXACT_SPLITS);
    if (!shape->method.samples) {
        return;
    }
    if (policy->value_floor > 0.0f ||
        (shape->method.guided && policy->bound == VSA_BOUND_STRICT)) {
        shape->norms = VSA_NORMS_SUM;
    } else if (shape->method.guided && policy->scorer == VSA_SCORER_EXACT &&
               policy->target != VSA_TARGET_DENOMINATOR) {
        shape->norms = VSA_NORMS_LARGEST;
    }
    if (shape->method.guided) {
        shape->sample_stride = info->max_tokens;
        if (policy->bound == VSA_BOUND_STRICT && policy->target != VSA_TARGET_DENOMINATOR) {
            shape->norm_blocks = (info->max_tokens + VSA_NORM_BLOCK - 1) / VSA_NORM_BLOCK;
            shape->state_size = (uint64_t)info->max_sequences * info->kv_heads *
                                shape->norm_blocks * sizeof(float);
        }
        return;
    }
    /* A row that would sample half of its residual is dense. */
    samples = round_up(info->max_tokens / 2 + 1, VSA_SAMPLE_GROUPS);
    if (policy->max_samples != 0) {
        samples = min64(samples, max64(policy->max_samples, 64));
    }
    shape->sample_stride = (uint32_t)(samples + SAMPLE_BLOCK);
}

/* Word offsets inside the regions, and the regions inside the scratch buffer. */
static vsa_result place_scratch(vsai_shape *shape, const vsai_limits *limits, const vsa_log *log)
{
    static const char *const names[VSAI_REGION_COUNT] = {"control", "lists", "scores",
                                                         "partials"};
    const uint64_t groups = shape->groups;
    const uint64_t rows = shape->rows;
    const uint64_t partial = VSA_PARTIAL_VALUES + shape->info.head_dim_v;
    const uint64_t chunks = shape->token_stride / VSA_SELECT_CHUNK;
    const int dense = shape->info.policy.method == VSA_METHOD_DENSE;
    uint32_t *c = shape->constants;
    uint64_t words[VSAI_REGION_COUNT];
    const uint32_t sets = shape->method.guided    ? VSA_ARGS_SETS_GUIDED
                          : shape->method.samples ? VSA_ARGS_SETS_SAMPLES
                                                  : VSA_ARGS_SETS_ONE;
    uint64_t at = (uint64_t)sets * VSA_MAX_RANGES * VSA_ARGS_WORDS;
    uint64_t offset = 0;

    /* 32-bit offsets are safe: a region that overflows them is refused below. */
    c[VSA_ID_ARGS_SETS] = sets;
    c[VSA_ID_GROUPS_OFFSET] = (uint32_t)at;
    at += groups * VSA_G_WORDS;
    c[VSA_ID_ROWS_OFFSET] = (uint32_t)at;
    at += rows * VSA_R_WORDS;
    c[VSA_ID_HIST_OFFSET] = (uint32_t)at;
    at += shape->method.ranks ? groups * VSA_HIST_WORDS : 0;
    c[VSA_ID_BINS_OFFSET] = (uint32_t)at;
    at += shape->method.guided ? rows * VSA_GUIDE_BINS : 0;
    at += shape->method.top_p ? rows * VSA_HIST_WORDS * 2 : 0;
    c[VSA_ID_COUNTS_OFFSET] = (uint32_t)at;
    words[VSAI_REGION_CONTROL] = at + groups * chunks * 2;

    at = shape->method.ranks ? groups * shape->token_stride : 0;
    c[VSA_ID_TOP_OFFSET] = (uint32_t)at;
    at += groups * shape->top_k_max;
    c[VSA_ID_BITS_OFFSET] = (uint32_t)at;
    at += groups * (shape->token_stride / 32);
    c[VSA_ID_HEAVY_OFFSET] = (uint32_t)at;
    at += shape->method.guided ? groups * (shape->token_stride / 32) : 0;
    c[VSA_ID_SAMPLED_OFFSET] = (uint32_t)at;
    at += shape->method.guided ? groups * (shape->token_stride / 32) : 0;
    c[VSA_ID_SAMPLES_OFFSET] = (uint32_t)at;
    at += groups * shape->sample_stride;
    c[VSA_ID_SHIFTS_OFFSET] = (uint32_t)at;
    words[VSAI_REGION_LISTS] = at + (shape->method.guided ? groups * shape->sample_stride : 0);

    words[VSAI_REGION_SCORES] = rows * shape->token_stride;

    at = dense ? 0 : rows * (shape->exact_splits + VSA_RANDOM_GROUPS) * partial;
    c[VSA_ID_DENSE_OFFSET] = (uint32_t)at;
    at += rows * shape->dense_splits * partial;
    c[VSA_ID_MOMENTS_OFFSET] = (uint32_t)at;
    at += rows * chunks * 4;
    c[VSA_ID_MASSES_OFFSET] = (uint32_t)at;
    at += shape->method.guided ? rows * (shape->token_stride / VSA_SCORE_CHUNK) * 4 : 0;
    c[VSA_ID_PROBE_OFFSET] = (uint32_t)at;
    at += shape->method.guided ? rows * VSA_PROBE_TOKENS : 0;
    c[VSA_ID_CENTRE_OFFSET] = (uint32_t)at;
    at += shape->norm_blocks != 0 ? rows * shape->info.head_dim_v : 0;
    c[VSA_ID_QUERIES_OFFSET] = (uint32_t)at;
    words[VSAI_REGION_PARTIALS] =
        at + (shape->keys_stride != 0 ? rows * (shape->padded + VSA_QUERY_HEADER) : 0);

    for (int i = 0; i < VSAI_REGION_COUNT; i++) {
        shape->region_size[i] = max64(words[i] * 4, 16);
        if (shape->region_size[i] > limits->max_storage_range) {
            return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                             "scratch for %s takes %llu bytes, device limit maxStorageBufferRange "
                             "is %u: lower max_sequences, max_queries or max_tokens", names[i],
                             (unsigned long long)shape->region_size[i],
                             limits->max_storage_range);
        }
        shape->region_offset[i] = offset;
        offset += round_up(shape->region_size[i], SEGMENT_ALIGN);
    }
    shape->scratch_size = offset;
    return VSA_SUCCESS;
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint32_t log2_exact(uint32_t power_of_two)
{
    uint32_t bits = 0;
    while (power_of_two > 1) {
        power_of_two >>= 1;
        bits++;
    }
    return bits;
}

/* max_samples, rounded down to where a sample can end: shaders/bet_blocks.glsl for bets. */
static uint32_t sample_limit(const vsa_policy *policy)
{
    uint32_t end = 0;
    uint32_t block = 64;

    if (policy->max_samples == 0) {
        return UINT32_MAX;
    }
    if (policy->bound != VSA_BOUND_STRICT || policy->method != VSA_METHOD_VATTENTION) {
        return policy->max_samples / VSA_SAMPLE_GROUPS * VSA_SAMPLE_GROUPS;
    }
    while ((uint64_t)end + block <= policy->max_samples || end == 0) {
        end += block;
        while (end / 16 >= 2 * block) {
            block *= 2;
        }
    }
    return end;
}

/* Guided: what a scan keeps has to last for the extensions, whose samples grow like 1 / epsilon^2. A
 * scan that was too short is repeated, so this is a matter of time alone. */
static float keep_growth(const vsa_policy *policy)
{
    const float wanted = 0.05f / (policy->epsilon * policy->epsilon);

    if (policy->bound == VSA_BOUND_STRICT) {
        return 1.0f;   /* every stage draws afresh */
    }
    return wanted < 2.0f ? 2.0f : wanted > 16.0f ? 16.0f : wanted;
}

static void fill_policy_constants(vsai_shape *shape)
{
    const vsa_policy *policy = &shape->info.policy;
    uint32_t *c = shape->constants;
    double t31;

    c[VSA_ID_SAMPLES] = (uint32_t)shape->method.samples;
    c[VSA_ID_TARGET] = (uint32_t)policy->target;
    c[VSA_ID_BOUND] = (uint32_t)policy->bound;
    c[VSA_ID_STATE_STRIDE] = shape->norm_blocks;
    c[VSA_ID_SCORER] = (uint32_t)policy->scorer;
    c[VSA_ID_PADDED] = shape->padded;
    c[VSA_ID_KEYS_STRIDE] = shape->keys_stride;
    if (policy->method == VSA_METHOD_DENSE) {
        return;
    }
    c[VSA_ID_SINK] = policy->sink_tokens;
    c[VSA_ID_WINDOW] = policy->window_tokens;
    c[VSA_ID_SINK_FRACTION] = vsai_fraction_bits(policy->sink_fraction);
    c[VSA_ID_WINDOW_FRACTION] = vsai_fraction_bits(policy->window_fraction);
    c[VSA_ID_KEEP_LOGITS] = shape->keys_stride != 0 && policy->bound == VSA_BOUND_STRICT &&
                            policy->method == VSA_METHOD_VATTENTION;
    c[VSA_ID_GUIDED] = (uint32_t)shape->method.guided;
    c[VSA_ID_NORMS] = (uint32_t)shape->norms;
    c[VSA_ID_TOP_P] = float_bits(shape->method.top_p ? policy->top_p : 0.0f);
    if (shape->method.ranks && !shape->method.top_p) {
        c[VSA_ID_TOP_K] = policy->top_k;
        c[VSA_ID_TOP_K_FRACTION] = vsai_fraction_bits(policy->top_k_fraction);
    }
    c[VSA_ID_DELTA] = float_bits(policy->delta);
    if (!shape->method.samples) {
        return;
    }
    t31 = vsai_student31_upper_quantile((double)policy->delta / 2.0);
    c[VSA_ID_BASE] = policy->base_samples;
    c[VSA_ID_BASE_FRACTION] = vsai_fraction_bits(policy->base_fraction);
    c[VSA_ID_BASE_MAX] = policy->base_max_samples == 0 ? UINT32_MAX : policy->base_max_samples;
    c[VSA_ID_MAX_SAMPLES] = sample_limit(policy);
    c[VSA_ID_EPSILON] = float_bits(policy->epsilon);
    c[VSA_ID_VALUE_FLOOR] = float_bits(policy->value_floor);
    c[VSA_ID_Z_ONE_SIDED] =
        float_bits((float)vsai_normal_upper_quantile((double)policy->delta));
    c[VSA_ID_Z_TWO_SIDED] =
        float_bits((float)vsai_normal_upper_quantile((double)policy->delta / 2.0));
    c[VSA_ID_T31_SQUARED] = float_bits((float)(t31 * t31));
    c[VSA_ID_KEEP] = float_bits(keep_growth(policy));
    if (shape->norms == VSA_NORMS_LARGEST) {
        c[VSA_ID_NEGLIGIBLE] = float_bits(policy->epsilon / 8.0f);
    }
    c[VSA_ID_DENSE_ON_MISS] = policy->on_miss == VSA_MISS_DENSE;
}

/* Bits 0, 1 and 2: the token, head and block stride is an odd number of half words. */
static uint32_t odd_strides(const vsa_plane_layout *plane)
{
    return (plane->token_stride / 2 & 1) | (plane->head_stride / 2 & 1) << 1 |
           (uint32_t)(plane->block_stride / 2 & 1) << 2;
}

static void fill_constants(vsai_shape *shape)
{
    const vsa_plan_create_info *info = &shape->info;
    const vsa_kv_layout *kv = &info->kv;
    uint32_t *c = shape->constants;

    c[VSA_ID_DK] = info->head_dim_k;
    c[VSA_ID_DV] = info->head_dim_v;
    c[VSA_ID_Q_HEADS] = info->q_heads;
    c[VSA_ID_KV_HEADS] = info->kv_heads;
    c[VSA_ID_HEAD_BLOCK] = shape->head_block;
    c[VSA_ID_LANES] = info->tuning.lanes;
    c[VSA_ID_OWN_QUERIES] = (uint32_t)shape->is_cpu;
    c[VSA_ID_REPEAT] = info->tuning.repeat;
    c[VSA_ID_VALUE_CHUNKS] = info->tuning.value_chunks;
    c[VSA_ID_QUERY_CHUNKS] = info->tuning.query_chunks;
    c[VSA_ID_HEADS_TOGETHER] = kv->k.head_stride >= kv->k.token_stride ? VSA_HEADS_APART
                               : shape->keys_stride != 0               ? VSA_HEADS_TOGETHER
                                                                       : VSA_HEADS_SCANNED;
    c[VSA_ID_K_TYPE] = (uint32_t)kv->k.dtype;
    c[VSA_ID_V_TYPE] = (uint32_t)kv->v.dtype;
    c[VSA_ID_Q_TYPE] = (uint32_t)info->q_dtype;
    c[VSA_ID_OUT_TYPE] = (uint32_t)info->out_dtype;
    c[VSA_ID_NEW_TYPE] = (uint32_t)info->new_dtype;
    c[VSA_ID_SCALE] = float_bits(info->softmax_scale);
    c[VSA_ID_SOFTCAP] = float_bits(info->logit_softcap);
    c[VSA_ID_PAGED] = kv->page_tokens != 0;
    c[VSA_ID_PAGE_SHIFT] = log2_exact(kv->page_tokens);
    c[VSA_ID_TABLE_STRIDE] = kv->table_stride;
    c[VSA_ID_K_TOKEN_WORDS] = kv->k.token_stride / 4;
    c[VSA_ID_K_HEAD_WORDS] = kv->k.head_stride / 4;
    c[VSA_ID_K_BLOCK_WORDS] = (uint32_t)(kv->k.block_stride / 4);
    c[VSA_ID_V_TOKEN_WORDS] = kv->v.token_stride / 4;
    c[VSA_ID_V_HEAD_WORDS] = kv->v.head_stride / 4;
    c[VSA_ID_V_BLOCK_WORDS] = (uint32_t)(kv->v.block_stride / 4);
    c[VSA_ID_K_ODD] = odd_strides(&kv->k);
    c[VSA_ID_V_ODD] = odd_strides(&kv->v);
    c[VSA_ID_SEGMENT_WORDS] = shape->segments > 1 ? shape->segment_stride / 4 : 1;
    c[VSA_ID_TOKEN_STRIDE] = shape->token_stride;
    c[VSA_ID_LIST_STRIDE] = shape->top_k_max;
    c[VSA_ID_SAMPLE_STRIDE] = shape->sample_stride;
    c[VSA_ID_EXACT_SPLITS] = shape->exact_splits;
    c[VSA_ID_DENSE_SPLITS] = shape->dense_splits;
    fill_policy_constants(shape);
}

static int strides_divide(const vsa_plane_layout *plane, uint32_t unit)
{
    return plane->token_stride % unit == 0 && plane->head_stride % unit == 0 &&
           plane->block_stride % unit == 0;
}

/* Quantised rows are read word by word in any case. */
static int is_wide(const vsa_kv_layout *kv)
{
    const int k_quantised = vsai_is_quantised(kv->k.dtype);
    const int v_quantised = vsai_is_quantised(kv->v.dtype);

    return !(k_quantised && v_quantised) && (k_quantised || strides_divide(&kv->k, 16)) &&
           (v_quantised || strides_divide(&kv->v, 16));
}

static vsa_result check_ranges(const vsai_shape *shape, const vsa_log *log)
{
    const vsa_plan_create_info *info = &shape->info;
    const uint32_t chunk = vsai_dense_chunk(info->max_tokens);
    const vsai_ranges ranges = vsai_ranges_make(
        (info->max_tokens + chunk - 1) / chunk, shape->groups * shape->blocks,
        info->kv_heads * shape->blocks, chunk, info->max_dispatch_tokens);

    /* Half of the room: a shorter step has smaller chunks and may round to more dispatches. */
    if (vsai_ranges_count(&ranges) > VSA_MAX_RANGES / 2) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "max_dispatch_tokens %u cuts a step of %u tokens x %u query tokens into "
                         "%u dispatches, limit %u", info->max_dispatch_tokens, info->max_tokens,
                         shape->groups / info->kv_heads, vsai_ranges_count(&ranges),
                         VSA_MAX_RANGES / 2);
    }
    return VSA_SUCCESS;
}

vsa_result vsai_shape_make(const vsa_plan_create_info *info, const vsai_limits *limits,
                           const vsa_log *log, vsai_shape *out_shape)
{
    vsai_shape *shape = out_shape;
    vsa_result result;

    memset(shape, 0, sizeof(*shape));
    shape->info = *info;
    fill_defaults(&shape->info);
    info = &shape->info;
    if ((result = check_counts(info, log)) != VSA_SUCCESS ||
        (result = check_layout(info, log)) != VSA_SUCCESS ||
        (result = vsai_policy_check(&shape->info.policy, log)) != VSA_SUCCESS) {
        return result;
    }
    shape->method = vsai_method(info->policy.method);
    shape->group = info->q_heads / info->kv_heads;
    shape->head_block = (uint32_t)min64(shape->group, VSA_MAX_HEAD_BLOCK);
    shape->blocks = (shape->group + shape->head_block - 1) / shape->head_block;
    if ((result = choose_segments(shape, limits, log)) != VSA_SUCCESS ||
        (result = vsai_tuning_choose(&shape->info.tuning,
                                     &(vsai_tuning_case){.is_cpu = limits->is_cpu,
                                                         .head_dim_k = info->head_dim_k,
                                                         .head_dim_v = info->head_dim_v,
                                                         .head_block = shape->head_block,
                                                         .segments = shape->segments},
                                     log)) != VSA_SUCCESS) {
        return result;
    }
    shape->is_cpu = limits->is_cpu;
    shape->groups = info->max_sequences * info->max_queries * info->kv_heads;
    shape->rows = shape->groups * shape->group;
    shape->dense_splits = (uint32_t)min64(
        VSA_MAX_DENSE_SPLITS, ((uint64_t)info->max_tokens + VSA_DENSE_CHUNK - 1) / VSA_DENSE_CHUNK);
    shape->wide = is_wide(&info->kv);
    shape->quant = vsai_is_quantised(info->kv.k.dtype) || vsai_is_quantised(info->kv.v.dtype);
    size_lists(shape);
    size_keys(shape);
    size_carry(shape);
    if (shape->state_size > limits->max_storage_range) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "state takes %llu bytes, device limit maxStorageBufferRange is %u: lower "
                         "max_sequences or max_tokens", (unsigned long long)shape->state_size,
                         limits->max_storage_range);
    }
    if ((result = place_scratch(shape, limits, log)) != VSA_SUCCESS ||
        (result = check_ranges(shape, log)) != VSA_SUCCESS) {
        return result;
    }
    if ((uint64_t)shape->rows * 4 *
            max64(info->head_dim_k, info->head_dim_v) > limits->max_storage_range) {
        return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                         "q or out exceeds maxStorageBufferRange %u with %u rows",
                         limits->max_storage_range, shape->rows);
    }
    fill_constants(shape);
    return VSA_SUCCESS;
}
