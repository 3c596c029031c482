/* Rows in files, what is counted of them, settings, and the search for a density. */
#include "check.h"

#include "search.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

static recall_row make_row(uint32_t context, uint32_t question, const char *method, double target,
                    int is_right)
{
    recall_row made = { .length = 1024, .family = TASK_MANY_ONLY, .context = context,
                 .question = question, .kind = TASK_MANY, .target = target, .is_right = is_right,
                 .agreed = 3, .compared = 4, .attended = 10, .visible = 100, .rows = 8,
                 .exact_rows = 1, .seconds = 0.5 };
    snprintf(made.method, sizeof(made.method), "%s", method);
    return made;
}

static void add(recall_rows *list, recall_row added)
{
    assert_true(row_list_add(list, &added));
}

/* Two contexts of two questions; dense is right in all but one. */
static recall_rows make_list(void)
{
    static const int dense[4] = { 1, 1, 1, 0 }, sparse[4] = { 0, 0, 1, 1 };
    recall_rows list = { 0 };
    for (uint32_t i = 0; i < 4; i++) {
        add(&list, make_row(i / 2, i % 2, SETTING_DENSE, 0, dense[i]));
        add(&list, make_row(i / 2, i % 2, "topk", 0.1, sparse[i]));
        add(&list, make_row(i / 2, i % 2, "topk", 0.2, dense[i]));
    }
    return list;
}

static void cells_are_counted(void **state)
{
    (void)state;
    recall_rows list = make_list();
    table_cell cell;
    table_count(&list, 1024, TASK_MANY, "topk", 0.1, &cell);
    assert_int_equal(cell.questions, 4);
    assert_int_equal(cell.clusters, 2);
    assert_int_equal(cell.lost, 2);
    assert_int_equal(cell.gained, 1);
    check_near(cell.right, 0.5, 1e-12);
    check_near(cell.dense_right, 0.75, 1e-12);
    check_near(cell.difference, -0.25, 1e-12);
    /* Sums of differences less their mean: -2 + .5 and 1 + .5; sqrt(2 (1.5^2 + 1.5^2)) / 4. */
    check_near(cell.standard_error, 0.75, 1e-12);
    check_near(cell.agreement, 0.75, 1e-12);
    check_near(cell.same, 0, 1e-12);
    check_near(cell.density, 0.1, 1e-12);
    check_near(cell.exact, 0.125, 1e-12);

    table_count(&list, 1024, -1, "topk", 0.2, &cell);
    check_near(cell.difference, 0, 1e-12);
    check_near(cell.standard_error, 0, 1e-12);
    table_count(&list, 2048, TASK_MANY, "topk", 0.1, &cell);
    assert_int_equal(cell.questions, 0);
    table_count(&list, 1024, TASK_WORD, "topk", 0.1, &cell);
    assert_int_equal(cell.questions, 0);
    row_list_free(&list);
}

/* What table_write writes, to be freed. */
static char *write_list(const recall_rows *list)
{
    char *text = calloc(1, 1 << 16);
    FILE *file = tmpfile();
    assert_non_null(text);
    assert_non_null(file);
    assert_int_equal(table_write(file, list, NULL, 0), list->count > 0);
    rewind(file);
    assert_int_equal(ferror(file), 0);
    if (fread(text, 1, (1 << 16) - 1, file) == 0) {
        text[0] = 0;
    }
    fclose(file);
    return text;
}

static void a_method_that_loses_is_named(void **state)
{
    (void)state;
    recall_rows list = { 0 };
    for (uint32_t i = 0; i < 40; i++) {
        add(&list, make_row(i, 0, SETTING_DENSE, 0, 1));
        add(&list, make_row(i, 0, "topk", 0.1, i % 2 == 0));
        add(&list, make_row(i, 0, "guided", 0.1, i != 0));
    }
    char *text = write_list(&list);
    assert_non_null(strstr(text, "## 1024 tokens\n"));
    assert_non_null(strstr(text, "| many (40) |"));
    assert_non_null(strstr(text, "| topk 10% | | 10.0 | 12 | 75.0 | - | - | - | - | "
                                 "**50.0 (-50.0 ± 8.0)** |"));
    assert_non_null(strstr(text, "| guided 10% | | 10.0 | 12 | 75.0 | - | - | - | - | "
                                 "97.5 (-2.5 ± 2.5) |"));
    assert_non_null(strstr(text, "- topk, many, 1024 tokens: 20 of 40 lost, 0 gained"));
    assert_non_null(strstr(text, "\n1 of 2 comparisons are below"));
    assert_null(strstr(text, "- guided"));
    free(text);
    row_list_free(&list);

    text = write_list(&list);
    assert_string_equal(text, "");
    free(text);
}

