#version 450
// Writes the last new_tokens rows of every sequence into K and V, rounded to nearest even or
// quantised. An invocation writes two channels, or a block of a quantised type.
// In: new_k, new_v [sequence][token][kv_head][channel], lengths (after the append).
// Grid: (kv_heads x pairs or blocks of K and V / WG, sequence x token).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "kv_address.glsl"
#include "pack.glsl"
#include "quantise.glsl"

layout(constant_id = VSA_ID_NEW_TYPE) const uint NEW_TYPE = VSA_TYPE_F32;

layout(set = 0, binding = VSA_BIND_LENGTHS) readonly buffer Lengths { uint lengths[]; };
layout(set = 0, binding = VSA_BIND_NEW_K) readonly buffer NewK { uint new_k[]; };
layout(set = 0, binding = VSA_BIND_NEW_V) readonly buffer NewV { uint new_v[]; };
#if VSA_QUANT
#define PLANE_ACCESS
#else
#define PLANE_ACCESS writeonly
#endif
#if VSA_SEGMENTS == 1
layout(set = 0, binding = VSA_BIND_K) PLANE_ACCESS buffer KPlane { uint data[]; } k_plane;
layout(set = 0, binding = VSA_BIND_V) PLANE_ACCESS buffer VPlane { uint data[]; } v_plane;
#define PLANE_STORE(plane, row, offset, value) plane.data[row.word + (offset)] = value
#define PLANE_MERGE(plane, row, offset, kept, value)        \
    atomicAnd(plane.data[row.word + (offset)], kept);       \
    atomicOr(plane.data[row.word + (offset)], value)
#else
layout(set = 0, binding = VSA_BIND_K) PLANE_ACCESS buffer KPlane { uint data[]; } k_plane[8];
layout(set = 0, binding = VSA_BIND_V) PLANE_ACCESS buffer VPlane { uint data[]; } v_plane[8];
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
#if VSA_QUANT
#define MERGE_WORD(word, kept, value) atomicAnd(word, kept), atomicOr(word, value)
#define PLANE_MERGE_FUNCTION(name, plane)                                      \
    void name(uint segment, uint index, uint kept, uint value)                 \
    {                                                                          \
        switch (segment) {                                                     \
        case 0: MERGE_WORD(plane[0].data[index], kept, value); break;          \
        case 1: MERGE_WORD(plane[1].data[index], kept, value); break;          \
        case 2: MERGE_WORD(plane[2].data[index], kept, value); break;          \
        case 3: MERGE_WORD(plane[3].data[index], kept, value); break;          \
        case 4: MERGE_WORD(plane[4].data[index], kept, value); break;          \
        case 5: MERGE_WORD(plane[5].data[index], kept, value); break;          \
        case 6: MERGE_WORD(plane[6].data[index], kept, value); break;          \
        default: MERGE_WORD(plane[7].data[index], kept, value); break;         \
        }                                                                      \
    }
PLANE_MERGE_FUNCTION(k_plane_merge, k_plane)
PLANE_MERGE_FUNCTION(v_plane_merge, v_plane)
#define PLANE_MERGE(plane, row, offset, kept, value) \
    plane##_merge(row.segment, row.word + (offset), kept, value)
#endif
#endif

#if VSA_QUANT
#define CHANNELS(type) \
    ((type) == VSA_TYPE_Q8_0 || (type) == VSA_TYPE_Q4_0 ? uint(VSA_QUANT_BLOCK) : 2u)
#else
#define CHANNELS(type) 2u
#endif

// Both channels of pair `pair` of the rows to append, as f32.
#define NEW_PAIR(source, pair)                                                              \
    (NEW_TYPE == VSA_TYPE_F32                                                               \
         ? uintBitsToFloat(uvec2(source[(pair) * 2u], source[(pair) * 2u + 1u]))            \
         : unpack_pair(source[pair], NEW_TYPE))

#if VSA_QUANT
uint new_bits(bool of_v, uint index)
{
    uint at = NEW_TYPE == VSA_TYPE_F32 ? index : index / 2u;
    uint word = of_v ? new_v[at] : new_k[at];
    if (NEW_TYPE == VSA_TYPE_F32) {
        return word;
    }
    uint bits = (index & 1u) != 0u ? word >> 16 : word & 0xffffu;
    return NEW_TYPE == VSA_TYPE_F16 ? floatBitsToUint(from_f16(bits)) : bits << 16;
}

void store_word(bool of_v, Row row, uint offset, uint value)
{
    if (of_v) {
        PLANE_STORE(v_plane, row, offset, value);
    } else {
        PLANE_STORE(k_plane, row, offset, value);
    }
}

