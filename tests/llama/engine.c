#include "engine.h"
#include "fail.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 512 };

static void log_errors(enum ggml_log_level level, const char *text, void *user)
{
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

static struct llama_context *new_context(const llama_engine *engine)
{
    struct llama_context_params parameters = llama_context_default_params();
    parameters.n_ctx = engine->cell_count;
    /* Sequences that share cells, in one cache: a step of several is one batch. */
    parameters.n_seq_max = ENGINE_SEQUENCES;
    parameters.kv_unified = true;
    parameters.n_batch = parameters.n_ubatch = BATCH;
    parameters.n_threads = parameters.n_threads_batch = engine->thread_count;
    /* `auto` turns it off when attention is not on the layer's own device. */
    parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    struct llama_context *context = llama_init_from_model(engine->model, parameters);
    if (!context) {
        fail(EXIT_DEVICE, "llama.cpp cannot make a context of %u cells", engine->cell_count);
    }
    return context;
}

llama_engine engine_open(const char *model_path, uint32_t max_tokens,
                         uint32_t cell_count, int thread_count)
{
    llama_log_set(log_errors, NULL);
    ggml_backend_load_all();
    llama_engine opened = {
        .model = llama_model_load_from_file(model_path, llama_model_default_params()),
        .max_tokens = max_tokens,
        .cell_count = cell_count,
        .thread_count = thread_count,
    };
    if (!opened.model) {
        fail(EXIT_USAGE, "llama.cpp cannot load %s", model_path);
    }
    opened.vocab = llama_model_get_vocab(opened.model);
    opened.dense = new_context(&opened);
    return opened;
}

void engine_add_sparse(llama_engine *engine)
{
    engine->sparse = new_context(engine);
}

void engine_close(llama_engine *engine)
{
    if (engine->sparse) {
        llama_free(engine->sparse);
    }
    llama_free(engine->dense);
    llama_model_free(engine->model);
}

llama_token *engine_tokenize(const llama_engine *engine, const char *text, int is_start,
                             uint32_t *out_count)
{
    const int32_t size = (int32_t)strlen(text);
    const int32_t capacity = size + 2;
    llama_token *tokens = allocate((size_t)capacity, sizeof(*tokens));
    const int32_t count = llama_tokenize(engine->vocab, text, size, tokens, capacity, is_start,
                                         false);
    if (count <= 0) {
        fail(EXIT_DEVICE, "llama.cpp cannot tokenize %d bytes of text", (int)size);
    }
    *out_count = (uint32_t)count;
    return tokens;
}

void engine_append_text(const llama_engine *engine, llama_token token, char *text, size_t capacity)
{
    char piece[128];
    const int32_t size = llama_token_to_piece(engine->vocab, token, piece, sizeof(piece), 0, false);
    if (size > 0) {
        const size_t length = strlen(text);
        snprintf(text + length, capacity - length, "%.*s", (int)size, piece);
    }
}

static llama_token find_likeliest(struct llama_context *context, int32_t output, float *out_lead)
{
    const float *logits = llama_get_logits_ith(context, output);
    const int32_t count =
        llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(context)));
    llama_token best = 0;
    float second = -INFINITY;
    for (int32_t i = 1; i < count; i++) {
        if (logits[i] > logits[best]) {
            second = logits[best];
            best = i;
        } else if (logits[i] > second) {
            second = logits[i];
        }
    }
    *out_lead = logits[best] - second;
    return best;
}

static void decode(struct llama_context *context, const engine_token *tokens, uint32_t count,
                   int has_outputs)
{
    struct llama_batch batch = llama_batch_init((int32_t)count, 0, 1);
    for (uint32_t i = 0; i < count; i++) {
        batch.token[i] = tokens[i].token;
        batch.pos[i] = (llama_pos)tokens[i].position;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = (llama_seq_id)tokens[i].sequence;
        batch.logits[i] = (int8_t)has_outputs;
    }
    batch.n_tokens = (int32_t)count;
    const int status = llama_decode(context, batch);
    llama_batch_free(batch);
    if (status) {
        fail(EXIT_DEVICE, "llama_decode returned %d at token %u of sequence %u", status,
             tokens[0].position, tokens[0].sequence);
    }
}

void engine_feed(struct llama_context *context, const engine_token *tokens, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += BATCH) {
        decode(context, tokens + i, count - i < BATCH ? count - i : BATCH, 0);
    }
}

void engine_step(struct llama_context *context, const engine_token *tokens, uint32_t count,
                 llama_token *out_next, float *out_leads)
{
    decode(context, tokens, count, 1);
    for (uint32_t i = 0; i < count; i++) {
        out_next[i] = find_likeliest(context, (int32_t)i, &out_leads[i]);
    }
}

void engine_clear(struct llama_context *context)
{
    llama_memory_clear(llama_get_memory(context), false);
}

void engine_forget(struct llama_context *context, uint32_t sequence, uint32_t position)
{
    if (!llama_memory_seq_rm(llama_get_memory(context), (llama_seq_id)sequence,
                             (llama_pos)position, -1)) {
        fail(EXIT_DEVICE, "llama.cpp cannot forget the tokens of sequence %u from %u on", sequence,
             position);
    }
}

void engine_share(struct llama_context *context, uint32_t from, uint32_t to)
{
    llama_memory_seq_cp(llama_get_memory(context), (llama_seq_id)from, (llama_seq_id)to, -1, -1);
}

uint8_t *engine_save(struct llama_context *context, size_t *out_size)
{
    *out_size = llama_state_get_size(context);
    uint8_t *state = allocate(*out_size, 1);
    if (llama_state_get_data(context, state, *out_size) != *out_size) {
        fail(EXIT_DEVICE, "llama.cpp cannot save %zu bytes of cache", *out_size);
    }
    return state;
}

void engine_restore(struct llama_context *context, const uint8_t *state, size_t size)
{
    if (llama_state_set_data(context, state, size) != size) {
        fail(EXIT_DEVICE, "llama.cpp cannot restore %zu bytes of cache", size);
    }
}
