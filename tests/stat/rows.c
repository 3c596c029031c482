/* Synthetic logits and values. */
#include "rows.h"
#include "vec.h"

#include <math.h>
#include <stdlib.h>

const stat_model stat_models[] = {
    { "gauss.5", "Gaussian logits, std 0.5", STAT_GAUSS, 0.5f, 0, STAT_PLAIN, 0 },
    { "gauss1", "Gaussian logits, std 1", STAT_GAUSS, 1, 0, STAT_PLAIN, 0 },
    { "gauss2", "Gaussian logits, std 2", STAT_GAUSS, 2, 0, STAT_PLAIN, 0 },
    { "gauss4", "Gaussian logits, std 4", STAT_GAUSS, 4, 0, STAT_PLAIN, 0 },
    { "laplace", "Laplace logits, scale 1", STAT_LAPLACE, 1, 0, STAT_PLAIN, 0 },
    { "uniform", "uniform logits on [-1, 1]", STAT_UNIFORM, 1, 0, STAT_PLAIN, 0 },
    { "bimodal", "Gaussian logits, std 0.5, a tenth of them 3 higher", STAT_BIMODAL, 0.5f, 0,
      STAT_PLAIN, 0 },
    { "local", "Gaussian logits, std 1, higher near the end", STAT_LOCAL, 1, 0, STAT_PLAIN, 0 },
    { "needle", "12 tokens hold 30% of D over Gaussian logits, std 1", STAT_NEEDLE, 1, 0,
      STAT_PLAIN, 0 },
    { "missed", "needle, of which the scorer misses 3", STAT_NEEDLE, 1, 3, STAT_PLAIN, 0 },
    { "channels", "gauss1, 2 channels of V are 10 times as large", STAT_GAUSS, 1, 0,
      STAT_CHANNELS, 10 },
    { "rank2", "gauss1, the noise of V has rank 2", STAT_GAUSS, 1, 0, STAT_RANK, 2 },
    { "drift", "local, neighbouring V are alike (correlation .995)", STAT_LOCAL, 1, 0, STAT_DRIFT,
      0.995f },
    { "heavy", "gauss1, log-normal sizes of V (sigma 1)", STAT_GAUSS, 1, 0, STAT_HEAVY, 1 },
    { "aligned", "logits, std 2, are mostly a projection of V", STAT_ALIGNED, 2, 0, STAT_PLAIN,
      0.9f },
    { "growing", "V is larger where logits, std 2, are high", STAT_SIZED, 2, 0, STAT_HEAVY, 0.5f },
    { "shrinking", "V is smaller where logits, std 2, are high", STAT_SIZED, -2, 0, STAT_HEAVY,
      0.5f },
    { "centred", "gauss1, V without a common mean, so that out is near 0", STAT_GAUSS, 1, 0, STAT_CENTRED,
      0 },
};
const size_t stat_model_count = sizeof stat_models / sizeof *stat_models;

enum { NEEDLES = 12, MAX_RANK = 8 };

static uint32_t padded(uint32_t tokens)
{
    return (tokens + LANES - 1) / LANES * LANES;
}

static void *allocate(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    if (memory == NULL) {
        abort();
    }
    memset(memory, 0, size);
    return memory;
}

void stat_batch_init(stat_batch *batch, const stat_model *model, uint32_t tokens, uint32_t dim)
{
    size_t room = padded(tokens) * sizeof(float);
    *batch = (stat_batch){ .model = model, .mean = 0.5f };
    batch->values = (stat_values){ .tokens = tokens, .dim = dim };
    batch->values.v = allocate(padded(tokens) * (size_t)dim * sizeof(float));
    batch->values.norm2 = allocate(room);
    batch->values.size = allocate(room);
    batch->scratch = allocate(room);
    for (int i = 0; i < STAT_BATCH; i++) {
        stat_row *row = &batch->rows[i];
        row->s = allocate(room);
        row->w = allocate(room);
        row->seen = model->missed > 0 ? allocate(room) : row->s;
    }
}

void stat_batch_free(stat_batch *batch)
{
    for (int i = 0; i < STAT_BATCH; i++) {
        stat_row *row = &batch->rows[i];
        if (row->seen != row->s) {
            free(row->seen);
        }
        free(row->s);
        free(row->w);
    }
    free(batch->scratch);
    free(batch->values.size);
    free(batch->values.norm2);
    free(batch->values.v);
}

/* ------------------------------------------------------------------ values */

static void fill_normal(vec_random *r, float *out, size_t count)
{
    for (size_t i = 0; i < count; i += 2 * LANES) {
        vecf a, b;
        vec_random_normals(r, &a, &b);
        vec_store(out + i, a);
        if (i + LANES < count) {
            vec_store(out + i + LANES, b);
        }
    }
}

