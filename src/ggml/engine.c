#include "engine.h"

#include "binding.h"
#include "cells.h"
#include "host.h"
#include "pass.h"
#include "say.h"
#include "summary.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beyond that many the cache that was used least recently is given up. */
enum { MAX_CACHES = 1024 };

typedef struct engine {
    pthread_mutex_t mutex;
    vsai_ggml_options options;
    int  started, declines;      /* declines: for good, it has been said why */
    vsai_ggml_gpu gpu;
    vsai_ggml_plans plans;
    uint32_t session_count;
    char device_name[256];
    vsai_ggml_counts counts;
    /* Of a node: lists of cells, rows, and a row in double precision. */
    uint32_t *cells;
    vsai_ggml_row *rows;
    double *exact;
    size_t cells_size, rows_size, exact_size;
} engine;

static engine the_engine = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .device_name = "verified sparse attention, no device open"};

static const vsa_log device_log = {.write = vsai_ggml_say_vsa};

static void lock(void)
{
    pthread_mutex_lock(&the_engine.mutex);
}

static void unlock(void)
{
    pthread_mutex_unlock(&the_engine.mutex);
}

int vsai_ggml_engine_start(void)
{
    engine *e = &the_engine;
    vsai_ggml_error error;

    lock();
    if (!e->started) {
        e->started = 1;
        if (!vsai_ggml_options_from_environment(&e->options, &error)) {
            vsai_ggml_say(GGML_LOG_LEVEL_ERROR, "%s; attention is left to the other backends",
                          error.sentence);
            e->declines = 1;
        }
    }
    unlock();
    return !e->declines;
}

const vsai_ggml_options *vsai_ggml_engine_options(void)
{
    return &the_engine.options;
}

/* For good: what failed once would fail at every node. */
static void give_up(engine *e, const char *what)
{
    if (!e->declines) {
        vsai_ggml_say(GGML_LOG_LEVEL_ERROR,
                      "%s; attention is left to the other backends from now on", what);
        e->declines = 1;
    }
}

static int open_device(engine *e)
{
    if (e->declines || e->gpu.standalone != NULL) {
        return !e->declines;
    }
    if (vsai_ggml_gpu_open(&e->options, &device_log, &e->gpu)) {
        give_up(e, "no device");
        return 0;
    }
    e->plans.gpu = &e->gpu;
    snprintf(e->device_name, sizeof e->device_name, "verified sparse attention on %.200s",
             vsa_standalone_device(e->gpu.standalone)->name);
    return 1;
}

int vsai_ggml_engine_is_ready(void)
{
    engine *e = &the_engine;
    vsai_ggml_error error;

    lock();
    const int ready = open_device(e) && vsai_ggml_options_check(&e->options, &error);
    unlock();
    return ready;
}

const char *vsai_ggml_engine_device_name(void)
{
    return the_engine.device_name;
}

/* ---------------------------------------------------------------- sessions */

vsai_ggml_session *vsai_ggml_session_create(void)
{
    vsai_ggml_session *session = calloc(1, sizeof *session);

    if (session != NULL) {
        lock();
        the_engine.session_count++;
        unlock();
    }
    return session;
}

/* With the layers that are bound to it. */
static void drop_cache(engine *e, vsai_ggml_session *session, vsai_ggml_cache *cache)
{
    vsai_ggml_cache **link = &session->caches;

    for (size_t i = 0; i < VSAI_GGML_MAX_PLANS; i++) {
        vsai_ggml_plan *plan = e->plans.plans[i];
        vsai_ggml_binding *binding = plan != NULL ? plan->bindings : NULL;
        while (binding != NULL) {
            vsai_ggml_binding *next = binding->next;
            if (binding->cache == cache) {
                vsai_ggml_binding_destroy(plan, binding, &e->gpu);
            }
            binding = next;
        }
    }
    while (*link != cache) {
        link = &(*link)->next;
    }
    *link = cache->next;
    session->cache_count--;
    vsai_ggml_cache_destroy(cache);
}

