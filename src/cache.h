/* Blobs in the application's cache, framed so that damage is a miss. */
#ifndef VSAI_CACHE_H
#define VSAI_CACHE_H

#include "vsa.h"

typedef struct vsai_cache_part {
    const void *data;
    size_t      size;
} vsai_cache_part;

typedef struct vsai_cache_blob {
    void  *data;   /* owned: vsai_cache_blob_free; NULL on a miss */
    size_t size;
} vsai_cache_blob;

/* A key from parts: their sizes count too, so ("ab", "c") and ("a", "bc") differ. */
void vsai_cache_key(const vsai_cache_part *parts, size_t part_count, uint8_t out_key[32]);

/* 1 on a hit. A missing, damaged, truncated or foreign blob is a miss, and so is a failed
 * allocation. */
int vsai_cache_get(const vsa_cache *cache, const VkAllocationCallbacks *allocator,
                   const uint8_t key[32], vsai_cache_blob *out_blob);
void vsai_cache_blob_free(const VkAllocationCallbacks *allocator, vsai_cache_blob *blob);

/* Does nothing when the application has no cache, or when out of memory. */
void vsai_cache_put(const vsa_cache *cache, const VkAllocationCallbacks *allocator,
                    const uint8_t key[32], const void *data, size_t size);

#endif
