#include "harness_data.h"
#include "quantised.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ inputs */

static double draw_logit(ref_random *random, const harness_fill *fill, uint32_t token,
                         uint32_t length)
{
    double spread = fill->spread > 0 ? fill->spread : 1, u;
    switch (fill->scores) {
    case HARNESS_UNIFORM:
        return spread * (2 * ref_random_uniform(random) - 1);
    case HARNESS_HEAVY:
        u = ref_random_uniform(random) - 0.5;
        return spread * (u < 0 ? log1p(2 * u) : -log1p(-2 * u));
    case HARNESS_LOCAL:
        return spread * ref_random_normal(random)
               + 4 * exp(-8.0 * (length - 1 - token) / length);
    default:
        return spread * ref_random_normal(random);
    }
}

/*
 * Keys whose logits have the wanted distribution for every query head of a group: q of head g is
 * large in channel g alone (and Gaussian noise elsewhere, small enough not to matter), and channel
 * g of key i carries the logit that head g shall have for token i.
 */
static void fill_group(const harness_data *d, const harness_fill *fill, uint32_t sequence,
                       uint32_t kv_head, ref_random *random)
{
    uint32_t dk = d->plan.head_dim_k, dv = d->plan.head_dim_v;
    uint32_t group = d->plan.q_heads / d->plan.kv_heads, length = d->lengths[sequence];
    double mean[REF_MAX_DIM];
    for (uint32_t c = 0; c < dv; c++) {
        mean[c] = fill->value_mean * ref_random_normal(random);
    }
    for (uint32_t i = 0; i < d->plan.max_tokens; i++) {
        float *k = harness_k(d, sequence, kv_head, i), *v = harness_v(d, sequence, kv_head, i);
        for (uint32_t c = 0; c < dk; c++) {
            k[c] = c < group ? (float)draw_logit(random, fill, i, length)
                             : (float)ref_random_normal(random);
        }
        for (uint32_t c = 0; c < dv; c++) {
            v[c] = (float)(mean[c] + ref_random_normal(random));
        }
    }
}

static void fill_queries(harness_data *d, ref_random *random)
{
    uint32_t dk = d->plan.head_dim_k, group = d->plan.q_heads / d->plan.kv_heads;
    double scale = (double)d->plan.softmax_scale;
    for (uint32_t row = 0; row < harness_row_count(d); row++) {
        float *q = d->q + (size_t)row * dk;
        uint32_t own = row % d->plan.q_heads % group;
        for (uint32_t c = 0; c < dk; c++) {
            q[c] = (float)(0.02 * ref_random_normal(random) / scale);
        }
        q[own % dk] = (float)((1 + 0.1 * ref_random_normal(random)) / scale);
    }
}

harness_data *harness_data_make(const vsa_plan_create_info *plan, uint32_t sequence_count,
                                uint32_t query_count, const uint32_t *lengths,
                                const harness_fill *fill)
{
    harness_data *d = calloc(1, sizeof *d);
    d->plan = *plan;
    d->sequence_count = sequence_count;
    d->query_count = query_count;
    if (d->plan.max_sequences < sequence_count) {
        d->plan.max_sequences = sequence_count;
    }
    if (d->plan.max_queries < query_count) {
        d->plan.max_queries = query_count;
    }
    if (d->plan.softmax_scale == 0) {
        d->plan.softmax_scale = (float)(1 / sqrt(plan->head_dim_k));
    }
    if (d->plan.kv.k.dtype == 0) {
        d->plan.kv.k.dtype = VSA_DTYPE_F16;
    }
    if (d->plan.kv.v.dtype == 0) {
        d->plan.kv.v.dtype = VSA_DTYPE_F16;
    }
    d->lengths = malloc(sequence_count * sizeof *d->lengths);
    memcpy(d->lengths, lengths, sequence_count * sizeof *d->lengths);
    size_t rows = (size_t)sequence_count * plan->kv_heads * plan->max_tokens;
    d->k = malloc(rows * plan->head_dim_k * sizeof *d->k);
    d->v = malloc(rows * plan->head_dim_v * sizeof *d->v);
    d->q = malloc((size_t)harness_row_count(d) * plan->head_dim_k * sizeof *d->q);
    ref_random random = { fill->seed * 0x10001 + 77 };
    for (uint32_t s = 0; s < sequence_count; s++) {
        for (uint32_t h = 0; h < plan->kv_heads; h++) {
            fill_group(d, fill, s, h, &random);
        }
    }
    fill_queries(d, &random);
    ref_round_row(d->plan.kv.k.dtype, d->k, rows * plan->head_dim_k);
    ref_round_row(d->plan.kv.v.dtype, d->v, rows * plan->head_dim_v);
    return d;
}

