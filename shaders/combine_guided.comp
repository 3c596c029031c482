#version 450
// Guaranteed-error aggregation for method guided: one workgroup per row, after every stage
// (push.round) for which the row's group drew samples. Merges the partials, estimates the output and
// its error, and finishes the row, hands it to the dense pass, or asks for a larger scale c.
// Formulas and order of decisions: docs/algorithm.md, "Guided".
// In: PARTIALS, moments, bins. Out: out, certificates, scales, dispatch arguments. Grid: (head, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "output.glsl"
#include "quantile.glsl"
#include "carry.glsl"

layout(constant_id = VSA_ID_MAX_SAMPLES) const uint MAX_SAMPLES = 0;
layout(constant_id = VSA_ID_KEEP) const float KEEP = 1.0;
layout(constant_id = VSA_ID_DENSE_ON_MISS) const uint DENSE_ON_MISS = 1;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) buffer Partials { vec4 partials[]; };

#include "estimate.glsl"
#include "guide.glsl"

const uint MIN_SAMPLES = 8;
// How much more than wanted an extension asks for, of 1 / A; none follows the last.
// A vector: compilers keep an array of constants in memory.
const vec4 STAGE_MARGIN = vec4(1.1875, 1.1875, 1.5, 1.0);
const float LEAST_GROWTH = 1.0 + 1.0 / 16.0;
const float HEAVY_GROWTH = 4.0;
const float STRICT_MARGIN = 1.1;   // of c
const float FEW_WANTED = 24.0;
const float FEW_GROWTH = 2.0;
// Of the c up to which the last scan has kept every token; rounding may not cross it.
const float KEPT_SURELY = 0.999;

// What the next stage is asked for: a scale, or the sum that guide_solve turns into one.
struct Wish {
    float scale;
    float squares;
};

// An error, what it is relative to, and the error of D.
struct Errors {
    float target;
    float size;
    float normaliser;
};

// ---- bound clt

// Of the sum of sampled weights: from the random groups, one value each.
float normaliser_error(Estimate e, float light, uint groups)
{
    float mean = e.sampled_sum / float(groups);
    precise float squares = 0.0;
    for (uint i = LOOP(0); i < groups; i++) {
        float own = group_sum[i] - mean;
        squares += own * own;
    }
    precise float variance = float(groups) / float(groups - 1u) * squares * light;
    precise float error = sqrt(student_squared(float(groups - 1u)) * variance) / e.denominator;
    return error;
}

// Exact scorer: how far out can be off, relative to it, if no token that was not read has a larger
// |v| than all that were: the light tokens' mean and its estimate both are below that. W is a
// difference of f32 sums.
float rest_error(Estimate e)
{
    float weight = e.moments.x > 0.0 ? e.moments.x / e.denominator + 1.0e-6 : 0.0;
    float rest = 2.0 * weight * sqrt(e.largest);
    float size = sqrt(e.out_squared);
    return NORMS == VSA_NORMS_LARGEST && rest < size ? rest / (size - rest) : INFINITE;
}

Errors clt_errors(uint row, Estimate e, uint count, bool few, inout uint flags)
{
    Errors errors = Errors(INFINITE, 1.0, 0.0);
    bool sampled = count > 0u && (!KNOWN || e.moments.x > 0.0);
    uint groups = min(count, GROUPS);
    // What is sampled with some certainty varies less than the random groups do.
    precise float correction = e.moments.z > 0.0 ? e.moments.y / e.moments.z : 1.0;
    if (few) {
        errors.normaliser = KNOWN ? 0.0 : INFINITE;
        errors.target = TARGET != VSA_TARGET_D && KNOWN ? rest_error(e) : INFINITE;
        return errors;
    }
    if (!KNOWN && sampled) {
        errors.normaliser = normaliser_error(e, correction, groups);
    }
    if (TARGET == VSA_TARGET_D) {
        errors.target = errors.normaliser;
        return errors;
    }
    precise float variance = 0.0;
    float quantile = 0.0;
    if (sampled) {
        Spread spread = group_spread(row, e, groups);
        quantile = rank_quantile(spread.rank, float(groups - 1u));
        variance = float(groups) * spread.trace * correction;
        if (TARGET == VSA_TARGET_O) {
            shrink_out(variance, spread.rank);
        }
    }
    errors.size = relative_size(e, variance, flags);
    precise float error = errors.size > 0.0 ? sqrt(quantile * variance / errors.size) : INFINITE;
    errors.target = KNOWN ? min(error, rest_error(e)) : error;
    return errors;
}

