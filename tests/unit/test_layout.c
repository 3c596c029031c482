/* KV layouts against a model that enumerates the cache in storage order. */
#include "check.h"
#include "vsa.h"

#include <stdlib.h>
#include <string.h>

static void row_sizes(void **state)
{
    (void)state;
    assert_int_equal(vsa_dtype_row_size(VSA_DTYPE_F32, 80), 320);
    assert_int_equal(vsa_dtype_row_size(VSA_DTYPE_F16, 80), 160);
    assert_int_equal(vsa_dtype_row_size(VSA_DTYPE_BF16, 128), 256);
    assert_int_equal(vsa_dtype_row_size(VSA_DTYPE_Q8_0, 128), 4 * (2 + 32));
    assert_int_equal(vsa_dtype_row_size(VSA_DTYPE_Q4_0, 128), 4 * (2 + 16));
    /* Blocks of 32 cannot be cut. */
    assert_int_equal(vsa_dtype_row_size(VSA_DTYPE_Q8_0, 80), 0);
    assert_int_equal(vsa_dtype_row_size(VSA_DTYPE_Q4_0, 40), 0);
    assert_int_equal(vsa_dtype_row_size((vsa_dtype)0, 64), 0);
    assert_int_equal(vsa_dtype_row_size((vsa_dtype)99, 64), 0);
}

enum { HEADS = 3, TOKENS = 40, SEQUENCES = 2, DIM_K = 64, DIM_V = 40 };

/* Walks blocks in storage order and checks that every row lies where the walk is. */
static void check_plane(const vsa_kv_layout *layout, const vsa_plane_layout *plane,
                        vsa_kv_order order, const uint32_t *table, uint32_t row_size)
{
    uint32_t block_tokens = layout->page_tokens ? layout->page_tokens : TOKENS;
    uint32_t blocks_per_sequence = layout->page_tokens ? layout->table_stride : 1;
    uint32_t block_count = SEQUENCES * blocks_per_sequence;
    uint64_t at = 0;
    for (uint32_t block = 0; block < block_count; block++) {
        for (uint32_t i = 0; i < block_tokens * HEADS; i++, at += row_size) {
            uint32_t head = order == VSA_KV_TOKEN_MAJOR ? i % HEADS : i / block_tokens;
            uint32_t slot = order == VSA_KV_TOKEN_MAJOR ? i / HEADS : i % block_tokens;
            /* Which (sequence, token) is stored in this block? */
            uint32_t logical = block;
            if (layout->page_tokens) {
                for (logical = 0; table[logical] != block; logical++) {
                }
            }
            uint32_t sequence = logical / blocks_per_sequence;
            uint32_t token = logical % blocks_per_sequence * block_tokens + slot;
            if (token < TOKENS) {
                assert_int_equal(vsa_kv_offset(layout, plane, table, sequence, head, token), at);
            }
        }
    }
}

static void offsets_match_the_model(void **state)
{
    (void)state;
    static const uint32_t pages[] = { 0, 1, 8, 16, 64 };
    static const vsa_dtype types[] = { VSA_DTYPE_F32, VSA_DTYPE_F16, VSA_DTYPE_BF16 };
    for (size_t p = 0; p < sizeof pages / sizeof *pages; p++) {
        for (int order = VSA_KV_HEAD_MAJOR; order <= VSA_KV_TOKEN_MAJOR; order++) {
            for (int t = 0; t < 9; t++) {
                vsa_kv_layout layout;
                memset(&layout, 0xa5, sizeof layout);
                vsa_kv_layout_init(&layout, (vsa_kv_order)order, types[t / 3], types[t % 3], DIM_K,
                                   DIM_V, HEADS, TOKENS, pages[p]);
                assert_int_equal(layout.page_tokens, pages[p]);
                assert_int_equal(layout.k.dtype, types[t / 3]);
                assert_int_equal(layout.v.dtype, types[t % 3]);
                uint32_t table[SEQUENCES * TOKENS], entries = 0;
                if (pages[p]) {
                    assert_int_equal(layout.table_stride, (TOKENS + pages[p] - 1) / pages[p]);
                    entries = SEQUENCES * layout.table_stride;
                }
                for (uint32_t i = 0; i < entries; i++) {
                    table[i] = (i * 7 + 3) % entries;   /* entries is coprime to 7 here */
                }
                check_plane(&layout, &layout.k, (vsa_kv_order)order, table,
                            vsa_dtype_row_size(types[t / 3], DIM_K));
                check_plane(&layout, &layout.v, (vsa_kv_order)order, table,
                            vsa_dtype_row_size(types[t % 3], DIM_V));
            }
        }
    }
}

/* Interleaved K/V pool, padded rows, more than 4 GiB: nothing is computed in 32 bits. */
static void explicit_strides(void **state)
{
    (void)state;
    vsa_kv_layout layout = { .page_tokens = 16, .table_stride = 1000 };
    layout.k = (vsa_plane_layout){ .dtype = VSA_DTYPE_F16, .token_stride = 268,
                                   .head_stride = 16 * 268 + 12, .block_stride = 1u << 20 };
    uint32_t *table = calloc(3000, sizeof *table);
    table[2 * 1000 + 999] = 16000;
    assert_int_equal(vsa_kv_offset(&layout, &layout.k, table, 2, 5, 999 * 16 + 7),
                     16000ull * (1u << 20) + 5 * (16 * 268 + 12) + 7 * 268);
    free(table);

    layout = (vsa_kv_layout){ 0 };
    layout.v = (vsa_plane_layout){ .dtype = VSA_DTYPE_F32, .token_stride = 1024,
                                   .head_stride = 0x80000000u, .block_stride = 0x300000000ull };
    assert_int_equal(vsa_kv_offset(&layout, &layout.v, NULL, 1, 3, 0x00fffff0),
                     0x300000000ull + 3 * 0x80000000ull + 0x00fffff0ull * 1024);
}

static void large_layouts_do_not_overflow(void **state)
{
    (void)state;
    vsa_kv_layout layout;
    vsa_kv_layout_init(&layout, VSA_KV_TOKEN_MAJOR, VSA_DTYPE_F32, VSA_DTYPE_F32, 256, 128, 8,
                       1u << 20, 0);
    assert_int_equal(layout.k.block_stride, 8ull * 1024 * (1u << 20));
    assert_int_equal(layout.v.block_stride, 8ull * 512 * (1u << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_sizes),
        cmocka_unit_test(offsets_match_the_model),
        cmocka_unit_test(explicit_strides),
        cmocka_unit_test(large_layouts_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
