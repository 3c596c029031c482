#version 450
// Guaranteed-error aggregation for uniform samples, and for methods that promise nothing: one
// workgroup per row, after the base sample and after each extension (push.round). For a row that is
// still open: merges the partials, estimates the output and its error, and finishes the row, hands
// it to the dense pass, or grants more samples.
// Formulas and order of decisions: docs/algorithm.md, "Estimate", "Error", "Budget".
// In: PARTIALS, moments. Out: out, certificates, grants, dispatch arguments. Grid: (head, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "output.glsl"
#include "quantile.glsl"

layout(constant_id = VSA_ID_MAX_SAMPLES) const uint MAX_SAMPLES = 0;
layout(constant_id = VSA_ID_DENSE_ON_MISS) const uint DENSE_ON_MISS = 1;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) readonly buffer Partials { vec4 partials[]; };
layout(set = 0, binding = VSA_BIND_LISTS) readonly buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_SCORES) readonly buffer Scores { float scores[]; };

#include "estimate.glsl"
#include "betting.glsl"

struct Error {
    float quantile;   // q
    float spread;     // S
    float size;       // size^2
};

Error denominator_error(Sample s, Estimate e)
{
    float n = float(s.residual);
    float b = float(s.count);
    precise float variance =
        KNOWN ? max(e.moments.y - e.moments.x * (e.moments.x / n), 0.0) / (n - 1.0)
              : max(e.squares - e.sampled_sum * (e.sampled_sum / b), 0.0) / (b - 1.0);
    // Known weights say what D is as well: an estimate that is too large would hide its own error.
    precise float factor = n / (KNOWN ? e.denominator - e.ratio * e.sampled_sum + e.moments.x
                                      : e.denominator);
    precise float spread = factor * factor * variance;
    return Error(KNOWN ? Z_TWO_SIDED * Z_TWO_SIDED : student_squared(b - 1.0), spread, 1.0);
}

Error vector_error(uint row, Sample s, Estimate e, float shrink, inout uint flags)
{
    float n = float(s.residual);
    float b = float(s.count);
    Spread groups = group_spread(row, e, GROUPS);
    precise float spread = float(GROUPS) * b * groups.trace;
    if (KNOWN && e.moments.x <= NOTHING * e.denominator) {
        spread = 0.0;   // and its squares might underflow
    } else if (KNOWN) {
        precise float expected = e.moments.y * (b / n);
        precise float share = e.squares > 0.0 ? min(expected / e.squares, 1.0e9) : 0.0;
        spread = e.squares > 0.0 ? spread * max(1.0, 0.5 * (1.0 + share))
                                 : (expected > 0.0 ? 1.0e30 : 0.0);
    }
    if (TARGET == VSA_TARGET_O) {
        shrink_out(spread * shrink, groups.rank);
    }
    return Error(rank_quantile(groups.rank, float(GROUPS - 1)), spread,
                 relative_size(e, spread * shrink, flags));
}

float error_of(Error error, float shrink)
{
    precise float value = error.size > 0.0
        ? sqrt(error.quantile * error.spread * shrink / error.size) : INFINITE;
    return value;
}

// Samples that would bring the error down to epsilon.
uint samples_for(Error error, float n)
{
    precise float plain = error.size > 0.0
        ? error.quantile * error.spread / (EPSILON * EPSILON * error.size) : n * n;
    precise float corrected = min(ceil(plain / (1.0 + plain / n)), n);
    return (uint(corrected) + GROUPS - 1u) / GROUPS * GROUPS;
}

