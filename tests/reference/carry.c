/* Policy carry_budget: "Carried budgets". */
#include "reference.h"

#include <math.h>

#define FIRST      0.15
#define LEAST      0.02
#define GAIN       0.25
#define DEVIATIONS 3.0
#define MOST_ROOM  3.0   /* the factor that deviations may take from A* */

void ref_carry_learn(ref_carried *carried, double need)
{
    if (!(need > 0) || !isfinite(need)) {
        *carried = (ref_carried){ 0 };
        return;
    }
    double x = log(need), off = x - carried->mean;
    if (carried->deviation <= 0) {
        *carried = (ref_carried){ .mean = x, .deviation = FIRST };
        return;
    }
    carried->mean += GAIN * off;
    carried->deviation += GAIN * (fabs(off) - carried->deviation);
    carried->deviation = fmax(carried->deviation, LEAST);
}

double ref_carry_squares(const ref_carried *carried)
{
    double room = fmin(exp(DEVIATIONS * carried->deviation), MOST_ROOM);
    return exp(carried->mean) / room;
}
