/* Q8_0 and Q4_0 on the host: the conversion against the reference and against blocks worked out by
 * hand, and what a plan makes of the types. */
#include "check.h"
#include "quantised.h"
#include "reference.h"
#include "shape.h"
#include "standalone/convert.h"

#include <stdio.h>
#include <string.h>

#define Q8 VSA_DTYPE_Q8_0
#define Q4 VSA_DTYPE_Q4_0

enum { Q8_SIZE = 34, Q4_SIZE = 18 };

static void host_quantise(vsa_dtype dtype, const float *values, size_t count, uint8_t *blocks)
{
    if (dtype == Q8) {
        vsai_q8_0_from_f32(blocks, values, count);
    } else {
        vsai_q4_0_from_f32(blocks, values, count);
    }
}

static void check_block(vsa_dtype dtype, const float *values, const uint8_t *expected)
{
    const size_t size = vsa_dtype_row_size(dtype, 32);
    uint8_t reference[Q8_SIZE], host[Q8_SIZE];
    ref_quantise(dtype, values, 32, reference);
    host_quantise(dtype, values, 32, host);
    assert_memory_equal(reference, expected, size);
    assert_memory_equal(host, expected, size);
}

static void q8_0_by_hand(void **state)
{
    (void)state;
    float values[32] = { 127, -127, 0.5f, -0.5f, 1.5f, -2.5f, 0.49999997f, 126.5f, -0.0f };
    uint8_t block[Q8_SIZE] = { 0x00, 0x3c, 127, 129, 1, 255, 2, 253, 0, 127 };   /* scale 1 */
    check_block(Q8, values, block);

    /* The scale is 2^-23, a subnormal f16: 2 in units of 2^-24. */
    for (int i = 0; i < 32; i++) {
        values[i] *= 0x1p-23f;
    }
    block[0] = 2;
    block[1] = 0;
    check_block(Q8, values, block);

    /* A scale of 65520 is infinity as f16. The codes are those of f32. */
    memset(values, 0, sizeof values);
    memset(block, 0, sizeof block);
    values[5] = -65520.0f * 127;
    block[1] = 0x7c;
    block[2 + 5] = 129;
    check_block(Q8, values, block);
}

static void q4_0_by_hand(void **state)
{
    (void)state;
    float values[32] = { -8, 7, 0.5f, -0.5f, 7.5f, -7.5f, 1.49f, 8 };
    values[16] = -3;
    values[31] = 4;
    /* The first of the largest magnitudes, -8, makes the scale 1. */
    static const uint8_t positive[Q4_SIZE] = { 0x00, 0x3c, 0x50, 0x8f, 0x89, 0x88, 0x8f, 0x81, 0x89,
                                               0x8f, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88,
                                               0xc8 };
    check_block(Q4, values, positive);
    /* 8 before -8 makes it -1. */
    values[0] = 8;
    values[7] = -8;
    static const uint8_t negative[Q4_SIZE] = { 0x00, 0xbc, 0xb0, 0x81, 0x88, 0x89, 0x81, 0x8f, 0x87,
                                               0x8f, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88,
                                               0x48 };
    check_block(Q4, values, negative);
}

/* Zeros, values below 2^-100, and what is not finite: vsa.h. */
static void corner_cases(void **state)
{
    (void)state;
    static const float zeros[] = { 0.0f, -0.0f, 0x1p-149f, -0x1.fffffep-101f };
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    float values[32] = { 0 };
    uint8_t q8[Q8_SIZE] = { 0 }, q4[Q4_SIZE] = { 0x00, 0x80 };
    memset(q4 + 2, 0x88, 16);
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) {
        values[17] = zeros[i];
        check_block(Q8, values, q8);
        check_block(Q4, values, q4);
    }
    q8[1] = q4[1] = 0x7e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        values[3] = 1e9f;
        values[17] = bad[i];
        check_block(Q8, values, q8);
        check_block(Q4, values, q4);
    }
}