void harness_data_free(harness_data *data)
{
    if (data != NULL) {
        free(data->lengths);
        free(data->q);
        free(data->k);
        free(data->v);
        free(data);
    }
}

const float *harness_q(const harness_data *data, uint32_t row)
{
    return data->q + (size_t)row * data->plan.head_dim_k;
}

static size_t kv_row(const harness_data *data, uint32_t sequence, uint32_t kv_head, uint32_t token)
{
    return ((size_t)sequence * data->plan.kv_heads + kv_head) * data->plan.max_tokens + token;
}

float *harness_k(const harness_data *data, uint32_t sequence, uint32_t kv_head, uint32_t token)
{
    return data->k + kv_row(data, sequence, kv_head, token) * data->plan.head_dim_k;
}

float *harness_v(const harness_data *data, uint32_t sequence, uint32_t kv_head, uint32_t token)
{
    return data->v + kv_row(data, sequence, kv_head, token) * data->plan.head_dim_v;
}

uint32_t harness_row_count(const harness_data *data)
{
    return data->sequence_count * data->query_count * data->plan.q_heads;
}

harness_row harness_locate(const harness_data *data, uint32_t row)
{
    harness_row at = { .head = row % data->plan.q_heads,
                       .query = row / data->plan.q_heads % data->query_count,
                       .sequence = row / data->plan.q_heads / data->query_count };
    uint32_t last = data->lengths[at.sequence], behind = data->query_count - 1 - at.query;
    at.kv_head = at.head / (data->plan.q_heads / data->plan.kv_heads);
    at.length = last > behind ? last - behind : 0;
    return at;
}

/* ------------------------------------------------------------------ running */

vsa_result harness_data_write(vsa_session *session, const harness_data *data)
{
    vsa_result status = VSA_SUCCESS;
    for (uint32_t s = 0; s < data->sequence_count && status == VSA_SUCCESS; s++) {
        status = vsa_session_write_kv(session, 0, s, 0, data->plan.max_tokens,
                                      harness_k(data, s, 0, 0),
                                      (size_t)data->plan.max_tokens * data->plan.head_dim_k,
                                      harness_v(data, s, 0, 0),
                                      (size_t)data->plan.max_tokens * data->plan.head_dim_v);
    }
    return status;
}

vsa_result harness_data_session(vsa_standalone *standalone, const harness_data *data,
                                vsa_kv_order order, uint32_t page_shuffle,
                                uint32_t index_capacity, vsa_session **out_session)
{
    vsa_session_create_info info = { .plan = &data->plan, .order = order,
                                     .page_shuffle = page_shuffle,
                                     .index_capacity = index_capacity };
    vsa_result status = vsa_session_create(standalone, &info, out_session);
    if (status == VSA_SUCCESS) {
        status = harness_data_write(*out_session, data);
    }
    if (status != VSA_SUCCESS) {
        vsa_session_destroy(*out_session);
        *out_session = NULL;
    }
    return status;
}

vsa_session_step harness_data_step(const harness_data *data)
{
    return (vsa_session_step){ .sequence_count = data->sequence_count,
                               .query_count = data->query_count, .lengths = data->lengths,
                               .q = data->q };
}

