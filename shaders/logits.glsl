// Logits of a tile of tokens for the query heads of one workgroup, into shared memory.
// TILE = WG / LANES tokens at a time; LANES invocations share one K row.
#ifndef LOGITS_GLSL
#define LOGITS_GLSL
#include "kv_read.glsl"
#include "math.glsl"
#include "pack.glsl"

layout(constant_id = VSA_ID_LANES) const uint LANES = 1;
layout(constant_id = VSA_ID_SCALE) const float SCALE = 1.0;
layout(constant_id = VSA_ID_SOFTCAP) const float SOFTCAP = 0.0;

layout(set = 0, binding = VSA_BIND_Q) readonly buffer Query { uint query_data[]; };

const uint TILE = WG / LANES;
const uint NO_TOKEN = 0xffffffffu;

shared vec4 query_shared[HEAD_BLOCK * DK / 4];
shared float dot_shared[LANES > 1 ? HEAD_BLOCK * WG : 1];
shared uint tile_token[TILE];
shared float logit_shared[HEAD_BLOCK * TILE];
shared uint nonfinite_shared;   // bit per head: a logit was not finite

// Heads [first_row, first_row + heads); the rest of the block is zero. Ends in a barrier.
void load_query(uint first_row, uint heads)
{
    for (uint i = gl_LocalInvocationID.x; i < HEAD_BLOCK * DK / 4; i += WG) {
        uint head = i / (DK / 4);
        vec4 value = vec4(0.0);
        if (head < heads) {
            uint element = (first_row + head) * DK + i % (DK / 4) * 4u;
            if (Q_TYPE == VSA_TYPE_F32) {
                value = uintBitsToFloat(uvec4(query_data[element], query_data[element + 1u],
                                              query_data[element + 2u], query_data[element + 3u]));
            } else {
                value = vec4(unpack_pair(query_data[element / 2u], Q_TYPE),
                             unpack_pair(query_data[element / 2u + 1u], Q_TYPE));
            }
        }
        query_shared[i] = value;
    }
    if (gl_LocalInvocationID.x == 0u) {
        nonfinite_shared = 0u;
    }
    barrier();
}

float finish_logit(float product)
{
    float logit = product * SCALE;
    return SOFTCAP > 0.0 ? SOFTCAP * tanh_accurate(logit / SOFTCAP) : logit;
}

void store_logit(uint head, uint slot, float product)
{
    if (tile_token[slot] == NO_TOKEN) {
        logit_shared[head * TILE + slot] = MASKED;
        return;
    }
    float logit = finish_logit(product);
    bool usable = is_finite(logit) && abs(logit) < -LOGIT_MIN;
    if (!usable) {
        atomicOr(nonfinite_shared, 1u << head);
    }
    logit_shared[head * TILE + slot] = usable ? logit : MASKED;
}

// Logits of the tokens in tile_token, which the caller has written; NO_TOKEN becomes MASKED. Starts and ends with
// a barrier. Sums run in a fixed order, so they do not depend on the subgroup size.
void tile_logits(uint sequence, uint kv_head)
{
    barrier();
    uint tid = gl_LocalInvocationID.x;
    uint slot = tid / LANES;
    uint lane = tid % LANES;
    uint token = tile_token[slot];
    float product[HEAD_BLOCK];
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        product[head] = 0.0;
    }
    if (token != NO_TOKEN) {
        Row row = k_row(sequence, kv_head, token);
        for (uint chunk = lane; chunk < DK / 8; chunk += LANES) {
            vec4 low, high;
            k_load8(row, chunk, low, high);
            for (uint head = 0; head < HEAD_BLOCK; head++) {
                product[head] += dot(low, query_shared[head * (DK / 4) + chunk * 2u]) +
                                 dot(high, query_shared[head * (DK / 4) + chunk * 2u + 1u]);
            }
        }
    }
    if (LANES == 1) {
        for (uint head = 0; head < HEAD_BLOCK; head++) {
            store_logit(head, slot, product[head]);
        }
    } else {
        for (uint head = 0; head < HEAD_BLOCK; head++) {
            dot_shared[head * WG + tid] = product[head];
        }
        barrier();
        for (uint i = tid; i < HEAD_BLOCK * TILE; i += WG) {
            uint first = i / TILE * WG + i % TILE * LANES;
            float sum = 0.0;
            for (uint l = 0; l < LANES; l++) {
                sum += dot_shared[first + l];
            }
            store_logit(i / TILE, i % TILE, sum);
        }
    }
    barrier();
}
#endif
