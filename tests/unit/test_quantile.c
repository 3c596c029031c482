/* Quantiles against tables, against their own densities, and the spec's approximations against
 * the accurate ones. */
#include "check.h"
#include "reference.h"

static void tabulated_values(void **state)
{
    (void)state;
    check_near(ref_normal_quantile(0.975), 1.959963984540054, 1e-12);
    check_near(ref_normal_quantile(0.5), 0, 1e-12);
    check_near(ref_normal_quantile(1e-9), -5.997807015007687, 1e-9);
    check_near(ref_student_quantile(0.975, 31), 2.0395134463964077, 1e-9);
    check_near(ref_student_quantile(0.95, 31), 1.6955187825458675, 1e-9);
    check_near(ref_student_quantile(0.975, 1), 12.706204736174694, 1e-7);
    check_near(ref_f_quantile(0.95, 5, 10), 3.3258345304130112, 1e-8);
    check_near(ref_chi_square_quantile(0.95, 10), 18.307038053275146, 1e-8);
    check_near(ref_chi_square_quantile(0.05, 3), 0.35184631774927144, 1e-9);
    check_near(ref_chi_square_tail(3.841458820694124, 1), 0.05, 1e-12);
    check_near(ref_binomial_tail(3, 10, 0.5), 1 - 56.0 / 1024, 1e-12);
    check_near(ref_binomial_tail(0, 10, 0.5), 1, 0);
    check_near(ref_binomial_tail(10, 10, 0.1), 1e-10, 1e-16);
}

/* Integral of a density by Simpson's rule. */
typedef double (*density)(double x, double freedom1, double freedom2);

static double integrate(density f, double freedom1, double freedom2, double low, double high)
{
    enum { STEPS = 200000 };
    double step = (high - low) / STEPS;
    double sum = f(low, freedom1, freedom2) + f(high, freedom1, freedom2);
    for (int i = 1; i < STEPS; i++) {
        sum += (i % 2 ? 4 : 2) * f(low + i * step, freedom1, freedom2);
    }
    return sum * step / 3;
}

static double student_density(double x, double v, double unused)
{
    (void)unused;
    return exp(lgamma((v + 1) / 2) - lgamma(v / 2) - (v + 1) / 2 * log1p(x * x / v))
           / sqrt(v * 3.14159265358979323846);
}

static double f_density(double x, double a, double b)
{
    if (x <= 0) {
        return 0;
    }
    return exp(lgamma((a + b) / 2) - lgamma(a / 2) - lgamma(b / 2) + a / 2 * log(a / b)
               + (a / 2 - 1) * log(x) - (a + b) / 2 * log1p(a * x / b));
}

static double normal_density(double x, double unused1, double unused2)
{
    (void)unused1, (void)unused2;
    return exp(-x * x / 2) / sqrt(6.28318530717958647692);
}

static void densities_integrate_to_the_probability(void **state)
{
    (void)state;
    static const double probabilities[] = { 0.8, 0.9, 0.95, 0.975, 0.99, 0.999 };
    for (int i = 0; i < 6; i++) {
        double p = probabilities[i];
        check_near(0.5 + integrate(normal_density, 0, 0, 0, ref_normal_quantile(p)), p, 1e-10);
        for (double v = 31; v < 5000; v *= 3) {
            double t = ref_student_quantile(p, v);
            check_near(0.5 + integrate(student_density, v, 0, 0, t), p, 1e-9);
        }
        for (double h = 3.5; h <= 256; h *= 2) {
            check_near(integrate(f_density, h, 31 * h, 0, ref_f_quantile(p, h, 31 * h)), p, 1e-7);
        }
    }
}

/* Paulson 1942 over the range that the budget uses: h from 1.3 to 256, 31 h below. The relative
 * error of the quantile is the relative error of the budget. */
static void paulson_is_close_to_f(void **state)
{
    (void)state;
    static const double probabilities[] = { 0.5, 0.8, 0.9, 0.95, 0.99, 0.999 };
    for (int i = 0; i < 6; i++) {
        for (double h = 1.3; h <= 256; h *= 1.1) {
            double exact = ref_f_quantile(probabilities[i], h, 31 * h);
            double approximate = ref_f_quantile_paulson(probabilities[i], h, 31 * h);
            double tolerance = h < 2 ? 0.025 : h < 4 ? 0.019 : h < 16 ? 0.012 : 0.0033;
            check_that(fabs(approximate / exact - 1) <= tolerance,
                       "p %g, h %g: Paulson %g, F %g", probabilities[i], h, approximate, exact);
        }
    }
}

static void wilson_hilferty_is_its_limit(void **state)
{
    (void)state;
    for (double h = 4; h <= 256; h *= 2) {
        double limit = ref_chi_square_quantile_wilson_hilferty(0.95, h) / h;
        check_near(ref_f_quantile_paulson(0.95, h, 1e12), limit, 1e-6);
        check_near(limit * h / ref_chi_square_quantile(0.95, h), 1, 0.005);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tabulated_values),
        cmocka_unit_test(densities_integrate_to_the_probability),
        cmocka_unit_test(paulson_is_close_to_f),
        cmocka_unit_test(wilson_hilferty_is_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
