#include "bench_fit.h"

#include <math.h>

static double fit_exponent(const double *lengths, const double *times, size_t count)
{
    double x_mean = 0.0, y_mean = 0.0, xx = 0.0, xy = 0.0;

    for (size_t i = 0; i < count; i++) {
        x_mean += log(lengths[i]) / (double)count;
        y_mean += log(times[i]) / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        const double x = log(lengths[i]) - x_mean;

        xx += x * x;
        xy += x * (log(times[i]) - y_mean);
    }
    return xx > 0.0 ? xy / xx : (double)NAN;
}

/* Minimises sum ((c + b n_i) / t_i - 1)^2: two unknowns, u_i = 1 / t_i and v_i = n_i / t_i. */
static void fit_line(const double *lengths, const double *times, size_t count, bench_fit *fit)
{
    double uu = 0.0, uv = 0.0, vv = 0.0, u_sum = 0.0, v_sum = 0.0;

    for (size_t i = 0; i < count; i++) {
        const double u = 1.0 / times[i], v = lengths[i] / times[i];

        uu += u * u;
        uv += u * v;
        vv += v * v;
        u_sum += u;
        v_sum += v;
    }
    const double determinant = uu * vv - uv * uv;

    if (!(determinant > 1e-12 * uu * vv)) {
        return;
    }
    fit->fixed = (u_sum * vv - v_sum * uv) / determinant;
    fit->per_token = (v_sum * uu - u_sum * uv) / determinant;
    if (fit->fixed < 0.0) {
        fit->fixed = 0.0;
        fit->per_token = v_sum / vv;
    } else if (fit->per_token < 0.0) {
        fit->fixed = u_sum / uu;
        fit->per_token = 0.0;
    }
}

bench_fit bench_fit_make(const double *lengths, const double *times, size_t count)
{
    bench_fit fit = {.exponent = (double)NAN, .fixed = (double)NAN, .per_token = (double)NAN};

    if (count >= 2) {
        fit.exponent = fit_exponent(lengths, times, count);
    }
    if (count >= 3) {
        fit_line(lengths, times, count, &fit);
    }
    return fit;
}
