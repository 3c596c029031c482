#version 450
// Writes the last new_tokens rows of every sequence into K and V, rounded to nearest even.
// In: new_k, new_v [sequence][token][kv_head][channel], lengths (after the append).
// Grid: (kv_heads x pairs of channels of K and V / WG, sequence x token).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "kv_address.glsl"
#include "pack.glsl"

layout(constant_id = VSA_ID_NEW_TYPE) const uint NEW_TYPE = VSA_TYPE_F32;

layout(set = 0, binding = VSA_BIND_LENGTHS) readonly buffer Lengths { uint lengths[]; };
layout(set = 0, binding = VSA_BIND_NEW_K) readonly buffer NewK { uint new_k[]; };
layout(set = 0, binding = VSA_BIND_NEW_V) readonly buffer NewV { uint new_v[]; };
#if VSA_SEGMENTS == 1
layout(set = 0, binding = VSA_BIND_K) writeonly buffer KPlane { uint data[]; } k_plane;
layout(set = 0, binding = VSA_BIND_V) writeonly buffer VPlane { uint data[]; } v_plane;
#define PLANE_STORE(plane, row, offset, value) plane.data[row.word + (offset)] = value
#else
layout(set = 0, binding = VSA_BIND_K) writeonly buffer KPlane { uint data[]; } k_plane[8];
layout(set = 0, binding = VSA_BIND_V) writeonly buffer VPlane { uint data[]; } v_plane[8];
#define PLANE_STORE_FUNCTION(name, plane)                      \
    void name(uint segment, uint index, uint value)            \
    {                                                          \
        switch (segment) {                                     \
        case 0: plane[0].data[index] = value; break;           \
        case 1: plane[1].data[index] = value; break;           \
        case 2: plane[2].data[index] = value; break;           \
        case 3: plane[3].data[index] = value; break;           \
        case 4: plane[4].data[index] = value; break;           \
        case 5: plane[5].data[index] = value; break;           \
        case 6: plane[6].data[index] = value; break;           \
        default: plane[7].data[index] = value; break;          \
        }                                                      \
    }
PLANE_STORE_FUNCTION(k_plane_store, k_plane)
PLANE_STORE_FUNCTION(v_plane_store, v_plane)
#define PLANE_STORE(plane, row, offset, value) \
    plane##_store(row.segment, row.word + (offset), value)
#endif

// Both channels of pair `pair` of the rows to append, as f32.
#define NEW_PAIR(source, pair)                                                              \
    (NEW_TYPE == VSA_TYPE_F32                                                               \
         ? uintBitsToFloat(uvec2(source[(pair) * 2u], source[(pair) * 2u + 1u]))            \
         : unpack_pair(source[pair], NEW_TYPE))

void main()
{
    uint line = gl_WorkGroupID.y + push.first_y;
    uint sequence = line / push.new_tokens;
    uint token = line % push.new_tokens;
    uint length = lengths[sequence];
    if (length < push.new_tokens || length > push.max_length) {
        return;
    }
    uint position = length - push.new_tokens + token;
    uint pair = (gl_WorkGroupID.x + push.first_x) * WG + gl_LocalInvocationID.x;
    const uint k_pairs = KV_HEADS * DK / 2;
    const uint v_pairs = KV_HEADS * DV / 2;
    if (pair < k_pairs) {
        uint channel_pair = pair % (DK / 2);
        vec2 value = NEW_PAIR(new_k, line * k_pairs + pair);
        Row row = k_row(sequence, pair / (DK / 2), position);
        if (K_TYPE == VSA_TYPE_F32) {
            PLANE_STORE(k_plane, row, channel_pair * 2u, floatBitsToUint(value.x));
            PLANE_STORE(k_plane, row, channel_pair * 2u + 1u, floatBitsToUint(value.y));
        } else {
            PLANE_STORE(k_plane, row, channel_pair, pack_pair(value.x, value.y, K_TYPE));
        }
    } else if (pair - k_pairs < v_pairs) {
        pair -= k_pairs;
        uint channel_pair = pair % (DV / 2);
        vec2 value = NEW_PAIR(new_v, line * v_pairs + pair);
        Row row = v_row(sequence, pair / (DV / 2), position);
        if (V_TYPE == VSA_TYPE_F32) {
            PLANE_STORE(v_plane, row, channel_pair * 2u, floatBitsToUint(value.x));
            PLANE_STORE(v_plane, row, channel_pair * 2u + 1u, floatBitsToUint(value.y));
        } else {
            PLANE_STORE(v_plane, row, channel_pair, pack_pair(value.x, value.y, V_TYPE));
        }
    }
}
