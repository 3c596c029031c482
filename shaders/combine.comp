#version 450
// Guaranteed-error aggregation: one workgroup per row, after the base sample and after each
// extension (push.round). For a row that is still open: merges the partials, estimates the output
// and its error, and finishes the row, hands it to the dense pass, or grants more samples.
// Formulas and order of decisions: docs/algorithm.md, "Estimate", "Error", "Budget".
// In: PARTIALS. Out: out, certificates, grants, dispatch arguments. Grid: (1, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "output.glsl"
#include "quantile.glsl"

layout(constant_id = VSA_ID_EPSILON) const float EPSILON = 0.1;
layout(constant_id = VSA_ID_MAX_SAMPLES) const uint MAX_SAMPLES = 0;
layout(constant_id = VSA_ID_MOMENTS_OFFSET) const uint MOMENTS_OFFSET = 0;
layout(constant_id = VSA_ID_DENSE_ON_MISS) const uint DENSE_ON_MISS = 1;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) readonly buffer Partials { vec4 partials[]; };

const uint GROUPS = VSA_RANDOM_GROUPS;   // WG is (GROUPS / 2)^2
const uint TILE_QUADS = 8;   // of 4 channels
#define INFINITE uintBitsToFloat(0x7f800000u)

shared vec4 reduce_shared[WG];
shared float scale_shared[WG];
shared float group_scale[GROUPS];
shared float group_sum[GROUPS];
shared vec4 out_shared[DV / 4];
shared vec4 rho_shared[GROUPS * (TILE_QUADS + 1)];

// Sums and maxima over the workgroup, in two levels of REDUCE_WIDTH: the same for every invocation
// and device. Four at a time, because barriers are what these cost.
const uint REDUCE_WIDTH = 16;
const uint REDUCE_COUNT = WG / REDUCE_WIDTH;

vec4 reduce_sum(vec4 value)
{
    uint tid = gl_LocalInvocationID.x;
    reduce_shared[tid] = value;
    barrier();
    vec4 total = vec4(0.0);
    if (tid < REDUCE_COUNT) {
        for (uint i = 0; i < LOOP(REDUCE_WIDTH); i++) {
            total += reduce_shared[tid * REDUCE_WIDTH + i];
        }
        reduce_shared[tid * REDUCE_WIDTH] = total;
    }
    barrier();
    total = vec4(0.0);
    for (uint i = 0; i < LOOP(REDUCE_COUNT); i++) {
        total += reduce_shared[i * REDUCE_WIDTH];
    }
    barrier();
    return total;
}

vec4 reduce_max(vec4 value)
{
    uint tid = gl_LocalInvocationID.x;
    reduce_shared[tid] = value;
    barrier();
    vec4 best = value;
    if (tid < REDUCE_COUNT) {
        for (uint i = 0; i < LOOP(REDUCE_WIDTH); i++) {
            best = max(best, reduce_shared[tid * REDUCE_WIDTH + i]);
        }
        reduce_shared[tid * REDUCE_WIDTH] = best;
    }
    barrier();
    best = reduce_shared[0];
    for (uint i = 1; i < LOOP(REDUCE_COUNT); i++) {
        best = max(best, reduce_shared[i * REDUCE_WIDTH]);
    }
    barrier();
    return best;
}

// In units of 4 words: the header (VSA_PARTIAL_...) and the values of a partial.
uint partial_at(uint row, uint slot) { return partial_word(row, slot) / 4u; }
uint values_at(uint row, uint slot) { return partial_at(row, slot) + VSA_PARTIAL_VALUES / 4; }

struct Sample {
    uint residual;   // N
    uint count;      // b
    uint splits;     // partials of the exact set
};

struct Estimate {
    float maximum;       // sums below are relative to e^maximum
    float denominator;
    float sampled_sum;   // l
    float squares;       // sum of w^2 over the samples
    float heaviest;      // largest sampled weight
    float out_squared;   // |out|^2
};

