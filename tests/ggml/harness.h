/* The backend in ggml: a cache as llama.cpp lays it out, one attention node over it, and the same
 * in double precision. */
#ifndef VSA_GGML_HARNESS_H
#define VSA_GGML_HARNESS_H

#include "check.h"
#include "vsa_ggml.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

typedef struct plugin {
    ggml_backend_reg_t reg;
    ggml_backend_dev_t device;
    ggml_backend_t backend, cpu;
    vsa_set_option_fn set_option;
    vsa_reset_summary_fn reset_summary;
    vsa_get_summary_fn get_summary;
    vsa_print_summary_fn print_summary;
} plugin;

/* 0 = there is no device that vsa works on. */
int plugin_open(plugin *p, const char *path);
void plugin_close(plugin *p);
/* "name=value", NULL at the end; a name or value that is refused fails the test. */
void plugin_set(const plugin *p, const char *const *options);

typedef struct shape {
    enum ggml_type k_type, v_type;
    int dim_k, dim_v, q_heads, kv_heads, queries, streams;
    int cells;      /* of a stream, that the node sees */
    int capacity;   /* of a stream, in the cache */
    float softcap;
    int no_mask;
} shape;

typedef struct scene {
    shape s;
    struct ggml_context *context;
    ggml_backend_buffer_t buffer;
    struct ggml_tensor *cache_k, *cache_v, *q, *mask, *out;   /* out: the node */
    struct ggml_cgraph *graph;
} scene;

/* Tensors in the CPU's memory; the cache holds zeros. `first` is the first stream of the view. */
void scene_make(scene *m, const shape *s, int total_streams, int first);
void scene_free(scene *m);

/* Uniform in [-1, 1]. */
float next_random(uint32_t *state);
/* Random K (times `spread`), V (plus 1) and Q; the mask shows all. */
void scene_fill(scene *m, uint32_t seed, float spread);
/* Writes one row of the cache, all heads, from floats, by the CPU and unseen by the backend. */
void scene_write_row(struct ggml_tensor *cache, int stream_capacity, int stream, int cell,
                     const float *values);
/* 0 or -inf. */
void scene_show(scene *m, int stream, int query, int cell, int shown);
void scene_mask_value(scene *m, int stream, int query, int cell, float value);

/* By the backend; fails the test unless it supports the node. */
void scene_compute(const scene *m, const plugin *p);
/* [q_head][dim_v] of a row in double precision, from the tensors' bytes. */
void scene_truth(const scene *m, int stream, int query, double *out);
/* |out - truth| / |truth| of one head. */
double scene_error(const scene *m, int stream, int query, int head, const double *truth);
/* The largest over all rows. */
double scene_worst(const scene *m);

#endif