void vsai_ggml_session_destroy(vsai_ggml_session *session)
{
    engine *e = &the_engine;

    if (session == NULL) {
        return;
    }
    lock();
    while (session->caches != NULL) {
        drop_cache(e, session, session->caches);
    }
    free(session);
    if (--e->session_count == 0) {
        vsai_ggml_plans_clear(&e->plans);
        vsai_ggml_gpu_close(&e->gpu);
        free(e->cells);
        free(e->rows);
        free(e->exact);
        e->cells = NULL;
        e->rows = NULL;
        e->exact = NULL;
        e->cells_size = e->rows_size = e->exact_size = 0;
    }
    unlock();
}

/* Moved to the front of the list. */
static vsai_ggml_cache *find_cache(engine *e, vsai_ggml_session *session,
                                   const vsai_ggml_node *node)
{
    vsai_ggml_cache **link = &session->caches;
    vsai_ggml_cache *last = NULL;

    for (; *link != NULL; link = &(*link)->next) {
        vsai_ggml_cache *cache = *link;
        if (vsai_ggml_cache_is_of(cache, node) &&
            (!e->options.mirror || vsai_ggml_cache_is_mirror(cache))) {
            *link = cache->next;
            cache->next = session->caches;
            session->caches = cache;
            return cache;
        }
        last = cache;
    }
    if (session->cache_count >= MAX_CACHES) {
        drop_cache(e, session, last);
    }
    vsai_ggml_cache *cache = vsai_ggml_cache_create(
        &e->gpu, node, node->layer != VSAI_GGML_NO_LAYER ? node->layer : session->layer_count,
        (int)e->options.mirror);
    if (cache != NULL) {
        session->layer_count++;
        session->cache_count++;
        cache->next = session->caches;
        session->caches = cache;
    }
    return cache;
}

/* --------------------------------------------------------------- attention */

static int reserve(void **memory, size_t *size, size_t wanted)
{
    if (wanted > *size) {
        void *grown = realloc(*memory, wanted);
        if (grown == NULL) {
            return 0;
        }
        *memory = grown;
        *size = wanted;
    }
    return 1;
}

static int reserve_node(engine *e, const vsai_ggml_node *node)
{
    const size_t rows = (size_t)node->streams * node->queries;
    return reserve((void **)&e->cells, &e->cells_size, rows * node->cells * sizeof *e->cells) &&
           reserve((void **)&e->rows, &e->rows_size, rows * sizeof *e->rows) &&
           reserve((void **)&e->exact, &e->exact_size,
                   (size_t)node->q_heads * (node->v.head_dim + 1) * sizeof *e->exact);
}

/* The row in double precision into e->exact, and the logarithms of its normalisers after it. */
static double *compute_exact(engine *e, const vsai_ggml_node *node, uint32_t stream,
                             uint32_t query, double **out_log_normalisers)
{
    *out_log_normalisers = e->exact + (size_t)node->q_heads * node->v.head_dim;
    return vsai_ggml_host_attend(node, stream, query, e->exact, *out_log_normalisers) ? e->exact
                                                                                      : NULL;
}

static int host_row(engine *e, const vsai_ggml_node *node, uint32_t stream, uint32_t query,
                    struct vsa_ggml_summary *counts)
{
    const size_t values = (size_t)node->q_heads * node->v.head_dim;
    const uint64_t bytes = (uint64_t)node->cells * node->kv_heads *
                           (node->k.row_size + node->v.row_size);
    double *log_normalisers;
    const double *exact = compute_exact(e, node, stream, query, &log_normalisers);
    float *out = vsai_ggml_node_out(node, stream, query);

    if (exact == NULL) {
        return 0;
    }
    for (size_t i = 0; i < values; i++) {
        out[i] = (float)exact[i];
    }
    vsai_ggml_counts_host(counts, node->q_heads, node->cells, bytes);
    return 1;
}

/* Relative, of the target, as vsa.h defines it. */
static double error_of(const vsai_ggml_node *node, vsa_target target, const float *out,
                       const vsa_certificate *row, const double *exact, double log_normaliser)
{
    const double ratio = exp((double)row->log_normaliser - log_normaliser);
    const double scale = target == VSA_TARGET_NUMERATOR ? ratio : 1;
    double distance = 0, length = 0;

    if (target == VSA_TARGET_DENOMINATOR) {
        return fabs(ratio - 1);
    }
    for (uint32_t c = 0; c < node->v.head_dim; c++) {
        const double difference = scale * out[c] - exact[c];
        distance += difference * difference;
        length += exact[c] * exact[c];
    }
    return sqrt(distance / length);
}

