/* What the host wrote is indexed once, and no more than that, whichever sequences take part. */
#include "check.h"
#include "standalone/stale.h"

#include <string.h>

enum { SEQUENCES = 5, TOKENS = 64, STEPS = 20000 };

static void what_is_written_joins_and_leaves_by_sequence(void **state)
{
    (void)state;
    vsai_stale stale[3] = {{0, 0}};
    const uint32_t lengths[3] = {40, 40, 40};
    vsai_stale_add(&stale[0], 8, 8);
    assert_int_equal(stale[0].end, 0);   /* nothing */
    vsai_stale_add(&stale[0], 8, 16);
    vsai_stale_add(&stale[0], 20, 24);
    vsai_stale_add(&stale[2], 30, 50);
    vsai_stale all = vsai_stale_union(stale, lengths, 2);
    assert_int_equal(all.first, 8);
    assert_int_equal(all.end, 24);
    vsai_stale_indexed(stale, lengths, 2);
    /* The first two have nothing left, though the third, which took no part, has. */
    all = vsai_stale_union(stale, lengths, 2);
    assert_true(all.first >= all.end);
    all = vsai_stale_union(stale, lengths, 3);
    assert_int_equal(all.first, 30);
    assert_int_equal(all.end, 40);
    vsai_stale_indexed(stale, lengths, 3);
    assert_int_equal(stale[2].first, 40);   /* beyond its length */
    assert_int_equal(stale[2].end, 50);
}

/* Against a flag for every token. */
static void no_token_is_forgotten(void **state)
{
    (void)state;
    vsai_stale stale[SEQUENCES] = {{0, 0}};
    static uint8_t written[SEQUENCES][TOKENS];
    memset(written, 0, sizeof(written));
    uint32_t random = 1, indexed = 0;
    for (int step = 0; step < STEPS; ++step) {
        random = random * 1664525u + 1013904223u;
        const uint32_t sequence = (random >> 8) % SEQUENCES;
        const uint32_t first = (random >> 12) % TOKENS;
        const uint32_t end = first + (random >> 20) % (TOKENS + 1 - first);
        if (random >> 30) {
            vsai_stale_add(&stale[sequence], first, end);
            memset(&written[sequence][first], 1, end - first);
            continue;
        }
        const uint32_t count = sequence + 1;
        uint32_t lengths[SEQUENCES];
        for (uint32_t i = 0; i < count; ++i) {
            lengths[i] = 1 + (random >> (8 + i)) % TOKENS;
        }
        const vsai_stale all = vsai_stale_union(stale, lengths, count);
        indexed += all.first < all.end;
        for (uint32_t i = 0; i < count; ++i) {
            for (uint32_t token = 0; token < lengths[i]; ++token) {
                check_that(!written[i][token] || (token >= all.first && token < all.end),
                           "step %d: token %u of sequence %u is not indexed", step, token, i);
                written[i][token] = 0;
            }
        }
        vsai_stale_indexed(stale, lengths, count);
    }
    assert_true(indexed > STEPS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_joins_and_leaves_by_sequence),
        cmocka_unit_test(no_token_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
