/* Quantiles that a plan hands to the shaders. Pure. */
#ifndef VSAI_BOUND_H
#define VSAI_BOUND_H

/* x with P(Z > x) = tail for a standard normal Z; 0 < tail < 1. */
double vsai_normal_upper_quantile(double tail);

/* x with P(T > x) = tail for Student's t with 31 degrees of freedom; 0 < tail < 1/2. */
double vsai_student31_upper_quantile(double tail);

#endif
