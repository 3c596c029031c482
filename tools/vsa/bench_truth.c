#include "bench_truth.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK_TOKENS = 2048 };

/* Room for one chunk of one KV head, and for what a row makes of it. */
typedef struct workspace {
    float *k, *v, *queries;
    double *weights, *out;
} workspace;

static bool workspace_make(const bench_input *input, workspace *out_space)
{
    *out_space = (workspace){
        .k = malloc((size_t)CHUNK_TOKENS * input->head_dim_k * sizeof(float)),
        .v = malloc((size_t)CHUNK_TOKENS * input->head_dim_v * sizeof(float)),
        .queries = malloc((size_t)input->q_heads * input->head_dim_k * sizeof(float)),
        .weights = malloc(CHUNK_TOKENS * sizeof(double)),
        .out = malloc(input->head_dim_v * sizeof(double)),
    };
    return out_space->k && out_space->v && out_space->queries && out_space->weights &&
           out_space->out;
}

static void workspace_destroy(workspace *space)
{
    free(space->k);
    free(space->v);
    free(space->queries);
    free(space->weights);
    free(space->out);
}

/* Attention over disjoint tokens, each normalised by its own D, into attention over both. */
static void merge(uint32_t head_dim_v, dense_truth part, const double *out, bench_check *sum)
{
    const double most = fmax(sum->truth.log_normaliser, part.log_normaliser);
    const double before = exp(sum->truth.log_normaliser - most);
    const double added = exp(part.log_normaliser - most);
    const double whole = before + added;
    const double square = (before * sum->truth.value_rms * sum->truth.value_rms +
                           added * part.value_rms * part.value_rms) /
                          whole;

    for (uint32_t c = 0; c < head_dim_v; c++) {
        sum->out[c] = (before * sum->out[c] + added * out[c]) / whole;
    }
    sum->truth = (dense_truth){.log_normaliser = most + log(whole), .value_rms = sqrt(square)};
}

static void add_chunk(const bench_input *input, const workspace *space, uint32_t count,
                      bench_check *check)
{
    const dense_row row = {
        .k = space->k,
        .v = space->v,
        .q = space->queries + (size_t)check->head * input->head_dim_k,
        .length_tokens = count,
        .head_dim_k = input->head_dim_k,
        .head_dim_v = input->head_dim_v,
        .softmax_scale = input->scale,
    };
    const dense_truth part = dense_reference(&row, space->weights, space->out);

    merge(input->head_dim_v, part, space->out, check);
}

/* Every check of one layer and KV head, in one pass over K and V. */
static void add_head(const bench_input *input, const workspace *space, uint32_t tokens,
                     uint32_t layer, uint32_t kv_head, bench_truth *truth)
{
    const uint32_t group = input->q_heads / input->kv_heads;

    for (uint32_t first = 0; first < tokens; first += CHUNK_TOKENS) {
        const uint32_t left = tokens - first;
        const uint32_t count = left < CHUNK_TOKENS ? left : CHUNK_TOKENS;
        bool is_made = false;

        for (uint32_t i = 0; i < truth->count; i++) {
            bench_check *check = &truth->checks[i];

            if (check->layer != layer || check->head / group != kv_head) {
                continue;
            }
            if (!is_made) {
                bench_input_rows(input, BENCH_K, layer, kv_head, first, count, space->k);
                bench_input_rows(input, BENCH_V, layer, kv_head, first, count, space->v);
                is_made = true;
            }
            bench_input_queries(input, layer, check->step, space->queries);
            add_chunk(input, space, count, check);
        }
        if (!is_made) {
            return;
        }
    }
}

/* Knuth's selection sampling: row i of n is taken with probability (wanted left) / (n - i). */
static void choose_rows(const bench_input *input, uint32_t steps, uint32_t layers,
                        bench_truth *truth)
{
    const uint64_t total = (uint64_t)steps * input->q_heads;
    uint64_t state = 1;
    uint32_t taken = 0;

    for (uint64_t i = 0; i < total && taken < truth->count; i++) {
        uint64_t z = state += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        if (z % (total - i) < truth->count - taken) {
            const uint32_t step = (uint32_t)(i / input->q_heads);

            truth->checks[taken] = (bench_check){
                .step = step,
                .layer = step % layers,
                .head = (uint32_t)(i % input->q_heads),
                .out = truth->outs + (size_t)taken * input->head_dim_v,
                .truth = {.log_normaliser = -HUGE_VAL},
            };
            taken++;
        }
    }
}

bool bench_truth_make(const bench_input *input, uint32_t tokens, uint32_t steps, uint32_t layers,
                      uint32_t rows, bench_truth *out_truth)
{
    const uint64_t total = (uint64_t)steps * input->q_heads;
    const uint32_t count = rows < total ? rows : (uint32_t)total;
    workspace space;
    bool good = workspace_make(input, &space);

    *out_truth = (bench_truth){
        .checks = calloc(count, sizeof *out_truth->checks),
        .outs = calloc((size_t)count * input->head_dim_v, sizeof *out_truth->outs),
        .count = count,
    };
    good = good && out_truth->checks && out_truth->outs;
    if (good) {
        choose_rows(input, steps, layers, out_truth);
    }
    for (uint32_t layer = 0; layer < layers && good; layer++) {
        for (uint32_t head = 0; head < input->kv_heads; head++) {
            add_head(input, &space, tokens, layer, head, out_truth);
        }
    }
    workspace_destroy(&space);
    if (!good) {
        bench_truth_destroy(out_truth);
    }
    return good;
}

void bench_truth_destroy(bench_truth *truth)
{
    free(truth->checks);
    free(truth->outs);
    *truth = (bench_truth){0};
}
