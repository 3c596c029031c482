// Method guided: the scale c of a row from its bins. docs/algorithm.md, "Choosing c".
// Needs the binding `control` and math.glsl; WG divides VSA_GUIDE_BINS.
#ifndef GUIDE_GLSL
#define GUIDE_GLSL
#include "reduce.glsl"

layout(constant_id = VSA_ID_BINS_OFFSET) const uint BINS_OFFSET = 0;

const uint GUIDE_BLOCK = 8;
const uint GUIDE_NONE = 0xffffffffu;
const uint OWN_BINS = VSA_GUIDE_BINS / WG;

shared vec3 guide_own[WG];                    // tokens, weight, squared weight of OWN_BINS bins
shared vec3 guide_block[WG / GUIDE_BLOCK];
shared uint guide_first;
shared vec4 guide_found;

struct Guide {
    bool  found;
    float scale;     // c
    float heavy;     // H: tokens
    float light;     // T: weight of the other tokens
    float squares;   // Q: the sum of its squares
};

// Expected samples, expected tokens, and sum w^2 (1 / pi - 1) of the samples: A.
float guide_samples(Guide g) { return g.scale * g.light; }
float guide_tokens(Guide g) { return g.heavy + g.scale * g.light; }
float guide_variance(Guide g) { return max(g.light / g.scale - g.squares, 0.0); }

float bin_weight(uint bin)
{
    return exp_negative(-(float(bin) + 0.5) / float(VSA_GUIDE_STEP));
}

// What c is wanted for: expected samples, expected tokens (heavy ones included), or the value of
// sum w^2 (1 / pi - 1).
const uint GUIDE_SAMPLES = 0;
const uint GUIDE_TOKENS = 1;
const uint GUIDE_SQUARES = 2;

// The c that takes the `heavy` tokens of bins [0, t) as heavy. Not above 0: there is none.
float guide_scale(uint goal, float amount, float heavy, vec3 rest)
{
    if (rest.y <= 0.0) {
        return 0.0;
    }
    return goal == GUIDE_SQUARES ? rest.y / (amount + rest.z)
                                 : (goal == GUIDE_TOKENS ? amount - heavy : amount) / rest.y;
}

// Tokens, weight and squared weight of a bin.
vec3 guide_bin(uint row, uint bin)
{
    float count = float(control[BINS_OFFSET + row * VSA_GUIDE_BINS + bin]);
    float w = bin_weight(bin);
    return vec3(count, count * w, count * w * w);
}

// All invocations call it and get the same.
Guide guide_solve(uint row, uint goal, float amount)
{
    uint tid = gl_LocalInvocationID.x;
    uint first = tid * OWN_BINS;
    // Light bins first, so that small sums are not lost in large ones: rest[i] is of own bins i and up.
    vec3 rest[OWN_BINS];
    vec3 own = vec3(0.0);
    for (uint i = OWN_BINS; i > 0u; i--) {
        own += guide_bin(row, first + i - 1u);
        rest[i - 1u] = own;
    }
    guide_own[tid] = own;
    if (tid == 0u) {
        guide_first = GUIDE_NONE;
        guide_found = vec4(0.0);
    }
    barrier();
    if (tid < WG / GUIDE_BLOCK) {
        vec3 sum = vec3(0.0);
        for (uint i = LOOP(GUIDE_BLOCK); i > 0u; i--) {
            sum += guide_own[tid * GUIDE_BLOCK + i - 1u];
        }
        guide_block[tid] = sum;
    }
    barrier();
    vec3 after = vec3(0.0);
    for (uint i = LOOP(WG / GUIDE_BLOCK); i > tid / GUIDE_BLOCK + 1u; i--) {
        after += guide_block[i - 1u];
    }
    uint block_end = (tid / GUIDE_BLOCK + 1u) * GUIDE_BLOCK;
    for (uint i = block_end; i > tid + 1u; i--) {
        after += guide_own[i - 1u];
    }
    float before = 0.0;
    for (uint i = 0u; i < tid / GUIDE_BLOCK; i++) {
        before += guide_block[i].x;
    }
    for (uint i = tid / GUIDE_BLOCK * GUIDE_BLOCK; i < tid; i++) {
        before += guide_own[i].x;
    }
    // t is the first bin that is not heavy, of this invocation's bins the lowest that fits.
    uint found = GUIDE_NONE;
    vec4 answer = vec4(0.0);
    for (uint i = OWN_BINS; i > 0u; i--) {
        float heavy = before + own.x - rest[i - 1u].x;
        vec3 light = after + rest[i - 1u];
        float scale = guide_scale(goal, amount, heavy, light);
        if (scale > 0.0 && scale * bin_weight(first + i - 1u) < VSA_HEAVY) {
            found = first + i - 1u;
            answer = vec4(scale, heavy, light.yz);
        }
    }
    if (found != GUIDE_NONE) {
        atomicMin(guide_first, found);
    }
    barrier();
    if (found != GUIDE_NONE && found == guide_first) {
        guide_found = answer;
    }
    barrier();
    vec4 result = guide_found;
    barrier();
    return Guide(result.x > 0.0, result.x, result.y, result.z, result.w);
}

// A given c. All invocations call it and get the same.
Guide guide_of(uint row, float scale)
{
    uint first = gl_LocalInvocationID.x * OWN_BINS;
    vec3 sums = vec3(0.0);
    for (uint i = OWN_BINS; i > 0u; i--) {
        vec3 bin = guide_bin(row, first + i - 1u);
        sums += scale * bin_weight(first + i - 1u) < VSA_HEAVY ? vec3(0.0, bin.yz)
                                                               : vec3(bin.x, 0.0, 0.0);
    }
    sums = reduce_sum(vec4(sums, 0.0)).xyz;
    return Guide(true, scale, sums.x, sums.y, sums.z);
}

// Stage 0: `base` expected tokens, 24 of them samples unless the light tokens hold no more than
// `negligible` of all weight; but no more than `limit` tokens.
Guide guide_open(uint row, float base, float limit, float negligible)
{
    Guide most = guide_solve(row, GUIDE_TOKENS, limit);
    Guide wanted = guide_solve(row, GUIDE_TOKENS, base);
    Guide enough = guide_solve(row, GUIDE_SAMPLES, 24.0);
    bool rest = !wanted.found || negligible <= 0.0 ||
                wanted.light > negligible * guide_of(row, 0.0).light;
    if (rest && (!enough.found || enough.scale > wanted.scale)) {
        wanted = enough;
    }
    return !wanted.found || wanted.scale > most.scale ? most : wanted;
}

// Stage 0 with a carried budget: the c for `squares` (relative to the square of all weight), no smaller
// than that of `open`, and no more than `limit` tokens.
Guide guide_carried(uint row, Guide open, float squares, float limit)
{
    float whole = guide_of(row, 0.0).light;
    Guide wanted = guide_solve(row, GUIDE_SQUARES, squares * whole * whole);
    if (!wanted.found || wanted.scale <= open.scale) {
        return open;
    }
    if (guide_tokens(wanted) > limit) {
        return guide_solve(row, GUIDE_TOKENS, limit);
    }
    return wanted;
}

// Half of the candidates or more: streaming everything is cheaper.
bool guide_is_dense(Guide guide, uint candidates)
{
    return !guide.found || 2.0 * guide_tokens(guide) >= float(candidates);
}

uint guide_candidates(uint group)
{
    return control[group_word(group, VSA_G_WINDOW)] - control[group_word(group, VSA_G_SINK_END)];
}
#endif