// ---- bound strict

const vec4 STAGE_SHARE = vec4(0.02, 0.9, 0.06, 0.02);

// How far a sum of independent terms up to `largest`, with observed squares y, may be off. The shares
// are of the stage's delta: for the sum, and for its variance.
float bernstein(float delta, float sum_share, float variance_share, float largest, float y)
{
    float steps = log(2.0 / (sum_share * delta));
    float slack = largest * sqrt(0.5 * log(1.0 / (variance_share * delta)));
    float deviation = sqrt(y + slack * slack) + slack;
    float range = largest * steps / 3.0;
    return range + sqrt(range * range + 2.0 * deviation * deviation * steps);
}

// What Bernstein's inequality is fed with; c' = c / shrink multiplies all but the lengths by shrink.
struct Terms {
    float unit;            // bound of a sampled weight
    float radius;          // of |v - a|
    float vector_squares;  // y
    float weight_squares;
    float moved;           // |out - a|; target numerator: |a|
    float denominator;
    float most;            // exact scorer: what the sum and its estimate can differ by at all
};

// Bounds of the errors of out (absolute) and D (relative) if the scale were c / shrink.
vec2 strict_radii(Terms t, uint stage, float shrink)
{
    float delta = STAGE_SHARE[stage] * DELTA;
    float unit = t.unit * shrink;
    if (KNOWN) {
        float sum = bernstein(delta, 0.9, 0.1, unit * t.radius, t.vector_squares * shrink);
        return vec2(min(sum, t.most) / t.denominator, 0.0);
    }
    bool both = TARGET != VSA_TARGET_D;
    float weights = bernstein(delta, both ? 0.1 : 0.9, 0.1, unit, t.weight_squares * shrink);
    float left = t.denominator - weights;
    if (left <= 0.0) {
        return vec2(INFINITE);
    }
    float vectors = both ? bernstein(delta, 0.7, 0.1, unit * t.radius, t.vector_squares * shrink)
                         : 0.0;
    // out = a + N_a / D, the numerator N_a + a D.
    return vec2((vectors + t.moved * weights) / (TARGET == VSA_TARGET_N ? t.denominator : left),
                weights / left);
}

