#include "eval_result.h"

#include <stdlib.h>

#include "array.h"

double eval_limit(double bound)
{
    return bound + 2e-6; /* vsa.h, vsa_certificate */
}

bool eval_results_add(eval_results *results, const eval_row *row)
{
    eval_row *rows =
        array_reserve(results->rows, results->count, 1, &results->capacity, sizeof *rows);

    if (!rows) {
        return false;
    }
    results->rows = rows;
    rows[results->count++] = *row;
    return true;
}

/* The finaliser of MurmurHash3: a strided choice would meet the same heads again and again. */
static uint32_t scatter(uint64_t index)
{
    uint32_t x = (uint32_t)index;

    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

static void halve_dots(eval_results *results)
{
    size_t kept = 0;

    results->dot_mask = results->dot_mask << 1 | 1;
    for (size_t i = 0; i < results->dot_count; i++) {
        if ((results->dots[i].draw & results->dot_mask) == 0) {
            results->dots[kept++] = results->dots[i];
        }
    }
    results->dot_count = kept;
}

void eval_results_add_dot(eval_results *results, double actual, double certified, size_t row)
{
    const uint32_t draw = scatter(results->dots_seen++);

    while (results->dot_count == EVAL_DOT_TOTAL) {
        halve_dots(results);
    }
    if ((draw & results->dot_mask) == 0) {
        results->dots[results->dot_count++] =
            (eval_dot){.row = row, .actual = actual, .certified = certified, .draw = draw};
    }
}

void eval_results_destroy(eval_results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        free(results->rows[i].heads);
    }
    free(results->rows);
    *results = (eval_results){0};
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static eval_head summarise_head(uint32_t *samples, uint32_t count)
{
    double sum = 0.0;

    for (uint32_t i = 0; i < count; i++) {
        sum += samples[i];
    }
    qsort(samples, count, sizeof *samples, ascending);
    return (eval_head){
        .mean = sum / count,
        .low = samples[((uint64_t)count * 5 + 99) / 100 - 1],
        .high = samples[((uint64_t)count * 95 + 99) / 100 - 1],
    };
}

eval_head *eval_heads_make(const eval_inputs *inputs, uint32_t input,
                           const vsa_certificate *certificates, uint32_t *out_count)
{
    const eval_input *item = &inputs->items[input];
    const trace_layer *layers = inputs->all.layers + item->first_layer;
    uint32_t heads = 0, queries = 0;

    *out_count = 0;
    for (uint32_t i = 0; i < item->layer_count; i++) {
        heads += layers[i].q_heads;
        queries = layers[i].queries > queries ? layers[i].queries : queries;
    }
    eval_head *result = malloc(heads * sizeof *result);
    uint32_t *samples = malloc(queries * sizeof *samples);

    if (!result || !samples) {
        free(result);
        free(samples);
        return NULL;
    }
    for (uint32_t i = 0; i < item->layer_count; i++) {
        for (uint32_t h = 0; h < layers[i].q_heads; h++) {
            for (uint32_t j = 0; j < layers[i].queries; j++) {
                samples[j] = certificates[(size_t)j * layers[i].q_heads + h].wanted_samples;
            }
            result[*out_count] = summarise_head(samples, layers[i].queries);
            result[*out_count].layer = i;
            result[(*out_count)++].head = h;
        }
        certificates += (size_t)layers[i].q_heads * layers[i].queries;
    }
    free(samples);
    return result;
}
