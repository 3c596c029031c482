#include "quantised.h"

#include <math.h>
#include <string.h>

int ref_is_quantised(vsa_dtype dtype)
{
    return dtype == VSA_DTYPE_Q8_0 || dtype == VSA_DTYPE_Q4_0;
}

/* A sum, product or quotient of two f32 numbers, rounded to f32: correctly, since a double has more
 * than twice their bits. Volatile: no compiler is to see through the rounding. */
static double round_f32(double value)
{
    volatile float rounded = (float)value;
    return (double)rounded;
}

typedef struct block {
    uint16_t scale;
    int codes[REF_QUANT_BLOCK];   /* multiples of the scale */
} block;

/* The first of the values that are largest in magnitude. */
static double largest_of(const float *values)
{
    double largest = 0;
    for (int i = 0; i < REF_QUANT_BLOCK; i++) {
        if (fabs((double)values[i]) > fabs(largest)) {
            largest = (double)values[i];
        }
    }
    return largest;
}

static int all_finite(const float *values)
{
    for (int i = 0; i < REF_QUANT_BLOCK; i++) {
        if (!isfinite(values[i])) {
            return 0;
        }
    }
    return 1;
}

static block quantise_block(vsa_dtype dtype, const float *values)
{
    block b = { 0 };
    double largest = largest_of(values);
    if (!all_finite(values)) {
        b.scale = 0x7e00;
        return b;
    }
    if (fabs(largest) < 0x1p-100) {
        b.scale = dtype == VSA_DTYPE_Q4_0 ? 0x8000 : 0;   /* 0 / -8 is a negative zero */
        return b;
    }
    double step = dtype == VSA_DTYPE_Q8_0 ? round_f32(fabs(largest) / 127) : largest / -8;
    double inverse = round_f32(1 / step);
    b.scale = ref_f16_from_f32((float)step);
    for (int i = 0; i < REF_QUANT_BLOCK; i++) {
        double scaled = round_f32((double)values[i] * inverse);
        if (dtype == VSA_DTYPE_Q8_0) {
            b.codes[i] = (int)copysign(floor(fabs(scaled) + 0.5), scaled);   /* away from zero */
        } else {
            b.codes[i] = (int)fmin(15, trunc(round_f32(scaled + 8.5))) - 8;
        }
    }
    return b;
}

void ref_quantise(vsa_dtype dtype, const float *values, size_t count, void *blocks)
{
    uint8_t *to = blocks;
    for (size_t first = 0; first < count; first += REF_QUANT_BLOCK) {
        block b = quantise_block(dtype, values + first);
        *to++ = (uint8_t)(b.scale & 0xff);
        *to++ = (uint8_t)(b.scale >> 8);
        if (dtype == VSA_DTYPE_Q8_0) {
            for (int i = 0; i < 32; i++) {
                *to++ = (uint8_t)(b.codes[i] < 0 ? b.codes[i] + 256 : b.codes[i]);
            }
        } else {
            for (int i = 0; i < 16; i++) {
                *to++ = (uint8_t)((b.codes[i] + 8) + 16 * (b.codes[i + 16] + 8));
            }
        }
    }
}

void ref_dequantise(vsa_dtype dtype, const void *blocks, size_t count, float *values)
{
    const uint8_t *from = blocks;
    for (size_t first = 0; first < count; first += REF_QUANT_BLOCK) {
        float scale = ref_f32_from_f16((uint16_t)(from[0] + 256 * from[1]));
        float *to = values + first;
        from += 2;
        if (dtype == VSA_DTYPE_Q8_0) {
            for (int i = 0; i < 32; i++) {
                to[i] = (float)(from[i] < 128 ? from[i] : from[i] - 256) * scale;
            }
            from += 32;
        } else {
            for (int i = 0; i < 16; i++) {
                to[i] = (float)(from[i] % 16 - 8) * scale;
                to[i + 16] = (float)(from[i] / 16 - 8) * scale;
            }
            from += 16;
        }
    }
}