// Also fills group_scale, group_sum and out_shared. All invocations return the same.
Estimate estimate_row(uint row, Sample s)
{
    uint tid = gl_LocalInvocationID.x;
    float ratio = SAMPLES != 0u ? float(s.residual) / float(s.count) : 0.0;
    vec4 header = vec4(MASKED, 0.0, 0.0, 0.0);
    if (SAMPLES != 0u && tid < GROUPS) {
        header = partials[partial_at(row, EXACT_SPLITS + tid)];
    }
    float own_max = header[VSA_PARTIAL_MAX];
    float exact_max = MASKED;
    for (uint i = tid; i < s.splits; i += WG) {
        exact_max = max(exact_max, partials[partial_at(row, i)][VSA_PARTIAL_MAX]);
    }
    vec4 maxima = reduce_max(vec4(own_max, exact_max, MASKED, MASKED));
    Estimate e;
    e.maximum = max(maxima.x, maxima.y);
    e.heaviest = weight(maxima.x, e.maximum);

    float scale = weight(own_max, e.maximum);
    float sum = scale * header[VSA_PARTIAL_SUM];
    float squares = scale * scale * header[VSA_PARTIAL_SQUARES];
    if (tid < GROUPS) {
        group_scale[tid] = scale;
        group_sum[tid] = sum;
    }

    // Exact set, a tile of splits at a time; invocation tid owns channels 4 tid to 4 tid + 3.
    float exact_sum = 0.0;
    vec4 numerator = vec4(0.0);
    for (uint base = 0; base < s.splits; base += WG) {
        uint count = min(s.splits - base, WG);
        if (tid < count) {
            vec4 split = partials[partial_at(row, base + tid)];
            float split_scale = weight(split[VSA_PARTIAL_MAX], e.maximum);
            scale_shared[tid] = split_scale;
            exact_sum += split_scale * split[VSA_PARTIAL_SUM];
        }
        barrier();
        if (tid < DV / 4) {
            for (uint i = 0; i < count; i++) {
                numerator += scale_shared[i] * partials[values_at(row, base + i) + tid];
            }
        }
        barrier();
    }
    vec4 sums = reduce_sum(vec4(exact_sum, sum, squares, 0.0));
    e.sampled_sum = sums.y;
    e.squares = sums.z;
    e.denominator = sums.x + ratio * e.sampled_sum;

    vec4 value = vec4(0.0);
    if (tid < DV / 4) {
        vec4 sampled = vec4(0.0);
        for (uint i = 0; SAMPLES != 0u && i < LOOP(GROUPS); i++) {
            sampled += group_scale[i] * partials[values_at(row, EXACT_SPLITS + i) + tid];
        }
        value = (numerator + ratio * sampled) / e.denominator;
        out_shared[tid] = value;
    }
    e.out_squared = reduce_sum(vec4(dot(value, value), 0.0, 0.0, 0.0)).x;
    return e;
}

struct Spread {
    float trace;   // T
    float rank;    // h
};

// Spread of the random groups' contributions to the error. All invocations return the same.
Spread group_spread(uint row, Sample s, Estimate e)
{
    uint tid = gl_LocalInvocationID.x;
    float factor = float(s.residual) / float(s.count) / e.denominator;
    const uint share = GROUPS * TILE_QUADS / WG;
    // Invocation tid owns the products of two random groups with two others: WG = 16 * 16.
    uint first = tid / (GROUPS / 2) * 2u;
    uint second = tid % (GROUPS / 2) * 2u;
    vec4 dots = vec4(0.0);
    for (uint base = 0; base < LOOP(DV / 4); base += TILE_QUADS) {
        for (uint i = 0; i < LOOP(share); i++) {
            uint item = tid + i * WG;
            uint g = item / TILE_QUADS;
            uint quad = base + item % TILE_QUADS;
            vec4 rho = vec4(0.0);
            if (quad < DV / 4) {
                vec4 mean = TARGET == VSA_TARGET_O ? out_shared[quad] : vec4(0.0);
                rho = factor * (group_scale[g] * partials[values_at(row, EXACT_SPLITS + g) + quad] -
                                group_sum[g] * mean);
            }
            rho_shared[g * (TILE_QUADS + 1) + item % TILE_QUADS] = rho;
        }
        barrier();
        if (tid < TILE_QUADS) {
            vec4 mean = vec4(0.0);
            for (uint g = 0; g < LOOP(GROUPS); g++) {
                mean += rho_shared[g * (TILE_QUADS + 1) + tid];
            }
            mean /= float(GROUPS);
            for (uint g = 0; g < LOOP(GROUPS); g++) {
                rho_shared[g * (TILE_QUADS + 1) + tid] -= mean;
            }
        }
        barrier();
        for (uint quad = 0; quad < LOOP(TILE_QUADS); quad++) {
            vec4 a0 = rho_shared[first * (TILE_QUADS + 1) + quad];
            vec4 a1 = rho_shared[(first + 1u) * (TILE_QUADS + 1) + quad];
            vec4 b0 = rho_shared[second * (TILE_QUADS + 1) + quad];
            vec4 b1 = rho_shared[(second + 1u) * (TILE_QUADS + 1) + quad];
            dots += vec4(dot(a0, b0), dot(a0, b1), dot(a1, b0), dot(a1, b1));
        }
        barrier();
    }
    // On the diagonal blocks x and w are squared lengths, y and z one pair seen twice.
    bool diagonal = first == second;
    float trace = diagonal ? dots.x + dots.w : 0.0;
    vec4 pairs = diagonal ? vec4(0.0, dots.yz, 0.0) : dots;
    float squares = dot(pairs, pairs);
    vec4 sums = reduce_sum(vec4(trace, squares, 0.0, 0.0));
    precise float spread = sums.x / float(GROUPS - 1);
    precise float t2 = sums.y / float(GROUPS * (GROUPS - 1)) -
                       spread * spread / float(GROUPS * GROUPS);
    precise float rank = 0.7 * spread * spread / t2;
    return Spread(spread, t2 > 0.0 ? clamp(rank, 1.0, float(DV)) : float(DV));
}

