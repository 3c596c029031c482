/* Plan create info: whatever its fields say, it is refused with a sentence, or the sizes derived
 * from it hold what they must. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "shape.h"

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static uint32_t byte(input *in)
{
    if (in->size == 0) {
        return 0;
    }
    in->size--;
    return *in->data++;
}

static uint32_t word(input *in)
{
    const uint32_t low = byte(in) | byte(in) << 8;
    return low | byte(in) << 16 | byte(in) << 24;
}

/* One byte picks a number that leads far; the last one says that any number follows. */
static uint32_t number(input *in)
{
    static const uint32_t numbers[] = {
        0,    1,    2,    3,    4,     5,     7,       8,        16,      31,     32,        33,
        40,   64,   80,   96,   128,   192,   200,     248,      256,     264,    300,       512,
        1000, 1024, 2048, 4096, 32768, 65536, 1u << 20, 1u << 22, 1u << 24, 16777217, 1u << 28,
        1u << 30, 0x7fffffffu, 0x80000000u, 0xfffffff0u, 0xffffffffu};
    const uint32_t count = sizeof numbers / sizeof numbers[0];
    const uint32_t pick = byte(in) % (count + 1);
    return pick < count ? numbers[pick] : word(in);
}

static uint64_t wide_number(input *in)
{
    const uint32_t high = byte(in) < 16 ? number(in) : 0;
    return (uint64_t)high << 32 | number(in);
}