void ref_round_row(vsa_dtype dtype, float *values, size_t count)
{
    uint8_t block_bytes[2 + REF_QUANT_BLOCK];
    if (!ref_is_quantised(dtype)) {
        ref_round_array(dtype, values, count);
        return;
    }
    for (size_t first = 0; first < count; first += REF_QUANT_BLOCK) {
        ref_quantise(dtype, values + first, REF_QUANT_BLOCK, block_bytes);
        ref_dequantise(dtype, block_bytes, REF_QUANT_BLOCK, values + first);
    }
}

size_t ref_store_row(vsa_dtype dtype, const float *values, size_t count, void *destination)
{
    if (ref_is_quantised(dtype)) {
        ref_quantise(dtype, values, count, destination);
        return vsa_dtype_row_size(dtype, (uint32_t)count);
    }
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += ref_store(dtype, values[i], (uint8_t *)destination + size);
    }
    return size;
}

/* A sign, or a number of [low, high). */
static double any_sign(ref_random *random)
{
    return ref_random_below(random, 2) != 0 ? 1 : -1;
}

static int between(ref_random *random, int low, int high)
{
    return low + (int)ref_random_below(random, (uint32_t)(high - low));
}

static double awkward_value(ref_random *random, uint32_t kind, double unit)
{
    switch (kind) {
    case 1:     /* half way between codes of Q8_0, when the largest is 127 units */
        return unit * (between(random, -127, 127) + 0.5);
    case 2:     /* the same for Q4_0 and 8 units */
        return unit * (between(random, -8, 8) + 0.5);
    case 3:
        return 0 * any_sign(random);
    case 4:     /* all equal */
        return 3 * unit;
    case 6:     /* around 2^-100, where blocks become zeros */
        return any_sign(random) * ldexp(ref_random_uniform(random), between(random, -106, -98));
    case 7:     /* subnormal */
        return any_sign(random) * ldexp(ref_random_uniform(random), between(random, -149, -126));
    case 8:     /* the scale overflows to infinity */
        return any_sign(random) * ldexp(ref_random_uniform(random), between(random, 10, 128));
    case 9:     /* subnormal scales */
        return ref_random_normal(random) * ldexp(1, between(random, -18, -6));
    default:
        return ref_random_normal(random) * unit;
    }
}

void ref_awkward_block(ref_random *random, uint32_t kind, float *values)
{
    double unit = ldexp(1, between(random, -20, 12));
    uint32_t at = ref_random_below(random, REF_QUANT_BLOCK);
    uint32_t other = (at + 1 + ref_random_below(random, REF_QUANT_BLOCK - 1)) % REF_QUANT_BLOCK;
    for (int i = 0; i < REF_QUANT_BLOCK; i++) {
        values[i] = (float)awkward_value(random, kind, unit);
    }
    switch (kind) {
    case 1:
        values[at] = (float)(127 * unit * any_sign(random));
        break;
    case 2:
        values[at] = (float)(8 * unit * any_sign(random));
        break;
    case 5:     /* of two equal magnitudes the first counts */
        values[at] = (float)(20 * unit);
        values[other] = -values[at];
        break;
    case 10:    /* scales half way between two of f16 */
        values[at] = (float)(any_sign(random) * 16 * 127 * unit *
                             (1 + (2 * between(random, 0, 1024) + 1) / 2048.0));
        break;
    case 11:
        values[at] = (float)(INFINITY * any_sign(random));
        break;
    case 12:
        values[at] = NAN;
        values[other] = (float)(ref_random_below(random, 2) != 0 ? INFINITY : 1e9);
        break;
    case 13:    /* within an f32 or so of a tie: shows every wrong bit of a quotient */
        values[at] = (float)(unit * (127 + 40 * ref_random_uniform(random)));
        for (uint32_t i = 0; i < REF_QUANT_BLOCK; i++) {
            double step = (double)values[at] / (i % 2 != 0 ? 127 : 8);
            float tie = (float)(step * (between(random, 0, i % 2 != 0 ? 127 : 8) + 0.5));
            if (i != at) {
                values[i] = nextafterf(tie, tie * (float)between(random, 0, 3));
            }
        }
        break;
    default:
        break;
    }
}
