/*
 * eval_input.h - what eval runs on: the layers of one file, or of several generated inputs, and
 * dense attention of every row in double precision. Functions that return int return an exit
 * code, after one line on standard error.
 */
#ifndef VSA_TOOL_EVAL_INPUT_H
#define VSA_TOOL_EVAL_INPUT_H

#include "dense_reference.h"
#include "options.h"
#include "trace.h"

enum { EVAL_NAME_SIZE = 64 };

typedef struct eval_input {
    const char *name; /* the file, or the specification */
    uint32_t first_layer, layer_count;
} eval_input;

/* Dense attention of one layer's rows, [query][q_head] as in a step. */
typedef struct eval_reference {
    double *out; /* and [head_dim_v] */
    dense_truth *truths;
} eval_reference;

typedef struct eval_inputs {
    trace all; /* every layer of every input, so that one session serves those of one shape */
    eval_input items[OPTION_LIST_SIZE];
    char names[OPTION_LIST_SIZE][EVAL_NAME_SIZE]; /* of the built-in set */
    uint32_t count;
    eval_reference *references; /* one per layer of `all` */
    uint64_t query_count;       /* over all layers */
} eval_inputs;

/* --input, --synthetic or the built-in set, rounded as the cache keeps it. */
int eval_inputs_load(const tool_options *options, eval_inputs *out_inputs);

/* Computes the references. */
int eval_inputs_compare(const tool_options *options, eval_inputs *inputs);

/* Accepts a zero-initialised struct. */
void eval_inputs_destroy(eval_inputs *inputs);

#endif