static float real(input *in)
{
    static const float reals[] = {0, 0.1f, 0.02f, 0.5f, 1, 2, -1, 1e-30f, 1e30f, 0.999f};
    const uint32_t pick = byte(in) % 12;
    const uint32_t bits = pick >= 10 ? word(in) : 0;
    float value;

    if (pick < 10) {
        return reals[pick];
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A value of an enum, most of the time. */
static int choice(input *in, int last)
{
    const uint32_t pick = byte(in);
    return pick < 250 ? (int)(pick % (uint32_t)(last + 1)) : (int)word(in);
}

static vsa_plane_layout plane(input *in)
{
    vsa_plane_layout p;

    p.dtype = (vsa_dtype)choice(in, 5);
    p.token_stride = number(in);
    p.head_stride = number(in);
    p.block_stride = wide_number(in);
    return p;
}

static vsa_policy policy(input *in)
{
    vsa_policy p;

    memset(&p, 0, sizeof p);
    p.method = (vsa_method)choice(in, 6);
    p.scorer = (vsa_scorer)choice(in, 5);
    p.bound = (vsa_bound)choice(in, 2);
    p.target = (vsa_target)choice(in, 3);
    p.on_miss = (vsa_miss_action)choice(in, 1);
    p.sink_tokens = number(in);
    p.sink_fraction = real(in);
    p.window_tokens = number(in);
    p.window_fraction = real(in);
    p.top_k = number(in);
    p.top_k_fraction = real(in);
    p.top_p = real(in);
    p.base_samples = number(in);
    p.base_fraction = real(in);
    p.base_max_samples = number(in);
    p.max_samples = number(in);
    p.epsilon = real(in);
    p.delta = real(in);
    p.value_floor = real(in);
    p.carry_budget = number(in);
    return p;
}

static vsa_plan_create_info plan(input *in)
{
    vsa_plan_create_info info;

    memset(&info, 0, sizeof info);
    info.head_dim_k = number(in);
    info.head_dim_v = number(in);
    info.kv_heads = number(in);
    info.q_heads = byte(in) < 200 ? info.kv_heads * (1 + byte(in) % 20) : number(in);
    info.max_sequences = number(in);
    info.max_queries = number(in);
    info.max_tokens = number(in);
    info.q_dtype = (vsa_dtype)choice(in, 5);
    info.out_dtype = (vsa_dtype)choice(in, 5);
    info.new_dtype = (vsa_dtype)choice(in, 5);
    info.softmax_scale = real(in);
    info.logit_softcap = real(in);
    info.max_dispatch_tokens = number(in);
    info.kv_range_size = wide_number(in);
    info.policy = policy(in);
    info.tuning.workgroup = number(in);
    info.tuning.lanes = number(in);
    info.tuning.repeat = number(in);
    info.tuning.value_chunks = number(in);
    info.tuning.query_chunks = number(in);
    info.kv.page_tokens = number(in);
    info.kv.table_stride = number(in);
    info.kv.k = plane(in);
    info.kv.v = plane(in);
    if (byte(in) < 160) {
        /* A layout that fits. */
        vsa_kv_layout_init(&info.kv, (vsa_kv_order)choice(in, 1), info.kv.k.dtype,
                           info.kv.v.dtype, info.head_dim_k, info.head_dim_v, info.kv_heads,
                           info.max_tokens, info.kv.page_tokens);
    }
    return info;
}

static int sentences;

static void count_sentence(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    sentences += level == VSA_LOG_ERROR && message[0] != '\0';
}

static void check_plane(const vsai_shape *shape, const vsa_plane_layout *p, uint32_t head_dim)
{
    const vsa_plan_create_info *info = &shape->info;
    const uint32_t row = vsa_dtype_row_size(p->dtype, head_dim);

    FUZZ_CHECK(row != 0);
    if (info->kv.page_tokens == 0) {
        const uint64_t last = vsa_kv_offset(&info->kv, p, NULL, info->max_sequences - 1,
                                            info->kv_heads - 1, info->max_tokens - 1);
        FUZZ_CHECK(last + row <= vsai_shape_plane_size(shape, p, head_dim));
        FUZZ_CHECK(last + row <= UINT64_C(1) << 34);
    }
}

static void check_shape(const vsai_shape *shape, const vsai_limits *limits)
{
    uint64_t end = 0;

    FUZZ_CHECK((uint64_t)shape->rows == (uint64_t)shape->info.max_sequences *
                                            shape->info.max_queries * shape->info.q_heads);
    FUZZ_CHECK(shape->group * shape->info.kv_heads == shape->info.q_heads);
    FUZZ_CHECK(shape->head_block * shape->blocks >= shape->group);
    FUZZ_CHECK(shape->state_size <= limits->max_storage_range && shape->state_size % 4 == 0);
    for (int i = 0; i < VSAI_REGION_COUNT; i++) {
        FUZZ_CHECK(shape->region_offset[i] >= end && shape->region_offset[i] % 256 == 0);
        FUZZ_CHECK(shape->region_size[i] <= limits->max_storage_range);
        end = shape->region_offset[i] + shape->region_size[i];
    }
    FUZZ_CHECK(end <= shape->scratch_size);
    FUZZ_CHECK(shape->segments == 1 || shape->segments == VSA_MAX_SEGMENTS);
    check_plane(shape, &shape->info.kv.k, shape->info.head_dim_k);
    check_plane(shape, &shape->info.kv.v, shape->info.head_dim_v);
    if (shape->info.policy.method != VSA_METHOD_DENSE) {
        FUZZ_CHECK(shape->info.policy.epsilon > 0 || shape->info.policy.method <= VSA_METHOD_TOP_P);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t ranges[] = {1u << 27, 1u << 16, 1u << 30, 0xffffffffu};
    static vsai_shape shape;
    const vsa_log log = {.write = count_sentence};
    input in = {data, size};
    const uint32_t flags = byte(&in);
    const vsai_limits limits = {.max_storage_range = ranges[flags % 4],
                                .max_descriptors = flags & 4 ? 16 : 1u << 20,
                                .is_cpu = flags >> 3 & 1};
    const vsa_plan_create_info info = plan(&in);

    sentences = 0;
    if (vsai_shape_make(&info, &limits, &log, &shape) == VSA_SUCCESS) {
        FUZZ_CHECK(sentences == 0);
        check_shape(&shape, &limits);
    } else {
        FUZZ_CHECK(sentences == 1);
    }
    return 0;
}
