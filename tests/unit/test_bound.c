/* The library's quantiles against the reference's. */
#include "bound.h"
#include "check.h"
#include "reference.h"

static void normal(void **state)
{
    (void)state;
    for (double tail = 1e-12; tail < 1; tail = tail < 0.01 ? tail * 3 : tail + 0.01) {
        check_near(ref_normal_cdf(-vsai_normal_upper_quantile(tail)) / tail, 1, 1e-7);
    }
    check_near(vsai_normal_upper_quantile(0.025), 1.959963984540054, 1e-12);
    check_near(vsai_normal_upper_quantile(0.9), -1.2815515655446004, 1e-12);
}

static void student31(void **state)
{
    (void)state;
    for (double tail = 1e-7; tail < 0.5; tail = tail < 0.01 ? tail * 3 : tail + 0.01) {
        check_near(vsai_student31_upper_quantile(tail) / ref_student_quantile(1 - tail, 31), 1,
                   1e-6);
    }
    check_near(vsai_student31_upper_quantile(0.025), 2.0395134463964077, 1e-10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(normal), cmocka_unit_test(student31) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
