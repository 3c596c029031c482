#include "task.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[TASK_KIND_COUNT] = {
    [TASK_NUMBER] = "number", [TASK_WORD] = "word", [TASK_SEVERAL] = "several",
    [TASK_CHAIN] = "chain", [TASK_MANY] = "many",
};

static const char *const first_words[] = {
    "garden", "river", "silver", "winter", "paper", "copper", "village", "morning", "summer",
    "kitchen", "forest", "market", "mountain", "harbour", "desert", "velvet", "stone", "island",
    "cotton", "marble", "thunder", "meadow", "castle", "crystal", "orange", "shadow", "golden",
    "northern", "hidden", "wooden",
};
static const char *const second_words[] = {
    "window", "bridge", "table", "letter", "engine", "mirror", "basket", "signal", "ladder",
    "hammer", "candle", "button", "pocket", "ribbon", "bottle", "carpet", "needle", "barrel",
    "whistle", "blanket", "compass", "saddle", "anchor", "pillow", "kettle", "feather", "lantern",
    "cabinet", "wagon", "fountain",
};
static const char *const answer_words[] = {
    "apple", "planet", "tiger", "violin", "rocket", "pepper", "coffee", "dragon", "guitar",
    "pencil", "rabbit", "turtle", "banana", "camera", "doctor", "eagle", "falcon", "hotel",
    "jacket", "king", "lemon", "monkey", "ocean", "parrot", "queen", "robot", "salmon", "tunnel",
    "umbrella", "valley", "wizard", "yellow", "zebra", "bread", "chess", "flower", "glass",
    "honey", "ivory", "jungle",
};

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

const char *task_kind_name(recall_kind kind)
{
    return (unsigned)kind < TASK_KIND_COUNT ? kind_names[kind] : NULL;
}

