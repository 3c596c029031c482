/* Quantiles: accurate ones by inverting the distribution, and the spec's approximations. */
#include "reference.h"

#include <math.h>

double ref_normal_cdf(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

/* Bisection on a monotone distribution: slow, and as accurate as the distribution itself. */
typedef double (*distribution)(double x, double freedom1, double freedom2);

static double invert(distribution cdf, double freedom1, double freedom2, double probability,
                     double low, double high)
{
    for (int i = 0; i < 200; i++) {
        double middle = 0.5 * (low + high);
        if (cdf(middle, freedom1, freedom2) < probability) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

static double normal_distribution(double x, double freedom1, double freedom2)
{
    (void)freedom1;
    (void)freedom2;
    return ref_normal_cdf(x);
}

double ref_normal_quantile(double probability)
{
    if (probability > 0.5) {   /* the lower tail is the accurate one */
        return -invert(normal_distribution, 0, 0, 1 - probability, -40, 0);
    }
    return invert(normal_distribution, 0, 0, probability, -40, 0);
}

/* Regularised incomplete beta function by Lentz's continued fraction (DLMF 8.17.22). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double result = d;
    for (int m = 1; m < 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + even / c;
        c = fabs(c) < tiny ? tiny : c;
        result *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + odd / c;
        c = fabs(c) < tiny ? tiny : c;
        result *= d * c;
        if (fabs(d * c - 1) < 1e-16) {
            break;
        }
    }
    return result;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0 || x >= 1) {
        return x <= 0 ? 0 : 1;
    }
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) {
        return front * beta_fraction(a, b, x) / a;
    }
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

static double student_distribution(double x, double freedom, double unused)
{
    (void)unused;
    double tail = 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + x * x));
    return x < 0 ? tail : 1 - tail;
}

double ref_student_quantile(double probability, double freedom)
{
    return invert(student_distribution, freedom, 0, probability, -1e5, 1e5);
}

static double f_distribution(double x, double freedom1, double freedom2)
{
    return incomplete_beta(freedom1 / 2, freedom2 / 2, freedom1 * x / (freedom1 * x + freedom2));
}

double ref_f_quantile(double probability, double freedom1, double freedom2)
{
    return invert(f_distribution, freedom1, freedom2, probability, 0, 1e6);
}

/* P(chi-square > x): series below the mean, Lentz's continued fraction above (DLMF 8.11.4,
 * 8.9.2). */
double ref_chi_square_tail(double value, double freedom)
{
    double a = freedom / 2, x = value / 2;
    if (x <= 0) {
        return 1;
    }
    double front = exp(a * log(x) - x - lgamma(a));
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int n = 1; n < 100000 && term > sum * 1e-17; n++) {
            term *= x / (a + n);
            sum += term;
        }
        return 1 - front * sum;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, result = d;
    for (int n = 1; n < 100000; n++) {
        double numerator = -n * (n - a);
        b += 2;
        d = 1 / (numerator * d + b);
        c = b + numerator / c;
        result *= d * c;
        if (fabs(d * c - 1) < 1e-16) {
            break;
        }
    }
    return front * result;
}

static double chi_square_distribution(double x, double freedom, double unused)
{
    (void)unused;
    return 1 - ref_chi_square_tail(x, freedom);
}

double ref_chi_square_quantile(double probability, double freedom)
{
    return invert(chi_square_distribution, freedom, 0, probability, 0, 1e6);
}

/* Paulson: with a = 2/(9 d1), b = 2/(9 d2) the variable
 * ((1-b) F^(1/3) - (1-a)) / sqrt(b F^(2/3) + a) is nearly normal; this solves for F. */
double ref_f_quantile_paulson(double probability, double freedom1, double freedom2)
{
    double z = ref_normal_quantile(probability);
    double a = 2 / (9 * freedom1), b = 2 / (9 * freedom2);
    double root = sqrt((1 - b) * (1 - b) * a + (1 - a) * (1 - a) * b - z * z * a * b);
    double cube_root = ((1 - a) * (1 - b) + z * root) / ((1 - b) * (1 - b) - z * z * b);
    return cube_root * cube_root * cube_root;
}

/* Per degree of freedom times the freedom: the limit of Paulson for many denominator degrees. */
double ref_chi_square_quantile_wilson_hilferty(double probability, double freedom)
{
    double a = 2 / (9 * freedom);
    double cube_root = 1 - a + ref_normal_quantile(probability) * sqrt(a);
    return freedom * cube_root * cube_root * cube_root;
}

/* P(X >= successes), X ~ Binomial(trials, rate). */
double ref_binomial_tail(uint32_t successes, uint32_t trials, double rate)
{
    return successes == 0 ? 1 : incomplete_beta(successes, trials - successes + 1.0, rate);
}
