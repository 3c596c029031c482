/*
 * task.h - recall tasks: a context with facts in filler, questions about them, their answers.
 *
 * Facts are lines "\nNote: ....\n" and questions follow "\nRecall: ", in the forms that the
 * project's small models were trained on (tests/data/README.md). Pure; the same seed gives the
 * same bytes on every machine.
 */
#ifndef VSA_LLAMA_TASK_H
#define VSA_LLAMA_TASK_H

#include "reference.h"

typedef enum recall_kind {
    TASK_NUMBER,    /* The magic number for A B is 12345. */
    TASK_WORD,      /* The magic word for A B is W. */
    TASK_SEVERAL,   /* All The magic number for A B are 12345, 23456, and the third follows */
    TASK_CHAIN,     /* VAR ABC = 12345. later VAR XYZ = VAR ABC. XYZ is asked for */
    TASK_MANY,      /* as TASK_NUMBER, among TASK_MANY_KEYS keys */
    TASK_KIND_COUNT
} recall_kind;

/* Questions that share a context. MIXED holds two of each of the first four kinds, so that a fact
 * has one other of its form in the context; MANY asks for eight of its keys. */
typedef enum recall_family {
    TASK_MIXED,
    TASK_MANY_ONLY,
    TASK_FAMILY_COUNT
} recall_family;

enum {
    TASK_QUESTIONS = 8,    /* per context */
    TASK_MANY_KEYS = 16,
    TASK_VALUES    = 3,    /* of TASK_SEVERAL */
    TASK_MAX_FACTS = 16,
    TASK_FACT_SIZE = 80,   /* bytes, with the terminating 0 */
};

typedef struct recall_question {
    recall_kind kind;
    char      text[TASK_FACT_SIZE];     /* follows "\nRecall: " */
    char      answer[TASK_FACT_SIZE];   /* begins with a space, ends with a full stop */
} recall_question;

typedef struct recall_task {
    uint64_t      seed;
    uint32_t      fact_count, question_count;
    char          facts[TASK_MAX_FACTS][TASK_FACT_SIZE];
    double        places[TASK_MAX_FACTS];   /* in [0, 1) of the filler; rising */
    recall_question questions[TASK_QUESTIONS];
} recall_task;

/* "number", "word", ...; NULL when there is no such kind. */
const char *task_kind_name(recall_kind kind);
/* 0 when no kind has that name. */
int task_kind_parse(const char *name, recall_kind *out_kind);

void task_make(recall_task *out, recall_family family, uint64_t seed);

/* The context with so many sentences of filler, at least fact_count: one follows each fact.
 * Sentence i is the same however many there are. The caller frees the text; NULL when memory ran
 * out. */
char *task_context(const recall_task *task, uint32_t sentence_count);

/* "\nRecall: " and the question. */
void task_prompt(const recall_question *question, char out[TASK_FACT_SIZE + 16]);

/* Whether `answer`, up to and with its first full stop, is right. */
int task_is_right(const recall_question *question, const char *answer);

#endif
