/* A stage cut into dispatches: everything once, nothing too large. */
#include "check.h"
#include "ranges.h"

static void every_workgroup_runs_once_and_within_bounds(void **state)
{
    (void)state;
    static const uint32_t xs[] = { 1, 2, 7, 64, 1000, 65535, 65536, 200000 };
    static const uint32_t queries[] = { 1, 3, 8, 100, 5000 };
    static const uint32_t cells[] = { 1, 2, 8, 32 };
    static const uint32_t tokens[] = { 1, 64, 256, 1024 };
    static const uint32_t bounds[] = { 1, 100, 4096, 1u << 20, 0xffffffffu };
    for (size_t i = 0; i < 8 * 5 * 4 * 4 * 5; i++) {
        uint32_t x = xs[i % 8], q = queries[i / 8 % 5], cell = cells[i / 40 % 4];
        uint32_t per_x = tokens[i / 160 % 4], bound = bounds[i / 640];
        vsai_ranges r = vsai_ranges_make(x, q * cell, cell, per_x, bound);
        assert_int_equal(r.total_x, x);
        assert_int_equal(r.total_y, q * cell);
        assert_true(r.nx >= 1 && r.ny >= 1 && r.nx <= 65535 && r.ny <= 65535);
        /* Whole, and no dispatch is empty. */
        assert_true((uint64_t)r.nx * r.rx >= x && (uint64_t)r.nx * (r.rx - 1) < x);
        assert_true((uint64_t)r.ny * r.ry >= q * cell && (uint64_t)r.ny * (r.ry - 1) < q * cell);
        /* The cells of one query stay together. */
        assert_int_equal(r.ny % cell, 0);
        /* Tokens times queries of one dispatch, unless a single column is already more. */
        uint64_t work = (uint64_t)r.nx * per_x * (r.ny / cell);
        check_that(work <= bound || (r.nx == 1 && r.ny == cell),
                   "%u x %u workgroups of %u tokens exceed %u", r.nx, r.ny, per_x, bound);
        assert_int_equal(vsai_ranges_count(&r), r.rx * r.ry);
    }
}

static void small_stages_are_one_dispatch(void **state)
{
    (void)state;
    vsai_ranges r = vsai_ranges_make(100, 8, 8, 256, 1u << 20);
    assert_int_equal(vsai_ranges_count(&r), 1);
    assert_int_equal(r.nx, 100);
    assert_int_equal(r.ny, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_workgroup_runs_once_and_within_bounds),
        cmocka_unit_test(small_stages_are_one_dispatch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