void decide_row(uint row, uint group)
{
    Sample s = sample_of(row, group);
    Estimate e = estimate_row(row, group, s);
    float n = float(s.residual);
    precise float shrink = 1.0 / float(s.count) - 1.0 / n;
    Decision d = Decision(0u, 0u, 0.0, 0.0, 0u);
    Error normaliser = denominator_error(s, e);
    d.normaliser_bound = error_of(normaliser, shrink);
    bool broken = false;
    bool empty = false;   // nothing to be relative to
    if (BOUND == VSA_BOUND_IS_STRICT) {
        Betting betting = bet(row, group, s, e);
        d.error = betting.accepted ? EPSILON : INFINITE;
        d.normaliser_bound = d.error;
        d.wanted = betting.wanted;
        broken = betting.broken;
    } else {
        Error error = normaliser;
        if (TARGET != VSA_TARGET_D) {
            error = vector_error(row, s, e, shrink, d.flags);
        }
        d.error = error_of(error, shrink);
        d.wanted = samples_for(error, n);
        empty = error.size <= 0.0;
    }
    // The next estimate of S may be larger; after the last extension that would mean dense.
    uint margin = d.wanted / (push.round + 2u < VSA_ROUNDS ? 16u : 4u);
    margin = (margin + GROUPS - 1u) / GROUPS * GROUPS;
    uint next = max(d.wanted + margin, s.count + GROUPS);
    next = min(BOUND == VSA_BOUND_IS_STRICT ? bet_round_up(next) : next, MAX_SAMPLES);
    bool last = push.round + 1u == VSA_ROUNDS;

    if (!is_valid(row, e)) {
        d.status = VSA_STATUS_INVALID;
    } else if (broken) {
        d.status = VSA_STATUS_EXACT;
        d.flags |= VSA_FLAG_BOUND_BROKEN;
    } else if (empty) {
        d.status = VSA_STATUS_EXACT;
        d.flags |= VSA_FLAG_UNATTAINABLE;
    } else if (BOUND != VSA_BOUND_IS_STRICT && e.heaviest > 0.5 * EPSILON * e.denominator) {
        d.status = VSA_STATUS_EXACT;
        d.flags |= VSA_FLAG_HEAVY_SAMPLE;
    } else if (d.error <= EPSILON) {
        d.status = VSA_STATUS_MET;
    } else if (next >= s.residual - s.residual / 2u) {
        d.status = VSA_STATUS_EXACT;
        d.flags |= VSA_FLAG_UNATTAINABLE;
    } else if (last || next <= s.count) {
        d.status = DENSE_ON_MISS != 0u ? VSA_STATUS_EXACT : VSA_STATUS_MISSED;
    }

    barrier();
    if (d.status == VSA_STATUS_EXACT || d.status == 0u) {
        if (gl_LocalInvocationID.x == 0u) {
            uint word = row_word(row, 0u);
            control[word + VSA_R_OLD] = s.count;
            control[word + VSA_R_GRANTED] = d.status == 0u ? next : s.count;
            control[word + VSA_R_WANTED] = d.wanted;
            control[word + VSA_R_STATUS] = d.status;
            control[word + VSA_R_FLAGS] = d.flags & ~uint(VSA_FLAG_FLOORED);
            control[word + VSA_R_GATHERED] = s.members + s.count;
        }
        if (d.status == 0u) {
            request_samples(group);
        } else {
            request_dense(group);
        }
        return;
    }
    finish_row(row, group, d, e, s);
}

// Methods without samples promise nothing.
void finish_unverified(uint row, uint group)
{
    Sample s = sample_of(row, group);
    s.count = 0u;
    Estimate e = estimate_row(row, group, s);
    Decision d = Decision(VSA_STATUS_MISSED, 0u, INFINITE, INFINITE, 0u);
    if (!is_valid(row, e)) {
        d.status = VSA_STATUS_INVALID;
    }
    barrier();
    if (s.residual == 0u) {   // nothing was left out
        if (gl_LocalInvocationID.x == 0u) {
            control[row_word(row, VSA_R_STATUS)] = VSA_STATUS_EXACT;
        }
        request_dense(group);
        return;
    }
    finish_row(row, group, d, e, s);
}

void main()
{
    uint group = gl_WorkGroupID.y + push.first_y;
    uint row = group * GROUP + gl_WorkGroupID.x + push.first_x;
    uint status = control[row_word(row, VSA_R_STATUS)];
    if (control[group_word(group, VSA_G_LENGTH)] == 0u) {
        if (push.round == 0u) {
            finish_empty(row, group);
        }
    } else if (control[group_word(group, VSA_G_SCAN)] == 0u) {
        if (push.round == 0u) {
            request_dense(group);
        }
    } else if (status == 0u) {
        if (SAMPLES == 0u) {
            finish_unverified(row, group);
        } else {
            decide_row(row, group);
        }
    }
}
