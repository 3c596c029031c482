// Reads 8 channels of a K or V row as f32. No 8- or 16-bit storage: everything is unpacked from
// 32-bit words. VSA_WIDE: rows of f32, f16 and bf16 start at multiples of 16 bytes and are read 16
// bytes at a time. VSA_QUANT: K or V may be of a quantised type.
#ifndef KV_READ_GLSL
#define KV_READ_GLSL
#include "kv_address.glsl"
#include "pack.glsl"

#if VSA_WIDE
#define KV_ELEMENT uvec4
#else
#define KV_ELEMENT uint
#endif

#if VSA_SEGMENTS == 1
#define KV_DESCRIPTORS
#define KV_FETCH(plane, segment, index) plane.data[index]
#else
#define KV_DESCRIPTORS [8]
#define KV_FETCH(plane, segment, index) plane##_fetch(segment, index)
#endif

// Invocations differ in their segment; only constant indices need no device feature.
#if VSA_SEGMENTS == 1
#define KV_FETCH_FUNCTION(type, plane)
#else
#define KV_FETCH_FUNCTION(type, plane)                     \
    type plane##_fetch(uint segment, uint index)           \
    {                                                      \
        switch (segment) {                                 \
        case 0: return plane[0].data[index];               \
        case 1: return plane[1].data[index];               \
        case 2: return plane[2].data[index];               \
        case 3: return plane[3].data[index];               \
        case 4: return plane[4].data[index];               \
        case 5: return plane[5].data[index];               \
        case 6: return plane[6].data[index];               \
        default: return plane[7].data[index];              \
        }                                                  \
    }
#endif

layout(set = 0, binding = VSA_BIND_K) readonly buffer KPlane { KV_ELEMENT data[]; }
    k_plane KV_DESCRIPTORS;
layout(set = 0, binding = VSA_BIND_V) readonly buffer VPlane { KV_ELEMENT data[]; }
    v_plane KV_DESCRIPTORS;
KV_FETCH_FUNCTION(KV_ELEMENT, k_plane)
KV_FETCH_FUNCTION(KV_ELEMENT, v_plane)

// Four words from `offset` words into the row.
#if VSA_WIDE
#define KV_LOAD4(plane, row, offset) KV_FETCH(plane, row.segment, (row.word + (offset)) >> 2)
#else
#define KV_LOAD4(plane, row, offset)                                 \
    uvec4(KV_FETCH(plane, row.segment, row.word + (offset)),         \
          KV_FETCH(plane, row.segment, row.word + (offset) + 1u),    \
          KV_FETCH(plane, row.segment, row.word + (offset) + 2u),    \
          KV_FETCH(plane, row.segment, row.word + (offset) + 3u))
#endif

void unpack8(uvec4 words, uint type, out vec4 low, out vec4 high)
{
    if (type == VSA_TYPE_F16) {
        low = vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y));
        high = vec4(unpackHalf2x16(words.z), unpackHalf2x16(words.w));
    } else {
        low = uintBitsToFloat(uvec4(words.x << 16, words.x & 0xffff0000u, words.y << 16,
                                    words.y & 0xffff0000u));
        high = uintBitsToFloat(uvec4(words.z << 16, words.z & 0xffff0000u, words.w << 16,
                                     words.w & 0xffff0000u));
    }
}

#if VSA_QUANT
// The words of a quantised row. In a wide kernel, whose other plane is not quantised, they are the
// same memory by another type.
#if VSA_WIDE
layout(set = 0, binding = VSA_BIND_K) readonly buffer KWords { uint data[]; }
    k_words KV_DESCRIPTORS;
layout(set = 0, binding = VSA_BIND_V) readonly buffer VWords { uint data[]; }
    v_words KV_DESCRIPTORS;
KV_FETCH_FUNCTION(uint, k_words)
KV_FETCH_FUNCTION(uint, v_words)
#else
#define k_words k_plane
#define v_words v_plane
#define k_words_fetch k_plane_fetch
#define v_words_fetch v_plane_fetch
#endif

// Blocks start at any half word: 17 halves of Q8_0 or 9 of Q4_0, the first of which is the f16
// scale. Where data starts at an upper half it is cut out of one word more; where it does not,
// the last word is read twice, not the one after it, which may lie behind the buffer's end.
uint upper_halves(uint first, uint second) { return first >> 16 | second << 16; }

vec4 signed_bytes(uint word, float scale)
{
    return vec4(bitfieldExtract(int(word), 0, 8), bitfieldExtract(int(word), 8, 8),
                bitfieldExtract(int(word), 16, 8), bitfieldExtract(int(word), 24, 8)) * scale;
}

// Of each byte the lower nibble, less 8.
vec4 nibbles(uint word, float scale)
{
    return vec4(ivec4(word & 15u, word >> 8 & 15u, word >> 16 & 15u, word >> 24 & 15u) - 8) * scale;
}