void add_ranges(uint set, uint group, uint total, uint nx, uint ny, uint rx)
{
    uint first = group * BLOCKS / ny * rx;
    for (uint i = 0; i < rx; i++) {
        uint count = min(nx, total - min(i * nx, total));
        atomicMax(control[((set * VSA_MAX_RANGES) + first + i) * VSA_ARGS_WORDS], count);
    }
}

uint members(uint group)
{
    uint length = control[group_word(group, VSA_G_LENGTH)];
    return length - control[group_word(group, VSA_G_RESIDUAL)];
}

void finish_row(uint row, uint group, uint status, float error, Estimate e, uint samples,
                uint wanted)
{
    uint tid = gl_LocalInvocationID.x;
    bool invalid = status == VSA_STATUS_INVALID;
    for (uint quad = tid; quad < DV / 4; quad += WG) {
        vec4 value = invalid ? vec4(0.0) : out_shared[quad];
        write_out_pair(row, quad * 2u, value.x, value.y);
        write_out_pair(row, quad * 2u + 1u, value.z, value.w);
    }
    if (tid == 0u) {
        float log_normaliser = invalid ? -INFINITE : e.maximum + log(e.denominator);
        write_certificate(row, status, error, log_normaliser,
                          control[group_word(group, VSA_G_LENGTH)], members(group), samples,
                          wanted);
        control[row_word(row, VSA_R_STATUS)] = status;
        control[row_word(row, VSA_R_OLD)] = samples;
        control[row_word(row, VSA_R_GRANTED)] = samples;
        control[row_word(row, VSA_R_WANTED)] = wanted;
    }
}

// Sums of w and w^2 over the whole residual, relative to the estimate's maximum, from the exact
// scorer. The row's maximum can only be larger than what was read; the clamp keeps the result
// finite, and so large that the row goes dense.
vec2 residual_moments(uint row, uint group, Estimate e)
{
    uint length = control[group_word(group, VSA_G_LENGTH)];
    uint chunks = (length + VSA_SELECT_CHUNK - 1u) / VSA_SELECT_CHUNK;
    vec4 sums = vec4(0.0);
    for (uint i = gl_LocalInvocationID.x; i < chunks; i += WG) {
        sums += partials[(MOMENTS_OFFSET / 4) + row * (TOKEN_STRIDE / VSA_SELECT_CHUNK) + i];
    }
    sums = reduce_sum(sums);
    float above = order_value(control[row_word(row, VSA_R_MAX)]) - e.maximum;
    float scale = above > 0.0 ? exp(min(above, 20.0)) : exp_negative(above);
    return vec2(sums.x * scale, sums.y * scale * scale);
}

const uint DECIDE_DENSE = VSA_STATUS_EXACT;
const uint DECIDE_EXTEND = 0;
const uint NEEDS_DENSE = 0xffffffffu;

bool is_valid(uint row, Estimate e)
{
    return control[row_word(row, VSA_R_NONFINITE)] == 0u && e.denominator > 0.0 &&
           is_finite(e.denominator) && is_finite(e.out_squared);
}

// Methods without samples promise nothing.
void finish_unverified(uint row, uint group, Sample s)
{
    Estimate e = estimate_row(row, s);
    bool valid = is_valid(row, e);
    barrier();
    finish_row(row, group, valid ? VSA_STATUS_MISSED : VSA_STATUS_INVALID, INFINITE, e, 0u, 0u);
}