static void host_is_the_reference(void **state)
{
    (void)state;
    enum { BLOCKS = 7 };
    static const vsa_dtype types[] = { Q8, Q4 };
    ref_random random = { 1 };
    for (uint32_t i = 0; i < 20000; i++) {
        float values[BLOCKS * 32];
        for (int b = 0; b < BLOCKS; b++) {
            ref_awkward_block(&random, (i + (uint32_t)b) % REF_AWKWARD_KINDS, values + b * 32);
        }
        for (int t = 0; t < 2; t++) {
            uint8_t reference[BLOCKS * Q8_SIZE], host[BLOCKS * Q8_SIZE];
            ref_quantise(types[t], values, BLOCKS * 32, reference);
            host_quantise(types[t], values, BLOCKS * 32, host);
            assert_memory_equal(reference, host, vsa_dtype_row_size(types[t], BLOCKS * 32));
        }
    }
}

/* What a cache holds can be written into another one unchanged, unless its scale has become 0. */
static void quantised_values_stay(void **state)
{
    (void)state;
    static const vsa_dtype types[] = { Q8, Q4 };
    ref_random random = { 2 };
    for (uint32_t i = 0; i < 20000; i++) {
        float values[32];
        uint8_t first[Q8_SIZE], second[Q8_SIZE];
        ref_awkward_block(&random, i % 6, values);
        for (int t = 0; t < 2; t++) {
            ref_quantise(types[t], values, 32, first);
            if (first[0] == 0 && (first[1] & 0x7f) == 0) {
                continue;
            }
            float held[32];
            ref_dequantise(types[t], first, 32, held);
            ref_quantise(types[t], held, 32, second);
            assert_memory_equal(first, second, vsa_dtype_row_size(types[t], 32));
        }
    }
}

/* ------------------------------------------------------------------ plans */

static char sentence[256];

static void keep_sentence(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    (void)level;
    snprintf(sentence, sizeof sentence, "%s", message);
}

static vsa_plan_create_info plan_of(vsa_dtype k, vsa_dtype v, uint32_t dk, uint32_t dv,
                                    uint32_t max_tokens)
{
    vsa_plan_create_info plan = { .head_dim_k = dk, .head_dim_v = dv, .q_heads = 3, .kv_heads = 3,
                                  .max_tokens = max_tokens, .policy.method = VSA_METHOD_DENSE };
    vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, k, v, dk, dv, 3, max_tokens, 0);
    return plan;
}

static vsa_result make(const vsa_plan_create_info *plan, vsai_shape *out_shape)
{
    static const vsai_limits limits = { .max_storage_range = 1u << 27, .max_descriptors = 64 };
    static const vsa_log log = { .write = keep_sentence, .max_level = VSA_LOG_ERROR };
    sentence[0] = 0;
    return vsai_shape_make(plan, &limits, &log, out_shape);
}

static void check_refused(const vsa_plan_create_info *plan, const char *expected)
{
    vsai_shape shape;
    assert_int_equal(make(plan, &shape), VSA_ERROR_UNSUPPORTED_CONFIG);
    assert_string_equal(sentence, expected);
}

static void refusals(void **state)
{
    (void)state;
    vsa_plan_create_info plan = plan_of(Q8, Q4, 64, 64, 100);
    plan.head_dim_k = 80;
    check_refused(&plan, "head_dim_k is 80, must be a multiple of 32 for K of dtype q8_0");
    plan = plan_of(VSA_DTYPE_F16, Q4, 80, 64, 100);
    plan.head_dim_v = 40;
    check_refused(&plan, "head_dim_v is 40, must be a multiple of 32 for V of dtype q4_0");
    plan = plan_of(Q8, VSA_DTYPE_F16, 64, 64, 100);
    plan.kv.k.token_stride = 69;
    check_refused(&plan, "K strides are 69, 6800 and 20400 bytes, must be multiples of 2");
    plan = plan_of(Q8, VSA_DTYPE_F16, 64, 64, 100);
    plan.kv.v.token_stride = 130;
    check_refused(&plan, "V strides are 130, 12800 and 38400 bytes, must be multiples of 4");
    plan = plan_of(Q8, (vsa_dtype)6, 64, 64, 100);
    check_refused(&plan, "V dtype is 6, must be f32, f16, bf16, q8_0 or q4_0");
    plan = plan_of(VSA_DTYPE_F16, VSA_DTYPE_F16, 64, 64, 100);
    plan.new_dtype = Q8;
    check_refused(&plan, "q, out and new dtypes are 1, 1 and 4, must be f32, f16 or bf16");
}

