/* Cache blobs: only what was stored, whole, under the same key, is a hit. */
#include "cache.h"
#include "check.h"

#include <stdlib.h>
#include <string.h>

/* One blob in memory, whatever the key. */
typedef struct store {
    uint8_t *data;
    size_t   size;
    size_t   claimed;   /* what `get` says; SIZE_MAX = the truth */
    int      puts;
} store;

static size_t store_get(void *user, const uint8_t key[32], void *data, size_t capacity)
{
    store *s = user;
    (void)key;
    if (s->size > 0) {
        memcpy(data, s->data, capacity < s->size ? capacity : s->size);
    }
    return s->claimed == SIZE_MAX ? s->size : s->claimed;
}

static void store_put(void *user, const uint8_t key[32], const void *data, size_t size)
{
    store *s = user;
    (void)key;
    free(s->data);
    s->data = malloc(size);
    s->size = size;
    s->puts++;
    memcpy(s->data, data, size);
}

static store *fresh(vsa_cache *cache)
{
    store *s = calloc(1, sizeof *s);
    s->claimed = SIZE_MAX;
    *cache = (vsa_cache){ store_get, store_put, s };
    return s;
}

static void discard(store *s)
{
    free(s->data);
    free(s);
}

static const char payload[] = "SPIR-V of some shader, long enough to be cut in the middle";

static int hits(const vsa_cache *cache, const uint8_t key[32])
{
    vsai_cache_blob blob;
    int hit = vsai_cache_get(cache, NULL, key, &blob);
    if (hit) {
        assert_int_equal(blob.size, sizeof payload);
        assert_memory_equal(blob.data, payload, sizeof payload);
    } else {
        assert_null(blob.data);
    }
    vsai_cache_blob_free(NULL, &blob);
    return hit;
}

static void what_was_put_is_a_hit(void **state)
{
    (void)state;
    vsa_cache cache;
    store *s = fresh(&cache);
    uint8_t key[32] = { 1, 2, 3 };
    assert_false(hits(&cache, key));
    vsai_cache_put(&cache, NULL, key, payload, sizeof payload);
    assert_int_equal(s->puts, 1);
    assert_true(hits(&cache, key));
    discard(s);
}

static void no_cache_is_a_miss(void **state)
{
    (void)state;
    vsa_cache none = { 0 };
    uint8_t key[32] = { 0 };
    assert_false(hits(&none, key));
    assert_false(hits(NULL, key));
    vsai_cache_put(&none, NULL, key, payload, sizeof payload);
    vsai_cache_put(NULL, NULL, key, payload, sizeof payload);
}

static void any_flipped_bit_is_a_miss(void **state)
{
    (void)state;
    vsa_cache cache;
    store *s = fresh(&cache);
    uint8_t key[32] = { 9 };
    vsai_cache_put(&cache, NULL, key, payload, sizeof payload);
    for (size_t i = 0; i < s->size * 8; i++) {
        s->data[i / 8] ^= (uint8_t)(1u << (i % 8));
        check_that(!hits(&cache, key), "bit %zu of %zu bytes is not checked", i, s->size);
        s->data[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
    assert_true(hits(&cache, key));
    discard(s);
}

static void any_other_size_is_a_miss(void **state)
{
    (void)state;
    vsa_cache cache;
    store *s = fresh(&cache);
    uint8_t key[32] = { 9 };
    vsai_cache_put(&cache, NULL, key, payload, sizeof payload);
    size_t whole = s->size;
    for (s->size = 0; s->size < whole; s->size++) {
        assert_false(hits(&cache, key));
    }
    s->data = realloc(s->data, whole + 64);
    memset(s->data + whole, 0, 64);
    for (s->size = whole + 1; s->size <= whole + 64; s->size++) {
        assert_false(hits(&cache, key));
    }
    /* A store that promises more than it has. */
    s->size = whole;
    s->claimed = whole + 1;
    assert_false(hits(&cache, key));
    s->claimed = 3;
    assert_false(hits(&cache, key));
    s->claimed = SIZE_MAX;
    assert_true(hits(&cache, key));
    discard(s);
}

static void a_foreign_blob_is_a_miss(void **state)
{
    (void)state;
    vsa_cache cache;
    store *s = fresh(&cache);
    uint8_t key[32] = { 9 }, other[32] = { 10 };
    vsai_cache_put(&cache, NULL, key, payload, sizeof payload);
    assert_false(hits(&cache, other));
    memset(s->data, 0xff, s->size);
    assert_false(hits(&cache, key));
    memset(s->data, 0, s->size);
    assert_false(hits(&cache, key));
    memcpy(s->data, payload, sizeof payload);
    assert_false(hits(&cache, key));
    discard(s);
}

static void keys_depend_on_every_byte_and_boundary(void **state)
{
    (void)state;
    const vsai_cache_part ab_c[] = { { "ab", 2 }, { "c", 1 } };
    const vsai_cache_part a_bc[] = { { "a", 1 }, { "bc", 2 } };
    const vsai_cache_part abc[] = { { "abc", 3 } };
    const vsai_cache_part abc_empty[] = { { "abc", 3 }, { NULL, 0 } };
    const vsai_cache_part abd[] = { { "abd", 3 } };
    const struct {
        const vsai_cache_part *parts;
        size_t count;
    } inputs[] = { { ab_c, 2 }, { a_bc, 2 }, { abc, 1 }, { abc_empty, 2 }, { abd, 1 },
                   { NULL, 0 } };
    enum { COUNT = sizeof inputs / sizeof *inputs };
    uint8_t keys[COUNT][32], again[32];
    for (int i = 0; i < COUNT; i++) {
        vsai_cache_key(inputs[i].parts, inputs[i].count, keys[i]);
        vsai_cache_key(inputs[i].parts, inputs[i].count, again);
        assert_memory_equal(keys[i], again, 32);
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(keys[i], keys[j], 16);
            assert_memory_not_equal(keys[i] + 16, keys[j] + 16, 16);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_a_hit),
        cmocka_unit_test(no_cache_is_a_miss),
        cmocka_unit_test(any_flipped_bit_is_a_miss),
        cmocka_unit_test(any_other_size_is_a_miss),
        cmocka_unit_test(a_foreign_blob_is_a_miss),
        cmocka_unit_test(keys_depend_on_every_byte_and_boundary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
