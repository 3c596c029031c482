/*
 * "Strict denominator": Waudby-Smith and Ramdas, betting on a sample without replacement.
 *
 * E_hi is the log of the wealth of one who bets that the residual's sum is below T_hi. If it is
 * T_hi or more, that wealth is at most a nonnegative supermartingale over blocks: the stake is
 * fixed before the block, and within one the draws are negatively associated (Joag-Dev and Proschan
 * 1983), so that the expected product of decreasing factors is at most the product of expectations,
 * 1. By Ville's inequality it ever reaches 2 / delta with probability delta / 2 at most. E_lo
 * likewise.
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

double ref_bet_evidence(const double *x, uint32_t draws, double population, double exact,
                        double epsilon, double rest, int bets_below)
{
    double sum = 0, squares = 0, evidence = 0;
    for (uint32_t first = 0; first < draws; first += ref_bet_block(first)) {
        double seen = first;
        double mean = first > 0 ? sum / seen : 0;
        double variance = first > 0 ? fmax(squares / seen - mean * mean, 0) : 0;
        double gap = epsilon * (exact / population + mean);
        double stake = first > 0 ? fmin(0.75, gap / (variance + gap * gap)) : 0;
        double expected = (rest - sum) / (population - seen);
        if (bets_below ? expected > 1 : expected < 0) {
            return (double)INFINITY;   /* no such rest is possible any more */
        }
        /* A rest that is farther off on the other side is no more likely than the possible one. */
        expected = fmin(fmax(expected, 0), 1);
        for (uint32_t i = first; i < draws && i < first + ref_bet_block(first); i++) {
            evidence += log1p((bets_below ? -stake : stake) * (x[i] - expected));
            sum += x[i];
            squares += x[i] * x[i];
        }
    }
    return evidence;
}

void ref_bet(const double *x, uint32_t draws, double population, double exact, double epsilon,
             double delta, ref_bet_result *out)
{
    double sum = 0, squares = 0, needed = log(2 / delta);
    *out = (ref_bet_result){ .wanted = draws };
    for (uint32_t i = 0; i < draws; i++) {
        sum += x[i];
        squares += x[i] * x[i];
        out->broken = out->broken || x[i] > 1;
    }
    if (out->broken) {
        return;
    }
    double total = exact + population / draws * sum;
    double high = total / (1 - epsilon) - exact, low = total / (1 + epsilon) - exact;
    out->evidence_high = ref_bet_evidence(x, draws, population, exact, epsilon, high, 1);
    out->evidence_low = ref_bet_evidence(x, draws, population, exact, epsilon, low, 0);
    double evidence = fmin(out->evidence_high, out->evidence_low);
    if (evidence < needed) {
        /* The log of the wealth grows by about h^2 / (2 (v + h^2)) a draw, and faster the less of
         * the population is left. */
        double mean = sum / draws, gap = epsilon * (exact / population + mean);
        double variance = fmax(squares / draws - mean * mean, 0);
        double plain = 2 * needed * (variance + gap * gap) / (gap * gap) + 64;
        double factor = evidence > 0 ? fmin(fmax(needed / evidence, 1.1), 1.5) : 1.5;
        double wanted = fmax(plain / (1 + plain / population), draws * factor);
        out->wanted = (uint32_t)fmin(ceil(wanted), population);
    }
}
