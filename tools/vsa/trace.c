#include "trace.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "rounding.h"
#include "safetensors.h"
#include "tool.h"

enum { MAX_TOKENS = 1 << 24, MAX_HEADS = 1 << 16 };

/* The layer of a tensor named k.L, v.L or q.L; false for any other name. */
static bool layer_of(const char *name, uint64_t *out_layer)
{
    return strchr("kvq", name[0]) && name[0] && name[1] == '.' &&
           parse_count(name + 2, out_layer) && (name[2] != '0' || name[3] == '\0');
}

static const safetensors_tensor *find(const safetensors_file *file, char letter, uint32_t layer)
{
    char name[16];

    snprintf(name, sizeof name, "%c.%u", letter, layer);
    return safetensors_find(file, name);
}

/* Layers are 0 to n - 1, each with all three tensors. */
static int count_layers(const safetensors_file *file, uint32_t *out_count)
{
    static const char letters[] = "kvq";
    uint32_t count = 0;

    for (*out_count = 0;; count++) {
        uint32_t found = 0;
        char missing = 0;

        for (int i = 0; i < 3; i++) {
            if (find(file, letters[i], count)) {
                found++;
            } else if (!missing) {
                missing = letters[i];
            }
        }
        if (found == 0) {
            break;
        }
        if (found < 3) {
            return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%c.%u': is missing", file->path, missing,
                             count);
        }
    }
    for (size_t i = 0; i < file->tensor_count; i++) {
        uint64_t layer;

        if (layer_of(file->tensors[i].name, &layer) && layer >= count) {
            return tool_fail(EXIT_BAD_INPUT,
                             "%s: tensor '%s': there is no layer %u; layers count from 0 without "
                             "gaps",
                             file->path, file->tensors[i].name, count);
        }
    }
    if (count == 0) {
        return tool_fail(EXIT_BAD_INPUT, "%s: tensor 'k.0': is missing", file->path);
    }
    *out_count = count;
    return EXIT_DONE;
}

static int check_tensor(const safetensors_file *file, const safetensors_tensor *tensor,
                        const char *dimensions)
{
    if (tensor->dtype == 0) {
        return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': dtype is %s, must be F32, F16 or BF16",
                         file->path, tensor->name, tensor->dtype_name);
    }
    if (tensor->rank != 3) {
        return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': has %u dimensions, must have 3: %s",
                         file->path, tensor->name, tensor->rank, dimensions);
    }
    for (uint32_t d = 0; d < 3; d++) {
        if (tensor->shape[d] == 0) {
            return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': dimension %u is 0", file->path,
                             tensor->name, d);
        }
    }
    if (tensor->shape[0] > MAX_HEADS) {
        return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': %llu heads, at most %d", file->path,
                         tensor->name, (unsigned long long)tensor->shape[0], MAX_HEADS);
    }
    if (tensor->shape[1] > MAX_TOKENS) {
        return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': %llu tokens, at most %d", file->path,
                         tensor->name, (unsigned long long)tensor->shape[1], MAX_TOKENS);
    }
    if (tensor->shape[2] < 32 || tensor->shape[2] > 256 || tensor->shape[2] % 8 != 0) {
        return tool_fail(EXIT_BAD_INPUT,
                         "%s: tensor '%s': head_dim is %llu, must be a multiple of 8 from 32 to "
                         "256",
                         file->path, tensor->name, (unsigned long long)tensor->shape[2]);
    }
    return EXIT_DONE;
}

static int disagree(const safetensors_file *file, const safetensors_tensor *tensor, uint32_t d,
                    const char *what, const safetensors_tensor *other)
{
    return tool_fail(EXIT_BAD_INPUT,
                     "%s: tensor '%s': has %llu %s, tensor '%s' has "
                     "%llu",
                     file->path, tensor->name, (unsigned long long)tensor->shape[d], what,
                     other->name, (unsigned long long)other->shape[d]);
}

