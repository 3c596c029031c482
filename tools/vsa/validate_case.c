#include "validate_case.h"

#include <stdlib.h>
#include <string.h>

#include "quantised.h"

#define F32     VSA_DTYPE_F32
#define F16     VSA_DTYPE_F16
#define BF16    VSA_DTYPE_BF16
#define Q8      VSA_DTYPE_Q8_0
#define Q4      VSA_DTYPE_Q4_0
#define TOKEN   .order = VSA_KV_TOKEN_MAJOR
#define DENSE   .method = VSA_METHOD_DENSE
#define HEADS   .q_heads = 8, .kv_heads = 2, .dim_k = 128, .dim_v = 128, .k = F16, .v = F16
#define SMALL   .q_heads = 6, .kv_heads = 2, .dim_k = 64, .dim_v = 64, .k = F16, .v = F16
#define ADAPT   .method = VSA_METHOD_VATTENTION
#define GUIDED  .method = VSA_METHOD_GUIDED
#define TOP_K   .method = VSA_METHOD_TOP_K
#define STRICT  .bound = VSA_BOUND_STRICT
#define D       .target = VSA_TARGET_DENOMINATOR
#define N       .target = VSA_TARGET_NUMERATOR
#define SCORE(s) .scorer = VSA_SCORER_##s

