/* What is not finite, or not there, is flagged INVALID: out is zero and never NaN. */
#include "raw.h"

enum { TOKENS = 1024, DIM = 32, Q_HEADS = 4, KV_HEADS = 2, GROUP = Q_HEADS / KV_HEADS };

static vsa_plan_create_info plain_plan(void)
{
    vsa_plan_create_info plan = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_sequences = 2, .max_queries = 2, .max_tokens = TOKENS,
        .policy = { .method = VSA_METHOD_VATTENTION, .target = VSA_TARGET_OUTPUT,
                    .sink_tokens = 16, .window_tokens = 16, .top_k = 20, .base_samples = 64,
                    .epsilon = 0.2f, .delta = 0.1f } };
    vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F32, VSA_DTYPE_F32, DIM, DIM,
                       KV_HEADS, TOKENS, 0);
    return plan;
}

static harness_data *plain_data(void)
{
    vsa_plan_create_info plan = plain_plan();
    return harness_data_make(&plan, 2, 2, (uint32_t[]){ TOKENS, 900 }, &(harness_fill){
        .spread = 1, .value_mean = 1, .seed = 31 });
}

static raw_layer *shared;   /* one layer for every test: compiling is what takes time */

static int setup(void **state)
{
    if (raw_setup(state) != 0) {
        return -1;
    }
    vsa_plan_create_info plan = plain_plan();
    shared = raw_layer_make(&plan, 1);
    return 0;
}

static int teardown(void **state)
{
    raw_layer_destroy(shared);
    return raw_teardown(state);
}

/* One step of what is in the buffers. */
static harness_result run(const harness_data *data, const vsa_step *step, int dense)
{
    harness_result r = { .row_count = harness_row_count(data), .head_dim = DIM };
    size_t out_size = (size_t)r.row_count * DIM * sizeof(float);
    r.out = malloc(out_size);
    r.certificates = malloc(r.row_count * sizeof *r.certificates);
    check_ok(vsa_buffer_fill(shared->out, 0x7fc00000u));   /* NaN */
    check_ok(vsa_buffer_fill(shared->certificates, 0xffffffffu));
    VkCommandBuffer cmd = raw_begin();
    check_ok(dense ? vsa_cmd_dense(shared->layer, cmd, step)
                   : vsa_cmd_decode(shared->layer, cmd, step));
    raw_end();
    check_ok(vsa_buffer_read(shared->out, 0, r.out, out_size));
    check_ok(vsa_buffer_read(shared->certificates, 0, r.certificates,
                             r.row_count * sizeof *r.certificates));
    return r;
}

static void check_invalid(const harness_result *r, uint32_t row)
{
    check_that(VSA_CERTIFICATE_STATUS(r->certificates[row].status) == VSA_CERTIFICATE_INVALID,
               "row %u has status %u, not INVALID", row, r->certificates[row].status & 0xff);
    for (uint32_t c = 0; c < DIM; c++) {
        check_near(r->out[row * DIM + c], 0, 0);
    }
    assert_int_equal(vsa_certificates_check(&r->certificates[row], 1, NULL), 0);
}

static void check_valid(const harness_data *data, const harness_result *r, uint32_t row)
{
    vsa_certificate_status status = VSA_CERTIFICATE_STATUS(r->certificates[row].status);
    check_that(status == VSA_CERTIFICATE_MET || status == VSA_CERTIFICATE_EXACT,
               "row %u has status %d", row, status);
    check_between(harness_error(data, r, row), 0, 0.4);
}

static const vsa_step step2x2 = { .sequence_count = 2, .query_count = 2,
                                  .max_length_tokens = TOKENS, .seed = 1 };

