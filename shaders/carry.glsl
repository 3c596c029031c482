// Policy carry_budget: what STATE keeps of each query head, and how it becomes the first sample of its
// next step. docs/algorithm.md, "Carried budgets". A need is ln(A* / T_0^2): how large sum w^2 (1/pi - 1)
// may be, relative to the square of all weight. A smaller need takes more samples.
#ifndef CARRY_GLSL
#define CARRY_GLSL

layout(constant_id = VSA_ID_CARRY_OFFSET) const uint CARRY_OFFSET = VSA_CARRY_NONE;

const bool CARRIES = CARRY_OFFSET != VSA_CARRY_NONE;

// Running mean of a head's needs, and of how far they are from it; 0: nothing is known.
struct Carried {
    float mean;
    float deviation;
};

const float CARRY_FIRST = 0.15;        // deviation after one step
const float CARRY_LEAST = 0.02;
const float CARRY_GAIN = 0.25;         // weight of a new step
const float CARRY_DEVIATIONS = 3.0;    // of room below the mean
const float CARRY_ROOM = 1.0986123;    // ln 3: that room at most

uint carry_word(uint sequence, uint q_head)
{
    return CARRY_OFFSET + (sequence * Q_HEADS + q_head) * VSA_CARRY_WORDS;
}

Carried carry_learn(Carried known, float need)
{
    if (known.deviation <= 0.0) {
        return Carried(need, CARRY_FIRST);
    }
    float off = need - known.mean;
    float deviation = known.deviation + CARRY_GAIN * (abs(off) - known.deviation);
    return Carried(known.mean + CARRY_GAIN * off, max(deviation, CARRY_LEAST));
}

// A*, relative to T_0^2, that the next step most likely has no less need than.
float carry_squares(Carried known)
{
    return exp(known.mean - min(CARRY_DEVIATIONS * known.deviation, CARRY_ROOM));
}

// By how much c may grow before keys are scanned again: the more needs vary, the more.
float carry_keep(Carried known) { return min(2.0 * exp(min(known.deviation, 8.0)), 16.0); }
#endif
