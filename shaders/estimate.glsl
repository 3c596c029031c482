// What one row's partials say: the estimate of D and out, the spread of its random groups, and the
// writing of a finished row. docs/algorithm.md, "Estimate", "Error", "Guided".
// Needs the bindings `control` and `partials`, math.glsl, output.glsl; WG is at least 32 and DV / 4.
#ifndef ESTIMATE_GLSL
#define ESTIMATE_GLSL
#extension GL_EXT_control_flow_attributes : require
#include "reduce.glsl"
#include "add_ranges.glsl"

layout(constant_id = VSA_ID_MOMENTS_OFFSET) const uint MOMENTS_OFFSET = 0;
layout(constant_id = VSA_ID_MASSES_OFFSET) const uint MASSES_OFFSET = 0;
layout(constant_id = VSA_ID_CENTRE_OFFSET) const uint CENTRE_OFFSET = 0;
layout(constant_id = VSA_ID_STATE_STRIDE) const uint STATE_STRIDE = 0;
layout(constant_id = VSA_ID_VALUE_FLOOR) const float VALUE_FLOOR = 0.0;
layout(constant_id = VSA_ID_SCORER) const uint SCORER = VSA_SCORER_IS_EXACT;

const uint GROUPS = VSA_RANDOM_GROUPS;
// Guided, bound strict: differences to a fixed centre instead of a ratio.
const bool CENTRED = GUIDED != 0 && STATE_STRIDE != 0;
// A share of D that f32 sums cannot tell from 0.
const float NOTHING = 1.9e-6;
// Every logit of the residual is known.
const bool KNOWN = TOKEN_STRIDE != 0 && SCORER == VSA_SCORER_IS_EXACT;

// The effective rank is estimated from pairs of random groups inside the same SPREAD_BLOCK. A team of
// invocations has the pairs of one half of a block and, of the pairs across the halves, every second
// one: as few products as it takes to keep them in registers.
const uint SPREAD_BLOCK = 8;
const uint SPREAD_HALF = SPREAD_BLOCK / 2;
const uint SPREAD_TEAMS = GROUPS / SPREAD_HALF;
const uint SPREAD_OWN = SPREAD_HALF * (SPREAD_HALF + 1) / 2;   // pairs of a half, with the diagonal
const uint SPREAD_PAIRS = SPREAD_OWN + SPREAD_HALF * SPREAD_HALF / 2;
const uint SPREAD_SPLIT = WG / SPREAD_TEAMS;                   // invocations of a team

shared float scale_shared[WG];
shared float group_scale[GROUPS];
shared float group_sum[GROUPS];
shared vec4 out_shared[DV / 4];
shared vec4 exact_shared[DV / 4];   // the exact set's own mean
shared vec4 centre_shared[DV / 4];
shared vec4 mean_shared[CENTRED ? DV / 4 : 1];   // the next centre: B / l, or out when D is estimated
shared vec4 spread_mean[DV / 4];                  // mean rho, times e.denominator / e.ratio
shared float pair_shared[SPREAD_PAIRS * WG];

// In units of 4 words: the header (VSA_PARTIAL_...) and the values of a partial.
uint partial_at(uint row, uint slot) { return partial_word(row, slot) / 4u; }
uint values_at(uint row, uint slot) { return partial_at(row, slot) + VSA_PARTIAL_VALUES / 4; }
uint centre_at(uint row) { return (CENTRE_OFFSET + row * DV) / 4u; }

struct Sample {
    uint residual;   // N
    uint count;      // b
    uint members;    // of the exact set
};

struct Estimate {
    float maximum;       // sums below are relative to e^maximum
    float denominator;   // D
    float ratio;         // R
    float sampled_sum;   // l
    float squares;       // sum of w^2 (guided: of x^2) over the samples
    float heaviest;      // largest sampled weight
    float out_squared;   // |out|^2
    float value_squared; // v_rms^2, when NORMS
    vec4 moments;        // of residual.comp; guided: W when KNOWN, then those of pick.comp
    float unit;          // e^(row's largest score, guided: reference, - maximum)
    float largest;       // largest |v|^2 of what was read, or more (VSA_NORMS_LARGEST)
    float sampled_norms; // C, when NORMS
    float along;         // a . B   (CENTRED)
    float centre_squared; // |a|^2
    float moved;         // |out - a|^2
    float mean_squared;  // of the next centre: |a'|^2, |out - a'|^2, a'.B
    float from_mean;
    float along_mean;
};

uint members_of(uint group)
{
    uint length = control[group_word(group, VSA_G_LENGTH)];
    return length - control[group_word(group, VSA_G_RESIDUAL)];
}

