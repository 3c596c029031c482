// Logits of a tile of tokens for the query heads of one workgroup, into shared memory.
// LANES invocations share one K row, CHUNKS_PER_LANE times 8 channels each; the queries stay in
// registers, or in shared memory where they would take too many (QUERY_CHUNKS).
// TILE = (WG / LANES) * REPEAT tokens at a time.
#ifndef LOGITS_GLSL
#define LOGITS_GLSL
#include "kv_read.glsl"
#include "math.glsl"
#include "pack.glsl"

layout(constant_id = VSA_ID_LANES) const uint LANES = 1;
layout(constant_id = VSA_ID_REPEAT) const uint REPEAT = 1;
layout(constant_id = VSA_ID_VALUE_CHUNKS) const uint VALUE_CHUNKS = 1;
layout(constant_id = VSA_ID_QUERY_CHUNKS) const uint QUERY_CHUNKS = 1;
layout(constant_id = VSA_ID_SCALE) const float SCALE = 1.0;
layout(constant_id = VSA_ID_SOFTCAP) const float SOFTCAP = 0.0;

layout(set = 0, binding = VSA_BIND_Q) readonly buffer Query { uvec4 query_data[]; };

const uint SLOTS = WG / LANES;
const uint TILE = SLOTS * REPEAT;
const uint CHUNKS_PER_LANE = (DK / 8 + LANES - 1) / LANES;
const uint NO_TOKEN = 0xffffffffu;

const uint HEAD_QUADS = (HEAD_BLOCK + 3) / 4;

// Partial products here, [slot][lane][4 heads]; partial values in attend.comp: never both at once.
const uint POOL_LOGITS = HEAD_QUADS * TILE * LANES;
const uint HEAD_VALUES = WG * VALUE_CHUNKS * 2;
const uint POOL_SIZE = VSA_POOL_SIZE(POOL_LOGITS, HEAD_VALUES);
shared vec4 pool_shared[POOL_SIZE];
shared uint tile_token[TILE];
shared float logit_shared[HEAD_BLOCK * TILE];
shared uint nonfinite_shared;   // bit per head: a logit was not finite

// Chunks of the queries that an invocation needs: of every head those of its lane.
const uint OWN_CHUNKS = HEAD_BLOCK * CHUNKS_PER_LANE;
const bool OWNS_QUERIES = OWN_CHUNKS <= QUERY_CHUNKS;
vec4 query_low[OWNS_QUERIES ? OWN_CHUNKS : 1];
vec4 query_high[OWNS_QUERIES ? OWN_CHUNKS : 1];
// [chunk of the lane][half][lane]: neighbouring invocations read neighbouring words.
shared vec4 query_shared[OWNS_QUERIES ? 1 : OWN_CHUNKS * 2 * LANES];

#if VSA_QUANT
// 4 channels of the queries.
vec4 query_quad(uint quad)
{
    vec4 low, high;
    if (Q_TYPE == VSA_TYPE_F32) {
        low = high = uintBitsToFloat(query_data[quad]);
    } else {
        unpack8(query_data[quad / 2u], Q_TYPE, low, high);
    }
    return quad % 2u != 0u ? high : low;
}
#endif

// 8 channels of the query of a row, those of k_load_quads.
void query_chunk(uint row, uint chunk, out vec4 low, out vec4 high)
{
#if VSA_QUANT
    uvec2 quads = row * (DK / 4) + quads_of(K_TYPE, chunk);
    low = query_quad(quads.x);
    high = query_quad(quads.y);
#else
    // In units of 8 channels.
    uint at = row * (DK / 8) + chunk;
    if (Q_TYPE == VSA_TYPE_F32) {
        low = uintBitsToFloat(query_data[at * 2u]);
        high = uintBitsToFloat(query_data[at * 2u + 1u]);
    } else {
        unpack8(query_data[at], Q_TYPE, low, high);
    }
#endif
}

// Zero where there is nothing, so that it adds nothing.
void query_chunk_or_zero(uint first_row, uint heads, uint head, uint chunk, out vec4 low,
                         out vec4 high)
{
    low = vec4(0.0);
    high = vec4(0.0);
    if (head < heads && chunk < DK / 8) {
        query_chunk(first_row + head, chunk, low, high);
    }
}

