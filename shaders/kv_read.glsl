// Reads 8 channels of a K or V row as f32. No 16-bit storage: f16 and bf16 are unpacked from
// 32-bit words. VSA_WIDE: rows start at multiples of 16 bytes and are read 16 bytes at a time.
#ifndef KV_READ_GLSL
#define KV_READ_GLSL
#include "kv_address.glsl"

#if VSA_WIDE
#define KV_ELEMENT uvec4
#else
#define KV_ELEMENT uint
#endif

#if VSA_SEGMENTS == 1
layout(set = 0, binding = VSA_BIND_K) readonly buffer KPlane { KV_ELEMENT data[]; } k_plane;
layout(set = 0, binding = VSA_BIND_V) readonly buffer VPlane { KV_ELEMENT data[]; } v_plane;
#define KV_FETCH(plane, segment, index) plane.data[index]
#else
layout(set = 0, binding = VSA_BIND_K) readonly buffer KPlane { KV_ELEMENT data[]; } k_plane[8];
layout(set = 0, binding = VSA_BIND_V) readonly buffer VPlane { KV_ELEMENT data[]; } v_plane[8];
// Invocations differ in their segment; only constant indices need no device feature.
#define KV_FETCH_FUNCTION(name, plane)                     \
    KV_ELEMENT name(uint segment, uint index)              \
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
KV_FETCH_FUNCTION(k_plane_fetch, k_plane)
KV_FETCH_FUNCTION(v_plane_fetch, v_plane)
#define KV_FETCH(plane, segment, index) plane##_fetch(segment, index)
#endif

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

// Channels 8 chunk to 8 chunk + 7.
void k_load8(Row row, uint chunk, out vec4 low, out vec4 high)
{
    if (K_TYPE == VSA_TYPE_F32) {
        low = uintBitsToFloat(KV_LOAD4(k_plane, row, chunk * 8u));
        high = uintBitsToFloat(KV_LOAD4(k_plane, row, chunk * 8u + 4u));
    } else {
        unpack8(KV_LOAD4(k_plane, row, chunk * 4u), K_TYPE, low, high);
    }
}

void v_load8(Row row, uint chunk, out vec4 low, out vec4 high)
{
    if (V_TYPE == VSA_TYPE_F32) {
        low = uintBitsToFloat(KV_LOAD4(v_plane, row, chunk * 8u));
        high = uintBitsToFloat(KV_LOAD4(v_plane, row, chunk * 8u + 4u));
    } else {
        unpack8(KV_LOAD4(v_plane, row, chunk * 4u), V_TYPE, low, high);
    }
}
#endif