Sample sample_of(uint row, uint group)
{
    return Sample(control[group_word(group, VSA_G_RESIDUAL)],
                  control[row_word(row, VSA_R_GRANTED)], members_of(group));
}

// Guided, exact scorer: where scan.comp has left the row's weights by chunk.
uint mass_chunks(uint group)
{
    uint length = control[group_word(group, VSA_G_LENGTH)];
    return GUIDED != 0u && KNOWN ? (length + VSA_SCORE_CHUNK - 1u) / VSA_SCORE_CHUNK : 0u;
}

uint mass_at(uint row, uint chunk)
{
    return MASSES_OFFSET / 4u + row * (TOKEN_STRIDE / VSA_SCORE_CHUNK) + chunk;
}

// As they are, relative to the row's largest score. Guided: sum of all weights relative to e^maximum
// (exact scorer), then the moments as they are.
vec4 residual_moments(uint row, uint group, float maximum)
{
    uint length = control[group_word(group, VSA_G_LENGTH)];
    uint chunks = (length + VSA_SELECT_CHUNK - 1u) / VSA_SELECT_CHUNK;
    vec4 sums = vec4(0.0);
    float largest = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < chunks; i += WG) {
        vec4 chunk = partials[(MOMENTS_OFFSET / 4) + row * (TOKEN_STRIDE / VSA_SELECT_CHUNK) + i];
        sums += GUIDED != 0u ? vec4(0.0, chunk.xy, 0.0) : chunk;
        largest = max(largest, chunk.z);
    }
    for (uint i = gl_LocalInvocationID.x; i < mass_chunks(group); i += WG) {
        vec4 mass = partials[mass_at(row, i)];
        sums.x += mass.y * weight(mass.x, maximum);
    }
    sums = reduce_sum(sums);
    if (GUIDED == 0u) {
        sums.z = reduce_max(vec4(largest)).x;
    }
    return sums;
}