static void rows_survive_a_file(void **state)
{
    (void)state;
    char line[512];
    recall_row written = make_row(3, 4, "vattention", 0.05, 1), found;
    FILE *file = tmpfile();
    assert_non_null(file);
    row_write(file, &written);
    rewind(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    assert_true(row_parse(line, &found));
    assert_int_equal(found.length, 1024);
    assert_int_equal(found.family, TASK_MANY_ONLY);
    assert_int_equal(found.context, 3);
    assert_int_equal(found.question, 4);
    assert_int_equal(found.kind, TASK_MANY);
    assert_string_equal(found.method, "vattention");
    check_near(found.target, 0.05, 0);
    assert_int_equal(found.is_right, 1);
    assert_int_equal(found.agreed, 3);
    assert_int_equal(found.compared, 4);
    check_near(found.attended, 10, 0);
    check_near(found.visible, 100, 0);
    assert_int_equal(found.rows, 8);
    assert_int_equal(found.exact_rows, 1);
    check_near(found.seconds, 0.5, 0);

    line[strlen(line) - 1] = 0;
    assert_false(row_parse(line, &found));   /* cut short */
    assert_false(row_parse("\n", &found));
    assert_false(row_parse("1024,1,3,4,copy,topk,0.1,1,3,4,10,100,8,1,0.5\n", &found));
    assert_false(row_parse("1024,9,3,4,many,topk,0.1,1,3,4,10,100,8,1,0.5\n", &found));
}

static const char *find_option(const recall_option *options, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return options[i].value;
        }
    }
    return NULL;
}

static void settings_have_options(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SETTING_COUNT; i++) {
        recall_setting setting;
        recall_option options[SETTING_MAX_OPTIONS];
        double low, high;
        setting_init(&setting, 4096, i);
        setting_bounds(&setting, &low, &high);
        check_between(setting.parameter, low, high);
        const uint32_t count = setting_options(&setting, options);
        assert_string_equal(find_option(options, count, "method"), setting.method);
        check_near(atof(find_option(options, count, "sink")), setting.target / 16, 1e-9);
        check_near(atof(find_option(options, count, "window")), setting.target / 16, 1e-9);
        check_near(atof(find_option(options, count, setting_parameter_name(&setting))),
                   setting.parameter, 1e-9);
        if (strcmp(setting.method, "vattention") == 0) {
            check_near(atof(find_option(options, count, "top_k")), setting.target * 3 / 8, 1e-9);
        }
    }
    recall_setting dense = { .method = SETTING_VSA_DENSE };
    recall_option options[SETTING_MAX_OPTIONS];
    assert_int_equal(setting_options(&dense, options), 1);
    assert_string_equal(options[0].value, "dense");
    assert_null(setting_parameter_name(&dense));
}

static void a_search_finds_its_target(void **state)
{
    (void)state;
    recall_search search;
    search_start(&search, 0.01, 0.999, 0.3, 0, 0.1);
    while (search_step(&search, 0.02 / search.next, 0.02, 20)) {
    }
    check_near(search.best, 0.2, 0.2 * 0.03);
    check_near(search.best_value, 0.1, 0.1 * 0.02);

    search_start(&search, 0, 0.5, 0.1, 1, 0.2);
    while (search_step(&search, search.next * 0.8, 0.02, 20)) {
    }
    check_near(search.best_value, 0.2, 0.2 * 0.02);

    /* Out of reach: the nearest end, after finitely many steps. */
    search_start(&search, 0, 1, 0.5, 1, 0.1);
    while (search_step(&search, 0.3 + 0.1 * search.next, 0.02, 10)) {
    }
    assert_true(search.steps <= 10);
    check_near(search.best, 0, 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_counted),
        cmocka_unit_test(a_method_that_loses_is_named),
        cmocka_unit_test(rows_survive_a_file),
        cmocka_unit_test(settings_have_options),
        cmocka_unit_test(a_search_finds_its_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
