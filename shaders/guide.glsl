// Method guided: the scale c of a row from its bins. docs/algorithm.md, "Choosing c".
// Needs the binding `control` and math.glsl; WG is VSA_GUIDE_BINS / 2.
#ifndef GUIDE_GLSL
#define GUIDE_GLSL
#include "reduce.glsl"

layout(constant_id = VSA_ID_BINS_OFFSET) const uint BINS_OFFSET = 0;

const uint GUIDE_BLOCK = 16;
const uint GUIDE_NONE = 0xffffffffu;

shared vec3 guide_own[WG];                    // tokens, weight, squared weight of two bins
shared vec3 guide_block[WG / GUIDE_BLOCK];
shared uint guide_first;
shared vec3 guide_found;

struct Guide {
    bool  found;
    float scale;     // c
    float sampled;   // c T: expected samples
    float tokens;    // H + c T: expected tokens
};

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

// All invocations call it and get the same.
Guide guide_solve(uint row, uint goal, float amount)
{
    uint tid = gl_LocalInvocationID.x;
    uint word = BINS_OFFSET + row * VSA_GUIDE_BINS + tid * 2u;
    vec2 count = vec2(float(control[word]), float(control[word + 1u]));
    vec2 w = vec2(bin_weight(tid * 2u), bin_weight(tid * 2u + 1u));
    vec3 low = vec3(count.x, count.x * w.x, count.x * w.x * w.x);
    vec3 high = vec3(count.y, count.y * w.y, count.y * w.y * w.y);
    guide_own[tid] = low + high;
    if (tid == 0u) {
        guide_first = GUIDE_NONE;
        guide_found = vec3(0.0);
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
    // Light bins first, so that small sums are not lost in large ones.
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
    // t is this invocation's lighter or heavier bin, the first bin that is not heavy.
    vec3 rest_high = after + high;
    vec3 rest_low = rest_high + low;
    float scale_low = guide_scale(goal, amount, before, rest_low);
    float scale_high = guide_scale(goal, amount, before + count.x, rest_high);
    bool fits_low = scale_low > 0.0 && scale_low * w.x < VSA_HEAVY;
    bool fits_high = scale_high > 0.0 && scale_high * w.y < VSA_HEAVY;
    uint own = fits_low ? tid * 2u : fits_high ? tid * 2u + 1u : GUIDE_NONE;
    if (own != GUIDE_NONE) {
        atomicMin(guide_first, own);
    }
    barrier();
    if (own != GUIDE_NONE && own == guide_first) {
        float heavy = fits_low ? before : before + count.x;
        float scale = fits_low ? scale_low : scale_high;
        float sampled = scale * (fits_low ? rest_low.y : rest_high.y);
        guide_found = vec3(scale, sampled, heavy + sampled);
    }
    barrier();
    Guide guide = Guide(guide_found.x > 0.0, guide_found.x, guide_found.y, guide_found.z);
    barrier();
    return guide;
}

// What a given c costs. All invocations call it and get the same.
Guide guide_tokens(uint row, float scale)
{
    uint tid = gl_LocalInvocationID.x;
    uint word = BINS_OFFSET + row * VSA_GUIDE_BINS + tid * 2u;
    vec2 sums = vec2(0.0);
    for (uint i = 0u; i < 2u; i++) {
        float count = float(control[word + i]);
        float chance = scale * bin_weight(tid * 2u + i);
        sums += chance < VSA_HEAVY ? vec2(count * chance) : vec2(0.0, count);
    }
    sums = reduce_sum(vec4(sums, 0.0, 0.0)).xy;
    return Guide(true, scale, sums.x, sums.y);
}

// Stage 0: `base` expected tokens, 24 of them samples, but no more than `limit` tokens.
Guide guide_open(uint row, float base, float limit)
{
    Guide most = guide_solve(row, GUIDE_TOKENS, limit);
    Guide wanted = guide_solve(row, GUIDE_TOKENS, base);
    Guide enough = guide_solve(row, GUIDE_SAMPLES, 24.0);
    if (!enough.found || enough.scale > wanted.scale) {
        wanted = enough;
    }
    return !wanted.found || wanted.scale > most.scale ? most : wanted;
}

// Half of the candidates or more: streaming everything is cheaper.
bool guide_is_dense(Guide guide, uint candidates)
{
    return !guide.found || 2.0 * guide.tokens >= float(candidates);
}

uint guide_candidates(uint group)
{
    return control[group_word(group, VSA_G_WINDOW)] - control[group_word(group, VSA_G_SINK_END)];
}
#endif
