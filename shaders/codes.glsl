// Scores of tokens from STATE (scorers sign, int8, int4, page) for all heads of a block: an estimate
// of every logit, or with bound strict an upper bound. docs/scorers.md.
// Needs the binding `queries`, math.glsl and the constant BOUND.
#ifndef CODES_GLSL
#define CODES_GLSL
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = VSA_ID_PADDED) const uint PADDED = 256;
layout(constant_id = VSA_ID_QUERIES_OFFSET) const uint QUERIES_OFFSET = 0;
layout(constant_id = VSA_ID_SOFTCAP) const float SOFTCAP = 0.0;
layout(constant_id = VSA_ID_OWN_QUERIES) const uint OWN_QUERIES = 0;

#include "keys.glsl"

layout(set = 0, binding = VSA_BIND_STATE) readonly buffer State { uint state[]; };

// The unbiased estimate is as wide as logit and noise together. What is expected of the logit, given
// the estimate, is 2 / pi of it: (sum |k_i|)^2 / (PADDED |k|^2) of a rotated key.
const float SIGN_SHRINK = 0.63661977;
const uint HEAD_QUADS = (HEAD_BLOCK + 3) / 4;

const bool SIGNS = SCORER == VSA_SCORER_IS_SIGN;

// [channel][4 heads]: one read serves four heads, and all invocations read the same word.
shared vec4 query_shared[SIGNS ? 1 : PADDED * HEAD_QUADS];
// Scorer sign: [word][head], the planes of 32 channels.
shared uvec4 plane_shared[SIGNS ? CODE_WORDS * HEAD_BLOCK : 1];
shared uint nonfinite_shared;
// A CPU keeps them on the invocation's stack, where they cost nothing as long as every index is known
// to the compiler (hence unroll); a GPU has no registers to spare.
vec4 query_own[OWN_QUERIES != 0 && !SIGNS ? PADDED * HEAD_QUADS : 1];
uvec4 plane_own[OWN_QUERIES != 0 && SIGNS ? CODE_WORDS * HEAD_BLOCK : 1];
vec4 header[HEAD_BLOCK];

uint query_at(uint row) { return QUERIES_OFFSET + row * (PADDED + VSA_QUERY_HEADER); }

void load_queries(uint first_row, uint heads)
{
    uint tid = gl_LocalInvocationID.x;
    for (uint i = tid; !SIGNS && i < PADDED * HEAD_QUADS; i += WG) {
        uint channel = i / HEAD_QUADS;
        uint quad = i % HEAD_QUADS;
        vec4 value = vec4(0.0);
        for (uint j = 0; j < 4; j++) {
            uint head = quad * 4u + j;
            if (head < heads) {
                value[j] = uintBitsToFloat(
                    queries[query_at(first_row + head) + VSA_QUERY_HEADER + channel]);
            }
        }
        query_shared[i] = value;
    }
    for (uint i = tid; SIGNS && i < CODE_WORDS * HEAD_BLOCK; i += WG) {
        uint head = min(i % HEAD_BLOCK, heads - 1u);
        uint at = query_at(first_row + head) + VSA_QUERY_HEADER + i / HEAD_BLOCK * VSA_QUERY_BITS;
        plane_shared[i] = uvec4(queries[at], queries[at + 1u], queries[at + 2u], queries[at + 3u]);
    }
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        uint at = query_at(first_row + min(head, heads - 1u));
        header[head] = uintBitsToFloat(
            uvec4(queries[at], queries[at + 1u], queries[at + 2u], queries[at + 3u]));
    }
    if (tid == 0u) {
        nonfinite_shared = 0u;
    }
    barrier();
    if (OWN_QUERIES != 0u && SIGNS) {
        [[unroll]] for (uint i = 0; i < CODE_WORDS * HEAD_BLOCK; i++) {
            plane_own[i] = plane_shared[i];
        }
    } else if (OWN_QUERIES != 0u) {
        [[unroll]] for (uint i = 0; i < PADDED * HEAD_QUADS; i++) {
            query_own[i] = query_shared[i];
        }
    }
}

// sum_i q^_i b_i of the token's signs, without the query's step: a query level l stands for l - 15/2,
// half of the sum over its bits of 2^b (2 bit - 1), and a product of two signs is a bit of their xor.
void sum_signs(uint base, uint token, out float sums[HEAD_BLOCK])
{
    uint different[HEAD_BLOCK];
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        different[head] = 0u;
    }
    [[unroll]] for (uint word = 0; word < CODE_WORDS; word++) {
        uint codes = state[code_at(base, token, word)];
        [[unroll]] for (uint head = 0; head < HEAD_BLOCK; head++) {
            uint at = word * HEAD_BLOCK + head;
            uvec4 planes = OWN_QUERIES != 0u ? plane_own[at] : plane_shared[at];
            uvec4 counts = uvec4(bitCount(codes ^ planes));
            different[head] += counts.x + (counts.y << 1) + (counts.z << 2) + (counts.w << 3);
        }
    }
    const int whole = ((1 << VSA_QUERY_BITS) - 1) * int(PADDED);
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        sums[head] = 0.5 * float(whole - 2 * int(different[head]));
    }
}

