/* Which sequence keeps whose index, and what of it is indexed again. */
#include "check.h"
#include "slots.h"

#include <string.h>

enum { CAPACITY = 4096, CELLS = 8192 };

static vsai_ggml_slots slots;
static vsai_ggml_ranges ranges;
static uint32_t versions[CELLS], a[CAPACITY], b[CAPACITY];

static int setup(void **state)
{
    (void)state;
    memset(versions, 0, sizeof versions);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        a[i] = 2 * i;       /* two sequences whose cells alternate */
        b[i] = 2 * i + 1;
    }
    return !vsai_ggml_slots_create(&slots, 4, CAPACITY);
}

static int teardown(void **state)
{
    (void)state;
    vsai_ggml_slots_destroy(&slots);
    return 0;
}

static void update(uint32_t slot, const uint32_t *row, uint32_t count)
{
    ranges.count = 0;
    vsai_ggml_slots_update(&slots, slot, row, count, versions, &ranges);
}

static void assert_range(uint32_t i, uint32_t first, uint32_t end)
{
    assert_true(i < ranges.count);
    assert_int_equal(ranges.ranges[i].first, first);
    assert_int_equal(ranges.ranges[i].end, end);
}

static void a_growing_list_indexes_what_is_new(void **state)
{
    (void)state;
    update(0, a, 1000);
    assert_int_equal(ranges.count, 1);
    assert_range(0, 0, 1000);
    update(0, a, 1001);
    assert_int_equal(ranges.count, 1);
    assert_range(0, 1000, 1001);
    update(0, a, 1001);
    assert_int_equal(ranges.count, 0);
}

static void changed_cells_are_indexed_again(void **state)
{
    (void)state;
    update(0, a, 1000);
    versions[a[10]]++;
    versions[a[500]]++;
    versions[a[510]]++;
    update(0, a, 1000);
    assert_int_equal(ranges.count, 2);
    assert_range(0, 10, 11);
    assert_range(1, 500, 511);
}

static void a_list_that_lost_cells_in_the_middle_is_indexed_behind_them(void **state)
{
    (void)state;
    update(0, a, 1000);
    memmove(&a[100], &a[300], (1000 - 300) * sizeof *a);
    update(0, a, 800);
    assert_int_equal(ranges.count, 1);
    assert_range(0, 100, 800);
}

static void a_shorter_list_indexes_its_last_block(void **state)
{
    (void)state;
    update(0, a, 1000);
    update(0, a, 970);
    assert_int_equal(ranges.count, 1);
    assert_range(0, 960, 970);
}

static void rows_find_their_slots_in_any_order(void **state)
{
    (void)state;
    uint32_t out[2];
    update(0, a, 1000);
    update(1, b, 900);
    const uint32_t *const swapped[] = {b, a};
    const uint32_t counts[] = {901, 1001};
    vsai_ggml_slots_assign(&slots, swapped, counts, 2, out);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 0);
    /* One alone keeps its own, and a new one takes an empty slot. */
    vsai_ggml_slots_assign(&slots, swapped, counts, 1, out);
    assert_int_equal(out[0], 1);
    static uint32_t other[10];
    for (uint32_t i = 0; i < 10; i++) {
        other[i] = 7000 + i;
    }
    const uint32_t *const added[] = {other, b};
    vsai_ggml_slots_assign(&slots, added, (const uint32_t[]){10, 901}, 2, out);
    assert_true(out[0] == 2 || out[0] == 3);
    assert_int_equal(out[1], 1);
}

static void ranges_that_do_not_fit_reach_over_gaps(void **state)
{
    (void)state;
    update(0, a, 4000);
    for (uint32_t i = 0; i < 20; i++) {
        versions[a[i * 200]]++;
    }
    update(0, a, 4000);
    assert_true(ranges.count <= VSAI_GGML_SLOT_RANGES);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t covered = 0;
        for (uint32_t r = 0; r < ranges.count; r++) {
            covered += ranges.ranges[r].first <= i * 200 && i * 200 < ranges.ranges[r].end;
        }
        check_that(covered == 1, "token %u is in %u ranges", i * 200, covered);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_growing_list_indexes_what_is_new, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_cells_are_indexed_again, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_list_that_lost_cells_in_the_middle_is_indexed_behind_them, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shorter_list_indexes_its_last_block, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_find_their_slots_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(ranges_that_do_not_fit_reach_over_gaps, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
