/* Appended rows land where they belong, rounded to nearest even, bit for bit; nothing else
 * changes. */
#include "harness.h"
#include "raw.h"

enum { SEQUENCES = 3, HEADS = 2, TOKENS = 48, NEW = 5 };

#define UNTOUCHED 0xdeadbeefu

#define F32  VSA_DTYPE_F32
#define F16  VSA_DTYPE_F16
#define BF16 VSA_DTYPE_BF16
#define Q8   VSA_DTYPE_Q8_0
#define Q4   VSA_DTYPE_Q4_0
#define HM   VSA_KV_HEAD_MAJOR
#define TM   VSA_KV_TOKEN_MAJOR

/* Values whose rounding is interesting: ties, subnormals, overflow, infinities, negative zero. */
static float awkward(ref_random *random)
{
    static const float specials[] = { 0.0f, -0.0f, 65519.99f, 65520.0f, -65536.0f, 1e-7f, 5.96e-8f,
                                      2.98e-8f, 2.981e-8f, -1e-40f, 3.4e38f, 3.3961e38f, 1.0009765f,
                                      1.00048828125f, 1.00146484375f, 6.1e-5f, 6.097e-5f };
    if (ref_random_below(random, 4) == 0) {
        return specials[ref_random_below(random, sizeof specials / sizeof *specials)];
    }
    return (float)(ref_random_normal(random) * exp(6 * ref_random_normal(random)));
}

typedef struct append_case {
    vsa_dtype k, v, new_rows;
    vsa_kv_order order;
    uint32_t page_tokens;
    uint32_t dk, dv;
    uint32_t pad;         /* added to every stride */
    uint32_t max_range;   /* above 0: K and V are bound as segments */
} append_case;

/* Rows to append, as `new_rows` keeps them. */
static float *make_rows(ref_random *random, const append_case *c, vsa_dtype stored, uint32_t dim)
{
    size_t count = (size_t)SEQUENCES * NEW * HEADS * dim;
    float *rows = malloc(count * sizeof *rows);
    if (ref_is_quantised(stored)) {
        for (size_t i = 0; i < count; i += REF_QUANT_BLOCK) {
            ref_awkward_block(random, ref_random_below(random, REF_AWKWARD_KINDS), rows + i);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            rows[i] = awkward(random);
        }
    }
    ref_round_array(c->new_rows ? c->new_rows : VSA_DTYPE_F32, rows, count);
    return rows;
}

/* Bytes of K or V after the append, by the reference. */
static uint8_t *expected_plane(const raw_layer *l, const vsa_plane_layout *plane, uint32_t dim,
                               size_t size, const float *rows, const uint32_t *lengths,
                               uint32_t new_tokens, uint32_t max_length)
{
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(UNTOUCHED >> i % 4 * 8);
    }
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        if (lengths[s] < new_tokens || lengths[s] > max_length) {
            continue;
        }
        for (uint32_t i = 0; i < new_tokens; i++) {
            for (uint32_t h = 0; h < HEADS; h++) {
                uint64_t at = vsa_kv_offset(&l->plan_info.kv, plane, l->page_table_host, s, h,
                                            lengths[s] - new_tokens + i);
                const float *row = rows + ((s * new_tokens + i) * HEADS + h) * dim;
                ref_store_row(plane->dtype, row, dim, bytes + at);
            }
        }
    }
    return bytes;
}

/* A device may flush subnormal f32 values to zero. */
static int same_bits(vsa_dtype dtype, const uint8_t *a, const uint8_t *b, size_t size)
{
    if (dtype != VSA_DTYPE_F32) {
        return memcmp(a, b, size) == 0;
    }
    for (size_t i = 0; i + 4 <= size; i += 4) {
        uint32_t x, y;
        memcpy(&x, a + i, 4);
        memcpy(&y, b + i, 4);
        int flushed = ((x | y) & 0x7f800000u) == 0;
        if (x != y && !flushed) {
            return 0;
        }
    }
    return 1;
}

static void pad_strides(vsa_plane_layout *plane, vsa_kv_order order, uint32_t block_tokens,
                        uint32_t pad)
{
    if (order == VSA_KV_HEAD_MAJOR) {
        plane->token_stride += pad;
        plane->head_stride = plane->token_stride * block_tokens + pad;
        plane->block_stride = (uint64_t)plane->head_stride * HEADS + pad;
    } else {
        plane->head_stride += pad;
        plane->token_stride = plane->head_stride * HEADS + pad;
        plane->block_stride = (uint64_t)plane->token_stride * block_tokens + pad;
    }
}