static int check_layer(const safetensors_file *file, uint32_t index, trace_layer *layer)
{
    const safetensors_tensor *k = find(file, 'k', index);
    const safetensors_tensor *v = find(file, 'v', index);
    const safetensors_tensor *q = find(file, 'q', index);
    int code;

    if ((code = check_tensor(file, k, "[kv_heads, tokens, head_dim_k]")) != EXIT_DONE ||
        (code = check_tensor(file, v, "[kv_heads, tokens, head_dim_v]")) != EXIT_DONE ||
        (code = check_tensor(file, q, "[q_heads, queries, head_dim_k]")) != EXIT_DONE) {
        return code;
    }
    if (v->shape[0] != k->shape[0]) {
        return disagree(file, v, 0, "KV heads", k);
    }
    if (v->shape[1] != k->shape[1]) {
        return disagree(file, v, 1, "tokens", k);
    }
    if (q->shape[2] != k->shape[2]) {
        return disagree(file, q, 2, "channels", k);
    }
    if (q->shape[0] % k->shape[0] != 0) {
        return tool_fail(EXIT_BAD_INPUT,
                         "%s: tensor '%s': has %llu heads, not a multiple of the %llu KV heads "
                         "of '%s'",
                         file->path, q->name, (unsigned long long)q->shape[0],
                         (unsigned long long)k->shape[0], k->name);
    }
    if (q->shape[1] > k->shape[1]) {
        return tool_fail(EXIT_BAD_INPUT,
                         "%s: tensor '%s': has %llu queries, more than the %llu "
                         "tokens of '%s'",
                         file->path, q->name, (unsigned long long)q->shape[1],
                         (unsigned long long)k->shape[1], k->name);
    }
    *layer = (trace_layer){
        .q_heads = (uint32_t)q->shape[0],
        .kv_heads = (uint32_t)k->shape[0],
        .head_dim_k = (uint32_t)k->shape[2],
        .head_dim_v = (uint32_t)v->shape[2],
        .tokens = (uint32_t)k->shape[1],
        .queries = (uint32_t)q->shape[1],
        .file_type = k->dtype,
    };
    return EXIT_DONE;
}

static int read_scale(const safetensors_file *file, float *out_scale)
{
    const char *text = safetensors_metadata(file, "softmax_scale");
    double value;

    *out_scale = 0.0f;
    if (!text) {
        return EXIT_DONE;
    }
    /* 0 means the default to the library, so that a scale that f32 rounds to 0 is refused too. */
    if (!parse_real(text, &value) || !((float)value > 0.0f) || !isfinite((float)value)) {
        return tool_fail(EXIT_BAD_INPUT,
                         "%s: metadata 'softmax_scale': '%s' is not a finite number above 0",
                         file->path, text);
    }
    *out_scale = (float)value;
    return EXIT_DONE;
}

int trace_load(const char *path, trace *out_trace)
{
    safetensors_file file;
    uint32_t count;
    int code;

    *out_trace = (trace){.name = path};
    if ((code = safetensors_open(path, &file)) != EXIT_DONE) {
        return code;
    }
    if ((code = count_layers(&file, &count)) != EXIT_DONE ||
        (code = read_scale(&file, &out_trace->softmax_scale)) != EXIT_DONE) {
        goto fail;
    }
    out_trace->layers = calloc(count, sizeof *out_trace->layers);
    if (!out_trace->layers) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to read it", path);
        goto fail;
    }
    out_trace->layer_count = count;

    /* Every shape before any value: a mistake in the last layer shows at once. */
    for (uint32_t i = 0; i < count; i++) {
        if ((code = check_layer(&file, i, &out_trace->layers[i])) != EXIT_DONE) {
            goto fail;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        trace_layer *layer = &out_trace->layers[i];

        if ((code = safetensors_read_f32(&file, find(&file, 'k', i), &layer->k)) != EXIT_DONE ||
            (code = safetensors_read_f32(&file, find(&file, 'v', i), &layer->v)) != EXIT_DONE ||
            (code = safetensors_read_f32(&file, find(&file, 'q', i), &layer->q)) != EXIT_DONE) {
            goto fail;
        }
    }
    safetensors_close(&file);
    return EXIT_DONE;

fail:
    safetensors_close(&file);
    trace_destroy(out_trace);
    return code;
}

enum { MAX_UNIT = 32 };

static const char *type_name(vsa_dtype type)
{
    return type == VSA_DTYPE_F16    ? "f16"
           : type == VSA_DTYPE_BF16 ? "bf16"
           : type == VSA_DTYPE_Q8_0 ? "q8_0"
           : type == VSA_DTYPE_Q4_0 ? "q4_0"
                                    : "f32";
}

/* Of `count` values the one that is largest in magnitude. */
static size_t largest(const float *values, size_t count)
{
    size_t at = 0;

    for (size_t i = 1; i < count; i++) {
        at = fabsf(values[i]) > fabsf(values[at]) ? i : at;
    }
    return at;
}