void stat_batch_values(stat_batch *batch, uint64_t seed)
{
    const stat_model *m = batch->model;
    stat_values *values = &batch->values;
    uint32_t n = padded(values->tokens), dim = values->dim;
    float mean[STAT_MAX_DIM], basis[MAX_RANK][STAT_MAX_DIM], state[STAT_MAX_DIM];
    vec_random r;
    vec_random_seed(&r, seed);
    fill_normal(&r, mean, dim);
    fill_normal(&r, basis[0], MAX_RANK * STAT_MAX_DIM);
    fill_normal(&r, state, dim);
    fill_normal(&r, values->size, n);
    fill_normal(&r, values->v, (size_t)n * dim);

    float length2 = 0;
    for (uint32_t c = 0; c < dim; c++) {
        length2 += mean[c] * mean[c];
    }
    float scale = m->values == STAT_CENTRED ? 0 : batch->mean * sqrtf((float)dim / length2);
    float keep = m->amount, renew = sqrtf(1 - keep * keep);
    values->radius = 0;
    for (uint32_t i = 0; i < n; i++) {
        float *v = values->v + (size_t)i * dim, norm2 = 0;
        float factor = m->values == STAT_HEAVY ? expf(m->amount * values->size[i]) : 1;
        float coordinate[MAX_RANK];
        memcpy(coordinate, v, sizeof coordinate);
        for (uint32_t c = 0; c < dim; c++) {
            float noise = factor * v[c];
            if (m->values == STAT_RANK) {
                noise = 0;
                for (int k = 0; k < (int)m->amount; k++) {
                    noise += coordinate[k] * basis[k][c] / sqrtf(m->amount);
                }
            } else if (m->values == STAT_DRIFT) {
                state[c] = keep * state[c] + renew * noise;
                noise = state[c];
            }
            float channel = m->values == STAT_CHANNELS && c < 2 ? m->amount : 1;
            v[c] = channel * (scale * mean[c] + noise);
            norm2 += v[c] * v[c];
        }
        values->norm2[i] = norm2;
        values->radius = i < values->tokens ? fmaxf(values->radius, sqrtf(norm2)) : values->radius;
    }
}

/* ------------------------------------------------------------------ logits */

static float vector_dot(const float *a, const float *b, uint32_t dim)
{
    vecf sum = vec_set(0);
    for (uint32_t c = 0; c < dim; c += LANES) {
        sum += vec_load(a + c) * vec_load(b + c);
    }
    return vec_sum(sum);
}

static vecf laplace(vecf u)
{
    vecf centred = u - 0.5f;
    vecf size = -vec_log(vec_max(1.0f - 2.0f * vec_max(centred, -centred), vec_set(1e-9f)));
    return vec_select(centred < 0.0f, -size, size);
}

static vecf one_logit(const stat_model *m, vec_random *r, vecf normal, uint32_t first, uint32_t n)
{
    switch (m->logits) {
    case STAT_LAPLACE:
        return m->spread * laplace(vec_random_uniform(r));
    case STAT_UNIFORM:
        return m->spread * (2.0f * vec_random_uniform(r) - 1.0f);
    case STAT_BIMODAL:
        return m->spread * normal
               + vec_select(vec_random_uniform(r) < 0.1f, vec_set(3), vec_set(0));
    case STAT_LOCAL: {
        vecf distance = (float)(n - 1) - __builtin_convertvector(vec_iota(first), vecf);
        return m->spread * normal + 4.0f * vec_exp(-8.0f / (float)n * distance);
    }
    default:
        return m->spread * normal;
    }
}

/* NEEDLES random tokens share 30% of D; `seen` shows the first `missed` as they were. */
static void add_needles(const stat_model *m, stat_row *row, vec_random *r, uint32_t n)
{
    double rest = 0;
    uint32_t at[NEEDLES];
    for (uint32_t i = 0; i < padded(n); i += LANES) {
        vecf w = vec_exp(vec_load(row->s + i));
        for (uint32_t lane = 0; lane < LANES && i + lane < n; lane++) {
            rest += (double)w[lane];
        }
    }
    if (row->seen != row->s) {
        memcpy(row->seen, row->s, n * sizeof *row->s);
    }
    for (int k = 0; k < NEEDLES; k++) {
        int taken = 1;
        while (taken) {
            at[k] = (uint32_t)((uint64_t)vec_random_bits(r)[0] * n >> 32);
            taken = 0;
            for (int j = 0; j < k; j++) {
                taken = taken || at[j] == at[k];
            }
        }
        rest -= exp((double)row->s[at[k]]);
    }
    for (int k = 0; k < NEEDLES; k++) {
        row->s[at[k]] = (float)log(0.3 / 0.7 * rest / NEEDLES);
        if (k >= m->missed && row->seen != row->s) {
            row->seen[at[k]] = row->s[at[k]];
        }
    }
}

