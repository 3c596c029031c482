#include "asking.h"
#include "fail.h"

#include <stdlib.h>
#include <string.h>

enum { QUESTION_ROOM = 64 }; /* tokens of question and answer, at most */

/* ------------------------------------------------------------------ context */

static char *make_text(const recall_task *task, uint32_t sentences)
{
    char *text = task_context(task, sentences);
    if (!text) {
        fail(EXIT_DEVICE, "out of memory");
    }
    return text;
}

static uint32_t count_tokens(const llama_engine *engine, const recall_task *task,
                             uint32_t sentences)
{
    uint32_t count;
    char *text = make_text(task, sentences);
    free(engine_tokenize(engine, text, 1, &count));
    free(text);
    return count;
}

char *asking_text(const llama_engine *engine, uint32_t length, recall_family family, uint64_t seed,
                  recall_task *out_task)
{
    if (length <= QUESTION_ROOM || length > engine->max_tokens) {
        fail(EXIT_USAGE, "length is %u tokens, must be above %d and at most %u", length,
             QUESTION_ROOM, engine->max_tokens);
    }
    const uint32_t room = length - QUESTION_ROOM;
    uint32_t low = 0, high = room / 4;   /* a sentence is longer than four tokens */
    task_make(out_task, family, seed);
    while (low + 1 < high) {
        const uint32_t middle = (low + high) / 2;
        if (count_tokens(engine, out_task, middle) <= room) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (low < out_task->fact_count) {
        fail(EXIT_USAGE, "%u tokens are too few for a context of %u facts", length,
             out_task->fact_count);
    }
    return make_text(out_task, low);
}

void asking_start(recall_context *out, llama_engine *engine, uint32_t length, recall_family family,
                  uint64_t seed)
{
    *out = (recall_context){ .engine = engine, .length = length };
    char *text = asking_text(engine, length, family, seed, &out->task);
    llama_token *tokens = engine_tokenize(engine, text, 1, &out->context_tokens);
    free(text);
    engine_feed(engine->dense, tokens, 0, out->context_tokens);
    free(tokens);
    out->state = engine_save(engine->dense, &out->state_size);
}

void asking_resume(const recall_context *asking)
{
    engine_restore(asking->engine->dense, asking->state, asking->state_size);
}

void asking_end(recall_context *asking)
{
    free(asking->state);
    asking->state = NULL;
}

/* ------------------------------------------------------------------ answers */

recall_asked asked_make(const recall_context *asking, uint32_t question)
{
    char text[TASK_FACT_SIZE + 16];
    recall_asked made = {.question = &asking->task.questions[question]};
    task_prompt(made.question, text);
    made.tokens = engine_tokenize(asking->engine, text, 0, &made.count);
    if (made.count + ASKING_MAX_ANSWER > QUESTION_ROOM) {
        fail(EXIT_DEVICE, "the question '%s' has %u tokens, at most %d were expected",
             made.question->text, made.count, QUESTION_ROOM - ASKING_MAX_ANSWER);
    }
    return made;
}

void asking_ask(const recall_context *asking, const recall_asked *asked)
{
    const llama_engine *engine = asking->engine;
    engine_feed(engine->dense, asked->tokens, asking->context_tokens, asked->count - 1);
    if (engine->sparse) {
        size_t size;
        uint8_t *state = engine_save(engine->dense, &size);
        engine_restore(engine->sparse, state, size);
        free(state);
    }
}

void asked_free(recall_asked *asked)
{
    free(asked->tokens);
    asked->tokens = NULL;
}

static int has_left(const recall_answer *answer, const recall_answer *dense)
{
    const uint32_t last = answer->count - 1;
    return last >= dense->count || answer->tokens[last] != dense->tokens[last];
}

/* A list is right in any order: nothing is known before its end. */
static int can_be_right(const recall_question *question, const char *text)
{
    return strncmp(question->answer, text, strlen(text)) == 0;
}

void asking_answer(const recall_context *asking, const recall_asked *asked,
                   struct llama_context *context, const recall_answer *dense, recall_answer *out)
{
    char text[8 * ASKING_MAX_ANSWER] = "";
    int is_on_dense = 1;
    uint32_t position = asking->context_tokens + asked->count - 1;
    llama_token token = asked->tokens[asked->count - 1];
    const double start = seconds_now();
    out->count = 0;
    while (out->count < ASKING_MAX_ANSWER && !strpbrk(text, ".\n")) {
        token = engine_feed(context, &token, position++, 1);
        out->tokens[out->count++] = token;
        engine_append_text(asking->engine, token, text, sizeof(text));
        is_on_dense = is_on_dense && dense && !has_left(out, dense);
        if (dense && !is_on_dense && !can_be_right(asked->question, text)) {
            break;
        }
    }
    out->seconds = seconds_now() - start;
    out->is_right = task_is_right(asked->question, text);
}

uint32_t answer_agreement(const recall_answer *answer, const recall_answer *dense,
                          uint32_t *out_compared)
{
    uint32_t equal = 0;
    while (equal < answer->count && equal < dense->count &&
           answer->tokens[equal] == dense->tokens[equal]) {
        equal++;
    }
    *out_compared = equal + (answer->count != dense->count || equal < dense->count);
    return equal;
}
