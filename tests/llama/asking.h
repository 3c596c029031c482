/*
 * asking.h - a context of recall questions in the engine, and answers to them.
 */
#ifndef VSA_LLAMA_ASKING_H
#define VSA_LLAMA_ASKING_H

#include "engine.h"
#include "task.h"

enum {
    ASKING_ROOM       = 64,   /* tokens of question and answer, at most */
    ASKING_MAX_ANSWER = 8,    /* tokens */
};

/* A question's tokens. */
typedef struct recall_asked {
    const recall_question *question;
    llama_token *tokens;
    uint32_t count;
} recall_asked;

/* A context that was computed: questions follow it, each in a sequence of its own that shares the
 * context's cells. */
typedef struct recall_context {
    llama_engine *engine;
    recall_task task;
    recall_asked asked[TASK_QUESTIONS];
    uint32_t length, context_tokens;
    uint8_t *state; /* of the context and the questions that were put, for asking_resume */
    size_t state_size;
} recall_context;

typedef struct recall_answer {
    llama_token tokens[ASKING_MAX_ANSWER];
    float leads[ASKING_MAX_ANSWER];   /* logits of each token over the second likeliest's */
    uint32_t count;
    int is_right;
} recall_answer;

/* Makes the task and its context, with as much filler as leaves room for a question and its answer
 * in `length` tokens. The caller frees the text. */
char *asking_text(const llama_engine *engine, uint32_t length, recall_family family, uint64_t seed,
                  recall_task *out_task);

/* Computes such a context, and puts all questions. */
void asking_start(recall_context *out, llama_engine *engine, uint32_t length, recall_family family,
                  uint64_t seed);
/* Puts questions [first, first + count) and no others: computes each but for its last token, in
 * both of the engine's contexts; by ggml's CPU backend in the dense one, whose cache is copied. The
 * plugin takes short batches too. The dense one must hold this context. */
void asking_put(recall_context *asking, uint32_t first, uint32_t count);
/* What was put last, in the context that has the plugin, after another was computed. */
void asking_resume(const recall_context *asking);
void asking_end(recall_context *asking);

/* Answers questions [first, first + count) in llama.cpp's `context`, one batch a step: feeds the
 * last token and then, greedily, each answer token, up to the first full stop or newline. Answers
 * that have ended leave the batch. With `dense`, the answers to the same questions: no further when
 * an answer has left its own and cannot be right. Returns the seconds. Can be called again. */
double asking_answer(const recall_context *asking, uint32_t first, uint32_t count,
                     struct llama_context *context, const recall_answer *dense,
                     recall_answer *out);

/* Tokens equal before the first that differs; *out_compared includes that one. An answer that ends
 * where the other goes on differs there. */
uint32_t answer_agreement(const recall_answer *answer, const recall_answer *dense,
                          uint32_t *out_compared);

#endif
