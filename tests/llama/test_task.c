/* Filler, facts, questions and what counts as a right answer. */
#include "check.h"

#include "task.h"
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENTENCES = 20000, TASKS = 200 };

static void sentences_are_well_formed(void **state)
{
    (void)state;
    ref_random random = { .state = 1 };
    for (int i = 0; i < SENTENCES; i++) {
        char text[TEXT_MAX_SENTENCE];
        text_sentence(&random, text);
        const size_t size = strlen(text);
        check_that(size >= 20 && size + 1 < TEXT_MAX_SENTENCE, "%zu bytes: %s", size, text);
        check_that(isupper((unsigned char)text[0]) && text[size - 1] == '.', "%s", text);
        check_that(strcspn(text, "0123456789\n%") == size, "%s", text);
        check_that(strchr(text, '.') == text + size - 1, "%s", text);
        check_that(!strstr(text, "  ") && !strstr(text, "magic") && !strstr(text, "VAR"), "%s",
                   text);
    }
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void sentences_vary(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    char (*texts)[TEXT_MAX_SENTENCE] = calloc(COUNT, sizeof(*texts));
    assert_non_null(texts);
    ref_random random = { .state = 2 };
    for (int i = 0; i < COUNT; i++) {
        text_sentence(&random, texts[i]);
    }
    qsort(texts, COUNT, sizeof(*texts), compare_text);
    int repeated = 0;
    for (int i = 1; i < COUNT; i++) {
        repeated += strcmp(texts[i - 1], texts[i]) == 0;
    }
    /* A context of 4,096 tokens holds some 200. */
    check_that(repeated <= COUNT / 100, "%d of %d sentences are repeated", repeated, COUNT);
    free(texts);
}

static uint32_t count_text(const char *text, const char *part)
{
    uint32_t count = 0;
    for (const char *found = text; (found = strstr(found, part)) != NULL; found++) {
        count++;
    }
    return count;
}

/* The answer's numbers or word stand in facts about what the question asks for. */
static void check_answer(const recall_question *question, const char *context)
{
    char fact[3 * TASK_FACT_SIZE], name[4];
    const char *text = question->text, *answer = question->answer;
    int end = 0;
    if (question->kind == TASK_NUMBER || question->kind == TASK_MANY ||
        question->kind == TASK_WORD) {
        snprintf(fact, sizeof(fact), "\nNote: %s%s\n", text, answer);
        assert_int_equal(count_text(context, fact), 1);
    } else if (question->kind == TASK_SEVERAL) {
        char key[TASK_FACT_SIZE];
        unsigned numbers[TASK_VALUES];
        size_t last = 0;
        const char *list = strstr(text, " are");
        assert_non_null(list);
        snprintf(key, sizeof(key), "%.*s", (int)(list - text) - 4, text + 4);
        assert_memory_equal(text, "All ", 4);
        assert_int_equal(sscanf(list, " are %5u, %5u,%n", &numbers[0], &numbers[1], &end), 2);
        assert_int_equal(list[end], 0);
        assert_int_equal(sscanf(answer, " %5u.%n", &numbers[2], &end), 1);
        assert_int_equal(answer[end], 0);
        for (int i = 0; i < TASK_VALUES; i++) {
            snprintf(fact, sizeof(fact), "\nNote: %s is %u.\n", key, numbers[i]);
            assert_int_equal(count_text(context, fact), 1);
            /* In the order of the context. */
            const size_t place = (size_t)(strstr(context, fact) - context) + 1;
            assert_true(place > last);
            last = place;
        }
    } else {
        assert_int_equal(sscanf(text, "VAR %3s has the value%n", name, &end), 1);
        assert_int_equal(text[end], 0);
        snprintf(fact, sizeof(fact), "\nNote: VAR %s = VAR ", name);
        assert_int_equal(count_text(context, fact), 1);
        const char *link = strstr(context, fact) + strlen(fact);
        snprintf(fact, sizeof(fact), "\nNote: VAR %.3s =%s\n", link, answer);
        assert_int_equal(count_text(context, fact), 1);
        /* What a VAR is set to is known before. */
        assert_true(strstr(context, fact) < link);
    }
}

static void check_task(recall_family family, uint64_t seed, uint32_t kinds[TASK_KIND_COUNT])
{
    recall_task task;
    task_make(&task, family, seed);
    char *context = task_context(&task, 60);
    assert_non_null(context);
    assert_int_equal(task.question_count, TASK_QUESTIONS);
    assert_int_equal(count_text(context, "\nNote: "), task.fact_count);
    assert_true(strlen(context) > 60 * 20 && context[strlen(context) - 1] == '.');
    assert_null(strstr(context, "\n\n"));
    for (uint32_t i = 0; i < task.fact_count; i++) {
        check_between(task.places[i], i ? task.places[i - 1] : 0, 1);
    }
    for (uint32_t i = 0; i < task.question_count; i++) {
        check_answer(&task.questions[i], context);
        assert_true(task_is_right(&task.questions[i], task.questions[i].answer));
        kinds[task.questions[i].kind]++;
    }
    free(context);
}

static void facts_answer_the_questions(void **state)
{
    (void)state;
    uint32_t kinds[TASK_KIND_COUNT] = { 0 };
    for (uint64_t seed = 0; seed < TASKS; seed++) {
        check_task(TASK_MIXED, seed, kinds);
        check_task(TASK_MANY_ONLY, seed, kinds);
    }
    assert_int_equal(kinds[TASK_NUMBER], 2 * TASKS);
    assert_int_equal(kinds[TASK_WORD], 2 * TASKS);
    assert_int_equal(kinds[TASK_SEVERAL], 2 * TASKS);
    assert_int_equal(kinds[TASK_CHAIN], 2 * TASKS);
    assert_int_equal(kinds[TASK_MANY], TASK_QUESTIONS * TASKS);
}

static void a_seed_gives_the_same_context(void **state)
{
    (void)state;
    recall_task first, second, other;
    task_make(&first, TASK_MIXED, 7);
    task_make(&second, TASK_MIXED, 7);
    task_make(&other, TASK_MIXED, 8);
    assert_memory_equal(&first, &second, sizeof(first));
    char *a = task_context(&first, 40), *b = task_context(&second, 40);
    char *c = task_context(&other, 40);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    free(a);
    free(b);
    free(c);
}

static void facts_stand_at_every_depth(void **state)
{
    (void)state;
    double sum = 0, least = 1, most = 0;
    for (uint64_t seed = 0; seed < TASKS; seed++) {
        recall_task task;
        task_make(&task, TASK_MIXED, seed);
        for (uint32_t i = 0; i < task.fact_count; i++) {
            if (strncmp(task.facts[i], "The magic word", 14) == 0) {
                sum += task.places[i];
                least = task.places[i] < least ? task.places[i] : least;
                most = task.places[i] > most ? task.places[i] : most;
            }
        }
    }
    /* Uniform: deviation .29 / sqrt(400). */
    check_near(sum / (2 * TASKS), 0.5, 4 * 0.29 / 20);
    check_between(least, 0, 0.05);
    check_between(most, 0.95, 1);
}

static void answers_are_judged(void **state)
{
    (void)state;
    const recall_question number = { .kind = TASK_NUMBER, .answer = " 48213." };
    assert_true(task_is_right(&number, " 48213."));
    assert_true(task_is_right(&number, " 48213.\nThe clerk"));
    assert_false(task_is_right(&number, " 48213"));
    assert_false(task_is_right(&number, " 482131."));
    assert_false(task_is_right(&number, " 4821."));
    assert_false(task_is_right(&number, ""));
}

static void kinds_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < TASK_KIND_COUNT; i++) {
        recall_kind kind = TASK_KIND_COUNT;
        assert_true(task_kind_parse(task_kind_name((recall_kind)i), &kind));
        assert_int_equal(kind, i);
    }
    recall_kind kind;
    assert_false(task_kind_parse("copy", &kind));
    assert_null(task_kind_name(TASK_KIND_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_are_well_formed),
        cmocka_unit_test(sentences_vary),
        cmocka_unit_test(facts_answer_the_questions),
        cmocka_unit_test(a_seed_gives_the_same_context),
        cmocka_unit_test(facts_stand_at_every_depth),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