// The largest factor by which the bound of a weight has to shrink in the next stage.
float strict_shrink(Terms t, float share, float goal)
{
    t.vector_squares *= share;
    t.weight_squares *= share;
    float low = 0.0;    // of -log2
    float high = 24.0;
    for (uint i = 0; i < LOOP(24); i++) {
        float middle = 0.5 * (low + high);
        vec2 next = strict_radii(t, push.round + 1u, exp2(-middle));
        if ((TARGET == VSA_TARGET_D ? next.y : next.x) > goal) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return exp2(-high);
}

// `left`: there are light tokens.
Errors strict_errors(uint row, Estimate e, float scale, bool left, out Wish wish)
{
    // Weights here are relative to e^maximum, c to the row's largest score.
    Terms t;
    t.unit = e.unit / scale;
    float centre = sqrt(e.centre_squared);
    float largest = uintBitsToFloat(control[row_word(row, VSA_R_RADIUS)]);
    t.radius = largest + centre;
    t.vector_squares = max(e.sampled_norms - 2.0 * e.along + e.centre_squared * e.sampled_sum, 0.0) *
                       t.unit;
    t.weight_squares = e.sampled_sum * t.unit;
    t.moved = TARGET == VSA_TARGET_N ? centre : sqrt(e.moved);
    t.denominator = e.denominator;
    t.most = (e.moments.x + e.sampled_sum) * t.radius;
    float out_length = sqrt(e.out_squared);
    wish = Wish(0.0, 0.0);
    vec2 radii = left ? strict_radii(t, push.round, 1.0) : vec2(0.0);
    Errors errors = Errors(radii.y, 1.0, radii.y);
    if (TARGET != VSA_TARGET_D) {
        errors.target = radii.x < out_length ? radii.x / (out_length - radii.x) : INFINITE;
        errors.size = out_length;
    }
    if (errors.target > EPSILON && push.round + 1u < VSA_ROUNDS) {
        float goal = EPSILON;
        t.most = INFINITE;   // a larger scale samples more of it
        if (TARGET != VSA_TARGET_D) {
            goal = EPSILON * out_length / (1.0 + EPSILON);
            t.radius = largest + sqrt(e.mean_squared);
            t.vector_squares = max(e.sampled_norms - 2.0 * e.along_mean +
                                   e.mean_squared * e.sampled_sum, 0.0) * t.unit;
            t.moved = TARGET == VSA_TARGET_N ? sqrt(e.mean_squared) : sqrt(e.from_mean);
        }
        float light = guide_of(row, scale).light;
        float share = 1.0;
        float shrink = 1.0;
        // A larger scale has fewer light tokens left: solved again with what the last answer leaves.
        for (uint i = 0; i < LOOP(3); i++) {
            shrink = strict_shrink(t, share, goal);
            share = light > 0.0 ? guide_of(row, scale / shrink).light / light : 1.0;
        }
        wish.scale = STRICT_MARGIN * scale / shrink;
    }
    return errors;
}

// ---- decision

Guide next_guide(uint row, Wish wish)
{
    if (wish.scale > 0.0) {
        return guide_of(row, wish.scale);
    }
    return guide_solve(row, GUIDE_SQUARES, wish.squares);
}

// Too few samples to judge by: as many as that takes, or a good deal more than now.
float scale_for_few(uint row, float scale)
{
    Guide enough = guide_solve(row, GUIDE_SAMPLES, FEW_WANTED);
    return enough.found && enough.scale > FEW_GROWTH * scale ? enough.scale : FEW_GROWTH * scale;
}

// Of a row that ends as the guarantee has it; a later stage may have it end in another way.
void write_need(uint row, uint status, float squares)
{
    float need = 0.0;
    if (status == VSA_STATUS_MET || status == VSA_STATUS_MISSED) {
        float whole = guide_of(row, 0.0).light;
        need = squares / (whole * whole);
    }
    if (gl_LocalInvocationID.x == 0u) {
        control[row_word(row, VSA_R_NEED)] = floatBitsToUint(is_finite(need) ? need : 0.0);
    }
}

void decide_row(uint row, uint group)
{
    Sample s = sample_of(row, group);
    Estimate e = estimate_row(row, group, s);
    float scale = uintBitsToFloat(control[row_word(row, VSA_R_SCALE)]);
    uint candidates = guide_candidates(group);
    Decision d = Decision(0u, 0u, 0.0, 0.0, 0u);
    bool valid = is_valid(row, e);
    bool left = KNOWN ? e.moments.x > 0.0 : s.residual > 0u;   // light tokens
    bool few = BOUND != VSA_BOUND_IS_STRICT && s.count < MIN_SAMPLES && left;
    bool settled = TARGET == VSA_TARGET_D && KNOWN;   // D is exact
    // A sampled token that weighs more than its score allows: above the bound, or, without one, so
    // much more that this sample cannot be trusted, only a larger one.
    float allowed = e.unit / scale;
    bool broken = BOUND == VSA_BOUND_IS_STRICT && !KNOWN && e.heaviest > allowed * 1.0001;
    bool heavy = BOUND != VSA_BOUND_IS_STRICT && !KNOWN && e.heaviest > HEAVY_GROWTH * allowed &&
                 e.heaviest > 0.5 * EPSILON * e.denominator;
    Errors errors = Errors(0.0, 1.0, 0.0);
    Wish wish = Wish(0.0, 0.0);
    // In units of the row's reference, as the bins are.
    float own_squares = 0.0;
    Guide guide = guide_of(row, scale);
    precise float squares = guide_variance(guide);
    if (!settled && valid) {
        if (BOUND == VSA_BOUND_IS_STRICT) {
            errors = strict_errors(row, e, scale, left, wish);
        } else {
            errors = clt_errors(row, e, s.count, few, d.flags);
            precise float ratio = EPSILON / errors.target;
            own_squares = squares * ratio * ratio;
            wish.squares = errors.target <= EPSILON
                ? own_squares : min(own_squares / STAGE_MARGIN[push.round], squares / LEAST_GROWTH);
            if (errors.target > EPSILON && (few || wish.squares <= 0.0)) {
                wish.scale = scale_for_few(row, scale);
            }
        }
    }
    // What does hold when the row ends here: nothing, if a token is out of line.
    d.error = heavy ? INFINITE : errors.target;
    d.normaliser_bound = errors.normaliser;
    if (heavy) {
        wish.squares = min(wish.squares, squares / HEAVY_GROWTH);
    }
    bool met = d.error <= EPSILON && !heavy;
    float wanted = float(control[group_word(group, VSA_G_TOP_K)] + s.count);
    if (valid && errors.size > 0.0 && d.error > 0.0 && (wish.scale > 0.0 || wish.squares > 0.0)) {
        guide = next_guide(row, wish);
        wanted = guide_tokens(guide);
        // The margin is not what the row wants.
        if (!met && wish.scale <= 0.0) {
            wanted = guide_tokens(guide_solve(row, GUIDE_SQUARES, own_squares));
        } else if (BOUND == VSA_BOUND_IS_STRICT) {
            wanted = guide_tokens(guide_of(row, wish.scale / STRICT_MARGIN));
        }
    }
    d.wanted = uint(min(ceil(wanted), float(candidates)));
    bool dense = guide_is_dense(guide, candidates);
    bool capped = guide_tokens(guide) > float(MAX_SAMPLES);
    if (valid && !met && capped) {
        guide = guide_solve(row, GUIDE_TOKENS, float(MAX_SAMPLES));
    }
    bool last = push.round + 1u == VSA_ROUNDS || (capped && guide.scale < LEAST_GROWTH * scale);

    if (!valid) {
        d.status = VSA_STATUS_INVALID;
    } else if (broken) {
        d.status = VSA_STATUS_EXACT;
        d.flags |= VSA_FLAG_BOUND_BROKEN;
    } else if (errors.size <= 0.0) {
        d.status = VSA_STATUS_EXACT;
        d.flags |= VSA_FLAG_UNATTAINABLE;
    } else if (met) {
        d.status = VSA_STATUS_MET;
    } else if (dense) {
        d.status = VSA_STATUS_EXACT;
        d.flags |= heavy ? VSA_FLAG_HEAVY_SAMPLE : VSA_FLAG_UNATTAINABLE;
    } else if (last) {
        d.flags |= heavy ? VSA_FLAG_HEAVY_SAMPLE : 0;
        d.status = DENSE_ON_MISS != 0u ? VSA_STATUS_EXACT : VSA_STATUS_MISSED;
    }

    barrier();
    uint tid = gl_LocalInvocationID.x;
    if (CARRIES) {
        write_need(row, d.status, heavy ? 0.0 : own_squares);
    }
    for (uint quad = tid; CENTRED && quad < DV / 4; quad += WG) {
        partials[centre_at(row) + quad] = mean_shared[quad];
    }
    if (d.status == 0u) {
        if (tid == 0u) {
            uint word = row_word(row, 0u);
            control[word + VSA_R_SCALE] = floatBitsToUint(guide.scale);
            control[word + VSA_R_WANTED] = d.wanted;
            control[word + VSA_R_STATUS] = 0u;
            atomicMax(control[group_word(group, VSA_G_EXTENDED)], push.round + 1u);
            float kept = uintBitsToFloat(control[word + VSA_R_KEPT]);
            if (BOUND == VSA_BOUND_IS_STRICT || guide.scale > KEPT_SURELY * kept) {
                control[word + VSA_R_KEPT] = floatBitsToUint(guide.scale * KEEP);
                request_scan(group);
            }
        }
        request_samples(group);
    } else if (d.status == VSA_STATUS_EXACT) {
        if (tid == 0u) {
            uint word = row_word(row, 0u);
            control[word + VSA_R_SCALE] = 0u;   // asks for nothing any more
            control[word + VSA_R_KEPT] = 0u;
            control[word + VSA_R_OLD] = s.count;
            control[word + VSA_R_GRANTED] = s.count;
            control[word + VSA_R_WANTED] = d.wanted;
            control[word + VSA_R_STATUS] = d.status;
            control[word + VSA_R_FLAGS] = d.flags & ~uint(VSA_FLAG_FLOORED);
        }
        request_dense(group);
    } else {
        // Another row of the group may go on: then this one is estimated again, with more samples.
        finish_row(row, group, d, e, s);
    }
}

void main()
{
    uint group = gl_WorkGroupID.y + push.first_y;
    uint row = group * GROUP + gl_WorkGroupID.x + push.first_x;
    bool first = push.round == 0u;
    if (control[group_word(group, VSA_G_LENGTH)] == 0u) {
        if (first) {
            finish_empty(row, group);
        }
    } else if (control[row_word(row, VSA_R_STATUS)] == VSA_STATUS_EXACT) {
        if (first) {
            request_dense(group);
        }
    } else if (control[group_word(group, VSA_G_EXTENDED)] >= push.round) {
        decide_row(row, group);
    }
}
