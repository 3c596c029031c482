/*
 * asking.h - a context of recall questions in the engine, and answers to them.
 */
#ifndef VSA_LLAMA_ASKING_H
#define VSA_LLAMA_ASKING_H

#include "engine.h"
#include "task.h"

enum { ASKING_MAX_ANSWER = 8 }; /* tokens */

/* A context that was computed: questions follow it. */
typedef struct recall_context {
    llama_engine *engine;
    recall_task task;
    uint32_t length, context_tokens;
    uint8_t *state; /* of the context, to put it back after another */
    size_t state_size;
} recall_context;

typedef struct recall_answer {
    llama_token tokens[ASKING_MAX_ANSWER];
    uint32_t count;
    int is_right;
    double seconds;
} recall_answer;

/* A question's tokens. */
typedef struct recall_asked {
    const recall_question *question;
    llama_token *tokens;
    uint32_t count;
} recall_asked;

/* Makes the task and its context, with as much filler as leaves room for a question and its answer
 * in `length` tokens. The caller frees the text. */
char *asking_text(const llama_engine *engine, uint32_t length, recall_family family, uint64_t seed,
                  recall_task *out_task);

/* Computes such a context, in the engine's dense context. */
void asking_start(recall_context *out, llama_engine *engine, uint32_t length, recall_family family,
                  uint64_t seed);
/* Puts the context back there. */
void asking_resume(const recall_context *asking);
void asking_end(recall_context *asking);

/* Computes the question but for its last token, in both of the engine's contexts: by ggml's CPU
 * backend in the dense one, whose cache is copied. The plugin takes short batches too. */
void asking_ask(const recall_context *asking, const recall_asked *asked);
recall_asked asked_make(const recall_context *asking, uint32_t question);
void asked_free(recall_asked *asked);

/* Feeds the last token and then, greedily, each answer token in llama.cpp's `context`, up to the
 * first full stop or newline. With `dense`: no further when the answer has left it and cannot be
 * right. */
void asking_answer(const recall_context *asking, const recall_asked *asked,
                   struct llama_context *context, const recall_answer *dense, recall_answer *out);

/* Tokens equal before the first that differs; *out_compared includes that one. An answer that ends
 * where the other goes on differs there. */
uint32_t answer_agreement(const recall_answer *answer, const recall_answer *dense,
                          uint32_t *out_compared);

#endif
