#version 450
// Key scoring from STATE (scorers sign, int8, int4, page): an estimate of every logit, or with bound
// strict an upper bound. One invocation scores a token (a page) for all heads of its block.
// docs/scorers.md. In: STATE, queries. Out: SCORES [row][token], the rows' maxima and non-finite flags.
// Grid: (VSA_SCORE_CHUNK tokens, group x head block).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(constant_id = VSA_ID_PADDED) const uint PADDED = 64;
layout(constant_id = VSA_ID_QUERIES_OFFSET) const uint QUERIES_OFFSET = 0;
layout(constant_id = VSA_ID_SOFTCAP) const float SOFTCAP = 0.0;
layout(constant_id = VSA_ID_BOUND) const uint BOUND = VSA_BOUND_IS_CLT;

#include "keys.glsl"

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_STATE) readonly buffer State { uint state[]; };
layout(set = 0, binding = VSA_BIND_SCORES) writeonly buffer Scores { float scores[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) readonly buffer Partials { float queries[]; };

// The unbiased estimate is as wide as logit and noise together. What is expected of the logit, given
// the estimate, is 2 / pi of it: (sum |k_i|)^2 / (PADDED |k|^2) of a rotated key.
const float SIGN_SHRINK = 0.63661977;
const uint HEAD_QUADS = (HEAD_BLOCK + 3) / 4;

// [channel][4 heads]: one read serves four heads, and all invocations read the same word.
shared vec4 query_shared[PADDED * HEAD_QUADS];
shared vec4 header_shared[HEAD_BLOCK];
shared uint maximum_shared[HEAD_BLOCK];
shared uint nonfinite_shared;

void load_queries(uint first_row, uint heads)
{
    uint tid = gl_LocalInvocationID.x;
    for (uint i = tid; i < PADDED * HEAD_QUADS; i += WG) {
        uint channel = i / HEAD_QUADS;
        uint quad = i % HEAD_QUADS;
        vec4 value = vec4(0.0);
        for (uint j = 0; j < 4; j++) {
            uint head = quad * 4u + j;
            if (head < heads) {
                value[j] = queries[QUERIES_OFFSET + (first_row + head) * (PADDED + VSA_QUERY_HEADER) +
                                   VSA_QUERY_HEADER + channel];
            }
        }
        query_shared[i] = value;
    }
    for (uint head = tid; head < heads; head += WG) {
        uint at = QUERIES_OFFSET + (first_row + head) * (PADDED + VSA_QUERY_HEADER);
        header_shared[head] = vec4(queries[at], queries[at + 1u], queries[at + 2u], 0.0);
        maximum_shared[head] = 0u;
    }
    if (tid == 0u) {
        nonfinite_shared = 0u;
    }
    barrier();
}

// sum_i q_i level_i over the token's codes, four heads at a time.
void sum_codes(uint base, uint token, out vec4 sums[HEAD_QUADS])
{
    for (uint quad = 0; quad < HEAD_QUADS; quad++) {
        sums[quad] = vec4(0.0);
    }
    for (uint word = 0; word < CODE_WORDS; word++) {
        uint codes = state[code_at(base, token, word)];
        for (uint i = 0; i < CODES_PER_WORD; i++) {
            float level = float(bitfieldExtract(codes, int(i * CODE_BITS), int(CODE_BITS)));
            for (uint quad = 0; quad < HEAD_QUADS; quad++) {
                sums[quad] += level * query_shared[(word * CODES_PER_WORD + i) * HEAD_QUADS + quad];
            }
        }
    }
}

// The page's mean score and the length of q o std, four heads at a time.
void sum_page(uint base, uint token, out vec4 means[HEAD_QUADS], out vec4 squares[HEAD_QUADS])
{
    for (uint quad = 0; quad < HEAD_QUADS; quad++) {
        means[quad] = vec4(0.0);
        squares[quad] = vec4(0.0);
    }
    uint at = page_at(base, token);
    for (uint channel = 0; channel < DK; channel++) {
        vec2 statistic = unpackHalf2x16(state[at + channel]);
        for (uint quad = 0; quad < HEAD_QUADS; quad++) {
            vec4 q = query_shared[channel * HEAD_QUADS + quad];
            means[quad] += statistic.x * q;
            vec4 deviation = statistic.y * q;
            squares[quad] += deviation * deviation;
        }
    }
}

void store(uint head, uint row, uint token, uint count, float logit)
{
    logit = SOFTCAP > 0.0 ? SOFTCAP * tanh_accurate(logit / SOFTCAP) : logit;
    if (!is_finite(logit) || abs(logit) >= -LOGIT_MIN) {
        atomicOr(nonfinite_shared, 1u << head);
        logit = MASKED;
    }
    for (uint i = 0u; i < count; i++) {
        scores[row * TOKEN_STRIDE + token + i] = logit;
    }
    atomicMax(maximum_shared[head], order_key(logit));
}

void score_token(uint base, uint token, uint first_row, uint heads)
{
    vec4 sums[HEAD_QUADS];
    sum_codes(base, token, sums);
    vec2 stored = unpackHalf2x16(state[scale_at(base, token)]);
    for (uint head = 0; head < heads; head++) {
        vec4 header = header_shared[head];
        float sum = sums[head / 4u][head % 4u];
        float logit;
        if (SCORER == VSA_SCORER_IS_SIGN) {
            // Bits are 0 and 1, the signs -1 and 1.
            logit = ((token & 1u) != 0u ? stored.y : stored.x) *
                    (2.0 * sum - header[VSA_QUERY_SUM]);
            logit *= GUIDED != 0u ? SIGN_SHRINK : 1.0;
        } else {
            const float middle = (float(1 << CODE_BITS) - 1.0) / 2.0;
            logit = stored.x * (sum - middle * header[VSA_QUERY_SUM]);
            if (BOUND == VSA_BOUND_IS_STRICT) {
                float gap = min(header[VSA_QUERY_MAGNITUDES] * stored.x / 2.0,
                                header[VSA_QUERY_LENGTH] * stored.y);
                // f32 sums of PADDED terms, of the rotation and of the products.
                logit += gap + 4.0e-7 * float(PADDED) * header[VSA_QUERY_MAGNITUDES] * stored.x *
                                   middle;
            }
        }
        store(head, first_row + head, token, 1u, logit);
    }
}

void score_page(uint base, uint token, uint count, uint first_row, uint heads)
{
    vec4 means[HEAD_QUADS];
    vec4 squares[HEAD_QUADS];
    sum_page(base, token, means, squares);
    for (uint head = 0; head < heads; head++) {
        float deviation = sqrt(squares[head / 4u][head % 4u]);
        store(head, first_row + head, token, count,
              means[head / 4u][head % 4u] + VSA_PAGE_DEVIATIONS * deviation);
    }
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint cell = gl_WorkGroupID.y + push.first_y;
    uint group = cell / BLOCKS;
    uint first_head = cell % BLOCKS * HEAD_BLOCK;
    uint heads = min(HEAD_BLOCK, GROUP - first_head);
    uint first_row = group * GROUP + first_head;
    uint first = (gl_WorkGroupID.x + push.first_x) * VSA_SCORE_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SCORE_CHUNK);
    if (first >= end) {
        return;
    }
    load_queries(first_row, heads);
    uint base = keys_base(group_sequence(group), group_kv_head(group));
    if (SCORER == VSA_SCORER_IS_PAGE) {
        for (uint token = first + tid * VSA_PAGE_TOKENS; token < end; token += WG * VSA_PAGE_TOKENS) {
            score_page(base, token, min(uint(VSA_PAGE_TOKENS), end - token), first_row, heads);
        }
    } else {
        for (uint token = first + tid; token < end; token += WG) {
            score_token(base, token, first_row, heads);
        }
    }
    barrier();
    if (tid < heads) {
        // Integer maximum: the result does not depend on the order of workgroups.
        atomicMax(control[row_word(first_row + tid, VSA_R_MAX)], maximum_shared[tid]);
        if ((nonfinite_shared & 1u << tid) != 0u) {
            atomicOr(control[row_word(first_row + tid, VSA_R_NONFINITE)], 1u);
        }
    }
}
