/* KV addresses: the host's copy of shaders/kv_address.glsl. */
#include "vsa.h"

uint32_t vsa_dtype_row_size(vsa_dtype dtype, uint32_t count)
{
    switch (dtype) {
    case VSA_DTYPE_F32:
        return count * 4;
    case VSA_DTYPE_F16:
    case VSA_DTYPE_BF16:
        return count * 2;
    case VSA_DTYPE_Q8_0:
        return count % 32 == 0 ? count / 32 * 34 : 0;
    case VSA_DTYPE_Q4_0:
        return count % 32 == 0 ? count / 32 * 18 : 0;
    default:
        return 0;
    }
}

static void plane_init(vsa_plane_layout *plane, vsa_kv_order order, vsa_dtype dtype,
                       uint32_t head_dim, uint32_t kv_heads, uint32_t block_tokens)
{
    const uint32_t row_size = vsa_dtype_row_size(dtype, head_dim);

    plane->dtype = dtype;
    plane->token_stride = order == VSA_KV_TOKEN_MAJOR ? row_size * kv_heads : row_size;
    plane->head_stride = order == VSA_KV_TOKEN_MAJOR ? row_size : row_size * block_tokens;
    plane->block_stride = (uint64_t)row_size * kv_heads * block_tokens;
}

void vsa_kv_layout_init(vsa_kv_layout *out_layout, vsa_kv_order order, vsa_dtype k_dtype,
                        vsa_dtype v_dtype, uint32_t head_dim_k, uint32_t head_dim_v,
                        uint32_t kv_heads, uint32_t max_tokens, uint32_t page_tokens)
{
    const uint32_t block_tokens = page_tokens != 0 ? page_tokens : max_tokens;

    out_layout->page_tokens = page_tokens;
    out_layout->table_stride =
        page_tokens != 0 ? (uint32_t)(((uint64_t)max_tokens + page_tokens - 1) / page_tokens) : 0;
    plane_init(&out_layout->k, order, k_dtype, head_dim_k, kv_heads, block_tokens);
    plane_init(&out_layout->v, order, v_dtype, head_dim_v, kv_heads, block_tokens);
}

uint64_t vsa_kv_offset(const vsa_kv_layout *layout, const vsa_plane_layout *plane,
                       const uint32_t *page_table, uint32_t sequence, uint32_t kv_head,
                       uint32_t token)
{
    uint64_t block = sequence;
    uint32_t slot = token;

    if (layout->page_tokens != 0) {
        block = page_table[(size_t)sequence * layout->table_stride + token / layout->page_tokens];
        slot = token % layout->page_tokens;
    }
    return block * plane->block_stride + (uint64_t)kv_head * plane->head_stride +
           (uint64_t)slot * plane->token_stride;
}