static void shapes(void **state)
{
    (void)state;
    vsai_shape shape;
    /* Rows of 34 and 18 bytes. */
    vsa_plan_create_info plan = plan_of(Q8, Q4, 32, 32, 101);
    assert_int_equal(make(&plan, &shape), VSA_SUCCESS);
    assert_true(shape.quant && !shape.wide);
    assert_int_equal(shape.constants[VSA_ID_K_TOKEN_WORDS], 8);
    assert_int_equal(shape.constants[VSA_ID_K_HEAD_WORDS], 101 * 34 / 4);
    assert_int_equal(shape.constants[VSA_ID_K_BLOCK_WORDS], 3 * 101 * 34 / 4);
    assert_int_equal(shape.constants[VSA_ID_K_ODD], 7);   /* 17, 1717 and 5151 half words */
    assert_int_equal(shape.constants[VSA_ID_V_ODD], 7);
    assert_int_equal(vsai_shape_plane_size(&shape, &shape.info.kv.k, 32), 3 * 101 * 34 + 2);
    assert_int_equal(vsai_shape_plane_size(&shape, &shape.info.kv.v, 32), 3 * 101 * 18 + 2);

    plan = plan_of(Q8, Q4, 32, 32, 100);
    assert_int_equal(make(&plan, &shape), VSA_SUCCESS);
    assert_int_equal(shape.constants[VSA_ID_K_ODD], 1);

    /* A plane that is not quantised keeps its wide reads beside one that is. */
    plan = plan_of(VSA_DTYPE_F16, Q4, 64, 64, 100);
    assert_int_equal(make(&plan, &shape), VSA_SUCCESS);
    assert_true(shape.quant && shape.wide);
    plan.kv.k.token_stride += 4;
    assert_int_equal(make(&plan, &shape), VSA_SUCCESS);
    assert_true(shape.quant && !shape.wide);
    plan = plan_of(VSA_DTYPE_F16, VSA_DTYPE_BF16, 64, 64, 100);
    assert_int_equal(make(&plan, &shape), VSA_SUCCESS);
    assert_true(!shape.quant && shape.wide);
    assert_int_equal(shape.constants[VSA_ID_K_ODD], 0);

    /* More than 2^32 half words. */
    plan = plan_of(Q8, Q4, 256, 256, 1u << 20);
    plan.max_sequences = 13;
    plan.kv.k.block_stride = (1u << 30) + 2;
    static const vsai_limits limits = { .max_storage_range = 0xffffffffu, .max_descriptors = 64 };
    assert_int_equal(vsai_shape_make(&plan, &limits, NULL, &shape), VSA_SUCCESS);
    assert_int_equal(shape.constants[VSA_ID_K_BLOCK_WORDS], 1u << 28);
    assert_int_equal(shape.constants[VSA_ID_K_ODD], 4);
    assert_int_equal(shape.segments, VSA_MAX_SEGMENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q8_0_by_hand),
        cmocka_unit_test(q4_0_by_hand),
        cmocka_unit_test(corner_cases),
        cmocka_unit_test(host_is_the_reference),
        cmocka_unit_test(quantised_values_stay),
        cmocka_unit_test(refusals),
        cmocka_unit_test(shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