static void check_append(const append_case *c, const uint32_t *lengths, uint32_t max_length)
{
    vsa_plan_create_info plan = { .head_dim_k = c->dk, .head_dim_v = c->dv, .q_heads = HEADS,
                                  .kv_heads = HEADS, .max_sequences = SEQUENCES,
                                  .max_tokens = TOKENS, .new_dtype = c->new_rows,
                                  .policy.method = VSA_METHOD_DENSE };
    vsa_kv_layout_init(&plan.kv, c->order, c->k, c->v, c->dk, c->dv, HEADS, TOKENS,
                       c->page_tokens);
    uint32_t block_tokens = c->page_tokens ? c->page_tokens : TOKENS;
    pad_strides(&plan.kv.k, c->order, block_tokens, c->pad);
    pad_strides(&plan.kv.v, c->order, block_tokens, c->pad);
    vsa_context *own = NULL;
    if (c->max_range > 0) {
        check_ok(raw_context_create(
            &(vsa_context_create_info){ .max_storage_range = c->max_range }, &own));
    }
    raw_layer *l = own ? raw_layer_make_on(own, &plan, NEW) : raw_layer_make(&plan, NEW);
    ref_random random = { c->page_tokens + 100 * c->dk + c->dv };
    float *k = make_rows(&random, c, c->k, c->dk);
    float *v = make_rows(&random, c, c->v, c->dv);
    check_ok(vsa_buffer_fill(l->k, UNTOUCHED));
    check_ok(vsa_buffer_fill(l->v, UNTOUCHED));
    raw_write_floats(l->new_k, c->new_rows, k, SEQUENCES * NEW * HEADS * c->dk);
    raw_write_floats(l->new_v, c->new_rows, v, SEQUENCES * NEW * HEADS * c->dv);
    check_ok(vsa_buffer_write(l->lengths, 0, lengths, SEQUENCES * sizeof *lengths));

    VkCommandBuffer cmd = raw_begin();
    vsa_step step = { .sequence_count = SEQUENCES, .max_length_tokens = max_length };
    check_ok(vsa_cmd_append(l->layer, cmd, &step, NEW));
    raw_end();

    uint8_t *got_k = malloc(l->k_size), *got_v = malloc(l->v_size);
    check_ok(vsa_buffer_read(l->k, 0, got_k, l->k_size));
    check_ok(vsa_buffer_read(l->v, 0, got_v, l->v_size));
    uint8_t *want_k = expected_plane(l, &plan.kv.k, c->dk, l->k_size, k, lengths, NEW, max_length);
    uint8_t *want_v = expected_plane(l, &plan.kv.v, c->dv, l->v_size, v, lengths, NEW, max_length);
    check_that(same_bits(c->k, got_k, want_k, l->k_size), "K type %d of %u order %d page %u", c->k,
               c->dk, c->order, c->page_tokens);
    check_that(same_bits(c->v, got_v, want_v, l->v_size), "V type %d of %u order %d page %u", c->v,
               c->dv, c->order, c->page_tokens);
    free(got_k), free(got_v), free(want_k), free(want_v), free(k), free(v);
    raw_layer_destroy(l);
    vsa_context_destroy(own);
}

static void rows_land_exactly(void **state)
{
    (void)state;
    static const append_case cases[] = {
        { F32, F16, 0, HM, 0, 40, 32, 0, 0 },
        { F16, BF16, 0, TM, 0, 40, 32, 0, 0 },
        { BF16, F32, F16, HM, 8, 40, 32, 4, 0 },
        { F16, F16, BF16, TM, 16, 40, 32, 0, 0 },
        { F16, F32, 0, TM, 16, 40, 32, 0, 18000 },
    };
    static const uint32_t lengths[SEQUENCES] = { NEW, TOKENS, 21 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].max_range == 0 || harness_has_segments()) {
            check_append(&cases[i], lengths, TOKENS);
        }
    }
}

