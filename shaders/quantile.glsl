// `precise` keeps optimisers from regrouping constants: every compiler gives the same bits.
// Quantiles that the budget needs: docs/algorithm.md, "Error".
#ifndef QUANTILE_GLSL
#define QUANTILE_GLSL

layout(constant_id = VSA_ID_Z_ONE_SIDED) const float Z_ONE_SIDED = 1.2816;
layout(constant_id = VSA_ID_Z_TWO_SIDED) const float Z_TWO_SIDED = 1.6449;
layout(constant_id = VSA_ID_T31_SQUARED) const float T31_SQUARED = 2.8748;

// Squared two-sided Student quantile, from the normal one (Abramowitz and Stegun 26.7.5); for 31
// degrees of freedom and more it is within 1e-4 down to delta = 1e-3, for 7 within 2% down to 0.01.
float student_squared(float degrees)
{
    precise float z = Z_TWO_SIDED;
    precise float z2 = z * z;
    precise float g1 = (z2 + 1.0) * z / 4.0;
    precise float g2 = ((5.0 * z2 + 16.0) * z2 + 3.0) * z / 96.0;
    precise float g3 = (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) * z / 384.0;
    precise float g4 = ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) * z / 92160.0;
    precise float t = z + (g1 + (g2 + (g3 + g4 / degrees) / degrees) / degrees) / degrees;
    precise float square = t * t;
    return square;
}

// 1 - delta quantile of F(rank, degrees rank), Paulson 1942; rank 1 is the squared Student
// quantile.
float rank_quantile(float rank, float degrees)
{
    if (rank < 1.3) {
        return degrees == 31.0 ? T31_SQUARED : student_squared(degrees);
    }
    precise float z = Z_ONE_SIDED;
    precise float a = 2.0 / (9.0 * rank);
    precise float b = a / degrees;
    precise float a1 = 1.0 - a;
    precise float b1 = 1.0 - b;
    precise float root = sqrt(max(a * b1 * b1 + b * a1 * a1 - z * z * a * b, 0.0));
    precise float cube = (a1 * b1 + z * root) / (b1 * b1 - z * z * b);
    precise float quantile = cube * cube * cube;
    return quantile;
}
#endif