// Returns the samples the row is to have, 0 when it is finished, NEEDS_DENSE when it goes dense.
uint decide_row(uint row, uint group, Sample s)
{
    Estimate e = estimate_row(row, s);
    float n = float(s.residual);
    float b = float(s.count);
    precise float quantile;
    precise float spread;      // S
    precise float size = 1.0;  // size^2
    precise float shrink = 1.0 / b - 1.0 / n;
    const bool known = TOKEN_STRIDE != 0u;   // every logit of the residual
    vec2 moments = known ? residual_moments(row, group, e) : vec2(0.0);
    if (TARGET == VSA_TARGET_D) {
        precise float variance =
            known ? max(moments.y - moments.x * (moments.x / n), 0.0) / (n - 1.0)
                  : max(e.squares - e.sampled_sum * (e.sampled_sum / b), 0.0) / (b - 1.0);
        precise float factor = n / e.denominator;
        spread = factor * factor * variance;
        quantile = known ? Z_TWO_SIDED * Z_TWO_SIDED : student_squared(b - 1.0);
    } else {
        Spread groups = group_spread(row, s, e);
        spread = float(GROUPS) * b * groups.trace;
        if (known) {
            precise float expected = moments.y * (b / n);
            precise float correction = e.squares > 0.0 ? expected / e.squares : 0.0;
            spread = e.squares > 0.0 ? spread * min(correction, 1.0e9)
                                     : (expected > 0.0 ? 1.0e30 : 0.0);
        }
        quantile = rank_quantile(groups.rank);
        size = max(e.out_squared - spread * shrink, 0.0);
    }
    precise float error = size > 0.0 ? sqrt(quantile * spread * shrink / size) : INFINITE;
    precise float plain = size > 0.0 ? quantile * spread / (EPSILON * EPSILON * size) : n * n;
    precise float corrected = min(ceil(plain / (1.0 + plain / n)), n);
    uint wanted = (uint(corrected) + GROUPS - 1u) / GROUPS * GROUPS;
    uint margin = (wanted / 8u + GROUPS - 1u) / GROUPS * GROUPS;
    uint next = min(max(wanted + margin, s.count + GROUPS), MAX_SAMPLES);
    bool last = push.round + 1u == VSA_ROUNDS;

    uint decision;
    if (!is_valid(row, e)) {
        decision = VSA_STATUS_INVALID;
        error = INFINITE;
    } else if (size <= 0.0 || e.heaviest > 0.5 * EPSILON * e.denominator) {
        decision = DECIDE_DENSE;
    } else if (error <= EPSILON) {
        decision = VSA_STATUS_MET;
    } else if (next >= s.residual - s.residual / 2u) {
        decision = DECIDE_DENSE;
    } else if (last || next <= s.count) {
        decision = DENSE_ON_MISS != 0u ? DECIDE_DENSE : uint(VSA_STATUS_MISSED);
    } else {
        decision = DECIDE_EXTEND;
    }

    barrier();
    if (decision == DECIDE_EXTEND || decision == DECIDE_DENSE) {
        bool dense = decision == DECIDE_DENSE;
        if (gl_LocalInvocationID.x == 0u) {
            control[row_word(row, VSA_R_OLD)] = s.count;
            control[row_word(row, VSA_R_GRANTED)] = dense ? s.count : next;
            control[row_word(row, VSA_R_WANTED)] = wanted;
            control[row_word(row, VSA_R_STATUS)] = dense ? uint(VSA_STATUS_EXACT) : 0u;
            if (dense) {
                atomicOr(control[group_word(group, VSA_G_DENSE)], 1u);
            }
        }
        return dense ? NEEDS_DENSE : next;
    }
    finish_row(row, group, decision, error, e, s.count, wanted);
    return 0u;
}

void main()
{
    uint row = gl_WorkGroupID.y + push.first_y;
    uint group = row / GROUP;
    uint length = control[group_word(group, VSA_G_LENGTH)];
    bool scanned = control[group_word(group, VSA_G_SCAN)] != 0u;
    uint next = 0u;
    if (length == 0u) {
        if (push.round == 0u) {
            Estimate nothing = Estimate(0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
            finish_row(row, group, VSA_STATUS_INVALID, INFINITE, nothing, 0u, 0u);
        }
    } else if (!scanned) {
        next = push.round == 0u ? NEEDS_DENSE : 0u;
    } else if (control[row_word(row, VSA_R_STATUS)] == 0u) {
        Sample s;
        s.residual = control[group_word(group, VSA_G_RESIDUAL)];
        s.count = control[row_word(row, VSA_R_GRANTED)];
        s.splits = (members(group) + VSA_EXACT_CHUNK - 1u) / VSA_EXACT_CHUNK;
        if (SAMPLES == 0u) {
            finish_unverified(row, group, s);
        } else {
            next = decide_row(row, group, s);
        }
    }
    if (gl_LocalInvocationID.x == 0u && next != 0u) {
        if (next == NEEDS_DENSE) {
            uint splits = (length + push.chunk_tokens - 1u) / push.chunk_tokens;
            add_ranges(VSA_ARGS_DENSE, group, splits, push.dense_nx, push.dense_ny, push.dense_rx);
        } else {
            add_ranges(push.round + 1u, group, GROUPS, push.sample_nx, push.sample_ny,
                       push.sample_rx);
        }
    }
}