/* clang-format off */
const validate_case validate_cases[] = {
    /* Types, layouts, head sizes and query groups: dense attention reads them all. */
    {"dense/f16", HEADS, DENSE},
    {"dense/f32 no groups", .q_heads = 3, .kv_heads = 3, .dim_k = 64, .dim_v = 64, .k = F32, .v = F32, DENSE},
    {"dense/bf16 group 8 pages", .q_heads = 8, .kv_heads = 1, .dim_k = 96, .dim_v = 96, .k = BF16, .v = BF16, .page_tokens = 16, DENSE},
    {"dense/f16 f32 group 12 80x64", .q_heads = 12, .kv_heads = 1, .dim_k = 80, .dim_v = 64, .k = F16, .v = F32, TOKEN, DENSE},
    {"dense/bf16 f16 192x128 pages", .q_heads = 4, .kv_heads = 2, .dim_k = 192, .dim_v = 128, .k = BF16, .v = F16, TOKEN, .page_tokens = 64, DENSE},
    {"dense/f32 bf16 256", .q_heads = 2, .kv_heads = 2, .dim_k = 256, .dim_v = 256, .k = F32, .v = BF16, TOKEN, DENSE},
    {"dense/f16 256", .q_heads = 4, .kv_heads = 1, .dim_k = 256, .dim_v = 256, .k = F16, .v = F16, DENSE},
    {"dense/f16 32 softcap", .q_heads = 2, .kv_heads = 1, .dim_k = 32, .dim_v = 32, .k = F16, .v = BF16, .softcap = 5, DENSE},
    {"dense/q8_0", .q_heads = 8, .kv_heads = 2, .dim_k = 128, .dim_v = 128, .k = Q8, .v = Q8, DENSE},
    {"dense/q4_0", .q_heads = 8, .kv_heads = 2, .dim_k = 128, .dim_v = 128, .k = Q4, .v = Q4, TOKEN, DENSE},
    {"dense/q8_0 q4_0 32 pages", .q_heads = 6, .kv_heads = 3, .dim_k = 32, .dim_v = 32, .k = Q8, .v = Q4, .page_tokens = 16, DENSE},
    {"dense/q4_0 f16 96x72", .q_heads = 2, .kv_heads = 1, .dim_k = 96, .dim_v = 72, .k = Q4, .v = F16, TOKEN, .page_tokens = 8, DENSE},
    {"dense/narrow strides", .q_heads = 4, .kv_heads = 2, .dim_k = 40, .dim_v = 64, .k = F16, .v = BF16, .strides = STRIDES_NARROW, DENSE},
    {"dense/segments", HEADS, .strides = STRIDES_SEGMENTS, DENSE},
    {"dense/small dispatches", SMALL, .max_dispatch = 2048, DENSE},
    {"append/f32", .q_heads = 4, .kv_heads = 2, .dim_k = 64, .dim_v = 40, .k = F32, .v = F32, .appended = 37, DENSE},
    {"append/f16 pages", SMALL, .appended = 37, .page_tokens = 16, DENSE},
    {"append/bf16 narrow", .q_heads = 4, .kv_heads = 2, .dim_k = 40, .dim_v = 64, .k = BF16, .v = BF16, .strides = STRIDES_NARROW, .appended = 37, DENSE},
    {"append/q8_0 q4_0", .q_heads = 4, .kv_heads = 2, .dim_k = 64, .dim_v = 64, .k = Q8, .v = Q4, .appended = 37, DENSE},

    /* Methods, bounds and targets. */
    {"topk/exact", HEADS, TOP_K, SCORE(EXACT)},
    {"topp/exact", SMALL, .method = VSA_METHOD_TOP_P, SCORE(EXACT)},
    {"sample/output", SMALL, .method = VSA_METHOD_SAMPLE, .spread = 0.5},
    {"vattention/output", HEADS, ADAPT},
    {"vattention/numerator", SMALL, ADAPT, N},
    {"vattention/denominator", SMALL, ADAPT, D},
    {"vattention/strict denominator", SMALL, ADAPT, D, STRICT, .epsilon = 0.3f},
    {"vattention/group 12 256", .q_heads = 12, .kv_heads = 1, .dim_k = 256, .dim_v = 256, .k = BF16, .v = F16, ADAPT, .max_dispatch = 2048},
    {"vattention/q8_0 q4_0 pages", .q_heads = 6, .kv_heads = 2, .dim_k = 64, .dim_v = 64, .k = Q8, .v = Q4, ADAPT, .page_tokens = 16},
    {"vattention/narrow strides", SMALL, ADAPT, .strides = STRIDES_NARROW},
    {"vattention/segments", HEADS, ADAPT, .strides = STRIDES_SEGMENTS},
    {"guided/output", HEADS, GUIDED},
    {"guided/carried budget", SMALL, GUIDED, .carries = true},
    {"guided/numerator", SMALL, GUIDED, N},
    {"guided/denominator", SMALL, GUIDED, D},
    {"guided/strict output", SMALL, GUIDED, STRICT, .epsilon = 0.4f},
    {"guided/strict numerator", SMALL, GUIDED, STRICT, N, .epsilon = 0.4f},

    /* Scorers with a copy of the keys in `state`, kept by append and index. */
    {"sign/topk", HEADS, TOP_K, SCORE(SIGN), .appended = 37},
    {"int8/topk", HEADS, TOP_K, SCORE(INT8), .appended = 37},
    {"int4/topk", HEADS, TOP_K, SCORE(INT4), .appended = 37},
    {"page/topk", HEADS, TOP_K, SCORE(PAGE), .appended = 37},
    {"sign/vattention", SMALL, ADAPT, SCORE(SIGN)},
    {"int8/vattention", SMALL, ADAPT, SCORE(INT8)},
    {"int4/vattention", SMALL, ADAPT, SCORE(INT4)},
    {"page/vattention", SMALL, ADAPT, SCORE(PAGE)},
    {"int8/vattention strict", SMALL, ADAPT, SCORE(INT8), D, STRICT, .epsilon = 0.3f},
    {"sign/guided", SMALL, GUIDED, SCORE(SIGN)},
    {"int8/guided", SMALL, GUIDED, SCORE(INT8), .appended = 37},
    {"int4/guided", SMALL, GUIDED, SCORE(INT4)},
    {"int8/guided strict", SMALL, GUIDED, SCORE(INT8), STRICT, .epsilon = 0.4f, .appended = 37},
    {"int8/narrow strides", SMALL, GUIDED, SCORE(INT8), STRICT, .epsilon = 0.4f, .strides = STRIDES_NARROW},
    {"page/narrow strides", SMALL, ADAPT, SCORE(PAGE), .strides = STRIDES_NARROW},
    {"int8/q8_0 q4_0", .q_heads = 6, .kv_heads = 2, .dim_k = 64, .dim_v = 64, .k = Q8, .v = Q4, GUIDED, SCORE(INT8), STRICT, .epsilon = 0.4f},
    {"page/q4_0", .q_heads = 6, .kv_heads = 2, .dim_k = 64, .dim_v = 64, .k = Q4, .v = Q8, ADAPT, SCORE(PAGE)},
    {"int8/segments", HEADS, GUIDED, SCORE(INT8), STRICT, .epsilon = 0.4f, .strides = STRIDES_SEGMENTS},
    {"page/segments", HEADS, ADAPT, SCORE(PAGE), .strides = STRIDES_SEGMENTS},
};
/* clang-format on */

enum { CASE_TOTAL = sizeof validate_cases / sizeof validate_cases[0] };

const size_t validate_case_total = CASE_TOTAL;

bool validate_case_find(const char *part)
{
    for (size_t i = 0; i < CASE_TOTAL; i++) {
        if (strstr(validate_cases[i].name, part)) {
            return true;
        }
    }
    return false;
}

bool validate_case_is_compact(const validate_case *entry)
{
    return entry->scorer != 0 && entry->scorer != VSA_SCORER_EXACT;
}

