// Where a token's K or V row lies: the formula of vsa_plane_layout, in 32-bit words. Offsets are
// taken modulo 2^32 words, which is exact: a plane spans at most 16 GiB.
#ifndef KV_ADDRESS_GLSL
#define KV_ADDRESS_GLSL

layout(constant_id = VSA_ID_PAGED) const uint PAGED = 0;
layout(constant_id = VSA_ID_PAGE_SHIFT) const uint PAGE_SHIFT = 0;
layout(constant_id = VSA_ID_TABLE_STRIDE) const uint TABLE_STRIDE = 0;
layout(constant_id = VSA_ID_K_TYPE) const uint K_TYPE = VSA_TYPE_F32;
layout(constant_id = VSA_ID_V_TYPE) const uint V_TYPE = VSA_TYPE_F32;
layout(constant_id = VSA_ID_K_TOKEN_WORDS) const uint K_TOKEN_WORDS = 0;
layout(constant_id = VSA_ID_K_HEAD_WORDS) const uint K_HEAD_WORDS = 0;
layout(constant_id = VSA_ID_K_BLOCK_WORDS) const uint K_BLOCK_WORDS = 0;
layout(constant_id = VSA_ID_V_TOKEN_WORDS) const uint V_TOKEN_WORDS = 0;
layout(constant_id = VSA_ID_V_HEAD_WORDS) const uint V_HEAD_WORDS = 0;
layout(constant_id = VSA_ID_V_BLOCK_WORDS) const uint V_BLOCK_WORDS = 0;
layout(constant_id = VSA_ID_SEGMENT_WORDS) const uint SEGMENT_WORDS = 1;

layout(set = 0, binding = VSA_BIND_PAGE_TABLE) readonly buffer PageTable { uint page_table[]; };

// A row never straddles segments: they overlap by more than a row.
struct Row {
    uint segment;
    uint word;
};

Row row_at(uint word)
{
#if VSA_SEGMENTS == 1
    return Row(0u, word);
#else
    return Row(word / SEGMENT_WORDS, word % SEGMENT_WORDS);
#endif
}

uint kv_block(uint sequence, uint token)
{
    return PAGED != 0u ? page_table[sequence * TABLE_STRIDE + (token >> PAGE_SHIFT)] : sequence;
}

uint kv_slot(uint token) { return PAGED != 0u ? token & ((1u << PAGE_SHIFT) - 1u) : token; }

Row k_row(uint sequence, uint kv_head, uint token)
{
    return row_at(kv_block(sequence, token) * K_BLOCK_WORDS + kv_head * K_HEAD_WORDS +
                  kv_slot(token) * K_TOKEN_WORDS);
}

Row v_row(uint sequence, uint kv_head, uint token)
{
    return row_at(kv_block(sequence, token) * V_BLOCK_WORDS + kv_head * V_HEAD_WORDS +
                  kv_slot(token) * V_TOKEN_WORDS);
}
#endif