// sum_i q_i level_i over the token's codes, four heads at a time.
void sum_codes(uint base, uint token, out vec4 sums[2])
{
    sums[0] = vec4(0.0);
    sums[1] = vec4(0.0);
    // Words in a loop where the queries are shared: unrolled, compilers hold all of them at once.
    const uint words = OWN_QUERIES != 0u ? CODE_WORDS : LOOP(CODE_WORDS);
    [[unroll]] for (uint word = 0; word < words; word++) {
        uint codes = state[code_at(base, token, word)];
        [[unroll]] for (uint i = 0; i < CODES_PER_WORD; i++) {
            vec4 level = vec4(float(bitfieldExtract(codes, int(i * CODE_BITS), int(CODE_BITS))));
            [[unroll]] for (uint quad = 0; quad < HEAD_QUADS; quad++) {
                uint at = (word * CODES_PER_WORD + i) * HEAD_QUADS + quad;
                sums[quad] = fma(level, OWN_QUERIES != 0 ? query_own[at] : query_shared[at],
                                 sums[quad]);
            }
        }
    }
}

// The page's mean score and the length of q o std, four heads at a time.
void sum_page(uint base, uint token, out vec4 means[2], out vec4 squares[2])
{
    for (uint quad = 0; quad < 2; quad++) {
        means[quad] = vec4(0.0);
        squares[quad] = vec4(0.0);
    }
    uint at = page_at(base, token);
    const uint channels = OWN_QUERIES != 0u ? DK : LOOP(DK);   // as the words of sum_codes
    for (uint channel = 0; channel < channels; channel++) {
        vec2 statistic = unpackHalf2x16(state[at + channel]);
        for (uint quad = 0; quad < HEAD_QUADS; quad++) {
            vec4 q = query_shared[channel * HEAD_QUADS + quad];
            means[quad] += statistic.x * q;
            vec4 deviation = statistic.y * q;
            squares[quad] += deviation * deviation;
        }
    }
}

// A score that is not finite becomes MASKED and is noted.
float finish_score(uint head, float logit)
{
    logit = SOFTCAP > 0.0 ? SOFTCAP * tanh_accurate(logit / SOFTCAP) : logit;
    if (!is_finite(logit) || abs(logit) >= -LOGIT_MIN) {
        atomicOr(nonfinite_shared, 1u << head);
        return MASKED;
    }
    return logit;
}

// Of one token; of all tokens of its page. Heads from `heads` on are MASKED.
void score_token(uint base, uint token, uint heads, out float score[HEAD_BLOCK])
{
    vec2 stored = unpackHalf2x16(state[scale_at(base, token)]);
    float logit[HEAD_BLOCK];
    if (SIGNS) {
        sum_signs(base, token, logit);
        float scale = ((token & 1u) != 0u ? stored.y : stored.x) *
                      (GUIDED != 0u ? SIGN_SHRINK : 1.0);
        for (uint head = 0; head < HEAD_BLOCK; head++) {
            logit[head] *= scale * header[head][VSA_QUERY_STEP];
        }
    } else {
        vec4 sums[2];
        sum_codes(base, token, sums);
        const float middle = (float(1 << CODE_BITS) - 1.0) / 2.0;
        for (uint head = 0; head < HEAD_BLOCK; head++) {
            logit[head] = stored.x * (sums[head / 4u][head % 4u] -
                                      middle * header[head][VSA_QUERY_SUM]);
            if (BOUND == VSA_BOUND_IS_STRICT) {
                float gap = min(header[head][VSA_QUERY_MAGNITUDES] * stored.x / 2.0,
                                header[head][VSA_QUERY_LENGTH] * stored.y);
                // f32 sums of PADDED terms, of the rotation and of the products.
                logit[head] += gap + 4.0e-7 * float(PADDED) * header[head][VSA_QUERY_MAGNITUDES] *
                                         stored.x * middle;
            }
        }
    }
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        score[head] = head < heads ? finish_score(head, logit[head]) : MASKED;
    }
}

void score_page(uint base, uint token, uint heads, out float score[HEAD_BLOCK])
{
    vec4 means[2];
    vec4 squares[2];
    sum_page(base, token, means, squares);
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        float deviation = sqrt(squares[head / 4u][head % 4u]);
        float logit = means[head / 4u][head % 4u] + VSA_PAGE_DEVIATIONS * deviation;
        score[head] = head < heads ? finish_score(head, logit) : MASKED;
    }
}
#endif
