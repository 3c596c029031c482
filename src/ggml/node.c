#include "node.h"

#include <string.h>

#define MAX_CELLS      (INT64_C(1) << 24)
#define MAX_PLANE_SIZE (UINT64_C(1) << 34)
#define MAX_ROWS       (INT64_C(1) << 20)

/* Operands of FLASH_ATTN_EXT and its op_params: ggml_flash_attn_ext. */
enum { SRC_Q, SRC_K, SRC_V, SRC_MASK, SRC_SINKS };
enum { PARAM_SCALE, PARAM_MAX_BIAS, PARAM_SOFTCAP };

static vsa_dtype dtype_of(enum ggml_type type)
{
    switch (type) {
    case GGML_TYPE_F32:
        return VSA_DTYPE_F32;
    case GGML_TYPE_F16:
        return VSA_DTYPE_F16;
    case GGML_TYPE_BF16:
        return VSA_DTYPE_BF16;
    case GGML_TYPE_Q8_0:
        return VSA_DTYPE_Q8_0;
    case GGML_TYPE_Q4_0:
        return VSA_DTYPE_Q4_0;
    default:
        return (vsa_dtype)0;
    }
}

static float param(const struct ggml_tensor *op, int index)
{
    float value;
    memcpy(&value, &op->op_params[index], sizeof value);
    return value;
}

static const struct ggml_tensor *root_of(const struct ggml_tensor *tensor)
{
    while (tensor->view_src != NULL) {
        tensor = tensor->view_src;
    }
    return tensor;
}

static const char *read_plane(const struct ggml_tensor *tensor, vsai_ggml_plane *out)
{
    const vsa_dtype dtype = dtype_of(tensor->type);
    const uint64_t unit = dtype == VSA_DTYPE_Q8_0 || dtype == VSA_DTYPE_Q4_0 ? 2 : 4;

    if (dtype == 0) {
        return "K and V must be f32, f16, bf16, q8_0 or q4_0";
    }
    if (tensor->ne[0] < 32 || tensor->ne[0] > 256 || tensor->ne[0] % (unit == 2 ? 32 : 8) != 0) {
        return "head sizes must be 32 to 256 and multiples of 8, of 32 for q8_0 and q4_0";
    }
    *out = (vsai_ggml_plane){
        .tensor = tensor,
        .dtype = dtype,
        .head_dim = (uint32_t)tensor->ne[0],
        .row_size = vsa_dtype_row_size(dtype, (uint32_t)tensor->ne[0]),
        .cell_stride = tensor->nb[1],
    };
    if (tensor->nb[0] != ggml_type_size(tensor->type) || tensor->nb[1] > UINT32_MAX ||
        tensor->nb[2] > UINT32_MAX || tensor->nb[1] % unit != 0 || tensor->nb[2] % unit != 0 ||
        tensor->nb[1] < out->row_size || (tensor->ne[2] > 1 && tensor->nb[2] < out->row_size)) {
        return "rows of K and V must be contiguous and 4-byte aligned, strides below 2^32";
    }
    /* Streams are told apart by the number of their first cell. */
    if (tensor->ne[3] > 1 && tensor->nb[3] % tensor->nb[1] != 0) {
        return "streams of K and V must be whole cells apart";
    }
    out->head_stride = tensor->ne[2] > 1 ? (uint32_t)tensor->nb[2] : out->row_size;
    return NULL;
}

/* From the start of the whole cache where the view begins a whole number of cells behind it, so
 * that a view that moves with the streams stays in the same buffer. */
static uint64_t place_plane(vsai_ggml_plane *plane)
{
    const struct ggml_tensor *tensor = plane->tensor;
    const struct ggml_tensor *root = root_of(tensor);
    const uint64_t offset = (uint64_t)((const char *)tensor->data - (const char *)root->data);
    const uint64_t size = ggml_nbytes(root);

    if (offset % plane->cell_stride == 0) {
        plane->base = root->data;
        plane->size = size;
        return offset / plane->cell_stride;
    }
    plane->base = tensor->data;
    plane->size = size - offset;
    return 0;
}

static void move_base(vsai_ggml_plane *plane, uint64_t cells)
{
    plane->base += cells * plane->cell_stride;
    plane->size -= cells * plane->cell_stride;
}

/* "cache_k_l12" is what llama.cpp calls it. */
static uint32_t layer_of(const char *name)
{
    const char *at = strstr(name, "_l");
    uint32_t layer = 0;
    int digits = 0;

    if (strncmp(name, "cache_", 6) != 0 || at == NULL) {
        return VSAI_GGML_NO_LAYER;
    }
    for (at += 2; *at >= '0' && *at <= '9' && digits < 6; at++, digits++) {
        layer = layer * 10 + (uint32_t)(*at - '0');
    }
    return digits != 0 ? layer : VSAI_GGML_NO_LAYER;
}

static uint32_t capacity_of(const struct ggml_tensor *k, uint32_t cells)
{
    const struct ggml_tensor *root = root_of(k);
    int64_t capacity = cells;

    if (k->ne[3] > 1) {
        capacity = k->nb[3] > k->nb[2] ? (int64_t)(k->nb[3] / k->nb[1]) : capacity;
    } else if (root != k && root->nb[1] == k->nb[1]) {
        capacity = root->ne[1];
    }
    return capacity < cells ? cells : capacity > MAX_CELLS ? MAX_CELLS : (uint32_t)capacity;
}