/* Blocks share words with their neighbours, in rows that are to change and rows that are not. */
static void quantised_rows_land_exactly(void **state)
{
    (void)state;
    static const append_case cases[] = {
        { Q8, Q8, 0, HM, 0, 64, 32, 0, 0 },   { Q4, Q4, F16, TM, 0, 32, 96, 0, 0 },
        { Q8, Q4, BF16, HM, 8, 32, 32, 0, 0 }, { Q4, Q8, 0, TM, 16, 96, 160, 2, 0 },
        { Q8, Q4, 0, HM, 4, 128, 256, 2, 0 }, { F16, Q8, 0, HM, 0, 64, 32, 0, 0 },
        { Q4, F32, 0, TM, 8, 32, 40, 0, 0 },  { Q8, Q4, 0, TM, 0, 96, 128, 0, 18000 },
        { Q4, Q8, F16, HM, 16, 128, 96, 2, 18000 },
    };
    static const uint32_t lengths[SEQUENCES] = { NEW, TOKENS, 21 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].max_range == 0 || harness_has_segments()) {
            check_append(&cases[i], lengths, TOKENS);
        }
    }
}

/* A length below new_tokens or above max_length_tokens leaves that sequence alone. */
static void bad_lengths_touch_nothing(void **state)
{
    (void)state;
    static const append_case cases[] = { { F16, BF16, 0, TM, 0, 40, 32, 0, 0 },
                                         { Q8, Q4, 0, TM, 0, 32, 32, 0, 0 } };
    for (int i = 0; i < 2; i++) {
        check_append(&cases[i], (const uint32_t[]){ NEW - 1, 40, 41 }, 40);
        check_append(&cases[i], (const uint32_t[]){ 0, 0xffffffffu, 30 }, 40);
    }
}

/* Rows appended one by one read like a cache that was written at once. */
static void check_replay(vsa_dtype k_type, vsa_dtype v_type)
{
    vsa_plan_create_info plan = { .head_dim_k = 64, .head_dim_v = 32, .q_heads = 4, .kv_heads = 2,
                                  .max_tokens = 80, .kv = { .page_tokens = 16,
                                  .k.dtype = k_type, .v.dtype = v_type },
                                  .policy.method = VSA_METHOD_DENSE };
    harness_data *data = harness_data_make(&plan, 1, 1, (uint32_t[]){ 80 }, &(harness_fill){
        .spread = 1, .value_mean = 0.5, .seed = 2 });
    vsa_session *bulk = harness_session(harness_device, data, VSA_KV_HEAD_MAJOR, 4, 0);
    vsa_session *replay = NULL;
    check_ok(vsa_session_create(harness_device, &(vsa_session_create_info){ .plan = &data->plan,
                                .order = VSA_KV_HEAD_MAJOR, .page_shuffle = 5 }, &replay));
    float new_k[3 * 2 * 64], new_v[3 * 2 * 32], out[2][4 * 32];
    for (uint32_t length = 1, added = 1; length <= 80; added = length % 3 + 1, length += added) {
        for (uint32_t i = 0; i < added; i++) {
            for (uint32_t h = 0; h < 2; h++) {
                memcpy(new_k + (i * 2 + h) * 64, harness_k(data, 0, h, length - added + i),
                       64 * sizeof(float));
                memcpy(new_v + (i * 2 + h) * 32, harness_v(data, 0, h, length - added + i),
                       32 * sizeof(float));
            }
        }
        vsa_session_step step = { .lengths = &length, .q = data->q };
        check_ok(vsa_session_run(bulk, &step, &(vsa_session_step_result){ .out = out[0] }));
        step.new_k = new_k;
        step.new_v = new_v;
        step.new_tokens = added;
        check_ok(vsa_session_run(replay, &step, &(vsa_session_step_result){ .out = out[1] }));
        assert_memory_equal(out[0], out[1], sizeof out[0]);
    }
    vsa_session_destroy(bulk);
    vsa_session_destroy(replay);
    harness_data_free(data);
}

static void a_replay_equals_bulk_writes(void **state)
{
    (void)state;
    check_replay(BF16, F16);
    check_replay(Q4, Q8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_land_exactly),
        cmocka_unit_test(quantised_rows_land_exactly),
        cmocka_unit_test(bad_lengths_touch_nothing),
        cmocka_unit_test(a_replay_equals_bulk_writes),
    };
    return cmocka_run_group_tests_name("append", tests, raw_setup, raw_teardown);
}
