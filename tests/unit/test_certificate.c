/* vsa_certificates_check: what counts as kept, and the summary. */
#include "check.h"
#include "vsa.h"

#include <string.h>

static vsa_certificate row(vsa_certificate_status status, float error, uint32_t length,
                           uint32_t exact, uint32_t sampled)
{
    return (vsa_certificate){ .status = (uint32_t)status | VSA_BOUND_CLT << 8
                                        | VSA_TARGET_OUTPUT << 16,
                              .error_bound = error, .length_tokens = length,
                              .exact_tokens = exact, .sampled_tokens = sampled };
}

static void a_certificate_is_48_bytes(void **state)
{
    (void)state;
    assert_int_equal(sizeof(vsa_certificate), 48);
    assert_int_equal(offsetof(vsa_certificate, gathered_tokens), 32);
    assert_int_equal(offsetof(vsa_certificate, reserved), 44);
    vsa_certificate c = row(VSA_CERTIFICATE_MISSED, 0, 0, 0, 0);
    c.status |= (uint32_t)(VSA_CERTIFICATE_FLOORED | VSA_CERTIFICATE_MERGED) << 24;
    assert_int_equal(VSA_CERTIFICATE_STATUS(c.status), VSA_CERTIFICATE_MISSED);
    assert_int_equal(VSA_CERTIFICATE_BOUND(c.status), VSA_BOUND_CLT);
    assert_int_equal(VSA_CERTIFICATE_TARGET(c.status), VSA_TARGET_OUTPUT);
    assert_int_equal(VSA_CERTIFICATE_FLAGS(c.status),
                     VSA_CERTIFICATE_FLOORED | VSA_CERTIFICATE_MERGED);
}

static void no_rows_promise_nothing(void **state)
{
    (void)state;
    vsa_certificate_summary summary;
    memset(&summary, 0xff, sizeof summary);
    assert_int_equal(vsa_certificates_check(NULL, 0, &summary), 0);
    assert_int_equal(summary.rows, 0);
    assert_int_equal(summary.none, 0);
    check_near(summary.density, 0, 0);
    assert_int_equal(vsa_certificates_check(NULL, 0, NULL), 0);
    assert_int_equal(vsa_certificates_check(NULL, 3, &summary), 0);
    assert_int_equal(summary.rows, 0);
}

static void met_and_exact_rows_pass(void **state)
{
    (void)state;
    const vsa_certificate rows[] = { row(VSA_CERTIFICATE_MET, 0.04f, 1000, 100, 96),
                                     row(VSA_CERTIFICATE_EXACT, 0, 500, 500, 0),
                                     row(VSA_CERTIFICATE_MET, 0.09f, 1000, 100, 160) };
    vsa_certificate_summary summary;
    assert_int_equal(vsa_certificates_check(rows, 3, &summary), 1);
    assert_int_equal(summary.rows, 3);
    assert_int_equal(summary.met, 2);
    assert_int_equal(summary.exact, 1);
    assert_int_equal(summary.missed + summary.invalid + summary.none, 0);
    check_near(summary.worst_error_bound, 0.09f, 0);
    check_near(summary.density, (196 + 500 + 260) / 2500.0, 1e-12);
    assert_int_equal(vsa_certificates_check(rows, 3, NULL), 1);
}

static void any_other_row_fails(void **state)
{
    (void)state;
    static const vsa_certificate_status bad[] = { VSA_CERTIFICATE_NONE, VSA_CERTIFICATE_MISSED,
                                                  VSA_CERTIFICATE_INVALID,
                                                  (vsa_certificate_status)77 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const vsa_certificate rows[] = { row(VSA_CERTIFICATE_MET, 0.04f, 1000, 100, 96),
                                         row(bad[i], INFINITY, 10, 0, 0),
                                         row(VSA_CERTIFICATE_EXACT, 0, 500, 500, 0) };
        vsa_certificate_summary summary;
        assert_int_equal(vsa_certificates_check(rows, 3, &summary), 0);
        assert_int_equal(summary.met, 1);
        assert_int_equal(summary.exact, 1);
        assert_int_equal(summary.missed, bad[i] == VSA_CERTIFICATE_MISSED);
        assert_int_equal(summary.invalid, bad[i] == VSA_CERTIFICATE_INVALID);
        assert_int_equal(summary.missed + summary.invalid + summary.none, 1);
        assert_true(isinf(summary.worst_error_bound));
        assert_int_equal(vsa_certificates_check(rows + 1, 1, NULL), 0);
    }
}

static void flags_are_counted_by_row(void **state)
{
    (void)state;
    static const uint32_t flags[] = { 0, VSA_CERTIFICATE_UNATTAINABLE,
                                      VSA_CERTIFICATE_UNATTAINABLE | VSA_CERTIFICATE_HEAVY_SAMPLE,
                                      VSA_CERTIFICATE_BOUND_BROKEN | VSA_CERTIFICATE_MERGED,
                                      VSA_CERTIFICATE_FLOORED, VSA_CERTIFICATE_FLOORED,
                                      VSA_CERTIFICATE_FLOORED };
    enum { ROWS = sizeof flags / sizeof *flags };
    vsa_certificate rows[ROWS];
    for (int i = 0; i < ROWS; i++) {
        rows[i] = row(VSA_CERTIFICATE_MET, 0.01f, 100, 10, 20);
        rows[i].status |= flags[i] << 24;
    }
    vsa_certificate_summary summary;
    assert_int_equal(vsa_certificates_check(rows, ROWS, &summary), 1);
    assert_int_equal(summary.met, ROWS);
    assert_int_equal(summary.unattainable, 2);
    assert_int_equal(summary.heavy_sample, 1);
    assert_int_equal(summary.bound_broken, 1);
    assert_int_equal(summary.floored, 3);
}

static void a_bound_that_is_not_a_number_is_no_bound(void **state)
{
    (void)state;
    const vsa_certificate rows[] = { row(VSA_CERTIFICATE_MISSED, NAN, 10, 1, 1),
                                     row(VSA_CERTIFICATE_MET, 0.5f, 10, 1, 1) };
    vsa_certificate_summary summary;
    assert_int_equal(vsa_certificates_check(rows, 2, &summary), 0);
    assert_true(isinf(summary.worst_error_bound));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_48_bytes),
        cmocka_unit_test(no_rows_promise_nothing),
        cmocka_unit_test(met_and_exact_rows_pass),
        cmocka_unit_test(any_other_row_fails),
        cmocka_unit_test(flags_are_counted_by_row),
        cmocka_unit_test(a_bound_that_is_not_a_number_is_no_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
