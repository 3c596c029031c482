/* vsa_plan_count_bytes, without a plan: what a step has read, from its certificates. */
#include "bytes.h"
#include "check.h"

enum { K_SIZE = 1000, V_SIZE = 7, LENGTH = 500 };

static vsai_byte_shape shape(uint32_t group, uint32_t head_block, int scores)
{
    return (vsai_byte_shape){ .group = group, .head_block = head_block,
                              .scan_bits = scores ? 8 * K_SIZE : 0, .gathers_k = !scores,
                              .k_size = K_SIZE, .v_size = V_SIZE };
}

static vsa_certificate row(vsa_certificate_status status, uint32_t exact, uint32_t gathered)
{
    return (vsa_certificate){ .status = (uint32_t)status, .length_tokens = LENGTH,
                              .exact_tokens = exact, .gathered_tokens = gathered };
}

static vsa_certificate sparse(uint32_t gathered)
{
    return row(VSA_CERTIFICATE_MET, 20, gathered);
}

static vsa_certificate dense(uint32_t gathered)
{
    return row(VSA_CERTIFICATE_EXACT, LENGTH, gathered);
}

static void expect(const vsai_byte_shape *s, const vsa_certificate *rows, size_t count,
                   uint64_t k_rows, uint64_t v_rows, uint64_t dense_rows)
{
    uint64_t read = 1, all = 1;
    vsai_count_bytes(s, rows, count, &read, &all);
    assert_int_equal(read, k_rows * K_SIZE + v_rows * V_SIZE);
    assert_int_equal(all, dense_rows * (K_SIZE + V_SIZE));
}

static void a_scorer_reads_all_keys_once(void **state)
{
    (void)state;
    const vsai_byte_shape s = shape(1, 1, 1);
    const vsa_certificate rows[] = { sparse(60), row(VSA_CERTIFICATE_MISSED, 20, 80) };
    expect(&s, rows, 1, LENGTH, 60, LENGTH);
    expect(&s, rows, 2, 2 * LENGTH, 60 + 80, 2 * LENGTH);
}

/* 18 bytes a token are scanned, and what is chosen costs key and value. */
static void a_compact_scorer_reads_its_own_copy(void **state)
{
    (void)state;
    vsai_byte_shape s = shape(1, 1, 0);
    s.scan_bits = 18 * 8;
    const vsa_certificate rows[] = { sparse(60), dense(0), dense(90) };
    uint64_t read;
    vsai_count_bytes(&s, rows, 1, &read, NULL);
    assert_int_equal(read, 18 * LENGTH + 60 * (K_SIZE + V_SIZE));
    vsai_count_bytes(&s, rows + 1, 1, &read, NULL);
    assert_int_equal(read, LENGTH * (K_SIZE + V_SIZE));
    vsai_count_bytes(&s, rows + 2, 1, &read, NULL);
    assert_int_equal(read, 18 * LENGTH + (90 + LENGTH) * (K_SIZE + V_SIZE));
}

static void without_a_scorer_keys_are_gathered_as_values_are(void **state)
{
    (void)state;
    const vsai_byte_shape s = shape(1, 1, 0);
    const vsa_certificate rows[] = { sparse(60), dense(0), dense(90) };
    expect(&s, rows, 1, 60, 60, LENGTH);
    expect(&s, rows + 1, 1, LENGTH, LENGTH, LENGTH);
    expect(&s, rows + 2, 1, 90 + LENGTH, 90 + LENGTH, LENGTH);
}

static void a_row_that_went_dense_has_read_twice(void **state)
{
    (void)state;
    const vsai_byte_shape s = shape(1, 1, 1);
    const vsa_certificate rows[] = { dense(0), dense(90) };
    expect(&s, rows, 1, LENGTH, LENGTH, LENGTH);
    expect(&s, rows + 1, 1, 2 * LENGTH, LENGTH + 90, LENGTH);

    /* Guided rows can turn out to be dense after the scan, before anything is gathered. */
    vsa_certificate unattainable = dense(0), wanted = dense(0);
    unattainable.status |= (uint32_t)VSA_CERTIFICATE_UNATTAINABLE << 24;
    wanted.wanted_samples = 1;
    expect(&s, &unattainable, 1, 2 * LENGTH, LENGTH, LENGTH);
    expect(&s, &wanted, 1, 2 * LENGTH, LENGTH, LENGTH);
}