static const char *check_shapes(const struct ggml_tensor *op)
{
    const struct ggml_tensor *q = op->src[SRC_Q], *k = op->src[SRC_K], *v = op->src[SRC_V];
    const struct ggml_tensor *mask = op->src[SRC_MASK];

    if (op->src[SRC_SINKS] != NULL) {
        return "attention sinks are not supported";
    }
    if (param(op, PARAM_MAX_BIAS) != 0.0f) {
        return "ALiBi is not supported";
    }
    if (!(param(op, PARAM_SCALE) > 0.0f) || !(param(op, PARAM_SOFTCAP) >= 0.0f)) {
        return "the scale must be above 0";
    }
    if (q->ne[1] < 1 || q->ne[1] > VSAI_GGML_MAX_QUERIES) {
        return "1 to 8 query tokens of a stream are decoded, more are prefill";
    }
    if (q->type != GGML_TYPE_F32 || q->nb[0] != sizeof(float) || op->type != GGML_TYPE_F32 ||
        !ggml_is_contiguous(op)) {
        return "Q and the result must be rows of f32";
    }
    if (k->ne[1] < 1 || k->ne[1] > MAX_CELLS || v->ne[1] != k->ne[1]) {
        return "K and V must have the same number of cells, 1 to 2^24";
    }
    if (q->ne[0] != k->ne[0] || k->ne[2] != v->ne[2] || k->ne[3] != v->ne[3] ||
        q->ne[2] % k->ne[2] != 0 || q->ne[3] % k->ne[3] != 0 || q->ne[2] > 65535 ||
        q->ne[1] * q->ne[2] * q->ne[3] > MAX_ROWS) {
        return "K and V must have the same heads and streams, Q a multiple of them";
    }
    if (mask != NULL &&
        (mask->type != GGML_TYPE_F16 || mask->nb[0] != sizeof(uint16_t) ||
         mask->ne[0] < k->ne[1] || mask->ne[1] < q->ne[1] || mask->ne[2] != 1 ||
         q->ne[3] % mask->ne[3] != 0)) {
        return "the mask must be f16 and the same for all heads";
    }
    return NULL;
}

const char *vsai_ggml_node_read(const struct ggml_tensor *op, vsai_ggml_node *out_node)
{
    const struct ggml_tensor *q = op->src[SRC_Q], *k = op->src[SRC_K], *v = op->src[SRC_V];
    const char *sentence = check_shapes(op);

    *out_node = (vsai_ggml_node){.op = op, .q = q, .mask = op->src[SRC_MASK]};
    if (sentence == NULL) {
        sentence = read_plane(k, &out_node->k);
    }
    if (sentence == NULL) {
        sentence = read_plane(v, &out_node->v);
    }
    if (sentence != NULL) {
        return sentence;
    }
    out_node->q_heads = (uint32_t)q->ne[2];
    out_node->kv_heads = (uint32_t)k->ne[2];
    out_node->queries = (uint32_t)q->ne[1];
    out_node->streams = (uint32_t)q->ne[3];
    out_node->kv_streams = (uint32_t)k->ne[3];
    out_node->cells = (uint32_t)k->ne[1];
    out_node->stream_cells = k->ne[3] > 1 ? (uint32_t)(k->nb[3] / k->nb[1]) : 0;
    if (k->ne[3] > 1 && v->nb[3] / v->nb[1] != out_node->stream_cells) {
        return "streams of K and V must be equally many cells apart";
    }
    out_node->capacity = capacity_of(k, out_node->cells);
    out_node->layer = layer_of(root_of(k)->name);
    out_node->scale = param(op, PARAM_SCALE);
    out_node->softcap = param(op, PARAM_SOFTCAP);
    if (ggml_nbytes(root_of(k)) > MAX_PLANE_SIZE || ggml_nbytes(root_of(v)) > MAX_PLANE_SIZE) {
        return "K or V of a layer is larger than 16 GiB";
    }
    if (k->data != NULL && v->data != NULL) {
        const uint64_t k_first = place_plane(&out_node->k), v_first = place_plane(&out_node->v);
        const uint64_t first = k_first < v_first ? k_first : v_first;
        /* One list of cells serves both planes. */
        move_base(&out_node->k, k_first - first);
        move_base(&out_node->v, v_first - first);
        out_node->first_cell = (uint32_t)first;
    }
    return NULL;
}

const uint16_t *vsai_ggml_node_mask(const vsai_ggml_node *node, uint32_t stream, uint32_t query)
{
    const struct ggml_tensor *mask = node->mask;

    if (mask == NULL) {
        return NULL;
    }
    return (const uint16_t *)((const char *)mask->data + query * mask->nb[1] +
                              (size_t)(stream % (uint32_t)mask->ne[3]) * mask->nb[3]);
}

uint32_t vsai_ggml_node_first_cell(const vsai_ggml_node *node, uint32_t stream)
{
    return node->first_cell + stream / (node->streams / node->kv_streams) * node->stream_cells;
}

const float *vsai_ggml_node_q(const vsai_ggml_node *node, uint32_t stream, uint32_t query,
                              uint32_t head)
{
    const struct ggml_tensor *q = node->q;
    return (const float *)((const char *)q->data + query * q->nb[1] + head * q->nb[2] +
                           stream * q->nb[3]);
}

float *vsai_ggml_node_out(const vsai_ggml_node *node, uint32_t stream, uint32_t query)
{
    return (float *)node->op->data +
           ((size_t)stream * node->queries + query) * node->q_heads * node->v.head_dim;
}
