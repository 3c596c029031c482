/*
 * "Strict denominator": Waudby-Smith and Ramdas, betting on a sample without replacement.
 *
 * E_hi is the log of the wealth of who bets that the residual's sum is below T_hi. If it were T_hi
 * or more, that wealth would be at most a nonnegative supermartingale over blocks: the stake is
 * fixed before the block, and within one the draws are negatively associated (Joag-Dev and Proschan
 * 1983), so that the expected product of decreasing factors is at most the product of expectations,
 * 1. By Ville's inequality it ever reaches 2 / delta with probability delta / 2. Likewise E_lo.
 */
#include "reference.h"

#include <math.h>

uint32_t ref_bet_block(uint32_t draw)
{
    uint32_t size = 64;
    while (draw / 16 >= 2 * size) {
        size *= 2;
    }
    return size;
}

uint32_t ref_bet_round_up(uint32_t draws)
{
    uint32_t end = 0;
    while (end < draws) {
        end += ref_bet_block(end);
    }
    return end;
}

void ref_bet(const double *x, uint32_t draws, double population, double exact, double epsilon,
             double delta, ref_bet_result *out)
{
    double all = 0, needed = log(2 / delta);
    int high_is_out = 0, low_is_out = 0;
    *out = (ref_bet_result){ .wanted = draws };
    for (uint32_t i = 0; i < draws; i++) {
        all += x[i];
        out->broken = out->broken || x[i] > 1;
    }
    double total = exact + population / draws * all;
    double high = total / (1 - epsilon) - exact;
    double low = total / (1 + epsilon) - exact;

    double sum = 0, squares = 0;
    for (uint32_t first = 0; first < draws; first += ref_bet_block(first)) {
        double seen = first;
        double mean = first > 0 ? sum / seen : 0;
        double variance = first > 0 ? fmax(squares / seen - mean * mean, 0) : 0;
        double gap = epsilon * (exact / population + mean);
        double stake = first > 0 ? fmin(0.75, gap / (variance + gap * gap)) : 0;
        double mean_high = (high - sum) / (population - seen);
        double mean_low = (low - sum) / (population - seen);
        high_is_out = high_is_out || mean_high > 1;
        low_is_out = low_is_out || mean_low < 0;
        mean_high = fmax(mean_high, 0);
        mean_low = fmin(mean_low, 1);
        for (uint32_t i = first; i < draws && i < first + ref_bet_block(first); i++) {
            out->evidence_high += log1p(-stake * (x[i] - mean_high));
            out->evidence_low += log1p(stake * (x[i] - mean_low));
            sum += x[i];
            squares += x[i] * x[i];
        }
    }
    out->evidence_high = high_is_out ? (double)INFINITY : out->evidence_high;
    out->evidence_low = low_is_out ? (double)INFINITY : out->evidence_low;
    double evidence = fmin(out->evidence_high, out->evidence_low);
    if (evidence < needed) {
        double factor = evidence > 0 ? fmin(fmax(needed / evidence, 1.25), 8) : 8;
        out->wanted = (uint32_t)fmin(ceil(draws * factor), population);
    }
}