vsa_result harness_data_run(vsa_session *session, const harness_data *data,
                            const vsa_session_step *step, uint32_t index_capacity,
                            harness_result *out_result)
{
    harness_result r = { .row_count = harness_row_count(data),
                         .head_dim = data->plan.head_dim_v,
                         .index_capacity = index_capacity };
    size_t out_count = (size_t)r.row_count * r.head_dim;
    r.out = malloc(out_count * sizeof *r.out);
    r.certificates = malloc(r.row_count * sizeof *r.certificates);
    memset(r.out, 0xff, out_count * sizeof *r.out);   /* NaN: what is not written is noticed */
    memset(r.certificates, 0xff, r.row_count * sizeof *r.certificates);
    if (index_capacity > 0) {
        r.indices = malloc((size_t)r.row_count * index_capacity * sizeof *r.indices);
        memset(r.indices, 0x7f, (size_t)r.row_count * index_capacity * sizeof *r.indices);
    }
    vsa_session_step_result to = { .out = r.out, .certificates = r.certificates,
                                   .indices = r.indices };
    vsa_result status = vsa_session_run(session, step, &to);
    r.gpu_ms = to.gpu_ms;
    memcpy(r.stage_ms, to.stage_ms, sizeof r.stage_ms);
    if (status != VSA_SUCCESS) {
        harness_result_free(&r);
    }
    *out_result = r;
    return status;
}

void harness_result_free(harness_result *result)
{
    free(result->out);
    free(result->certificates);
    free(result->indices);
    memset(result, 0, sizeof *result);
}

/* ------------------------------------------------------------------ truth */

double *harness_logits(const harness_data *data, uint32_t row)
{
    harness_row at = harness_locate(data, row);
    double *logits = malloc((at.length + 1) * sizeof *logits);
    ref_logits(harness_q(data, row), harness_k(data, at.sequence, at.kv_head, 0),
               data->plan.head_dim_k, data->plan.head_dim_k, at.length,
               (double)data->plan.softmax_scale, (double)data->plan.logit_softcap, logits);
    return logits;
}

double harness_truth(const harness_data *data, uint32_t row, double *out)
{
    harness_row at = harness_locate(data, row);
    double *logits = harness_logits(data, row);
    double log_normaliser = ref_attend(logits, harness_v(data, at.sequence, at.kv_head, 0),
                                       data->plan.head_dim_v, data->plan.head_dim_v, at.length,
                                       out);
    free(logits);
    return log_normaliser;
}

double harness_error(const harness_data *data, const harness_result *result, uint32_t row)
{
    double truth[REF_MAX_DIM];
    harness_truth(data, row, truth);
    return ref_relative_error_f32(result->out + (size_t)row * result->head_dim, truth,
                                  result->head_dim);
}

harness_expected *harness_expect(const harness_data *data, uint32_t row, uint64_t seed,
                                 uint32_t stream)
{
    harness_row at = harness_locate(data, row);
    uint32_t group = data->plan.q_heads / data->plan.kv_heads;
    uint32_t first = row - at.head % group;   /* the group's first row */
    double **logits = calloc(group, sizeof *logits);
    for (uint32_t g = 0; g < group; g++) {
        logits[g] = harness_logits(data, first + g);
    }
    harness_expected *e = calloc(1, sizeof *e);
    e->member = malloc(at.length + 1);
    ref_select(&data->plan.policy, (const double *const *)logits, group, at.length, &e->set,
               e->member);
    ref_permutation permutation;
    ref_permutation_init(&permutation, seed, stream, at.sequence, at.kv_head, at.length);
    e->samples = malloc((e->set.residual_count + 1) * sizeof *e->samples);
    ref_draw(&permutation, e->member, e->set.residual_count, e->samples);
    for (uint32_t g = 0; g < group; g++) {
        if (first + g == row) {
            e->logits = logits[g];
        } else {
            free(logits[g]);
        }
    }
    free(logits);
    e->row = (ref_row){ .logits = e->logits, .v = harness_v(data, at.sequence, at.kv_head, 0),
                        .v_stride = data->plan.head_dim_v, .head_dim = data->plan.head_dim_v,
                        .length = at.length, .member = e->member,
                        .residual_count = e->set.residual_count, .samples = e->samples };
    ref_decode_row(&data->plan.policy, &e->row, &e->result);
    return e;
}

void harness_expected_free(harness_expected *expected)
{
    if (expected != NULL) {
        free(expected->member);
        free(expected->samples);
        free(expected->logits);
        free(expected);
    }
}