#define KV_QUANTISED(name, plane)                                                                 \
    float name##_scale(Row row, uint at)                                                          \
    {                                                                                             \
        uint word = KV_FETCH(plane, row.segment, row.word + (at >> 1));                           \
        return from_f16((at & 1u) != 0u ? word >> 16 : word & 0xffffu);                           \
    }                                                                                             \
    /* Channels 8 chunk to 8 chunk + 7. */                                                        \
    void name##_q8_0(Row row, uint chunk, out vec4 low, out vec4 high)                            \
    {                                                                                             \
        uint at = row.half_word + (chunk >> 2) * 17u;                                             \
        float scale = name##_scale(row, at);                                                      \
        at += 1u + (chunk & 3u) * 4u;                                                             \
        uint odd = at & 1u;                                                                       \
        uint word = row.word + (at >> 1);                                                         \
        uint first = KV_FETCH(plane, row.segment, word);                                          \
        uint second = KV_FETCH(plane, row.segment, word + 1u);                                    \
        uint third = KV_FETCH(plane, row.segment, word + 1u + odd);                               \
        low = signed_bytes(odd != 0u ? upper_halves(first, second) : first, scale);               \
        high = signed_bytes(odd != 0u ? upper_halves(second, third) : second, scale);             \
    }                                                                                             \
    /* Both nibbles of 4 bytes: channels 4 i to 4 i + 3 of the block, i = chunk mod 4, and those  \
       16 further on. */                                                                          \
    void name##_q4_0(Row row, uint chunk, out vec4 low, out vec4 high)                            \
    {                                                                                             \
        uint at = row.half_word + (chunk >> 2) * 9u;                                              \
        float scale = name##_scale(row, at);                                                      \
        at += 1u + (chunk & 3u) * 2u;                                                             \
        uint odd = at & 1u;                                                                       \
        uint word = row.word + (at >> 1);                                                         \
        uint first = KV_FETCH(plane, row.segment, word);                                          \
        uint second = KV_FETCH(plane, row.segment, word + odd);                                   \
        uint bytes = odd != 0u ? upper_halves(first, second) : first;                             \
        low = nibbles(bytes, scale);                                                              \
        high = nibbles(bytes >> 4, scale);                                                        \
    }                                                                                             \
    void name##_q4_0_chunk(Row row, uint chunk, out vec4 low, out vec4 high)                      \
    {                                                                                             \
        bool upper = (chunk & 2u) != 0u;                                                          \
        uint item = (chunk & ~3u) + (chunk & 1u) * 2u;                                            \
        vec4 low_nibbles, high_nibbles;                                                           \
        name##_q4_0(row, item, low_nibbles, high_nibbles);                                        \
        low = upper ? high_nibbles : low_nibbles;                                                 \
        name##_q4_0(row, item + 1u, low_nibbles, high_nibbles);                                   \
        high = upper ? high_nibbles : low_nibbles;                                                \
    }
KV_QUANTISED(k, k_words)
KV_QUANTISED(v, v_words)
#endif

// Channels 8 chunk to 8 chunk + 7.
void k_load8(Row row, uint chunk, out vec4 low, out vec4 high)
{
#if VSA_QUANT
    if (K_TYPE == VSA_TYPE_Q8_0) {
        k_q8_0(row, chunk, low, high);
    } else if (K_TYPE == VSA_TYPE_Q4_0) {
        k_q4_0_chunk(row, chunk, low, high);
    } else
#endif
    if (K_TYPE == VSA_TYPE_F32) {
        low = uintBitsToFloat(KV_LOAD4(k_plane, row, chunk * 8u));
        high = uintBitsToFloat(KV_LOAD4(k_plane, row, chunk * 8u + 4u));
    } else {
        unpack8(KV_LOAD4(k_plane, row, chunk * 4u), K_TYPE, low, high);
    }
}

void v_load8(Row row, uint chunk, out vec4 low, out vec4 high)
{
#if VSA_QUANT
    if (V_TYPE == VSA_TYPE_Q8_0) {
        v_q8_0(row, chunk, low, high);
    } else if (V_TYPE == VSA_TYPE_Q4_0) {
        v_q4_0_chunk(row, chunk, low, high);
    } else
#endif
    if (V_TYPE == VSA_TYPE_F32) {
        low = uintBitsToFloat(KV_LOAD4(v_plane, row, chunk * 8u));
        high = uintBitsToFloat(KV_LOAD4(v_plane, row, chunk * 8u + 4u));
    } else {
        unpack8(KV_LOAD4(v_plane, row, chunk * 4u), V_TYPE, low, high);
    }
}

// For sums over channels, where their order is free: 8 channels at the least cost. `low` holds the
// 4 channels of quad quads_of(type, chunk).x, `high` those of .y; chunks cover the row once.
#if VSA_QUANT
uvec2 quads_of(uint type, uint chunk)
{
    return type == VSA_TYPE_Q4_0 ? (chunk & ~3u) * 2u + (chunk & 3u) + uvec2(0u, 4u)
                                 : chunk * 2u + uvec2(0u, 1u);
}
#else
uvec2 quads_of(uint type, uint chunk) { return chunk * 2u + uvec2(0u, 1u); }
#endif

void k_load_quads(Row row, uint chunk, out vec4 low, out vec4 high)
{
#if VSA_QUANT
    if (K_TYPE == VSA_TYPE_Q4_0) {
        k_q4_0(row, chunk, low, high);
    } else
#endif
    {
        k_load8(row, chunk, low, high);
    }
}

void v_load_quads(Row row, uint chunk, out vec4 low, out vec4 high)
{
#if VSA_QUANT
    if (V_TYPE == VSA_TYPE_Q4_0) {
        v_q4_0(row, chunk, low, high);
    } else
#endif
    {
        v_load8(row, chunk, low, high);
    }
}
#endif