/* One word between rows and between heads: no stride is a multiple of 16. */
static vsa_plane_layout narrow_plane(vsa_dtype dtype, uint32_t dim, uint32_t kv_heads)
{
    const uint32_t row = vsa_dtype_row_size(dtype, dim);
    const uint32_t token = row + (row % 8 == 0 ? 4 : 8);
    const uint32_t head = VALIDATE_MAX_TOKENS * token + 4;

    return (vsa_plane_layout){.dtype = dtype,
                              .token_stride = token,
                              .head_stride = head,
                              .block_stride = (uint64_t)kv_heads * head + 4};
}

vsa_plan_create_info validate_case_plan(const validate_case *entry)
{
    vsa_plan_create_info plan = {
        .head_dim_k = entry->dim_k,
        .head_dim_v = entry->dim_v,
        .q_heads = entry->q_heads,
        .kv_heads = entry->kv_heads,
        .max_sequences = VALIDATE_SEQUENCES,
        .max_queries = VALIDATE_QUERIES,
        .max_tokens = VALIDATE_MAX_TOKENS,
        .logit_softcap = entry->softcap,
        .max_dispatch_tokens = entry->max_dispatch,
        .kv = {.page_tokens = entry->page_tokens, .k.dtype = entry->k, .v.dtype = entry->v},
        .policy = {.method = entry->method,
                   .scorer = entry->scorer,
                   .bound = entry->bound ? entry->bound : VSA_BOUND_CLT,
                   .target = entry->target ? entry->target : VSA_TARGET_OUTPUT,
                   .carry_budget = entry->carries,
                   .sink_tokens = 16,
                   .window_tokens = 32,
                   .top_k = 64,
                   .top_p = 0.8f,
                   .base_samples = 64,
                   .base_fraction = 0.025f,
                   .base_max_samples = 256,
                   .epsilon = entry->epsilon > 0 ? entry->epsilon : 0.15f,
                   .delta = 0.1f},
    };

    if (entry->strides == STRIDES_NARROW) {
        plan.kv.k = narrow_plane(entry->k, entry->dim_k, entry->kv_heads);
        plan.kv.v = narrow_plane(entry->v, entry->dim_v, entry->kv_heads);
    }
    return plan;
}

/* The rows to append, [sequence][token][kv_head][channel]. */
static float *copy_rows(const validate_case *entry, const harness_data *data, bool is_v)
{
    const uint32_t dim = is_v ? entry->dim_v : entry->dim_k;
    const size_t count = (size_t)VALIDATE_SEQUENCES * entry->appended * entry->kv_heads;
    float *rows = malloc(count * dim * sizeof *rows), *to = rows;

    if (!rows) {
        return NULL;
    }
    for (uint32_t s = 0; s < VALIDATE_SEQUENCES; s++) {
        for (uint32_t t = data->lengths[s] - entry->appended; t < data->lengths[s]; t++) {
            for (uint32_t h = 0; h < entry->kv_heads; h++, to += dim) {
                memcpy(to, is_v ? harness_v(data, s, h, t) : harness_k(data, s, h, t),
                       dim * sizeof *to);
            }
        }
    }
    return rows;
}

harness_data *validate_case_data(const validate_case *entry, validate_rows *out_rows)
{
    static const uint32_t lengths[VALIDATE_SEQUENCES] = {VALIDATE_MAX_TOKENS, 1121};
    const size_t rows = (size_t)VALIDATE_SEQUENCES * entry->kv_heads * VALIDATE_MAX_TOKENS;
    vsa_plan_create_info plan = validate_case_plan(entry);

    /* Unrounded at first: the device rounds what is appended. */
    plan.kv.k.dtype = plan.kv.v.dtype = F32;
    harness_data *data = harness_data_make(
        &plan, VALIDATE_SEQUENCES, VALIDATE_QUERIES, lengths,
        &(harness_fill){
            .spread = entry->spread > 0 ? entry->spread : 1, .value_mean = 1, .seed = 7});

    *out_rows = (validate_rows){0};
    if (entry->appended > 0) {
        *out_rows = (validate_rows){copy_rows(entry, data, false), copy_rows(entry, data, true)};
        if (!out_rows->k || !out_rows->v) {
            free(out_rows->k);
            free(out_rows->v);
            *out_rows = (validate_rows){0};
            harness_data_free(data);
            return NULL;
        }
    }
    ref_round_row(entry->k, data->k, rows * entry->dim_k);
    ref_round_row(entry->v, data->v, rows * entry->dim_v);
    data->plan.kv.k.dtype = entry->k;
    data->plan.kv.v.dtype = entry->v;
    return data;
}
