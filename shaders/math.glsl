// Elementary functions whose accuracy does not depend on the driver.
#ifndef MATH_GLSL
#define MATH_GLSL

// Stands for minus infinity: inf - inf never happens. Finite logits stay above LOGIT_MIN.
const float MASKED = -3.0e38;
const float LOGIT_MIN = -1.0e38;
#define INFINITE uintBitsToFloat(0x7f800000u)

bool is_finite(float x) { return (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u; }

// e^x for x <= 0, about 1 ulp: x = n ln 2 + r with ln 2 in two parts (Cody and Waite), then the
// Taylor polynomial of degree 7 on |r| <= ln 2 / 2 (remainder below 6e-9). Drivers' exp() may be off by 3 + 2 |x| ulp.
float exp_negative(float x)
{
    if (x < -87.0) {
        return 0.0;
    }
    precise float n = floor(x * 1.44269504 + 0.5);
    precise float r = fma(n, -0.693359375, x);
    r = fma(n, 2.12194440e-4, r);
    float p = 1.98412698e-4;
    p = fma(p, r, 1.38888889e-3);
    p = fma(p, r, 8.33333333e-3);
    p = fma(p, r, 4.16666667e-2);
    p = fma(p, r, 1.66666667e-1);
    p = fma(p, r, 0.5);
    p = fma(p, r, 1.0);
    p = fma(p, r, 1.0);
    return p * uintBitsToFloat(uint(int(n) + 127) << 23);
}

// Weight of a logit relative to a maximum; a masked logit weighs nothing.
float weight(float logit, float maximum)
{
    return logit < LOGIT_MIN ? 0.0 : exp_negative(min(logit - maximum, 0.0));
}

float tanh_accurate(float x)
{
    float a = abs(x);
    float y;
    if (a < 0.3) {
        // Odd Taylor polynomial of degree 11, remainder below 1e-9 at 0.3.
        float s = a * a;
        float p = 8.8632355e-3;
        p = fma(p, s, -2.1869488e-2);
        p = fma(p, s, 5.3968254e-2);
        p = fma(p, s, -1.3333333e-1);
        p = fma(p, s, 3.3333333e-1);
        y = a - a * s * p;
    } else {
        float e = exp_negative(-2.0 * a);
        y = (1.0 - e) / (1.0 + e);
    }
    return x < 0.0 ? -y : y;
}

// Unsigned keys in the order of the floats; -0.0 equals +0.0; 0 is below every finite float.
uint order_key(float x)
{
    uint bits = floatBitsToUint(x);
    bits = bits == 0x80000000u ? 0u : bits;
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

float order_value(uint key)
{
    return uintBitsToFloat((key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key);
}
#endif
