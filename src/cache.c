#include "cache.h"

#include "alloc.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Little-endian on disk:
 *   0  magic "VSA\x1a"
 *   4  format version
 *   8  payload size, 64 bits
 *  16  the key, so that a blob under another key is foreign
 *  48  XXH3-128 of the payload, seeded with the payload size
 *  64  payload */
#define HEADER_SIZE    64u
#define FORMAT_VERSION 1u

static const uint8_t magic[4] = {'V', 'S', 'A', 0x1a};

static void store_le(uint8_t *bytes, uint64_t value, unsigned count)
{
    for (unsigned i = 0; i < count; ++i) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static void make_header(uint8_t header[HEADER_SIZE], const uint8_t key[32], const void *payload,
                        size_t size)
{
    const XXH128_hash_t hash = XXH3_128bits_withSeed(payload, size, (XXH64_hash_t)size);
    memcpy(header, magic, sizeof(magic));
    store_le(header + 4, FORMAT_VERSION, 4);
    store_le(header + 8, size, 8);
    memcpy(header + 16, key, 32);
    store_le(header + 48, hash.low64, 8);
    store_le(header + 56, hash.high64, 8);
}

void vsai_cache_key(const vsai_cache_part *parts, size_t part_count, uint8_t out_key[32])
{
    /* Two seeds: 256 bits, far from any accidental collision. */
    for (unsigned half = 0; half < 2; ++half) {
        XXH3_state_t state;
        XXH3_INITSTATE(&state);
        XXH3_128bits_reset_withSeed(&state, half ? 0x9e3779b97f4a7c15ull : 0);
        for (size_t i = 0; i < part_count; ++i) {
            uint8_t size[8];
            store_le(size, parts[i].size, 8);
            XXH3_128bits_update(&state, size, sizeof(size));
            if (parts[i].size) {
                XXH3_128bits_update(&state, parts[i].data, parts[i].size);
            }
        }
        const XXH128_hash_t hash = XXH3_128bits_digest(&state);
        store_le(out_key + 16 * half, hash.low64, 8);
        store_le(out_key + 16 * half + 8, hash.high64, 8);
    }
}

int vsai_cache_get(const vsa_cache *cache, const VkAllocationCallbacks *allocator,
                   const uint8_t key[32], vsai_cache_blob *out_blob)
{
    *out_blob = (vsai_cache_blob){0};
    if (!cache || !cache->get) {
        return 0;
    }
    /* Never NULL: an application may hand it to memcpy. */
    uint8_t header[HEADER_SIZE] = {0};
    const size_t size = cache->get(cache->user, key, header, sizeof(header));
    if (size <= HEADER_SIZE || memcmp(header, magic, sizeof(magic)) != 0) {
        return 0;
    }
    uint8_t *bytes = vsai_calloc(allocator, size, 1);
    if (!bytes) {
        return 0;
    }
    /* The blob may have been replaced between the two calls: same size, or a miss. */
    if (cache->get(cache->user, key, bytes, size) == size) {
        make_header(header, key, bytes + HEADER_SIZE, size - HEADER_SIZE);
        if (memcmp(header, bytes, HEADER_SIZE) == 0) {
            memmove(bytes, bytes + HEADER_SIZE, size - HEADER_SIZE);
            out_blob->data = bytes;
            out_blob->size = size - HEADER_SIZE;
            return 1;
        }
    }
    vsai_free(allocator, bytes);
    return 0;
}

void vsai_cache_blob_free(const VkAllocationCallbacks *allocator, vsai_cache_blob *blob)
{
    vsai_free(allocator, blob->data);
    *blob = (vsai_cache_blob){0};
}

void vsai_cache_put(const vsa_cache *cache, const VkAllocationCallbacks *allocator,
                    const uint8_t key[32], const void *data, size_t size)
{
    if (!cache || !cache->put || size == 0 || size > SIZE_MAX - HEADER_SIZE) {
        return;
    }
    uint8_t *bytes = vsai_calloc(allocator, size + HEADER_SIZE, 1);
    if (!bytes) {
        return;
    }
    make_header(bytes, key, data, size);
    memcpy(bytes + HEADER_SIZE, data, size);
    cache->put(cache->user, key, bytes, size + HEADER_SIZE);
    vsai_free(allocator, bytes);
}
