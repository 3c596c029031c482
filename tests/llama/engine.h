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

typedef struct llama_engine {
    struct llama_model       *model;
    const struct llama_vocab *vocab;
    uint32_t                  max_tokens;
    int                       thread_count;
    struct llama_context     *dense, *sparse;   /* sparse: NULL without plugin */
} llama_engine;

llama_engine engine_open(const char *model_path, uint32_t max_tokens, int thread_count);
/* Once the plugin is loaded. */
void engine_add_sparse(llama_engine *engine);
void engine_close(llama_engine *engine);

/* Tokens of a text, which the caller frees; `is_start`: with what begins a text. */
llama_token *engine_tokenize(const llama_engine *engine, const char *text, int is_start,
                             uint32_t *out_count);
/* Appends the text of a token, cut to what fits. */
void engine_append_text(const llama_engine *engine, llama_token token, char *text, size_t capacity);

/* Computes tokens from `position` on: whatever was there is forgotten. Returns the likeliest next
 * token. */
llama_token engine_feed(struct llama_context *context, const llama_token *tokens, uint32_t position,
                        uint32_t count);
/* The cache of a context; the caller frees it. */
uint8_t *engine_save(struct llama_context *context, size_t *out_size);
/* Replaces what is in the cache. */
void engine_restore(struct llama_context *context, const uint8_t *state, size_t size);

#endif