int task_kind_parse(const char *name, recall_kind *out_kind)
{
    for (int i = 0; i < TASK_KIND_COUNT; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            *out_kind = (recall_kind)i;
            return 1;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------ facts */

typedef struct task_maker {
    recall_task      *task;
    ref_random random;
} task_maker;

static int is_used(const recall_task *task, const char *text)
{
    for (uint32_t i = 0; i < task->fact_count; i++) {
        if (strstr(task->facts[i], text)) {
            return 1;
        }
    }
    return 0;
}

/* "garden window", in no fact so far. */
static void new_key(task_maker *m, char out[32])
{
    do {
        snprintf(out, 32, "%s %s", first_words[ref_random_below(&m->random, COUNT(first_words))],
                 second_words[ref_random_below(&m->random, COUNT(second_words))]);
    } while (is_used(m->task, out));
}

/* Five digits, in no fact so far. */
static void new_number(task_maker *m, char out[8])
{
    do {
        snprintf(out, 8, "%u", 10000 + ref_random_below(&m->random, 90000));
    } while (is_used(m->task, out));
}

/* Three capitals, in no fact so far, and not VAR. */
static void new_name(task_maker *m, char out[4])
{
    do {
        for (int i = 0; i < 3; i++) {
            out[i] = (char)('A' + ref_random_below(&m->random, 26));
        }
        out[3] = 0;
    } while (strcmp(out, "VAR") == 0 || is_used(m->task, out));
}

static const char *new_word(task_maker *m)
{
    const char *word;
    do {
        word = answer_words[ref_random_below(&m->random, COUNT(answer_words))];
    } while (is_used(m->task, word));
    return word;
}

static char *new_fact(task_maker *m)
{
    return m->task->facts[m->task->fact_count++];
}

static recall_question *new_question(task_maker *m, recall_kind kind)
{
    recall_question *question = &m->task->questions[m->task->question_count++];
    question->kind = kind;
    return question;
}

static void add_number(task_maker *m, recall_kind kind, int is_asked)
{
    char key[32], number[8];
    new_key(m, key);
    new_number(m, number);
    snprintf(new_fact(m), TASK_FACT_SIZE, "The magic number for %s is %s.", key, number);
    if (is_asked) {
        recall_question *question = new_question(m, kind);
        snprintf(question->text, TASK_FACT_SIZE, "The magic number for %s is", key);
        snprintf(question->answer, TASK_FACT_SIZE, " %s.", number);
    }
}

static void add_word(task_maker *m)
{
    char key[32];
    new_key(m, key);
    const char *word = new_word(m);
    snprintf(new_fact(m), TASK_FACT_SIZE, "The magic word for %s is %s.", key, word);
    recall_question *question = new_question(m, TASK_WORD);
    snprintf(question->text, TASK_FACT_SIZE, "The magic word for %s is", key);
    snprintf(question->answer, TASK_FACT_SIZE, " %s.", word);
}

/* ask_several completes the question when the order of the facts is known. */
static void add_several(task_maker *m)
{
    char key[32], number[8];
    new_key(m, key);
    recall_question *question = new_question(m, TASK_SEVERAL);
    snprintf(question->text, TASK_FACT_SIZE, "The magic number for %s", key);
    for (int i = 0; i < TASK_VALUES; i++) {
        new_number(m, number);
        snprintf(new_fact(m), TASK_FACT_SIZE, "%s is %s.", question->text, number);
    }
}

static void add_chain(task_maker *m)
{
    char name[4], next[4], number[8];
    new_name(m, name);
    new_number(m, number);
    snprintf(new_fact(m), TASK_FACT_SIZE, "VAR %s = %s.", name, number);
    new_name(m, next);
    snprintf(new_fact(m), TASK_FACT_SIZE, "VAR %s = VAR %s.", next, name);
    recall_question *question = new_question(m, TASK_CHAIN);
    snprintf(question->text, TASK_FACT_SIZE, "VAR %s has the value", next);
    snprintf(question->answer, TASK_FACT_SIZE, " %s.", number);
}

static void swap_facts(recall_task *task, uint32_t i, uint32_t j)
{
    char kept[TASK_FACT_SIZE];
    memcpy(kept, task->facts[i], sizeof(kept));
    memcpy(task->facts[i], task->facts[j], sizeof(kept));
    memcpy(task->facts[j], kept, sizeof(kept));
}

/* The place of the fact that gives VAR `name` its value; fact_count when there is none. */
static uint32_t find_definition(const recall_task *task, const char *name)
{
    char start[16];
    snprintf(start, sizeof(start), "VAR %.3s = ", name);
    uint32_t i = 0;
    while (i < task->fact_count && strncmp(task->facts[i], start, strlen(start)) != 0) {
        i++;
    }
    return i;
}

/* Random order, but a VAR that another is set to comes before it. */
static void shuffle_facts(task_maker *m)
{
    recall_task *task = m->task;
    for (uint32_t i = task->fact_count; i > 1; i--) {
        swap_facts(task, i - 1, ref_random_below(&m->random, i));
    }
    for (uint32_t i = 0; i < task->fact_count; i++) {
        const char *source = strstr(task->facts[i], "= VAR ");
        const uint32_t found = source ? find_definition(task, source + 6) : i;
        if (found > i && found < task->fact_count) {
            swap_facts(task, i, found);
        }
    }
}

/* "The magic number for A B" becomes "All The magic number for A B are 12345, 23456," and the
 * answer the third of them. */
static void ask_several(recall_task *task, recall_question *question)
{
    char key[TASK_FACT_SIZE], number[TASK_FACT_SIZE];
    const size_t size = strlen(question->text);
    int found = 0;
    memcpy(key, question->text, sizeof(key));
    snprintf(question->text, TASK_FACT_SIZE, "All %.40s are", key);
    for (uint32_t i = 0; i < task->fact_count; i++) {
        const char *fact = task->facts[i];
        if (strncmp(fact, key, size) != 0) {
            continue;
        }
        snprintf(number, sizeof(number), "%s", fact + size + strlen(" is"));   /* " 12345." */
        if (++found == TASK_VALUES) {
            snprintf(question->answer, TASK_FACT_SIZE, "%s", number);
        } else {
            const size_t used = strlen(question->text);
            snprintf(question->text + used, TASK_FACT_SIZE - used, "%.6s,", number);
        }
    }
}

/* Fact i somewhere in the i-th of fact_count equal parts. */
static void place_facts(task_maker *m)
{
    for (uint32_t i = 0; i < m->task->fact_count; i++) {
        m->task->places[i] = (i + ref_random_uniform(&m->random)) / m->task->fact_count;
    }
}

void task_make(recall_task *out, recall_family family, uint64_t seed)
{
    memset(out, 0, sizeof(*out));
    out->seed = seed;
    task_maker m = { .task = out, .random = { .state = seed } };
    if (family == TASK_MANY_ONLY) {
        for (int i = 0; i < TASK_MANY_KEYS; i++) {
            add_number(&m, TASK_MANY, i < TASK_QUESTIONS);
        }
    } else {
        for (int i = 0; i < 2; i++) {
            add_number(&m, TASK_NUMBER, 1);
            add_word(&m);
            add_several(&m);
            add_chain(&m);
        }
    }
    shuffle_facts(&m);
    place_facts(&m);
    for (uint32_t i = 0; i < out->question_count; i++) {
        if (out->questions[i].kind == TASK_SEVERAL) {
            ask_several(out, &out->questions[i]);
        }
    }
}

/* ------------------------------------------------------------------ text */

char *task_context(const recall_task *task, uint32_t sentence_count)
{
    const size_t capacity = (size_t)sentence_count * TEXT_MAX_SENTENCE +
                            (size_t)task->fact_count * (TASK_FACT_SIZE + 16) + 1;
    char *text = malloc(capacity);
    if (!text) {
        return NULL;
    }
    /* Not the facts' generator: they stay the same when the filler's lists change. */
    ref_random random = { .state = ~task->seed };
    size_t size = 0;
    uint32_t fact = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < sentence_count; i++) {
        char sentence[TEXT_MAX_SENTENCE];
        const int is_due = fact < task->fact_count &&
                           (task->places[fact] * sentence_count < i + 1 ||
                            task->fact_count - fact >= sentence_count - i);
        if (is_due) {
            size += (size_t)snprintf(text + size, capacity - size, "\nNote: %s\n",
                                     task->facts[fact++]);
        }
        text_sentence(&random, sentence);
        const int follows = size > 0 && text[size - 1] != '\n';
        size += (size_t)snprintf(text + size, capacity - size, "%s%s", follows ? " " : "",
                                 sentence);
    }
    return text;
}

void task_prompt(const recall_question *question, char out[TASK_FACT_SIZE + 16])
{
    snprintf(out, TASK_FACT_SIZE + 16, "\nRecall: %s", question->text);
}

int task_is_right(const recall_question *question, const char *answer)
{
    const size_t size = strcspn(answer, ".") + 1;
    return strlen(question->answer) == size && strncmp(question->answer, answer, size) == 0;
}
