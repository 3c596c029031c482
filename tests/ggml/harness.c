#include "harness.h"

#include <stdlib.h>
#include <string.h>

static void *function(ggml_backend_reg_t reg, const char *name)
{
    void *address = ggml_backend_reg_get_proc_address(reg, name);
    check_that(address != NULL, "the backend has no %s", name);
    return address;
}

int plugin_open(plugin *p, const char *path)
{
    *p = (plugin){0};
    ggml_backend_load_all();
    p->cpu = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
    assert_non_null(p->cpu);
    p->reg = ggml_backend_load(path);
    check_that(p->reg != NULL, "ggml did not load %s", path);
    assert_int_equal(ggml_backend_reg_dev_count(p->reg), 1);
    p->device = ggml_backend_reg_dev_get(p->reg, 0);
    p->backend = ggml_backend_dev_init(p->device, NULL);
    assert_non_null(p->backend);
    void *functions[] = {function(p->reg, "vsa_set_option"),
                         function(p->reg, "vsa_reset_summary"),
                         function(p->reg, "vsa_get_summary"),
                         function(p->reg, "vsa_print_summary")};
    memcpy(&p->set_option, &functions[0], sizeof(void *));
    memcpy(&p->reset_summary, &functions[1], sizeof(void *));
    memcpy(&p->get_summary, &functions[2], sizeof(void *));
    memcpy(&p->print_summary, &functions[3], sizeof(void *));
    /* A node that it always takes, if it takes any. */
    scene m;
    scene_make(&m, &(shape){.k_type = GGML_TYPE_F16, .v_type = GGML_TYPE_F16, .dim_k = 64,
                            .dim_v = 64, .q_heads = 2, .kv_heads = 1, .queries = 1, .streams = 1,
                            .cells = 256, .capacity = 256}, 1, 0);
    const int works = ggml_backend_dev_supports_op(p->device, m.out);
    scene_free(&m);
    return works;
}

void plugin_close(plugin *p)
{
    ggml_backend_free(p->backend);
    ggml_backend_free(p->cpu);
}

void plugin_set(const plugin *p, const char *const *options)
{
    for (; *options != NULL; options++) {
        char name[64];
        const char *equals = strchr(*options, '=');
        assert_true(equals != NULL && (size_t)(equals - *options) < sizeof name);
        memcpy(name, *options, (size_t)(equals - *options));
        name[equals - *options] = 0;
        const char *sentence = p->set_option(name, equals + 1);
        check_that(sentence == NULL, "%s: %s", *options, sentence);
    }
}

static struct ggml_tensor *view(struct ggml_context *context, struct ggml_tensor *cache, int dim,
                                const shape *s, int first)
{
    const size_t row = ggml_row_size(cache->type, dim);
    struct ggml_tensor *t = ggml_view_4d(
        context, cache, dim, s->kv_heads, s->cells, s->streams, row, row * (size_t)s->kv_heads,
        row * (size_t)s->kv_heads * (size_t)s->capacity,
        row * (size_t)s->kv_heads * (size_t)s->capacity * (size_t)first);
    return ggml_permute(context, t, 0, 2, 1, 3);
}

void scene_make(scene *m, const shape *s, int total_streams, int first)
{
    *m = (scene){.s = *s};
    m->context = ggml_init((struct ggml_init_params){.mem_size = 1 << 20, .no_alloc = true});
    assert_non_null(m->context);
    struct ggml_context *c = m->context;
    m->cache_k = ggml_new_tensor_3d(c, s->k_type, s->dim_k * s->kv_heads, s->capacity,
                                    total_streams);
    m->cache_v = ggml_new_tensor_3d(c, s->v_type, s->dim_v * s->kv_heads, s->capacity,
                                    total_streams);
    m->q = ggml_new_tensor_4d(c, GGML_TYPE_F32, s->dim_k, s->queries, s->q_heads, s->streams);
    m->mask = s->no_mask ? NULL
                         : ggml_new_tensor_4d(c, GGML_TYPE_F16, s->cells, s->queries, 1,
                                              s->streams);
    m->out = ggml_flash_attn_ext(c, m->q, view(c, m->cache_k, s->dim_k, s, first),
                                 view(c, m->cache_v, s->dim_v, s, first), m->mask,
                                 1.0f / sqrtf((float)s->dim_k), 0.0f, s->softcap);
    m->graph = ggml_new_graph(c);
    ggml_build_forward_expand(m->graph, m->out);
    m->buffer = ggml_backend_alloc_ctx_tensors_from_buft(c, ggml_backend_cpu_buffer_type());
    assert_non_null(m->buffer);
    ggml_backend_buffer_clear(m->buffer, 0);
}

void scene_free(scene *m)
{
    ggml_backend_buffer_free(m->buffer);
    ggml_free(m->context);
}

float next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

static void store(enum ggml_type type, const float *values, void *row, int count)
{
    if (type == GGML_TYPE_F32) {
        memcpy(row, values, (size_t)count * sizeof *values);
    } else {
        ggml_get_type_traits(type)->from_float_ref(values, row, count);
    }
}

void scene_write_row(struct ggml_tensor *cache, int stream_capacity, int stream, int cell,
                     const float *values)
{
    store(cache->type, values,
          (char *)cache->data + ((size_t)stream * (size_t)stream_capacity + (size_t)cell) *
                                    cache->nb[1],
          (int)cache->ne[0]);
}