/* Poisons one value for sequence 0, KV head 1; exactly the rows that see it are INVALID. */
static void check_poison(float poison, int in_v, uint32_t token)
{
    harness_data *data = plain_data();
    float *at = in_v ? harness_v(data, 0, 1, token) : harness_k(data, 0, 1, token);
    float kept = at[5];
    at[5] = poison;
    raw_write_data(shared, data);
    at[5] = kept;
    for (int dense = 0; dense < 2; dense++) {
        harness_result r = run(data, &step2x2, dense);
        for (uint32_t row = 0; row < r.row_count; row++) {
            harness_row where = harness_locate(data, row);
            if (where.sequence == 0 && where.kv_head == 1 && token < where.length) {
                check_invalid(&r, row);
            } else {
                check_valid(data, &r, row);
            }
        }
        harness_result_free(&r);
    }
    harness_data_free(data);
}

static void poisoned_keys(void **state)
{
    (void)state;
    /* In the sink, in the middle (a candidate), in the window, and in the last token, which only
     * the last query sees. */
    check_poison(NAN, 0, 3);
    check_poison(NAN, 0, 500);
    check_poison(INFINITY, 0, 700);
    check_poison(-INFINITY, 0, 1015);
    check_poison(NAN, 0, TOKENS - 1);
}

static void poisoned_values(void **state)
{
    (void)state;
    check_poison(NAN, 1, 3);
    check_poison(INFINITY, 1, 1015);
    check_poison(-INFINITY, 1, TOKENS - 1);
}

/* A value outside the exact set is seen by the rows that sample it, and by no others: a row is
 * INVALID, or its result is right and does not hold the poison. */
static void poisoned_residual_values(void **state)
{
    (void)state;
    harness_data *data = plain_data();
    float kept[TOKENS];
    for (uint32_t i = 100; i < 900; i += 4) {
        kept[i] = harness_v(data, 0, 0, i)[7];
        harness_v(data, 0, 0, i)[7] = i % 8 ? NAN : INFINITY;
    }
    raw_write_data(shared, data);
    harness_result r = run(data, &step2x2, 0);
    for (uint32_t i = 100; i < 900; i += 4) {
        harness_v(data, 0, 0, i)[7] = kept[i];
    }
    for (uint32_t row = 0; row < r.row_count; row++) {
        harness_row where = harness_locate(data, row);
        if (where.sequence == 0 && where.kv_head == 0) {
            check_invalid(&r, row);   /* a quarter of the residual is poisoned, 64 are drawn */
        } else {
            check_valid(data, &r, row);
        }
    }
    harness_result_free(&r);
    harness_data_free(data);
}

static void poisoned_queries(void **state)
{
    (void)state;
    static const float poisons[] = { NAN, INFINITY };
    for (int i = 0; i < 2; i++) {
        harness_data *data = plain_data();
        uint32_t poisoned = 6;   /* sequence 0, query 1, head 2 */
        float kept = data->q[poisoned * DIM + 9];
        data->q[poisoned * DIM + 9] = poisons[i];
        raw_write_data(shared, data);
        data->q[poisoned * DIM + 9] = kept;
        for (int dense = 0; dense < 2; dense++) {
            harness_result r = run(data, &step2x2, dense);
            for (uint32_t row = 0; row < r.row_count; row++) {
                vsa_certificate_status status = VSA_CERTIFICATE_STATUS(r.certificates[row].status);
                if (row == poisoned
                    || (row == poisoned + 1 && status == VSA_CERTIFICATE_INVALID)) {
                    /* The other head of its group shares the choice of tokens: it may be refused
                     * as well, but not be wrong. */
                    check_invalid(&r, row);
                } else {
                    check_valid(data, &r, row);
                }
            }
            harness_result_free(&r);
        }
        harness_data_free(data);
    }
}