/* One row's logits, their maximum subtracted, and weights. */
static void make_logits(stat_batch *batch, stat_row *row, vec_random *r)
{
    const stat_model *m = batch->model;
    const stat_values *values = &batch->values;
    uint32_t n = values->tokens;
    for (uint32_t i = 0; i < n; i += 2 * LANES) {
        vecf a, b;
        vec_random_normals(r, &a, &b);
        vec_store(row->s + i, one_logit(m, r, a, i, n));
        if (i + LANES < n) {
            vec_store(row->s + i + LANES, one_logit(m, r, b, i + LANES, n));
        }
    }
    if (m->logits == STAT_NEEDLE) {
        add_needles(m, row, r, n);
    } else if (m->logits == STAT_ALIGNED || m->logits == STAT_SIZED) {
        float direction[STAT_MAX_DIM], length2 = 0, renew = sqrtf(1 - 0.9f * 0.9f);
        fill_normal(r, direction, values->dim);
        length2 = vector_dot(direction, direction, values->dim);
        for (uint32_t i = 0; i < n; i++) {
            float along = m->logits == STAT_SIZED
                ? values->size[i]
                : vector_dot(values->v + (size_t)i * values->dim, direction, values->dim)
                          / sqrtf(length2);
            row->s[i] = 0.9f * m->spread * along + renew * row->s[i];
        }
    }
    float maximum = -INFINITY, seen = -INFINITY;
    for (uint32_t i = 0; i < n; i++) {
        maximum = fmaxf(maximum, row->s[i]);
        seen = fmaxf(seen, row->seen[i]);
    }
    for (uint32_t i = n; i < padded(n); i++) {
        row->s[i] = row->seen[i] = -1000;
    }
    for (uint32_t i = 0; i < n; i += LANES) {
        if (row->seen != row->s) {
            vec_store(row->seen + i, vec_load(row->seen + i) - seen);
        }
        vecf s = vec_load(row->s + i) - maximum;
        vec_store(row->s + i, s);
        vec_store(row->w + i, vec_exp(s));
    }
}

/* ------------------------------------------------------------------ truth */

/* All rows of the batch at once: one pass over V. Blocks of floats, summed in double. */
static void attend(stat_batch *batch)
{
    enum { BLOCK = 512 };
    const stat_values *values = &batch->values;
    uint32_t n = values->tokens, dim = values->dim;
    for (int row = 0; row < STAT_BATCH; row++) {
        batch->rows[row].D = batch->rows[row].rms2 = 0;
        memset(batch->rows[row].truth, 0, sizeof batch->rows[row].truth);
    }
    for (uint32_t first = 0; first < n; first += BLOCK) {
        uint32_t end = first + BLOCK < n ? first + BLOCK : n;
        for (uint32_t c = 0; c < dim; c += LANES) {
            vecf sum[STAT_BATCH];
            for (int row = 0; row < STAT_BATCH; row++) {
                sum[row] = vec_set(0);
            }
            for (uint32_t i = first; i < end; i++) {
                vecf v = vec_load(values->v + (size_t)i * dim + c);
                for (int row = 0; row < STAT_BATCH; row++) {
                    sum[row] += batch->rows[row].w[i] * v;
                }
            }
            for (int row = 0; row < STAT_BATCH; row++) {
                for (int lane = 0; lane < LANES; lane++) {
                    batch->rows[row].truth[c + (uint32_t)lane] += (double)sum[row][lane];
                }
            }
        }
        for (int row = 0; row < STAT_BATCH; row++) {
            for (uint32_t i = first; i < end; i++) {
                double w = (double)batch->rows[row].w[i];
                batch->rows[row].D += w;
                batch->rows[row].rms2 += w * (double)values->norm2[i];
            }
        }
    }
    for (int row = 0; row < STAT_BATCH; row++) {
        for (uint32_t c = 0; c < dim; c++) {
            batch->rows[row].truth[c] /= batch->rows[row].D;
        }
        batch->rows[row].rms2 /= batch->rows[row].D;
    }
}

void stat_batch_rows(stat_batch *batch, uint64_t seed)
{
    vec_random r;
    vec_random_seed(&r, seed);
    for (int row = 0; row < STAT_BATCH; row++) {
        make_logits(batch, &batch->rows[row], &r);
    }
    attend(batch);
}
