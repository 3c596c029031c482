// Strict certificate of D for a uniform sample without replacement: betting against both ends of the
// interval that epsilon allows. docs/algorithm.md, "Strict denominator".
// Needs the bindings `lists` and `scores`, estimate.glsl.
#ifndef BETTING_GLSL
#define BETTING_GLSL
#include "bet_blocks.glsl"

struct Betting {
    bool accepted;
    bool broken;    // a sampled weight above its bound
    uint wanted;
};

// All invocations return the same.
Betting bet(uint row, uint group, Sample s, Estimate e)
{
    uint tid = gl_LocalInvocationID.x;
    float n = float(s.residual);
    float bound = e.moments.z;   // tau
    if (bound <= 0.0) {
        return Betting(true, false, s.count);   // a residual without weight
    }
    float exact = (e.denominator - e.ratio * e.sampled_sum) / bound;
    float total = exact + n * (e.sampled_sum / bound / float(s.count));
    float high = total / (1.0 - EPSILON) - exact;
    float low = total / (1.0 + EPSILON) - exact;
    float needed = log(2.0 / DELTA);
    uint list = SAMPLES_OFFSET + group * SAMPLE_STRIDE;
    vec4 sums = vec4(0.0);        // x, x^2, both logarithms
    float largest = 0.0;
    bool high_out = false;
    bool low_out = false;
    uint size;
    for (uint first = 0u; first < s.count; first += size) {
        size = bet_block(first);
        float seen = float(first);
        float mean = first > 0u ? sums.x / seen : 0.0;
        float variance = first > 0u ? max(sums.y / seen - mean * mean, 0.0) : 0.0;
        float gap = EPSILON * (exact / n + mean);
        float stake = first > 0u ? min(0.75, gap / (variance + gap * gap)) : 0.0;
        float left = n - seen;
        float mean_high = (high - sums.x) / left;
        float mean_low = (low - sums.x) / left;
        high_out = high_out || mean_high > 1.0;
        low_out = low_out || mean_low < 0.0;
        mean_high = max(mean_high, 0.0);
        mean_low = min(mean_low, 1.0);
        vec4 own = vec4(0.0);
        uint end = min(first + size, s.count);
        for (uint i = first + tid; i < end; i += WG) {
            float w = weight(scores[row * TOKEN_STRIDE + lists[list + i]], e.maximum);
            float x = min(w / bound, 1.0);
            largest = max(largest, w / bound);
            own += vec4(x, x * x, log(max(1.0 - stake * (x - mean_high), 1.0e-6)),
                        log(max(1.0 + stake * (x - mean_low), 1.0e-6)));
        }
        sums += reduce_sum(own);
    }
    largest = reduce_max(vec4(largest)).x;
    float evidence = min(high_out ? needed : sums.z, low_out ? needed : sums.w);
    bool accepted = evidence >= needed;
    // The logarithm of the wealth grows by about h^2 / (2 (v + h^2)) a draw.
    float drawn = float(s.count);
    float all_mean = sums.x / drawn;
    float all_variance = max(sums.y / drawn - all_mean * all_mean, 0.0);
    float all_gap = EPSILON * (exact / n + all_mean);
    float plain = 2.0 * needed * (all_variance + all_gap * all_gap) / (all_gap * all_gap) + 64.0;
    float factor = evidence > 0.0 ? clamp(needed / evidence, 1.1, 1.5) : 1.5;
    float more = max(plain / (1.0 + plain / n), drawn * factor);
    uint wanted = accepted ? s.count : uint(min(ceil(more), n));
    // Rounding of the quotient is no breach.
    return Betting(accepted, largest > 1.0 + 1.0e-5, wanted);
}
#endif
