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
#define KV_FETCH(plane, WORDS) return WORDS(plane);
#else
#define KV_DESCRIPTORS [8]
// Invocations differ in their segment; only constant indices need no device feature. One switch
// for all words that are wanted: drivers take long over many.
#define KV_FETCH(plane, WORDS)                         \
    switch (segment) {                                 \
    case 0: return WORDS(plane[0]);                    \
    case 1: return WORDS(plane[1]);                    \
    case 2: return WORDS(plane[2]);                    \
    case 3: return WORDS(plane[3]);                    \
    case 4: return WORDS(plane[4]);                    \
    case 5: return WORDS(plane[5]);                    \
    case 6: return WORDS(plane[6]);                    \
    default: return WORDS(plane[7]);                   \
    }
#endif
#define KV_WORDS3(plane) uvec3(plane.data[at.x], plane.data[at.y], plane.data[at.z])
#define KV_WORDS4(plane) \
    uvec4(plane.data[at.x], plane.data[at.y], plane.data[at.z], plane.data[at.w])
#define KV_ELEMENT_AT(plane) plane.data[at]

layout(set = 0, binding = VSA_BIND_K) readonly buffer KPlane { KV_ELEMENT data[]; }
    k_plane KV_DESCRIPTORS;
layout(set = 0, binding = VSA_BIND_V) readonly buffer VPlane { KV_ELEMENT data[]; }
    v_plane KV_DESCRIPTORS;

// Four words of a row from `word` on.
#if VSA_WIDE
#define KV_LOAD4(name, plane)                          \
    uvec4 name(uint segment, uint word)                \
    {                                                  \
        uint at = word >> 2;                           \
        KV_FETCH(plane, KV_ELEMENT_AT)                 \
    }
#else
#define KV_LOAD4(name, plane)                          \
    uvec4 name(uint segment, uint word)                \
    {                                                  \
        uvec4 at = word + uvec4(0u, 1u, 2u, 3u);       \
        KV_FETCH(plane, KV_WORDS4)                     \
    }
#endif
KV_LOAD4(k_load4, k_plane)
KV_LOAD4(v_load4, v_plane)

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
#else
#define k_words k_plane
#define v_words v_plane
#endif

uvec4 k_gather4(uint segment, uvec4 at) { KV_FETCH(k_words, KV_WORDS4) }
uvec4 v_gather4(uint segment, uvec4 at) { KV_FETCH(v_words, KV_WORDS4) }
uvec3 k_gather3(uint segment, uvec3 at) { KV_FETCH(k_words, KV_WORDS3) }
uvec3 v_gather3(uint segment, uvec3 at) { KV_FETCH(v_words, KV_WORDS3) }

// Blocks start at any half word: 17 halves of Q8_0 or 9 of Q4_0, the first of which is the f16
// scale. Where data starts at an upper half it is cut out of one word more; where it does not,
// the last word is read twice, not the one after it, which may lie behind the buffer's end.

// Words of a row: the one that holds the scale of the chunk's block, then those with its data.
uvec4 q8_0_words(Row row, uint chunk)
{
    uint at = row.half_word + (chunk >> 2) * 17u;
    uint data = at + 1u + (chunk & 3u) * 4u;
    return row.word + (uvec4(at, data, data + 2u, data + 3u) >> 1);
}

uvec3 q4_0_words(Row row, uint chunk)
{
    uint at = row.half_word + (chunk >> 2) * 9u;
    uint data = at + 1u + (chunk & 3u) * 2u;
    return row.word + (uvec3(at, data, data + 1u) >> 1);
}

// Does the block start at an upper half? Then its data does not.
bool scale_is_upper(Row row, uint chunk) { return ((row.half_word + (chunk >> 2)) & 1u) != 0u; }

float block_scale(uint word, bool upper)
{
    return from_f16(upper ? word >> 16 : word & 0xffffu);
}

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

// `words` are those of q8_0_words. Channels 8 chunk to 8 chunk + 7.
void unpack_q8_0(uvec4 words, bool upper, out vec4 low, out vec4 high)
{
    float scale = block_scale(words.x, upper);
    low = signed_bytes(upper ? words.y : upper_halves(words.y, words.z), scale);
    high = signed_bytes(upper ? words.z : upper_halves(words.z, words.w), scale);
}

// `words` are those of q4_0_words. Both nibbles of 4 bytes: channels 4 i to 4 i + 3 of the block,
// i = chunk mod 4, and those 16 further on.
void unpack_q4_0(uvec3 words, bool upper, out vec4 low, out vec4 high)
{
    float scale = block_scale(words.x, upper);
    uint bytes = upper ? words.y : upper_halves(words.y, words.z);
    low = nibbles(bytes, scale);
    high = nibbles(bytes >> 4, scale);
}

#define KV_QUANTISED(name)                                                              \
    void name##_q8_0(Row row, uint chunk, out vec4 low, out vec4 high)                  \
    {                                                                                   \
        unpack_q8_0(name##_gather4(row.segment, q8_0_words(row, chunk)),                \
                    scale_is_upper(row, chunk), low, high);                             \
    }                                                                                   \
    void name##_q4_0(Row row, uint chunk, out vec4 low, out vec4 high)                  \
    {                                                                                   \
        unpack_q4_0(name##_gather3(row.segment, q4_0_words(row, chunk)),                \
                    scale_is_upper(row, chunk), low, high);                             \
    }                                                                                   \
    /* Channels 8 chunk to 8 chunk + 7. */                                              \
    void name##_q4_0_chunk(Row row, uint chunk, out vec4 low, out vec4 high)            \
    {                                                                                   \
        bool upper = (chunk & 2u) != 0u;                                                \
        uint item = (chunk & ~3u) + (chunk & 1u) * 2u;                                  \
        vec4 low_nibbles, high_nibbles;                                                 \
        name##_q4_0(row, item, low_nibbles, high_nibbles);                              \
        low = upper ? high_nibbles : low_nibbles;                                       \
        name##_q4_0(row, item + 1u, low_nibbles, high_nibbles);                         \
        high = upper ? high_nibbles : low_nibbles;                                      \
    }
KV_QUANTISED(k)
KV_QUANTISED(v)
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
        low = uintBitsToFloat(k_load4(row.segment, row.word + chunk * 8u));
        high = uintBitsToFloat(k_load4(row.segment, row.word + chunk * 8u + 4u));
    } else {
        unpack8(k_load4(row.segment, row.word + chunk * 4u), K_TYPE, low, high);
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
        low = uintBitsToFloat(v_load4(row.segment, row.word + chunk * 8u));
        high = uintBitsToFloat(v_load4(row.segment, row.word + chunk * 8u + 4u));
    } else {
        unpack8(v_load4(row.segment, row.word + chunk * 4u), V_TYPE, low, high);
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
