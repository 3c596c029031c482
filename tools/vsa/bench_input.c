#include "bench_input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rounding.h"
#include "tool.h"

/* ------------------------------------------------------------------ generate */

static uint64_t mix(uint64_t z)
{
    /* splitmix64: Steele, Lea and Flood 2014 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static const uint64_t golden = 0x9e3779b97f4a7c15u;

static uint64_t stream_of(uint32_t kind, uint32_t layer, uint32_t head)
{
    return mix(golden * (kind + 1) + ((uint64_t)layer << 32 | head));
}

/* Eight values n / 32 from words [3 i, 3 i + 3) of a stream, n an integer in [-95, 96]: three random
 * bytes added up and divided by 4 have a standard deviation of 32 to within 0.1%. The sum of three
 * uniform numbers is bell-shaped; a logit, which adds up every channel, is Gaussian. */
static void make_eight(uint64_t stream, uint64_t i, float offset, float *values)
{
    const uint64_t even = 0x00ff00ff00ff00ffu;
    uint64_t low = 0, high = 0;

    for (uint64_t j = 0; j < 3; j++) {
        const uint64_t word = mix(stream + (3 * i + j) * golden);

        low += word & even;
        high += word >> 8 & even;
    }
    for (int j = 0; j < 4; j++) {
        values[j] = (float)((int)(low >> (16 * j) & 0xffff) / 4 - 95) * 0.03125f + offset;
        values[4 + j] = (float)((int)(high >> (16 * j) & 0xffff) / 4 - 95) * 0.03125f + offset;
    }
}

/* V has mean 0.5 and deviation 1, as in synthetic.h. */
static void make_rows(const bench_input *input, bench_plane plane, uint32_t layer, uint32_t head,
                      uint32_t first, uint32_t count, float *rows)
{
    const uint32_t dim = plane == BENCH_K ? input->head_dim_k : input->head_dim_v;
    const uint64_t stream = stream_of(plane, layer, head);
    const float offset = plane == BENCH_K ? 0.0f : 0.5f;
    const uint64_t from = (uint64_t)first * (dim / 8);

    for (uint64_t i = 0; i < (uint64_t)count * (dim / 8); i++) {
        make_eight(stream, from + i, offset, rows + 8 * i);
    }
}

/* Of length logit_std / scale, in a random direction: the logits' deviation is logit_std. */
static void make_query(const bench_input *input, uint32_t layer, uint32_t head, uint32_t step,
                       float *q)
{
    const uint32_t dim = input->head_dim_k;
    const uint64_t stream = mix(stream_of(2, layer, head) + step);
    double square = 0.0;

    for (uint32_t i = 0; i < dim / 8; i++) {
        make_eight(stream, i, 0.0f, q + 8 * (size_t)i);
    }
    for (uint32_t c = 0; c < dim; c++) {
        square += (double)q[c] * (double)q[c];
    }
    const double factor = input->logit_std / (input->scale * sqrt(square));

    for (uint32_t c = 0; c < dim; c++) {
        q[c] = (float)(factor * (double)q[c]);
    }
}

/* --------------------------------------------------------------------- trace */

static const trace_layer *layer_of(const bench_input *input, uint32_t layer)
{
    return &input->source.layers[layer % input->source_layers];
}

static void copy_rows(const bench_input *input, bench_plane plane, uint32_t layer, uint32_t head,
                      uint32_t first, uint32_t count, float *rows)
{
    const trace_layer *from = layer_of(input, layer);
    const uint32_t dim = plane == BENCH_K ? input->head_dim_k : input->head_dim_v;
    const float *values =
        (plane == BENCH_K ? from->cached_k : from->cached_v) + (size_t)head * from->tokens * dim;

    for (uint32_t i = 0; i < count; i++) {
        memcpy(rows + (size_t)i * dim, values + (size_t)((first + i) % from->tokens) * dim,
               dim * sizeof *rows);
    }
}

/* ---------------------------------------------------------------------- open */

/* How many of the first layers have the first one's shape. */
static uint32_t count_alike(const trace *source)
{
    const trace_layer *first = &source->layers[0];
    uint32_t count = 1;

    while (count < source->layer_count && source->layers[count].q_heads == first->q_heads &&
           source->layers[count].kv_heads == first->kv_heads &&
           source->layers[count].head_dim_k == first->head_dim_k &&
           source->layers[count].head_dim_v == first->head_dim_v) {
        count++;
    }
    return count;
}

int bench_input_open(const tool_options *options, bench_input *out_input)
{
    bench_input *input = out_input;

    *input = (bench_input){
        .q_heads = options->q_heads,
        .kv_heads = options->kv_heads,
        .head_dim_k = options->head_dim,
        .head_dim_v = options->head_dim,
        .kv_type = options->kv_type ? (vsa_dtype)options->kv_type : VSA_DTYPE_F16,
        .logit_std = options->logit_std,
    };
    if (!options->trace) {
        input->scale = 1.0 / sqrt((double)input->head_dim_k);
        snprintf(input->name, sizeof input->name, "generated, Gaussian logits of deviation %g",
                 input->logit_std);
        return EXIT_DONE;
    }
    int code;

    if ((code = trace_load(options->trace, &input->source)) != EXIT_DONE ||
        (code = trace_round(&input->source, input->kv_type)) != EXIT_DONE) {
        return code;
    }
    const trace_layer *layer = &input->source.layers[0];

    input->q_heads = layer->q_heads;
    input->kv_heads = layer->kv_heads;
    input->head_dim_k = layer->head_dim_k;
    input->head_dim_v = layer->head_dim_v;
    input->softmax_scale = input->source.softmax_scale;
    input->scale = trace_scale(&input->source, layer);
    input->source_layers = count_alike(&input->source);
    snprintf(input->name, sizeof input->name, "%u tokens of a trace, repeated", layer->tokens);
    return EXIT_DONE;
}

void bench_input_destroy(bench_input *input)
{
    trace_destroy(&input->source);
}

/* What is not exact in every type. */
static void round_rows(const bench_input *input, uint32_t dim, uint32_t count, float *rows)
{
    if (input->kv_type == VSA_DTYPE_Q8_0 || input->kv_type == VSA_DTYPE_Q4_0) {
        for (uint32_t i = 0; i < count; i++) {
            rounding_row(input->kv_type, rows + (size_t)i * dim, dim);
        }
    }
}

void bench_input_rows(const bench_input *input, bench_plane plane, uint32_t layer, uint32_t head,
                      uint32_t first, uint32_t count, float *rows)
{
    const uint32_t dim = plane == BENCH_K ? input->head_dim_k : input->head_dim_v;

    if (input->source_layers > 0) {
        copy_rows(input, plane, layer, head, first, count, rows);
    } else {
        make_rows(input, plane, layer, head, first, count, rows);
    }
    round_rows(input, dim, count, rows);
}

void bench_input_queries(const bench_input *input, uint32_t layer, uint32_t step, float *q)
{
    const uint32_t dim = input->head_dim_k;

    for (uint32_t h = 0; h < input->q_heads; h++) {
        if (input->source_layers > 0) {
            const trace_layer *from = layer_of(input, layer);

            memcpy(q + (size_t)h * dim,
                   from->q + ((size_t)h * from->queries + step % from->queries) * dim,
                   dim * sizeof *q);
        } else {
            make_query(input, layer, h, step, q + (size_t)h * dim);
        }
    }
}
