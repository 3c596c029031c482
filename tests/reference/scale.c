/* Method guided: the probe, and the scale c of a row from its bins. "Probe", "Choosing c". */
#include "reference.h"

#include <math.h>
#include <string.h>

/* Probability from which on a token is heavy. */
#define HEAVY 0.5

void ref_probe_make(const ref_draw_key *key, uint32_t first, uint32_t end, ref_probe *out)
{
    uint32_t first_run = first / REF_PROBE_RUN;
    uint32_t end_run = (end + REF_PROBE_RUN - 1) / REF_PROBE_RUN;
    uint32_t hash = ref_key(0x3c6ef372u, key);
    uint32_t step = (end_run - first_run + REF_PROBE_RUNS - 1) / REF_PROBE_RUNS;
    out->step = step > 0 ? step : 1;
    out->count = 0;
    for (uint32_t j = 0; j < REF_PROBE_RUNS; j++) {
        uint32_t run = first_run + j * out->step + ref_chain(hash, j) % out->step;
        for (uint32_t i = run * REF_PROBE_RUN; run < end_run && i < (run + 1) * REF_PROBE_RUN;
             i++) {
            if (i >= first && i < end) {
                out->tokens[out->count++] = i;
            }
        }
    }
}

double ref_probe_reference(const ref_probe *probe, const double *logits)
{
    double reference = -INFINITY;
    for (uint32_t j = 0; j < probe->count; j++) {
        reference = fmax(reference, logits[probe->tokens[j]]);
    }
    return reference;
}

void ref_bins_count(const ref_probe *probe, const double *logits, ref_bins *out)
{
    double reference = ref_probe_reference(probe, logits);
    memset(out, 0, sizeof *out);
    for (uint32_t j = 0; j < probe->count; j++) {
        double bin = floor(16 * (reference - logits[probe->tokens[j]]));
        /* NaN: the last */
        out->count[bin < REF_BINS ? (uint32_t)bin : REF_BINS - 1] += probe->step;
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
                        .light = s->light, .squares = fmax(s->light / c - s->squares, 0) };
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

ref_scale ref_first_scale(const ref_bins *bins, double base, double limit, double negligible)
{
    ref_scale most = ref_scale_for_tokens(bins, limit);
    ref_scale wanted = ref_scale_for_tokens(bins, base);
    ref_scale enough = ref_scale_for_samples(bins, REF_FEW_WANTED);
    int alone = wanted.c > 0 && wanted.light <= negligible * sums_from(bins, 0).light;
    if (!alone && (enough.c <= 0 || enough.c > wanted.c)) {
        wanted = enough;
    }
    return wanted.c <= 0 || wanted.c > most.c ? most : wanted;
}

ref_scale ref_carried_scale(const ref_bins *bins, const ref_scale *open,
                            const ref_carried *carried, double limit)
{
    double whole = sums_from(bins, 0).light;
    ref_scale wanted = ref_scale_for_squares(bins, ref_carry_squares(carried) * whole * whole);
    if (wanted.c <= open->c) {
        return *open;
    }
    return wanted.tokens > limit ? ref_scale_for_tokens(bins, limit) : wanted;
}
