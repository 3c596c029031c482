/*
 * trace.h - queries, keys and values of a model's layers as f32 arrays, from a file or generated.
 * Functions that return int return an exit code, after one line on standard error.
 */
#ifndef VSA_TOOL_TRACE_H
#define VSA_TOOL_TRACE_H

#include <stdint.h>

#include "vsa.h"

/* Query j of m attends to the first tokens - m + 1 + j tokens. */
typedef struct trace_layer {
    uint32_t q_heads, kv_heads;
    uint32_t head_dim_k, head_dim_v;
    uint32_t tokens, queries;
    vsa_dtype file_type; /* of k */
    vsa_dtype kv_type;   /* of the cache; set by trace_round */
    float *k;            /* [kv_heads][tokens][head_dim_k], owned */
    float *v;            /* [kv_heads][tokens][head_dim_v], owned */
    float *q;            /* [q_heads][queries][head_dim_k], owned */
    float *cached_k;     /* k and v as a cache of kv_type keeps them; set by trace_round. */
    float *cached_v;     /* The same arrays where nothing is lost */
} trace_layer;

typedef struct trace {
    const char *name; /* the file, or the specification; borrowed */
    trace_layer *layers;
    uint32_t layer_count;
    float softmax_scale; /* 0 = 1/sqrt(head_dim_k) */
} trace;

/* Reads k.L, v.L and q.L for L = 0, 1, ...; other tensors are left alone. */
int trace_load(const char *path, trace *out_trace);

/* Sets kv_type (0 = each layer's file_type) and the cached arrays; refuses values that the type
 * cannot hold. */
int trace_round(trace *input, vsa_dtype kv_type);

/* Leaves only the last `queries` queries of every layer that has more. Before or after
 * trace_round. */
void trace_keep_queries(trace *input, uint32_t queries);

/* Accepts a zero-initialised trace. */
void trace_destroy(trace *input);

double trace_scale(const trace *input, const trace_layer *layer);

/* Tokens that query j of the layer attends to. */
uint32_t trace_length(const trace_layer *layer, uint32_t query);

#endif