static int finish_row(engine *e, const vsai_ggml_pass *pass, const vsai_ggml_pass_result *result,
                      uint32_t r, struct vsa_ggml_summary *counts)
{
    const vsai_ggml_node *node = pass->node;
    const vsai_ggml_row *row = &pass->rows[r];
    const vsa_certificate *certificates = vsai_ggml_pass_certificates(pass, result, r);
    const float *computed = vsai_ggml_pass_out(pass, result, r);
    const uint32_t dim = node->v.head_dim;
    const int dense = pass->policy.method == VSA_METHOD_DENSE;
    const int verify = e->options.verify && !dense;
    float *out = vsai_ggml_node_out(node, row->stream, row->query);
    double *exact = NULL, *log_normalisers = NULL;
    uint64_t read, all;
    uint32_t invalid = 0;

    memcpy(out, computed, (size_t)node->q_heads * dim * sizeof *out);
    vsa_plan_count_bytes(result->plan->plan, certificates, node->q_heads, &read, &all);
    vsai_ggml_counts_rows(counts, certificates, node->q_heads, dense, read, all);
    for (uint32_t h = 0; h < node->q_heads; h++) {
        const vsa_certificate_status status = VSA_CERTIFICATE_STATUS(certificates[h].status);
        invalid += status == VSA_CERTIFICATE_INVALID || status == VSA_CERTIFICATE_NONE;
    }
    if (invalid != 0 || verify) {
        exact = compute_exact(e, node, row->stream, row->query, &log_normalisers);
        if (exact == NULL) {
            return invalid == 0;   /* only the check is missing */
        }
    }
    for (uint32_t h = 0; h < node->q_heads && exact != NULL; h++) {
        const vsa_certificate_status status = VSA_CERTIFICATE_STATUS(certificates[h].status);
        const double *exact_head = exact + (size_t)h * dim;
        float *out_head = out + (size_t)h * dim;
        if (status == VSA_CERTIFICATE_INVALID || status == VSA_CERTIFICATE_NONE) {
            /* NaN and infinity come out as any other backend would have them. */
            for (uint32_t c = 0; c < dim; c++) {
                out_head[c] = (float)exact_head[c];
            }
        } else if (verify) {
            vsai_ggml_counts_verified(counts, &certificates[h],
                                      error_of(node, pass->policy.target, out_head,
                                               &certificates[h], exact_head,
                                               log_normalisers[h]));
        }
    }
    return 1;
}

/* Rows [0, count) of e->rows that `dense` speaks of; on a failure on the host. */
static int run_rows(engine *e, const vsai_ggml_node *node, vsai_ggml_cache *cache,
                    const vsai_ggml_row *rows, uint32_t count, int dense,
                    struct vsa_ggml_summary *counts)
{
    for (uint32_t first = 0; first < count; first += VSAI_GGML_MAX_SEQUENCES) {
        const uint32_t rest = count - first;
        const vsai_ggml_pass pass = {
            .node = node, .rows = rows + first,
            .row_count = rest < VSAI_GGML_MAX_SEQUENCES ? rest : VSAI_GGML_MAX_SEQUENCES,
            .seed = e->options.seed,
            /* A plan of its own, so that short contexts compile no more than that. */
            .policy = dense ? (vsa_policy){.method = VSA_METHOD_DENSE} : e->options.policy};
        vsai_ggml_pass_result result;
        const int done = cache != NULL && !e->declines &&
                         vsai_ggml_pass_run(&pass, &e->plans, cache, &result);
        if (!done) {
            give_up(e, "a step failed on the device and is computed on the host");
        }
        for (uint32_t r = 0; r < pass.row_count; r++) {
            if (!(done ? finish_row(e, &pass, &result, r, counts)
                       : host_row(e, node, pass.rows[r].stream, pass.rows[r].query, counts))) {
                return 0;
            }
        }
        if (done) {
            counts->checked_rows += result.checked;
            counts->changed_rows += result.changed;
        }
    }
    return 1;
}