static void heads_of_a_block_share_every_read(void **state)
{
    (void)state;
    const vsai_byte_shape s = shape(3, 8, 1);
    const vsa_certificate rows[] = { sparse(60), sparse(90), sparse(70) };
    const vsa_certificate one_dense[] = { sparse(60), dense(30), sparse(70) };
    expect(&s, rows, 3, LENGTH, 90, LENGTH);
    expect(&s, one_dense, 3, 2 * LENGTH, LENGTH + 70, LENGTH);
}

static void blocks_of_a_group_read_for_themselves(void **state)
{
    (void)state;
    /* Heads 0 to 3 and head 4. */
    const vsai_byte_shape s = shape(5, 4, 1);
    const vsa_certificate rows[] = { sparse(60), sparse(90), sparse(70), sparse(61), sparse(65) };
    const vsa_certificate one_dense[] = { dense(60), sparse(90), sparse(70), sparse(61),
                                          sparse(65) };
    const vsa_certificate all_dense[] = { dense(0), dense(0), dense(0), dense(0), dense(0) };
    expect(&s, rows, 5, 2 * LENGTH, 90 + 65, 2 * LENGTH);
    /* The dense pass serves both blocks. */
    expect(&s, one_dense, 5, 4 * LENGTH, 2 * LENGTH + 90 + 65, 2 * LENGTH);
    expect(&s, all_dense, 5, 2 * LENGTH, 2 * LENGTH, 2 * LENGTH);
}

static void invalid_rows_count_for_what_they_read(void **state)
{
    (void)state;
    const vsai_byte_shape s = shape(1, 1, 1);
    const vsa_certificate sampled = row(VSA_CERTIFICATE_INVALID, 20, 60);
    const vsa_certificate streamed = row(VSA_CERTIFICATE_INVALID, LENGTH, 0);
    const vsa_certificate both = row(VSA_CERTIFICATE_INVALID, LENGTH, 60);
    const vsa_certificate empty = { .status = VSA_CERTIFICATE_INVALID };
    expect(&s, &sampled, 1, LENGTH, 60, LENGTH);
    expect(&s, &streamed, 1, LENGTH, LENGTH, LENGTH);
    expect(&s, &both, 1, 2 * LENGTH, LENGTH + 60, LENGTH);
    expect(&s, &empty, 1, 0, 0, 0);
}

static void parts_of_a_group_are_not_counted(void **state)
{
    (void)state;
    const vsai_byte_shape s = shape(2, 2, 1);
    const vsa_certificate rows[] = { sparse(60), sparse(60), sparse(60) };
    expect(&s, rows, 3, LENGTH, 60, LENGTH);
    expect(&s, rows, 1, 0, 0, 0);
    expect(&s, NULL, 0, 0, 0, 0);
    vsai_count_bytes(&s, rows, 2, NULL, NULL);
}

static void large_counts_do_not_wrap(void **state)
{
    (void)state;
    const vsai_byte_shape s = { .group = 1, .head_block = 1, .scan_bits = 8 * 1024, .k_size = 1024,
                                .v_size = 1024 };
    vsa_certificate c = dense(UINT32_MAX);
    c.length_tokens = UINT32_MAX;
    uint64_t read, all;
    vsai_count_bytes(&s, &c, 1, &read, &all);
    assert_true(read == UINT64_C(4) * UINT32_MAX * 1024);
    assert_true(all == UINT64_C(2) * UINT32_MAX * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scorer_reads_all_keys_once),
        cmocka_unit_test(a_compact_scorer_reads_its_own_copy),
        cmocka_unit_test(without_a_scorer_keys_are_gathered_as_values_are),
        cmocka_unit_test(a_row_that_went_dense_has_read_twice),
        cmocka_unit_test(heads_of_a_block_share_every_read),
        cmocka_unit_test(blocks_of_a_group_read_for_themselves),
        cmocka_unit_test(invalid_rows_count_for_what_they_read),
        cmocka_unit_test(parts_of_a_group_are_not_counted),
        cmocka_unit_test(large_counts_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