/* Logits beyond f32: the sum of products overflows though every input is finite. */
static void overflowing_logits(void **state)
{
    (void)state;
    harness_data *data = plain_data();
    for (uint32_t c = 0; c < DIM; c++) {
        harness_k(data, 0, 0, 600)[c] = 3e38f;
        data->q[c] = 100;
    }
    raw_write_data(shared, data);
    for (int dense = 0; dense < 2; dense++) {
        harness_result r = run(data, &step2x2, dense);
        check_invalid(&r, 0);
        for (uint32_t row = 0; row < r.row_count * DIM; row++) {
            assert_true(isfinite(r.out[row]));
        }
        harness_result_free(&r);
    }
    harness_data_free(data);
}

/* Lengths are read on the GPU: what the host could not check is flagged. */
static void impossible_lengths(void **state)
{
    (void)state;
    harness_data *data = plain_data();
    raw_write_data(shared, data);
    static const uint32_t lengths[][2] = { { 0, 900 }, { TOKENS + 1, 900 }, { 900, 0xffffffffu },
                                           { 1, 900 }, { 0, 0 } };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        check_ok(vsa_buffer_write(shared->lengths, 0, lengths[i], sizeof lengths[i]));
        for (int dense = 0; dense < 2; dense++) {
            harness_result r = run(data, &step2x2, dense);
            for (uint32_t row = 0; row < r.row_count; row++) {
                harness_row where = harness_locate(data, row);
                uint32_t length = lengths[i][where.sequence];
                if (length > TOKENS || length + where.query < 2) {
                    check_invalid(&r, row);
                } else {
                    memcpy(data->lengths, lengths[i], sizeof lengths[i]);
                    check_valid(data, &r, row);
                }
            }
            harness_result_free(&r);
        }
    }
    /* Above this step's max_length_tokens, though the plan could: INVALID, never cut short. */
    vsa_step step = step2x2;
    step.max_length_tokens = 899;
    check_ok(vsa_buffer_write(shared->lengths, 0, (uint32_t[]){ 900, 899 }, 8));
    memcpy(data->lengths, (uint32_t[]){ 900, 899 }, 8);
    harness_result r = run(data, &step, 0);
    for (uint32_t row = 0; row < r.row_count; row++) {
        if (harness_locate(data, row).sequence == 0) {
            check_invalid(&r, row);
        } else {
            check_valid(data, &r, row);
        }
    }
    harness_result_free(&r);
    harness_data_free(data);
}

/* One recording, submitted again after lengths, K and q changed on the GPU's side. */
static void recorded_commands_follow_the_lengths(void **state)
{
    (void)state;
    harness_data *data = plain_data();
    raw_write_data(shared, data);
    static const uint32_t lengths[][2] = { { 500, 900 }, { 1024, 3 }, { 40, 1000 } };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(data->lengths, lengths[i], sizeof lengths[i]);
        check_ok(vsa_buffer_write(shared->lengths, 0, lengths[i], sizeof lengths[i]));
        if (i == 0) {
            VkCommandBuffer cmd = raw_begin();
            check_ok(vsa_cmd_decode(shared->layer, cmd, &step2x2));
            raw_end();
        } else {
            raw_submit_again();
        }
        harness_result r = { .row_count = harness_row_count(data), .head_dim = DIM };
        float out[16 * DIM];
        vsa_certificate certificates[16];
        check_ok(vsa_buffer_read(shared->out, 0, out, sizeof out));
        check_ok(vsa_buffer_read(shared->certificates, 0, certificates, sizeof certificates));
        r.out = out;
        r.certificates = certificates;
        for (uint32_t row = 0; row < r.row_count; row++) {
            check_valid(data, &r, row);
            assert_int_equal(certificates[row].length_tokens, harness_locate(data, row).length);
        }
    }
    harness_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poisoned_keys),
        cmocka_unit_test(poisoned_values),
        cmocka_unit_test(poisoned_residual_values),
        cmocka_unit_test(poisoned_queries),
        cmocka_unit_test(overflowing_logits),
        cmocka_unit_test(impossible_lengths),
        cmocka_unit_test(recorded_commands_follow_the_lengths),
    };
    return cmocka_run_group_tests_name("invalid", tests, setup, teardown);
}