// The other half of the word belongs to the next block, which another invocation may be writing,
// or to a row that is to stay as it is.
void store_half(bool of_v, Row row, uint half_offset, uint value)
{
    uint shift = (half_offset & 1u) * 16u;
    uint kept = 0xffff0000u >> shift;
    if (of_v) {
        PLANE_MERGE(v_plane, row, half_offset >> 1, kept, value << shift);
    } else {
        PLANE_MERGE(k_plane, row, half_offset >> 1, kept, value << shift);
    }
}

// Block `block` of a row, out of the 32 values from `first` on. An odd number of halves: the one
// at the end or at the beginning that shares its word is merged into it, all others go in pairs.
void append_block(bool of_v, Row row, uint block, uint first)
{
    uint type = of_v ? V_TYPE : K_TYPE;
    uint extreme = 0u;
    for (uint i = 0; i < LOOP(VSA_QUANT_BLOCK); i++) {
        uint bits = new_bits(of_v, first + i);
        extreme = (bits & 0x7fffffffu) > (extreme & 0x7fffffffu) ? bits : extreme;
    }
    Quantiser q = quantiser(type, extreme);
    uint halves = type == VSA_TYPE_Q8_0 ? 17u : 9u;
    uint start = row.half_word + block * halves;
    uint lower = 0u;
    for (uint i = 0; i < LOOP(halves); i++) {
        uint value = q.scale;
        if (i != 0u) {
            uint at = first + (i - 1u) * 2u;
            value = code_of(q, uintBitsToFloat(new_bits(of_v, at))) |
                    code_of(q, uintBitsToFloat(new_bits(of_v, at + 1u))) << 8;
            if (type == VSA_TYPE_Q4_0) {
                value |= code_of(q, uintBitsToFloat(new_bits(of_v, at + 16u))) << 4 |
                         code_of(q, uintBitsToFloat(new_bits(of_v, at + 17u))) << 12;
            }
        }
        uint offset = start + i;
        if ((offset & 1u) != 0u && i != 0u) {
            store_word(of_v, row, offset >> 1, lower | value << 16);
        } else if ((offset & 1u) != 0u || i + 1u == halves) {
            store_half(of_v, row, offset, value);
        }
        lower = value;
    }
}
#endif

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
    uint item = (gl_WorkGroupID.x + push.first_x) * WG + gl_LocalInvocationID.x;
    const uint k_items = KV_HEADS * DK / CHANNELS(K_TYPE);
    const uint v_items = KV_HEADS * DV / CHANNELS(V_TYPE);
    bool of_v = item >= k_items;
    item -= of_v ? k_items : 0u;
    if (of_v && item >= v_items) {
        return;
    }
#if VSA_QUANT
    if (CHANNELS(of_v ? V_TYPE : K_TYPE) == VSA_QUANT_BLOCK) {
        uint blocks = (of_v ? DV : DK) / VSA_QUANT_BLOCK;
        uint head = item / blocks;
        Row row = of_v ? v_row(sequence, head, position) : k_row(sequence, head, position);
        append_block(of_v, row, item % blocks,
                     (line * KV_HEADS * blocks + item) * VSA_QUANT_BLOCK);
        return;
    }
#endif
    if (of_v) {
        uint channel_pair = item % (DV / 2);
        vec2 value = NEW_PAIR(new_v, line * v_items + item);
        Row row = v_row(sequence, item / (DV / 2), position);
        if (V_TYPE == VSA_TYPE_F32) {
            PLANE_STORE(v_plane, row, channel_pair * 2u, floatBitsToUint(value.x));
            PLANE_STORE(v_plane, row, channel_pair * 2u + 1u, floatBitsToUint(value.y));
        } else {
            PLANE_STORE(v_plane, row, channel_pair, pack_pair(value.x, value.y, V_TYPE));
        }
    } else {
        uint channel_pair = item % (DK / 2);
        vec2 value = NEW_PAIR(new_k, line * k_items + item);
        Row row = k_row(sequence, item / (DK / 2), position);
        if (K_TYPE == VSA_TYPE_F32) {
            PLANE_STORE(k_plane, row, channel_pair * 2u, floatBitsToUint(value.x));
            PLANE_STORE(k_plane, row, channel_pair * 2u + 1u, floatBitsToUint(value.y));
        } else {
            PLANE_STORE(k_plane, row, channel_pair, pack_pair(value.x, value.y, K_TYPE));
        }
    }
}
