#include "bound.h"

#include <math.h>

static double normal_tail(double x)
{
    return 0.5 * erfc(x / 1.4142135623730951);
}

/* Abramowitz and Stegun 26.7.3: closed form for an odd number of degrees of freedom. */
static double student31_tail(double t)
{
    const int degrees = 31;
    const double theta = atan(t / sqrt((double)degrees));
    const double cosine = cos(theta);
    double term = cosine;
    double sum = cosine;

    for (int i = 3; i <= degrees - 2; i += 2) {
        term *= cosine * cosine * (double)(i - 1) / (double)i;
        sum += term;
    }
    return 0.5 - (theta + sin(theta) * sum) / 3.141592653589793;
}

/* `tail` falls monotonically; 100 halvings exhaust a double. */
static double invert(double (*tail)(double), double wanted, double low, double high)
{
    for (int i = 0; i < 100; i++) {
        const double middle = 0.5 * (low + high);
        if (tail(middle) > wanted) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

double vsai_normal_upper_quantile(double tail)
{
    return invert(normal_tail, tail, -40.0, 40.0);
}

double vsai_student31_upper_quantile(double tail)
{
    return invert(student31_tail, tail, 0.0, 1e6);
}
