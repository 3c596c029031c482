/* Cache blobs: only what was put under a key, whole, is a hit; everything else is a miss. The first
 * bytes say how the store lies about sizes, and whether the rest is a blob or a payload. */
#include "fuzz.h"

#include <string.h>

#include "cache.h"

typedef struct store {
    uint8_t *data;
    size_t   size, claimed;
} store;

static size_t get(void *user, const uint8_t key[32], void *data, size_t capacity)
{
    const store *s = user;
    (void)key;
    if (s->size > 0) {
        memcpy(data, s->data, capacity < s->size ? capacity : s->size);
    }
    return s->claimed;
}

static void put(void *user, const uint8_t key[32], const void *data, size_t size)
{
    store *s = user;
    (void)key;
    free(s->data);
    s->data = malloc(size);
    FUZZ_CHECK(s->data);
    memcpy(s->data, data, size);
    s->size = s->claimed = size;
}

static const uint8_t key[32] = {'f', 'u', 'z', 'z'};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    store s = {0};
    const vsa_cache cache = {get, put, &s};
    vsai_cache_blob blob;

    if (size < 4) {
        return 0;
    }
    const uint32_t mode = data[0], claim = data[1], position = data[2] | (uint32_t)data[3] << 8;
    data += 4;
    size -= 4;
    if (mode & 1) {
        /* The input as a payload, stored, then perhaps damaged in one byte. */
        vsai_cache_put(&cache, NULL, key, data, size);
        FUZZ_CHECK((s.size != 0) == (size != 0));
        if (s.size != 0 && mode & 2) {
            s.data[position % s.size] ^= (uint8_t)(claim | 1);
        }
    } else {
        s.data = malloc(size + 1);
        FUZZ_CHECK(s.data);
        memcpy(s.data, data, size);
        s.size = s.claimed = size;
    }
    if (mode & 4) {
        s.claimed = s.claimed > claim ? s.claimed - claim : s.claimed + claim;
    }
    const int truthful = s.claimed == s.size;
    const int hit = vsai_cache_get(&cache, NULL, key, &blob);
    if (mode & 1 && size != 0) {
        FUZZ_CHECK(hit == (truthful && !(mode & 2)));
        FUZZ_CHECK(!hit || (blob.size == size && memcmp(blob.data, data, size) == 0));
    }
    if (hit) {
        /* What is taken for whole is what would have been stored. Of what a store claims, it wrote
         * at most what it has; the rest is zeros, which a blob may rightly end in: a store that
         * claims them cannot be told from one that has them. */
        store again = {0};
        const vsa_cache other = {get, put, &again};
        vsai_cache_put(&other, NULL, key, blob.data, blob.size);
        FUZZ_CHECK(again.size == s.claimed);
        for (size_t i = 0; i < again.size; ++i) {
            FUZZ_CHECK(again.data[i] == (i < s.size ? s.data[i] : 0));
        }
        free(again.data);
    } else {
        FUZZ_CHECK(blob.data == NULL && blob.size == 0);
    }
    vsai_cache_blob_free(NULL, &blob);
    free(s.data);
    return 0;
}
