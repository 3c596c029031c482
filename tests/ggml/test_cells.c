/* Masks into lists of cells. */
#include "cells.h"
#include "check.h"

enum { ZERO = 0, MINUS_ZERO = 0x8000, MINUS_INFINITY = 0xfc00, ONE = 0x3c00, NAN_HALF = 0x7e00 };

static void no_mask_shows_every_cell(void **state)
{
    (void)state;
    uint32_t cells[5], count = 9;
    assert_int_equal(vsai_ggml_cells(NULL, 5, 100, cells, &count), VSAI_GGML_MASK_LIST);
    assert_int_equal(count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(cells[i], 100 + i);
    }
}

static void holes_and_other_sequences_are_left_out(void **state)
{
    (void)state;
    const uint16_t mask[] = {ZERO, MINUS_INFINITY, MINUS_ZERO, MINUS_INFINITY, ZERO,
                             MINUS_INFINITY};
    uint32_t cells[6], count = 9;
    assert_int_equal(vsai_ggml_cells(mask, 6, 7, cells, &count), VSAI_GGML_MASK_LIST);
    assert_int_equal(count, 3);
    assert_int_equal(cells[0], 7);
    assert_int_equal(cells[1], 9);
    assert_int_equal(cells[2], 11);
}

static void a_row_may_show_nothing(void **state)
{
    (void)state;
    const uint16_t mask[] = {MINUS_INFINITY, MINUS_INFINITY};
    uint32_t cells[2], count = 9;
    assert_int_equal(vsai_ggml_cells(mask, 2, 0, cells, &count), VSAI_GGML_MASK_EMPTY);
    assert_int_equal(count, 0);
}

static void other_values_are_noticed_wherever_they_are(void **state)
{
    (void)state;
    static const uint16_t others[] = {ONE, 0x0001, 0x8001, 0xbc00, 0x7c00, NAN_HALF, 0xfc01};
    for (size_t v = 0; v < sizeof others / sizeof *others; v++) {
        for (uint32_t at = 0; at < 4; at++) {
            uint16_t mask[] = {ZERO, MINUS_INFINITY, ZERO, MINUS_INFINITY};
            uint32_t cells[4], count;
            mask[at] = others[v];
            check_that(vsai_ggml_cells(mask, 4, 0, cells, &count) == VSAI_GGML_MASK_VALUES,
                       "%#x at %u was taken for 0 or -inf", others[v], at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_mask_shows_every_cell),
        cmocka_unit_test(holes_and_other_sequences_are_left_out),
        cmocka_unit_test(a_row_may_show_nothing),
        cmocka_unit_test(other_values_are_noticed_wherever_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