/* `cached` becomes `values` themselves where the type keeps them all. */
static int round_values(const trace *input, char letter, uint32_t index, uint32_t head_dim,
                        float *values, float **out_cached)
{
    const trace_layer *layer = &input->layers[index];
    const size_t count = (size_t)layer->kv_heads * layer->tokens * head_dim;
    const vsa_dtype type = layer->kv_type;
    /* What is rounded together: a block of the quantised types. */
    const size_t unit = type == VSA_DTYPE_Q8_0 || type == VSA_DTYPE_Q4_0 ? MAX_UNIT : 1;
    float *cached = values;

    if (head_dim % unit != 0) {
        return tool_fail(EXIT_BAD_INPUT,
                         "%s: tensor '%c.%u': head size %u, must be a multiple of %zu for a cache "
                         "of %s",
                         input->name, letter, index, head_dim, unit, type_name(type));
    }
    for (size_t i = 0; i < count; i += unit) {
        float rounded[MAX_UNIT];
        const size_t extreme = i + largest(values + i, unit);

        memcpy(rounded, values + i, unit * sizeof *rounded);
        rounding_row(type, rounded, (uint32_t)unit);
        if (!isfinite(rounded[extreme - i])) {
            const uint64_t shape[3] = {layer->kv_heads, layer->tokens, head_dim};
            char position[SAFETENSORS_POSITION_SIZE];

            if (cached != values) {
                free(cached);
            }
            safetensors_position(shape, 3, extreme, position);
            return tool_fail(EXIT_BAD_INPUT,
                             "%s: tensor '%c.%u': the value at %s is %g, too large for a cache "
                             "of %s",
                             input->name, letter, index, position, (double)values[extreme],
                             type_name(type));
        }
        if (cached == values && memcmp(rounded, values + i, unit * sizeof *rounded) != 0) {
            cached = malloc(count * sizeof *cached);
            if (!cached) {
                return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to read it", input->name);
            }
            memcpy(cached, values, i * sizeof *cached);
        }
        if (cached != values) {
            memcpy(cached + i, rounded, unit * sizeof *rounded);
        }
    }
    *out_cached = cached;
    return EXIT_DONE;
}

int trace_round(trace *input, vsa_dtype kv_type)
{
    for (uint32_t i = 0; i < input->layer_count; i++) {
        trace_layer *layer = &input->layers[i];
        int code;

        layer->kv_type = kv_type ? kv_type : layer->file_type;
        if ((code = round_values(input, 'k', i, layer->head_dim_k, layer->k, &layer->cached_k)) !=
                EXIT_DONE ||
            (code = round_values(input, 'v', i, layer->head_dim_v, layer->v, &layer->cached_v)) !=
                EXIT_DONE) {
            return code;
        }
    }
    return EXIT_DONE;
}

void trace_keep_queries(trace *input, uint32_t queries)
{
    for (uint32_t i = 0; i < input->layer_count; i++) {
        trace_layer *layer = &input->layers[i];

        if (layer->queries <= queries) {
            continue;
        }
        for (uint32_t h = 0; h < layer->q_heads; h++) {
            const size_t first = (size_t)(h + 1) * layer->queries - queries;

            memmove(layer->q + (size_t)h * queries * layer->head_dim_k,
                    layer->q + first * layer->head_dim_k,
                    (size_t)queries * layer->head_dim_k * sizeof *layer->q);
        }
        layer->queries = queries;
    }
}

void trace_destroy(trace *input)
{
    for (uint32_t i = 0; i < input->layer_count; i++) {
        trace_layer *layer = &input->layers[i];

        if (layer->cached_k != layer->k) {
            free(layer->cached_k);
        }
        if (layer->cached_v != layer->v) {
            free(layer->cached_v);
        }
        free(layer->k);
        free(layer->v);
        free(layer->q);
    }
    free(input->layers);
    input->layers = NULL;
    input->layer_count = 0;
}

double trace_scale(const trace *input, const trace_layer *layer)
{
    return input->softmax_scale > 0.0f ? (double)input->softmax_scale
                                       : 1.0 / sqrt((double)layer->head_dim_k);
}

uint32_t trace_length(const trace_layer *layer, uint32_t query)
{
    return layer->tokens - layer->queries + 1 + query;
}