void scene_fill(scene *m, uint32_t seed, float spread)
{
    float row[4096];
    uint32_t random = seed;

    for (int64_t i = 0; i < m->cache_k->ne[1] * m->cache_k->ne[2]; i++) {
        for (int64_t c = 0; c < m->cache_k->ne[0]; c++) {
            row[c] = spread * next_random(&random);
        }
        scene_write_row(m->cache_k, 0, 0, (int)i, row);
        for (int64_t c = 0; c < m->cache_v->ne[0]; c++) {
            row[c] = next_random(&random) + 1.0f;
        }
        scene_write_row(m->cache_v, 0, 0, (int)i, row);
    }
    for (int64_t i = 0; i < ggml_nelements(m->q); i++) {
        ((float *)m->q->data)[i] = next_random(&random);
    }
    if (m->mask != NULL) {
        memset(m->mask->data, 0, ggml_nbytes(m->mask));
    }
}

static ggml_fp16_t *mask_at(const scene *m, int stream, int query, int cell)
{
    return (ggml_fp16_t *)((char *)m->mask->data + (size_t)stream * m->mask->nb[3] +
                           (size_t)query * m->mask->nb[1]) + cell;
}

void scene_mask_value(scene *m, int stream, int query, int cell, float value)
{
    *mask_at(m, stream, query, cell) = ggml_fp32_to_fp16(value);
}

void scene_show(scene *m, int stream, int query, int cell, int shown)
{
    scene_mask_value(m, stream, query, cell, shown ? 0.0f : -INFINITY);
}

void scene_compute(const scene *m, const plugin *p)
{
    assert_true(ggml_backend_dev_supports_op(p->device, m->out));
    memset(m->out->data, 0xff, ggml_nbytes(m->out));   /* NaN */
    assert_int_equal(ggml_backend_graph_compute(p->backend, m->graph), GGML_STATUS_SUCCESS);
}

static void load(const struct ggml_tensor *t, int dim, int64_t cell, int head, int stream,
                 float *out)
{
    const char *row = (const char *)t->data + (size_t)cell * t->nb[1] +
                      (size_t)head * t->nb[2] + (size_t)stream * t->nb[3];
    if (t->type == GGML_TYPE_F32) {
        memcpy(out, row, (size_t)dim * sizeof *out);
    } else {
        ggml_get_type_traits(t->type)->to_float(row, out, dim);
    }
}

/* Two passes, all logits kept: nothing in common with the backend's. */
void scene_truth(const scene *m, int stream, int query, double *out)
{
    const shape *s = &m->s;
    const struct ggml_tensor *k = m->out->src[1], *v = m->out->src[2];
    double *logits = malloc((size_t)s->cells * sizeof *logits);
    float row[256];

    assert_non_null(logits);
    for (int head = 0; head < s->q_heads; head++) {
        const int kv_head = head / (s->q_heads / s->kv_heads);
        const float *q = (const float *)((const char *)m->q->data +
                                         (size_t)query * m->q->nb[1] +
                                         (size_t)head * m->q->nb[2] +
                                         (size_t)stream * m->q->nb[3]);
        double most = -INFINITY, sum = 0;
        for (int i = 0; i < s->cells; i++) {
            double logit = 0;
            load(k, s->dim_k, i, kv_head, stream, row);
            for (int c = 0; c < s->dim_k; c++) {
                logit += (double)q[c] * row[c];
            }
            logit *= 1.0f / sqrtf((float)s->dim_k);
            logit = s->softcap != 0 ? s->softcap * tanh(logit / s->softcap) : logit;
            logit += m->mask != NULL ? ggml_fp16_to_fp32(*mask_at(m, stream, query, i)) : 0;
            logits[i] = logit;
            most = logit > most ? logit : most;
        }
        double *o = out + (size_t)head * (size_t)s->dim_v;
        memset(o, 0, (size_t)s->dim_v * sizeof *o);
        for (int i = 0; i < s->cells && most > -INFINITY; i++) {
            const double weight = exp(logits[i] - most);
            if (weight > 0) {
                sum += weight;
                load(v, s->dim_v, i, kv_head, stream, row);
                for (int c = 0; c < s->dim_v; c++) {
                    o[c] += weight * row[c];
                }
            }
        }
        for (int c = 0; c < s->dim_v && sum > 0; c++) {
            o[c] /= sum;
        }
    }
    free(logits);
}

double scene_error(const scene *m, int stream, int query, int head, const double *truth)
{
    const shape *s = &m->s;
    const float *out = (const float *)m->out->data +
                       (((size_t)stream * (size_t)s->queries + (size_t)query) *
                            (size_t)s->q_heads + (size_t)head) * (size_t)s->dim_v;
    const double *exact = truth + (size_t)head * (size_t)s->dim_v;
    double distance = 0, length = 0;

    for (int c = 0; c < s->dim_v; c++) {
        distance += (out[c] - exact[c]) * (out[c] - exact[c]);
        length += exact[c] * exact[c];
    }
    return length > 0 ? sqrt(distance / length) : sqrt(distance);
}

double scene_worst(const scene *m)
{
    double *truth = malloc((size_t)m->s.q_heads * (size_t)m->s.dim_v * sizeof *truth);
    double worst = 0;

    assert_non_null(truth);
    for (int stream = 0; stream < m->s.streams; stream++) {
        for (int query = 0; query < m->s.queries; query++) {
            scene_truth(m, stream, query, truth);
            for (int head = 0; head < m->s.q_heads; head++) {
                const double error = scene_error(m, stream, query, head, truth);
                worst = error <= worst ? worst : error;   /* NaN stays */
            }
        }
    }
    free(truth);
    return worst;
}
