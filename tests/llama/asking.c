#include "asking.h"
#include "fail.h"

#include <stdlib.h>
#include <string.h>

/* Sequence 0 holds the context alone, question i is in sequence i + 1. */
static uint32_t sequence_of(uint32_t question)
{
    return question + 1;
}

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
    if (length <= ASKING_ROOM || length > engine->max_tokens) {
        fail(EXIT_USAGE, "length is %u tokens, must be above %d and at most %u", length,
             ASKING_ROOM, engine->max_tokens);
    }
    const uint32_t room = length - ASKING_ROOM;
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

static recall_asked tokenize_question(const llama_engine *engine, const recall_question *question)
{
    char text[TASK_FACT_SIZE + 16];
    recall_asked asked = {.question = question};
    task_prompt(question, text);
    asked.tokens = engine_tokenize(engine, text, 0, &asked.count);
    if (asked.count + ASKING_MAX_ANSWER > ASKING_ROOM) {
        fail(EXIT_DEVICE, "the question '%s' has %u tokens, at most %d were expected",
             question->text, asked.count, ASKING_ROOM - ASKING_MAX_ANSWER);
    }
    return asked;
}

static void place_tokens(engine_token *out, const llama_token *tokens, uint32_t count,
                         uint32_t position, uint32_t sequence)
{
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (engine_token){tokens[i], position + i, sequence};
    }
}

void asking_start(recall_context *out, llama_engine *engine, uint32_t length, recall_family family,
                  uint64_t seed)
{
    *out = (recall_context){ .engine = engine, .length = length };
    char *text = asking_text(engine, length, family, seed, &out->task);
    llama_token *tokens = engine_tokenize(engine, text, 1, &out->context_tokens);
    engine_token *placed = allocate(out->context_tokens, sizeof(*placed));
    place_tokens(placed, tokens, out->context_tokens, 0, 0);
    engine_clear(engine->dense);
    engine_feed(engine->dense, placed, out->context_tokens);
    free(placed);
    free(tokens);
    free(text);
    for (uint32_t i = 0; i < out->task.question_count; i++) {
        out->asked[i] = tokenize_question(engine, &out->task.questions[i]);
    }
    asking_put(out, 0, out->task.question_count);
}

void asking_put(recall_context *asking, uint32_t first, uint32_t count)
{
    struct llama_context *dense = asking->engine->dense;
    engine_token tokens[TASK_QUESTIONS * ASKING_ROOM];
    uint32_t token_count = 0;
    for (uint32_t i = 0; i < asking->task.question_count; i++) {
        engine_forget(dense, sequence_of(i), 0);
    }
    for (uint32_t i = first; i < first + count; i++) {
        const recall_asked *asked = &asking->asked[i];
        engine_share(dense, 0, sequence_of(i));
        place_tokens(tokens + token_count, asked->tokens, asked->count - 1,
                     asking->context_tokens, sequence_of(i));
        token_count += asked->count - 1;
    }
    engine_feed(dense, tokens, token_count);
    free(asking->state);
    asking->state = engine_save(dense, &asking->state_size);
    asking_resume(asking);
}

void asking_resume(const recall_context *asking)
{
    if (asking->engine->sparse) {
        engine_restore(asking->engine->sparse, asking->state, asking->state_size);
    }
}

void asking_end(recall_context *asking)
{
    for (uint32_t i = 0; i < asking->task.question_count; i++) {
        free(asking->asked[i].tokens);
        asking->asked[i].tokens = NULL;
    }
    free(asking->state);
    asking->state = NULL;
}

/* ------------------------------------------------------------------ answers */

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

/* An answer that is being given. */
typedef struct answer_progress {
    char text[8 * ASKING_MAX_ANSWER];
    int is_on_dense;
} answer_progress;

/* Adds a token; whether more are wanted. */
static int add_token(const recall_context *asking, const recall_question *question,
                     llama_token token, float lead, const recall_answer *dense,
                     answer_progress *progress, recall_answer *answer)
{
    char *text = progress->text;
    answer->leads[answer->count] = lead;
    answer->tokens[answer->count++] = token;
    engine_append_text(asking->engine, token, text, sizeof(progress->text));
    progress->is_on_dense = progress->is_on_dense && dense && !has_left(answer, dense);
    return answer->count < ASKING_MAX_ANSWER && !strpbrk(text, ".\n") &&
           (!dense || progress->is_on_dense || can_be_right(question, text));
}

double asking_answer(const recall_context *asking, uint32_t first, uint32_t count,
                     struct llama_context *context, const recall_answer *dense,
                     recall_answer *out)
{
    answer_progress progress[TASK_QUESTIONS];
    engine_token batch[TASK_QUESTIONS];
    uint32_t batch_count = count;
    const double start = seconds_now();
    for (uint32_t i = 0; i < count; i++) {
        const recall_asked *asked = &asking->asked[first + i];
        const uint32_t last = asked->count - 1;
        progress[i] = (answer_progress){.is_on_dense = 1};
        out[i].count = 0;
        batch[i] = (engine_token){asked->tokens[last], asking->context_tokens + last,
                                  sequence_of(first + i)};
        engine_forget(context, batch[i].sequence, batch[i].position);
    }
    while (batch_count > 0) {
        llama_token next[TASK_QUESTIONS];
        float leads[TASK_QUESTIONS];
        uint32_t kept = 0;
        engine_step(context, batch, batch_count, next, leads);
        for (uint32_t i = 0; i < batch_count; i++) {
            const uint32_t question = batch[i].sequence - sequence_of(0), at = question - first;
            if (add_token(asking, asking->asked[question].question, next[i], leads[i],
                          dense ? &dense[at] : NULL, &progress[at], &out[at])) {
                batch[kept++] =
                    (engine_token){next[i], batch[i].position + 1, batch[i].sequence};
            }
        }
        batch_count = kept;
    }
    for (uint32_t i = 0; i < count; i++) {
        out[i].is_right = task_is_right(asking->asked[first + i].question, progress[i].text);
    }
    return seconds_now() - start;
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
