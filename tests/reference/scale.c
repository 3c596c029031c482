/* Method guided: the scale c of a row from its bins. "Choosing c". */
#include "reference.h"

#include <math.h>
#include <string.h>

/* Probability from which on a token is heavy. */
#define HEAVY 0.5

void ref_bins_count(const double *logits, uint32_t first, uint32_t end, double maximum,
                    ref_bins *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = first; i < end; i++) {
        double bin = floor(16 * (maximum - logits[i]));
        out->count[bin < REF_BINS ? (uint32_t)bin : REF_BINS - 1]++;   /* NaN: the last */
    }
}

static double bin_weight(uint32_t bin)
{
    return exp(-(bin + 0.5) / 16);
}

/* T and Q of the bins from `first` on, and H of those before. */
typedef struct bin_sums {
    double heavy, light, squares;
} bin_sums;

static bin_sums sums_from(const ref_bins *bins, uint32_t first)
{
    bin_sums s = { 0 };
    for (uint32_t k = 0; k < REF_BINS; k++) {
        double w = bin_weight(k), n = bins->count[k];
        s.heavy += k < first ? n : 0;
        s.light += k < first ? 0 : n * w;
        s.squares += k < first ? 0 : n * w * w;
    }
    return s;
}

static ref_scale scale_made(double c, const bin_sums *s)
{
    return (ref_scale){ .c = c, .sampled = c * s->light, .tokens = s->heavy + c * s->light,
                        .light = s->light };
}

/* The first number of heavy bins that c fits: the next bin's probability is below HEAVY. */
ref_scale ref_scale_for_samples(const ref_bins *bins, double samples)
{
    for (uint32_t t = 0; t < REF_BINS; t++) {
        bin_sums s = sums_from(bins, t);
        if (s.light > 0 && samples / s.light * bin_weight(t) < HEAVY) {
            return scale_made(samples / s.light, &s);
        }
    }
    return (ref_scale){ 0 };
}

ref_scale ref_scale_for_tokens(const ref_bins *bins, double tokens)
{
    for (uint32_t t = 0; t < REF_BINS; t++) {
        bin_sums s = sums_from(bins, t);
        double c = (tokens - s.heavy) / s.light;
        if (s.light > 0 && c > 0 && c * bin_weight(t) < HEAVY) {
            return scale_made(c, &s);
        }
    }
    return (ref_scale){ 0 };
}

ref_scale ref_scale_for_squares(const ref_bins *bins, double squares)
{
    for (uint32_t t = 0; t < REF_BINS; t++) {
        bin_sums s = sums_from(bins, t);
        double c = s.light / (squares + s.squares);
        if (s.light > 0 && c * bin_weight(t) < HEAVY) {
            return scale_made(c, &s);
        }
    }
    return (ref_scale){ 0 };
}

ref_scale ref_scale_of(const ref_bins *bins, double c)
{
    for (uint32_t t = 0; t < REF_BINS; t++) {
        if (c * bin_weight(t) < HEAVY) {
            bin_sums s = sums_from(bins, t);
            return scale_made(c, &s);
        }
    }
    bin_sums s = sums_from(bins, REF_BINS);
    return scale_made(c, &s);
}

ref_scale ref_first_scale(const ref_bins *bins, double base, double limit)
{
    ref_scale most = ref_scale_for_tokens(bins, limit);
    ref_scale wanted = ref_scale_for_tokens(bins, base);
    ref_scale enough = ref_scale_for_samples(bins, 24);
    wanted = enough.c <= 0 || enough.c > wanted.c ? enough : wanted;
    return wanted.c <= 0 || wanted.c > most.c ? most : wanted;
}