// Also fills group_scale, group_sum, out_shared and centre_shared. All invocations return the same.
Estimate estimate_row(uint row, uint group, Sample s)
{
    uint tid = gl_LocalInvocationID.x;
    ExactSplits exact = exact_splits(s.members, control[group_word(group, VSA_G_TOP_K)]);
    uint splits = exact.fixed_count + exact.heavy_count;
    vec4 header = vec4(MASKED, 0.0, 0.0, 0.0);
    if (SAMPLES != 0u && tid < min(GROUPS, s.count)) {
        header = partials[partial_at(row, EXACT_SPLITS + tid)];
    }
    float own_max = header[VSA_PARTIAL_MAX];
    float exact_max = MASKED;
    float largest = NORMS == VSA_NORMS_LARGEST ? header[VSA_PARTIAL_NORMS] : 0.0;
    for (uint i = tid; i < splits; i += WG) {
        vec4 split = partials[partial_at(row, i)];
        exact_max = max(exact_max, split[VSA_PARTIAL_MAX]);
        largest = NORMS == VSA_NORMS_LARGEST ? max(largest, split[VSA_PARTIAL_NORMS]) : 0.0;
    }
    for (uint i = tid; i < mass_chunks(group); i += WG) {
        exact_max = max(exact_max, partials[mass_at(row, i)].x);
    }
    vec4 maxima = reduce_max(vec4(own_max, exact_max, largest, MASKED));
    Estimate e;
    e.maximum = max(maxima.x, maxima.y);
    e.heaviest = weight(maxima.x, e.maximum);
    e.largest = maxima.z;
    e.moments = vec4(0.0);
    e.unit = 1.0;
    if (SAMPLES != 0u && TOKEN_STRIDE != 0u) {
        // What was read may lie below the row's maximum; the clamp keeps the result finite, and so
        // large that the row goes dense.
        float above = order_value(control[row_word(row, VSA_R_MAX)]) - e.maximum;
        e.unit = above > 0.0 ? exp(min(above, 20.0)) : exp_negative(above);
        e.moments = residual_moments(row, group, e.maximum);
        if (GUIDED == 0u) {
            e.moments *= vec4(e.unit, e.unit * e.unit, e.unit, 1.0);
        }
    }

    float scale = weight(own_max, e.maximum);
    float sum = scale * header[VSA_PARTIAL_SUM];
    float squares = scale * scale * header[VSA_PARTIAL_SQUARES];
    float norms = scale * header[VSA_PARTIAL_NORMS];
    if (tid < GROUPS) {
        group_scale[tid] = scale;
        group_sum[tid] = sum;
    }

    // Exact set, a tile of splits at a time; invocation tid owns channels 4 tid to 4 tid + 3.
    float exact_sum = 0.0;
    float exact_norms = 0.0;
    vec4 numerator = vec4(0.0);
    for (uint base = 0; base < splits; base += WG) {
        uint count = min(splits - base, WG);
        if (tid < count) {
            vec4 split = partials[partial_at(row, base + tid)];
            float split_scale = weight(split[VSA_PARTIAL_MAX], e.maximum);
            scale_shared[tid] = split_scale;
            exact_sum += split_scale * split[VSA_PARTIAL_SUM];
            exact_norms += NORMS == VSA_NORMS_SUM ? split_scale * split[VSA_PARTIAL_NORMS] : 0.0;
        }
        barrier();
        if (tid < DV / 4) {
            for (uint i = 0; i < count; i++) {
                numerator += scale_shared[i] * partials[values_at(row, base + i) + tid];
            }
        }
        barrier();
    }
    vec4 sums = reduce_sum(vec4(exact_sum, sum, squares, norms));
    e.sampled_sum = sums.y;
    e.squares = sums.z;
    e.sampled_norms = sums.w;
    if (GUIDED != 0u && !KNOWN) {
        e.denominator = sums.x + sums.y;
        e.ratio = 1.0;
    } else if (GUIDED != 0u) {
        // What the scan summed less what was read; a difference that f32 cannot tell from 0 is none.
        e.denominator = max(e.moments.x, sums.x);
        float rest = e.denominator - sums.x;
        e.moments.x = s.residual > 0u && rest > NOTHING * e.denominator ? rest : 0.0;
        e.ratio = CENTRED ? 1.0 : e.sampled_sum > 0.0 ? e.moments.x / e.sampled_sum : 0.0;
    } else {
        e.ratio = SAMPLES != 0u ? float(s.residual) / float(s.count) : 0.0;
        e.denominator = sums.x + e.ratio * e.sampled_sum;
    }

    vec4 value = vec4(0.0);
    vec4 centre = vec4(0.0);
    vec4 sampled = vec4(0.0);
    uint groups = min(LOOP(GROUPS), s.count);
    if (tid < DV / 4) {
        for (uint i = LOOP(0); SAMPLES != 0u && i < groups; i++) {
            sampled += group_scale[i] * partials[values_at(row, EXACT_SPLITS + i) + tid];
        }
        if (CENTRED) {
            centre = push.round != 0u ? partials[centre_at(row) + tid] : vec4(0.0);
            numerator += KNOWN ? (e.moments.x - e.sampled_sum) * centre : vec4(0.0);
        }
        value = (numerator + e.ratio * sampled) / e.denominator;
        out_shared[tid] = value;
        exact_shared[tid] = sums.x > 0.0 ? numerator / sums.x : value;
        vec4 spread_centre = TARGET == VSA_TARGET_O ? value : vec4(0.0);
        if (GUIDED != 0u && KNOWN) {
            spread_centre = e.sampled_sum > 0.0 ? sampled / e.sampled_sum : vec4(0.0);
        }
        centre_shared[tid] = spread_centre;
        spread_mean[tid] = (sampled - e.sampled_sum * spread_centre) / float(max(groups, 1u));
    }
    vec4 products = reduce_sum(vec4(dot(value, value), dot(centre, sampled), dot(centre, centre),
                                    NORMS != 0u ? exact_norms : 0.0));
    vec4 moves = vec4(0.0);
    if (CENTRED) {
        vec4 mean = !KNOWN ? value
                    : e.sampled_sum > 0.0 ? sampled / e.sampled_sum : vec4(0.0);
        if (tid < DV / 4) {
            mean_shared[tid] = mean;
        }
        moves = reduce_sum(vec4(dot(value - centre, value - centre), dot(mean, mean),
                                dot(value - mean, value - mean), dot(mean, sampled)));
    }
    e.moved = moves.x;
    e.mean_squared = moves.y;
    e.from_mean = moves.z;
    e.along_mean = moves.w;
    e.out_squared = products.x;
    e.along = products.y;
    e.centre_squared = products.z;
    e.value_squared = (products.w + e.ratio * e.sampled_norms) / e.denominator;
    return e;
}

struct Spread {
    float trace;   // T
    float rank;    // h
};

