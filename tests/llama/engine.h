/*
 * engine.h - one model in two contexts of llama.cpp: one made before the plugin was loaded, which
 * computes everything on ggml's CPU backend, and one made after, whose attention the plugin takes.
 * What comes before the answers is computed once, by the first, and copied to the second.
 */
#ifndef VSA_LLAMA_ENGINE_H
#define VSA_LLAMA_ENGINE_H

#include <llama.h>

#include <stddef.h>
#include <stdint.h>

enum { ENGINE_SEQUENCES = 9 };

typedef struct llama_engine {
    struct llama_model       *model;
    const struct llama_vocab *vocab;
    uint32_t                  max_tokens;   /* of a sequence */
    uint32_t                  cell_count;   /* of the cache: tokens of all sequences */
    int                       thread_count;
    struct llama_context     *dense, *sparse;   /* sparse: NULL without plugin */
} llama_engine;

/* A token and its place; sequences are below ENGINE_SEQUENCES. */
typedef struct engine_token {
    llama_token token;
    uint32_t    position, sequence;
} engine_token;

llama_engine engine_open(const char *model_path, uint32_t max_tokens, uint32_t cell_count,
                         int thread_count);
/* Once the plugin is loaded. */
void engine_add_sparse(llama_engine *engine);
void engine_close(llama_engine *engine);

/* Tokens of a text, which the caller frees; `is_start`: with what begins a text. */
llama_token *engine_tokenize(const llama_engine *engine, const char *text, int is_start,
                             uint32_t *out_count);
/* Appends the text of a token, cut to what fits. */
void engine_append_text(const llama_engine *engine, llama_token token, char *text, size_t capacity);

/* Computes tokens, each where its sequence ends. */
void engine_feed(struct llama_context *context, const engine_token *tokens, uint32_t count);
/* One token of each sequence, as one batch; out_next[i] is the likeliest that follows tokens[i], by
 * out_leads[i] logits. */
void engine_step(struct llama_context *context, const engine_token *tokens, uint32_t count,
                 llama_token *out_next, float *out_leads);

void engine_clear(struct llama_context *context);
/* A sequence from `position` on. */
void engine_forget(struct llama_context *context, uint32_t sequence, uint32_t position);
/* Gives the cells of sequence `from` to `to` as well. */
void engine_share(struct llama_context *context, uint32_t from, uint32_t to);

/* The cache of a context, with all its sequences; the caller frees it. */
uint8_t *engine_save(struct llama_context *context, size_t *out_size);
/* Replaces what is in the cache. */
void engine_restore(struct llama_context *context, const uint8_t *state, size_t size);

#endif
