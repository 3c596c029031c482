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

static void a_certificate_is_32_bytes(void **state)
{
    (void)state;
    assert_int_equal(sizeof(vsa_certificate), 32);
    vsa_certificate c = row(VSA_CERTIFICATE_MISSED, 0, 0, 0, 0);
    assert_int_equal(VSA_CERTIFICATE_STATUS(c.status), VSA_CERTIFICATE_MISSED);
    assert_int_equal(VSA_CERTIFICATE_BOUND(c.status), VSA_BOUND_CLT);
    assert_int_equal(VSA_CERTIFICATE_TARGET(c.status), VSA_TARGET_OUTPUT);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_32_bytes),
        cmocka_unit_test(no_rows_promise_nothing),
        cmocka_unit_test(met_and_exact_rows_pass),
        cmocka_unit_test(any_other_row_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