// Spread of the random groups' contributions to the error. All invocations return the same.
// `count` of the groups have samples.
Spread group_spread(uint row, Estimate e, uint count)
{
    uint tid = gl_LocalInvocationID.x;
    float factor = e.ratio / e.denominator;
    // The team's half of its block, and the other one.
    uint team = tid / SPREAD_SPLIT;
    uint half_first = team * SPREAD_HALF;
    uint other_first = (team ^ 1u) * SPREAD_HALF;
    float products[SPREAD_PAIRS];
    [[unroll]] for (uint i = 0; i < SPREAD_PAIRS; i++) {
        products[i] = 0.0;
    }
    // Two channels at a time: all of this is to stay in registers, of which Haswell has few.
    for (uint pair = tid % SPREAD_SPLIT; pair < DV / 2; pair += SPREAD_SPLIT) {
        uint quad = pair / 2u;
        uint part = pair % 2u * 2u;
        vec2 centre = vec2(centre_shared[quad][part], centre_shared[quad][part + 1u]);
        vec2 mean = vec2(spread_mean[quad][part], spread_mean[quad][part + 1u]);
        // The half that is the team's own, then the other one's groups one after the other.
        vec2 own[SPREAD_HALF];
        [[unroll]] for (uint i = 0; i < SPREAD_BLOCK; i++) {
            uint j = i % SPREAD_HALF;
            // The odd team takes the other half in another order, and so the pairs that the even one
            // leaves out.
            uint g = i < SPREAD_HALF ? half_first + j : other_first + (j ^ (team & 1u));
            uint at = values_at(row, EXACT_SPLITS + min(g, count - 1u)) + quad;
            vec2 value = vec2(partials[at][part], partials[at][part + 1u]);
            value = g < count ? factor * (group_scale[g] * value - group_sum[g] * centre - mean)
                              : vec2(0.0);
            if (i < SPREAD_HALF) {
                own[j] = value;
            }
            // All of the half, of which some is left out: Mesa unrolls no loop around one whose length
            // varies, and keeps in memory what such loops index.
            [[unroll]] for (uint k = 0; k < SPREAD_HALF; k++) {
                if (i < SPREAD_HALF && k <= j) {
                    products[j * (j + 1u) / 2u + k] += dot(value, own[k]);
                } else if (i >= SPREAD_HALF && (j + k) % 2u == 0u) {
                    products[SPREAD_OWN + (j * SPREAD_HALF + k) / 2u] += dot(value, own[k]);
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < SPREAD_PAIRS; i++) {
        pair_shared[i * WG + tid] = products[i];
    }
    barrier();
    // Pair p of team k is summed by invocation p + SPREAD_PAIRS k.
    float trace = 0.0;
    float squares = 0.0;
    for (uint item = tid; item < SPREAD_PAIRS * SPREAD_TEAMS; item += WG) {
        uint pair = item % SPREAD_PAIRS;
        uint start = pair * WG + item / SPREAD_PAIRS * SPREAD_SPLIT;
        float product = 0.0;
        for (uint i = 0; i < LOOP(SPREAD_SPLIT); i++) {
            product += pair_shared[start + i];
        }
        // Row i of the triangle ends on the diagonal, at pair i (i + 3) / 2.
        bool diagonal = false;
        for (uint i = 0; i < SPREAD_HALF; i++) {
            diagonal = diagonal || pair == i * (i + 3u) / 2u;
        }
        trace += diagonal ? product : 0.0;
        squares += diagonal ? 0.0 : 2.0 * product * product;
    }
    vec4 sums = reduce_sum(vec4(trace, squares, 0.0, 0.0));
    float pairs = 0.0;
    for (uint first = 0; first < GROUPS; first += SPREAD_BLOCK) {
        float members = float(min(count - min(count, first), SPREAD_BLOCK));
        pairs += members * (members - 1.0);
    }
    precise float spread = sums.x / float(count - 1u);
    precise float t2 = sums.y / pairs - spread * spread / float(count * count);
    precise float rank = 0.7 * spread * spread / t2;
    return Spread(spread, t2 > 0.0 ? clamp(rank, 1.0, float(DV)) : float(DV));
}

// Moves out towards the exact set's own mean, as far as its noise says: less error, on average and
// for every truth, than the estimate itself ("Shrinking").
void shrink_out(float variance, float rank)
{
    uint tid = gl_LocalInvocationID.x;
    vec4 move = vec4(0.0);
    if (tid < DV / 4) {
        move = out_shared[tid] - exact_shared[tid];
    }
    float moved = reduce_sum(vec4(dot(move, move), 0.0, 0.0, 0.0)).x;
    float noise = max(1.0 - sqrt(2.8 / rank), 0.0) * variance;
    if (tid < DV / 4 && noise > 0.0) {
        out_shared[tid] -= moved > noise ? noise / moved * move : move;
    }
}

bool is_valid(uint row, Estimate e)
{
    return control[row_word(row, VSA_R_NONFINITE)] == 0u && e.denominator > 0.0 &&
           is_finite(e.denominator) && is_finite(e.out_squared);
}

// What the error is relative to, squared: |out|^2 less its own noise, or the floor. Adds the flag.
float relative_size(Estimate e, float noise, inout uint flags)
{
    precise float size = max(e.out_squared - noise, 0.0);
    if (VALUE_FLOOR > 0.0) {
        precise float lowest = VALUE_FLOOR * VALUE_FLOOR * e.value_squared;
        flags |= lowest > size ? uint(VSA_FLAG_FLOORED) : 0u;
        size = max(size, lowest);
    }
    return size;
}

// What is decided about a row after an estimate.
struct Decision {
    uint status;            // VSA_STATUS_..., EXACT: computed densely; 0: wait for more samples
    uint flags;
    float error;
    float normaliser_bound;
    uint wanted;
};

// Writes a row that is finished, for all that it knows.
void finish_row(uint row, uint group, Decision d, Estimate e, Sample s)
{
    uint tid = gl_LocalInvocationID.x;
    bool invalid = d.status == VSA_STATUS_INVALID;
    for (uint quad = tid; quad < DV / 4; quad += WG) {
        vec4 value = invalid ? vec4(0.0) : out_shared[quad];
        write_out_pair(row, quad * 2u, value.x, value.y);
        write_out_pair(row, quad * 2u + 1u, value.z, value.w);
    }
    if (tid == 0u) {
        uint word = row_word(row, 0u);
        Certificate c;
        c.status = d.status;
        c.flags = d.flags;
        c.error = invalid ? INFINITE : d.error;
        c.normaliser_bound = invalid ? INFINITE : d.normaliser_bound;
        c.log_normaliser = invalid ? -INFINITE : e.maximum + log(e.denominator);
        c.tokens = control[group_word(group, VSA_G_LENGTH)];
        c.exact = s.members;
        c.sampled = s.count;
        c.wanted = d.wanted;
        c.gathered = GUIDED != 0u ? control[word + VSA_R_GATHERED] : s.members + s.count;
        write_certificate(row, c);
        control[word + VSA_R_STATUS] = d.status;
        control[word + VSA_R_OLD] = s.count;
        control[word + VSA_R_GRANTED] = s.count;
        control[word + VSA_R_WANTED] = d.wanted;
    }
}

// A row whose group has nothing to attend to.
void finish_empty(uint row, uint group)
{
    Estimate nothing;   // an invalid row reads none of it
    nothing.maximum = 0.0;
    nothing.denominator = 1.0;
    finish_row(row, group, Decision(VSA_STATUS_INVALID, 0u, 0.0, 0.0, 0u), nothing,
               Sample(0u, 0u, 0u));
}

// The dense pass has to serve this row.
void request_dense(uint group)
{
    if (gl_LocalInvocationID.x == 0u) {
        uint length = control[group_word(group, VSA_G_LENGTH)];
        uint splits = (length + push.chunk_tokens - 1u) / push.chunk_tokens;
        add_ranges(VSA_ARGS_DENSE, group, splits);
        atomicOr(control[group_word(group, VSA_G_DENSE)], 1u);
    }
}

// The keys of the row's group have to be scanned before the next stage.
void request_scan(uint group)
{
    if (gl_LocalInvocationID.x == 0u) {
        uint length = control[group_word(group, VSA_G_LENGTH)];
        uint chunks = (length + VSA_SCORE_CHUNK - 1u) / VSA_SCORE_CHUNK;
        add_ranges(VSA_ARGS_SCAN + push.round + 1u, group, chunks);
        atomicMax(control[group_word(group, VSA_G_SCANNED)], push.round + 1u);
    }
}

// The next attend has to read further samples of the row's group, which is then estimated again.
void request_samples(uint group)
{
    if (gl_LocalInvocationID.x == 0u) {
        add_ranges(VSA_ARGS_SAMPLES + push.round + 1u, group, GROUPS);
        add_ranges(VSA_ARGS_COMBINE + push.round + 1u, group, GROUP);
        if (GUIDED != 0u) {
            uint length = control[group_word(group, VSA_G_LENGTH)];
            add_ranges(VSA_ARGS_PICK + push.round + 1u, group,
                       (length + VSA_SELECT_CHUNK - 1u) / VSA_SELECT_CHUNK);
        }
    }
}
#endif
