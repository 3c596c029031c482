#include "eval_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "synthetic.h"
#include "tool.h"

/* Long enough by default for the sample to be a small part. */
static const char *const built_in[] = {
    "gaussian:std=0.5", "gaussian:std=1", "gaussian:std=2", "gaussian:std=4", "uniform:std=2",
    "laplace:std=2",    "heavy",          "bimodal",        "local",          "needle",
    "outlier",          "aligned",
};

enum { BUILT_IN_TOTAL = sizeof built_in / sizeof built_in[0], TOKENS = 4096, QUERIES = 8 };
_Static_assert((int)BUILT_IN_TOTAL <= (int)OPTION_LIST_SIZE, "eval_inputs has room for them");

static int no_memory(const eval_inputs *inputs)
{
    return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to evaluate it", inputs->all.name);
}

/* Moves the layers of `input` to the end of all. */
static int append(eval_inputs *inputs, trace *input)
{
    const uint32_t count = inputs->all.layer_count + input->layer_count;
    trace_layer *layers = realloc(inputs->all.layers, count * sizeof *layers);

    if (!layers) {
        trace_destroy(input);
        return no_memory(inputs);
    }
    memcpy(layers + inputs->all.layer_count, input->layers, input->layer_count * sizeof *layers);
    inputs->items[inputs->count++] = (eval_input){
        .name = input->name,
        .first_layer = inputs->all.layer_count,
        .layer_count = input->layer_count,
    };
    inputs->all.layers = layers;
    inputs->all.layer_count = count;
    /* Only a file has a scale of its own, and there is at most one. */
    inputs->all.softmax_scale = input->softmax_scale;
    free(input->layers);
    return EXIT_DONE;
}

static int load_one(const tool_options *options, const char *specification, eval_inputs *inputs)
{
    trace input;
    int code =
        specification ? synthetic_make(specification, &input) : trace_load(options->input, &input);

    if (code != EXIT_DONE) {
        return code;
    }
    if (options->queries > 0) {
        trace_keep_queries(&input, options->queries);
    }
    if ((code = trace_round(&input, (vsa_dtype)options->kv_type)) != EXIT_DONE) {
        trace_destroy(&input);
        return code;
    }
    return append(inputs, &input);
}

/* The specifications to generate, in the order of the items; the count. */
static uint32_t list_specifications(const tool_options *options, eval_inputs *inputs,
                                    const char *specifications[OPTION_LIST_SIZE])
{
    const uint32_t tokens = options->tokens ? options->tokens : TOKENS;
    const uint32_t queries = options->queries ? options->queries : QUERIES;

    if (options->specifications.count > 0) {
        memcpy(specifications, options->specifications.items,
               options->specifications.count * sizeof *specifications);
        return options->specifications.count;
    }
    for (uint32_t i = 0; i < BUILT_IN_TOTAL; i++) {
        snprintf(inputs->names[i], sizeof inputs->names[i], "%s%stokens=%u,queries=%u", built_in[i],
                 strchr(built_in[i], ':') ? "," : ":", tokens, queries);
        specifications[i] = inputs->names[i];
    }
    return BUILT_IN_TOTAL;
}

int eval_inputs_load(const tool_options *options, eval_inputs *out_inputs)
{
    const char *specifications[OPTION_LIST_SIZE] = {NULL};
    uint32_t count = 1;
    int code = EXIT_DONE;

    *out_inputs = (eval_inputs){0};
    if (!options->input) {
        count = list_specifications(options, out_inputs, specifications);
    }
    out_inputs->all.name = options->input ? options->input : specifications[0];
    for (uint32_t i = 0; i < count && code == EXIT_DONE; i++) {
        code = load_one(options, specifications[i], out_inputs);
    }
    for (uint32_t i = 0; i < out_inputs->all.layer_count; i++) {
        out_inputs->query_count += out_inputs->all.layers[i].queries;
    }
    if (code != EXIT_DONE) {
        eval_inputs_destroy(out_inputs);
    }
    return code;
}

static void compare_query(const trace *all, const trace_layer *layer, uint32_t query,
                          double *weights, eval_reference *reference)
{
    const uint32_t group = layer->q_heads / layer->kv_heads;

    for (uint32_t h = 0; h < layer->q_heads; h++) {
        const size_t kv_head = h / group;
        const size_t index = (size_t)query * layer->q_heads + h;
        const dense_row row = {
            .k = layer->cached_k + kv_head * layer->tokens * layer->head_dim_k,
            .v = layer->cached_v + kv_head * layer->tokens * layer->head_dim_v,
            .q = layer->q + ((size_t)h * layer->queries + query) * layer->head_dim_k,
            .length_tokens = trace_length(layer, query),
            .head_dim_k = layer->head_dim_k,
            .head_dim_v = layer->head_dim_v,
            .softmax_scale = trace_scale(all, layer),
        };

        reference->truths[index] =
            dense_reference(&row, weights, reference->out + index * layer->head_dim_v);
    }
}

static int compare_layer(const trace_layer *layer, eval_inputs *inputs, eval_reference *reference,
                         progress *bar, uint64_t *done)
{
    const size_t rows = (size_t)layer->q_heads * layer->queries;
    double *weights = malloc(layer->tokens * sizeof *weights);

    reference->out = malloc(rows * layer->head_dim_v * sizeof *reference->out);
    reference->truths = malloc(rows * sizeof *reference->truths);
    if (!weights || !reference->out || !reference->truths) {
        free(weights);
        return no_memory(inputs);
    }
    for (uint32_t j = 0; j < layer->queries; j++) {
        compare_query(&inputs->all, layer, j, weights, reference);
        progress_update(bar, ++*done);
    }
    free(weights);
    return EXIT_DONE;
}

int eval_inputs_compare(const tool_options *options, eval_inputs *inputs)
{
    progress bar =
        progress_begin("dense in double precision", inputs->query_count, !options->no_progress);
    uint64_t done = 0;
    int code = EXIT_DONE;

    inputs->references = calloc(inputs->all.layer_count, sizeof *inputs->references);
    if (!inputs->references) {
        return no_memory(inputs);
    }
    for (uint32_t i = 0; i < inputs->all.layer_count && code == EXIT_DONE; i++) {
        code = compare_layer(&inputs->all.layers[i], inputs, &inputs->references[i], &bar, &done);
    }
    progress_clear(&bar);
    return code;
}

void eval_inputs_destroy(eval_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->all.layer_count && inputs->references; i++) {
        free(inputs->references[i].out);
        free(inputs->references[i].truths);
    }
    free(inputs->references);
    trace_destroy(&inputs->all);
    *inputs = (eval_inputs){0};
}
