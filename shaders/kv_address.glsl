// Where a token's K or V row lies: the formula of vsa_plane_layout, in 32-bit words. Offsets are
// taken modulo 2^32 words, which is exact: a plane spans at most 16 GiB. Strides of a quantised
// plane may be odd numbers of half words: those halves are counted on their own.
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
#if VSA_QUANT
layout(constant_id = VSA_ID_K_ODD) const uint K_ODD = 0;
layout(constant_id = VSA_ID_V_ODD) const uint V_ODD = 0;
#endif

layout(set = 0, binding = VSA_BIND_PAGE_TABLE) readonly buffer PageTable { uint page_table[]; };

// A row never straddles segments: they overlap by more than a row.
struct Row {
    uint segment;
    uint word;
#if VSA_QUANT
    uint half_word;   // 1: the row starts at the upper half of the word
#endif
};

#if VSA_SEGMENTS == 1
#define ROW_SEGMENT(word) 0u
#define ROW_WORD(word) (word)
#else
#define ROW_SEGMENT(word) ((word) / SEGMENT_WORDS)
#define ROW_WORD(word) ((word) % SEGMENT_WORDS)
#endif

uint kv_block(uint sequence, uint token)
{
    return PAGED != 0u ? page_table[sequence * TABLE_STRIDE + (token >> PAGE_SHIFT)] : sequence;
}

uint kv_slot(uint token) { return PAGED != 0u ? token & ((1u << PAGE_SHIFT) - 1u) : token; }

#if VSA_QUANT
Row row_at(uint word, uint odd, uint block, uint kv_head, uint slot)
{
    uint halves = ((odd & 1u) != 0u ? slot : 0u) + ((odd & 2u) != 0u ? kv_head : 0u) +
                  ((odd & 4u) != 0u ? block : 0u);
    word += halves >> 1;
    return Row(ROW_SEGMENT(word), ROW_WORD(word), halves & 1u);
}
#define ROW_AT(word, odd, block, kv_head, slot) row_at(word, odd, block, kv_head, slot)
#else
Row row_at(uint word) { return Row(ROW_SEGMENT(word), ROW_WORD(word)); }
#define ROW_AT(word, odd, block, kv_head, slot) row_at(word)
#endif

Row k_row(uint sequence, uint kv_head, uint token)
{
    uint block = kv_block(sequence, token);
    uint slot = kv_slot(token);
    return ROW_AT(block * K_BLOCK_WORDS + kv_head * K_HEAD_WORDS + slot * K_TOKEN_WORDS, K_ODD,
                  block, kv_head, slot);
}

Row v_row(uint sequence, uint kv_head, uint token)
{
    uint block = kv_block(sequence, token);
    uint slot = kv_slot(token);
    return ROW_AT(block * V_BLOCK_WORDS + kv_head * V_HEAD_WORDS + slot * V_TOKEN_WORDS, V_ODD,
                  block, kv_head, slot);
}
#endif