/* Rows that are dense go to the front, those for vsa's method behind them. */
static uint32_t sort_rows(vsai_ggml_row *rows, uint32_t count, uint32_t min_tokens)
{
    uint32_t dense = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].count < min_tokens) {
            const vsai_ggml_row row = rows[i];
            memmove(&rows[dense + 1], &rows[dense], (i - dense) * sizeof *rows);
            rows[dense++] = row;
        }
    }
    return dense;
}

static int attend(engine *e, vsai_ggml_session *session, const vsai_ggml_node *node)
{
    if (!reserve_node(e, node)) {
        return 0;
    }
    vsai_ggml_cache *cache = open_device(e) ? find_cache(e, session, node) : NULL;
    const uint32_t layer = cache != NULL                      ? cache->layer
                           : node->layer != VSAI_GGML_NO_LAYER ? node->layer : 0;
    struct vsa_ggml_summary *counts = vsai_ggml_counts_layer(&e->counts, layer);
    uint32_t *cells = e->cells;
    uint32_t row_count = 0;

    counts->nodes++;
    for (uint32_t stream = 0; stream < node->streams; stream++) {
        for (uint32_t query = 0; query < node->queries; query++) {
            vsai_ggml_row *row = &e->rows[row_count];
            *row = (vsai_ggml_row){.stream = stream, .query = query, .cells = cells};
            switch (vsai_ggml_cells(vsai_ggml_node_mask(node, stream, query), node->cells,
                                    vsai_ggml_node_first_cell(node, stream), cells,
                                    &row->count)) {
            case VSAI_GGML_MASK_LIST:
                cells += row->count;
                row_count++;
                break;
            case VSAI_GGML_MASK_EMPTY:
                memset(vsai_ggml_node_out(node, stream, query), 0,
                       (size_t)node->q_heads * node->v.head_dim * sizeof(float));
                break;
            case VSAI_GGML_MASK_VALUES:
                if (!host_row(e, node, stream, query, counts)) {
                    return 0;
                }
                break;
            }
        }
    }
    const int all_dense = e->options.policy.method == VSA_METHOD_DENSE ||
                          vsai_ggml_options_layer_is_dense(&e->options, layer);
    const uint32_t dense =
        all_dense ? row_count : sort_rows(e->rows, row_count, e->options.min_tokens);
    return run_rows(e, node, cache, e->rows, dense, 1, counts) &&
           run_rows(e, node, cache, e->rows + dense, row_count - dense, 0, counts);
}

int vsai_ggml_engine_attend(vsai_ggml_session *session, const vsai_ggml_node *node)
{
    lock();
    const int done = attend(&the_engine, session, node);
    unlock();
    return done;
}

/* ------------------------------------------------------------- vsa_ggml.h */

const char *vsai_ggml_engine_set_option(const char *name, const char *value)
{
    static _Thread_local vsai_ggml_error error;
    const char *sentence = NULL;

    if (name == NULL || value == NULL) {
        return "name or value is NULL";
    }
    lock();
    if (vsai_ggml_option_is_fixed(name)) {
        snprintf(error.sentence, sizeof error.sentence,
                 "option '%.64s' is read from the environment, once", name);
        sentence = error.sentence;
    } else if (!vsai_ggml_options_set(&the_engine.options, name, value, &error)) {
        sentence = error.sentence;
    }
    unlock();
    return sentence;
}

void vsai_ggml_engine_reset_summary(void)
{
    lock();
    memset(&the_engine.counts, 0, sizeof the_engine.counts);
    unlock();
}

void vsai_ggml_engine_get_summary(struct vsa_ggml_summary *out_summary)
{
    lock();
    vsai_ggml_counts_total(&the_engine.counts, out_summary);
    unlock();
}

uint64_t vsai_ggml_engine_print_at_exit(char *text, uint64_t capacity)
{
    /* A signal handler may have called exit on the thread that holds the mutex. */
    const int locked = pthread_mutex_trylock(&the_engine.mutex) == 0;
    const uint64_t used = vsai_ggml_counts_print(&the_engine.counts, text, capacity);
    if (locked) {
        unlock();
    }
    return used;
}

uint64_t vsai_ggml_engine_print_summary(char *text, uint64_t capacity)
{
    lock();
    const uint64_t used = vsai_ggml_counts_print(&the_engine.counts, text, capacity);
    unlock();
    return used;
}