// Heads [first_row, first_row + heads); the rest of the block is zero. A barrier has to follow.
void load_query(uint first_row, uint heads)
{
    uint tid = gl_LocalInvocationID.x;
    if (OWNS_QUERIES) {
        for (uint head = 0; head < HEAD_BLOCK; head++) {
            for (uint j = 0; j < CHUNKS_PER_LANE; j++) {
                uint own = head * CHUNKS_PER_LANE + j;
                query_chunk_or_zero(first_row, heads, head, j * LANES + tid % LANES,
                                    query_low[own], query_high[own]);
            }
        }
    } else {
        for (uint i = tid; i < OWN_CHUNKS * LANES; i += WG) {
            uint lane = i % LANES;
            uint own = i / LANES;
            vec4 low, high;
            query_chunk_or_zero(first_row, heads, own / CHUNKS_PER_LANE,
                                own % CHUNKS_PER_LANE * LANES + lane, low, high);
            query_shared[own * 2u * LANES + lane] = low;
            query_shared[(own * 2u + 1u) * LANES + lane] = high;
        }
    }
    if (tid == 0u) {
        nonfinite_shared = 0u;
    }
}

float finish_logit(float product)
{
    float logit = product * SCALE;
    return SOFTCAP > 0.0 ? SOFTCAP * tanh_accurate(logit / SOFTCAP) : logit;
}

// Logits of the first `count` tokens in tile_token, which the caller has written; NO_TOKEN becomes
// MASKED. Starts and ends with a barrier. Sums run in a fixed order, so they do not depend on the
// subgroup size.
void tile_logits(uint sequence, uint kv_head, uint count)
{
    barrier();
    uint tid = gl_LocalInvocationID.x;
    uint lane = tid % LANES;
    for (uint slot = tid / LANES; slot < count; slot += SLOTS) {
        uint token = tile_token[slot];
        if (token == NO_TOKEN) {
            continue;
        }
        Row row = k_row(sequence, kv_head, token);
        float product[HEAD_QUADS * 4];
        for (uint head = 0; head < HEAD_QUADS * 4; head++) {
            product[head] = 0.0;
        }
        for (uint j = 0; j < CHUNKS_PER_LANE; j++) {
            uint chunk = j * LANES + lane;
            if (DK / 8 % LANES == 0 || chunk < DK / 8) {
                vec4 low, high;
                k_load_quads(row, chunk, low, high);
                for (uint head = 0; head < HEAD_BLOCK; head++) {
                    uint own = head * CHUNKS_PER_LANE + j;
                    if (OWNS_QUERIES) {
                        product[head] += dot(low, query_low[own]) + dot(high, query_high[own]);
                    } else {
                        product[head] += dot(low, query_shared[own * 2u * LANES + lane]) +
                                         dot(high, query_shared[(own * 2u + 1u) * LANES + lane]);
                    }
                }
            }
        }
        for (uint quad = 0; quad < HEAD_QUADS; quad++) {
            pool_shared[(slot * LANES + lane) * HEAD_QUADS + quad] =
                vec4(product[quad * 4], product[quad * 4 + 1], product[quad * 4 + 2],
                     product[quad * 4 + 3]);
        }
    }
    barrier();
    for (uint i = tid; i < HEAD_QUADS * count; i += WG) {
        uint slot = i / HEAD_QUADS;
        uint quad = i % HEAD_QUADS;
        vec4 sum = vec4(0.0);
        bool there = tile_token[slot] != NO_TOKEN;
        if (there) {
            for (uint l = 0; l < LANES; l++) {
                sum += pool_shared[(slot * LANES + l) * HEAD_QUADS + quad];
            }
        }
        for (uint j = 0; j < 4; j++) {
            uint head = quad * 4u + j;
            if (head < HEAD_BLOCK) {
                float logit = MASKED;
                if (there) {
                    logit = finish_logit(sum[j]);
                    if (!is_finite(logit) || abs(logit) >= -LOGIT_MIN) {
                        atomicOr(nonfinite_shared, 1u << head);
                        logit = MASKED;
                    }
                }
                logit_shared[head * TILE + slot] = logit;
            }
        }
    }
    barrier();
}
#endif
