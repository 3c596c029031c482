#include "synthetic.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "tool.h"

/* ------------------------------------------------------------------ random */

typedef struct random_state {
    uint64_t state;
    double spare;
    bool has_spare;
} random_state;

/* splitmix64: Steele, Lea and Flood 2014. */
static uint64_t random_bits(random_state *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Uniform in (0, 1). */
static double random_unit(random_state *random)
{
    return ((double)(random_bits(random) >> 11) + 0.5) * 0x1p-53;
}

/* N(0, 1): Box and Muller 1958. */
static double random_normal(random_state *random)
{
    if (random->has_spare) {
        random->has_spare = false;
        return random->spare;
    }
    const double radius = sqrt(-2.0 * log(random_unit(random)));
    const double angle = 6.283185307179586 * random_unit(random);

    random->spare = radius * sin(angle);
    random->has_spare = true;
    return radius * cos(angle);
}

/* ----------------------------------------------------------- specification */

typedef enum synthetic_kind {
    KIND_GAUSSIAN,
    KIND_UNIFORM,
    KIND_LAPLACE,
    KIND_HEAVY,
    KIND_BIMODAL,
    KIND_LOCAL,
    KIND_NEEDLE,
    KIND_OUTLIER,
    KIND_ALIGNED,
    KIND_COUNT
} synthetic_kind;

static const struct {
    const char *name, *help;
} kinds[KIND_COUNT] = {
    [KIND_GAUSSIAN] = {"gaussian", "normal logits"},
    [KIND_UNIFORM] = {"uniform", "logits uniform around 0"},
    [KIND_LAPLACE] = {"laplace", "two-sided exponential logits"},
    [KIND_HEAVY] = {"heavy", "Student logits with 3 degrees of freedom: a few tokens dominate"},
    [KIND_BIMODAL] = {"bimodal", "normal logits, a share `high` of them `gap` above the others"},
    [KIND_LOCAL] = {"local", "normal logits that fall by 1 every `decay` tokens of distance"},
    [KIND_NEEDLE] = {"needle", "normal logits, and `needles` tokens that hold about `mass` of D"},
    [KIND_OUTLIER] = {"outlier", "normal logits; in `channels` channels K is `size` off 0 and V "
                                 "`size` times larger"},
    [KIND_ALIGNED] = {"aligned", "normal logits, and V holds K: align=1 unless given"},
};

typedef struct synthetic_spec {
    synthetic_kind kind;
    double tokens, queries, q_heads, kv_heads, dim, layers, seed;
    double std, vmean, decay, needles, mass, high, gap, channels, size, align;
} synthetic_spec;

typedef struct spec_key {
    const char *name;
    size_t offset;
    bool whole;
    double standard, low, high;
    const char *help;
} spec_key;

#define FIELD(name) offsetof(synthetic_spec, name)

static const spec_key keys[] = {
    {"tokens", FIELD(tokens), true, 4096, 1, 16777216, "length at the end"},
    {"queries", FIELD(queries), true, 32, 1, 16777216, "tokens that are replayed"},
    {"q_heads", FIELD(q_heads), true, 8, 1, 1024, "query heads, a multiple of kv_heads"},
    {"kv_heads", FIELD(kv_heads), true, 2, 1, 1024, "KV heads"},
    {"dim", FIELD(dim), true, 64, 32, 256, "channels per head, a multiple of 8"},
    {"layers", FIELD(layers), true, 1, 1, 1024, "layers"},
    {"seed", FIELD(seed), true, 1, 0, 9007199254740992, "of the tensors"},
    {"std", FIELD(std), false, 1, 0, 50, "standard deviation of the logits"},
    {"vmean", FIELD(vmean), false, 0.5, -1000, 1000, "mean of V, whose deviation is 1"},
    {"decay", FIELD(decay), false, 512, 1, 16777216, "kind local: tokens per unit of logit"},
    {"needles", FIELD(needles), true, 4, 1, 4096, "kind needle: how many"},
    {"mass", FIELD(mass), false, 0.5, 0.001, 0.999, "kind needle: share of D"},
    {"high", FIELD(high), false, 0.1, 0, 1, "kind bimodal: share of the upper logits"},
    {"gap", FIELD(gap), false, 4, 0, 50, "kind bimodal: between the means of the logits"},
    {"channels", FIELD(channels), true, 4, 1, 32, "kind outlier: how many"},
    {"size", FIELD(size), false, 10, 0, 1000, "kind outlier"},
    {"align", FIELD(align), false, 0, -100, 100, "how much of K is in V, beside mean and noise"},
};

enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

void synthetic_help(void)
{
    printf("SPEC is KIND or KIND:KEY=VALUE,KEY=VALUE,...\n\nKinds:\n");
    for (int i = 0; i < KIND_COUNT; i++) {
        printf("  %-10s%s\n", kinds[i].name, kinds[i].help);
    }
    printf("\nKeys:\n");
    for (int i = 0; i < KEY_COUNT; i++) {
        printf("  %-10s%s (%.10g)\n", keys[i].name, keys[i].help, keys[i].standard);
    }
}

static int parse_value(const char *name, size_t name_length, const char *text, size_t length,
                       synthetic_spec *spec)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        char copy[64];
        double value = 0.0;
        uint64_t count = 0;
        bool good = length < sizeof copy;

        if (strlen(keys[i].name) != name_length || memcmp(keys[i].name, name, name_length) != 0) {
            continue;
        }
        if (good) {
            memcpy(copy, text, length);
            copy[length] = '\0';
            good = keys[i].whole ? parse_count(copy, &count) : parse_real(copy, &value);
        }
        if (good && keys[i].whole) {
            value = (double)count;
        }
        if (!good || value < keys[i].low || value > keys[i].high) {
            return tool_fail(EXIT_BAD_INPUT,
                             "option --synthetic: %s: '%.*s' must be a %snumber from %.16g to "
                             "%.16g",
                             keys[i].name, (int)length, text, keys[i].whole ? "whole " : "",
                             keys[i].low, keys[i].high);
        }
        *(double *)((char *)spec + keys[i].offset) = value;
        return EXIT_DONE;
    }
    return tool_fail(EXIT_BAD_INPUT,
                     "option --synthetic: unknown key '%.*s'; 'vsa decode "
                     "--help' lists them",
                     (int)name_length, name);
}

static int parse_spec(const char *text, synthetic_spec *spec)
{
    const size_t kind_length = strcspn(text, ":");
    int kind = 0, code;

    for (int i = 0; i < KEY_COUNT; i++) {
        *(double *)((char *)spec + keys[i].offset) = keys[i].standard;
    }
    while (kind < KIND_COUNT && (strlen(kinds[kind].name) != kind_length ||
                                 memcmp(kinds[kind].name, text, kind_length) != 0)) {
        kind++;
    }
    if (kind == KIND_COUNT) {
        return tool_fail(EXIT_BAD_INPUT,
                         "option --synthetic: unknown kind '%.*s'; 'vsa decode --help' lists them",
                         (int)kind_length, text);
    }
    spec->kind = (synthetic_kind)kind;
    spec->align = spec->kind == KIND_ALIGNED ? 1.0 : 0.0;

    for (const char *c = text + kind_length; *c;) {
        const size_t length = strcspn(++c, ",");
        const char *equals = memchr(c, '=', length);

        if (!equals) {
            return tool_fail(EXIT_BAD_INPUT, "option --synthetic: '%.*s' is not KEY=VALUE",
                             (int)length, c);
        }
        code = parse_value(c, (size_t)(equals - c), equals + 1, length - (size_t)(equals + 1 - c),
                           spec);
        if (code != EXIT_DONE) {
            return code;
        }
        c += length;
    }
    if (fmod(spec->dim, 8.0) != 0.0) {
        return tool_fail(EXIT_BAD_INPUT, "option --synthetic: dim: %.0f is not a multiple of 8",
                         spec->dim);
    }
    if (fmod(spec->q_heads, spec->kv_heads) != 0.0) {
        return tool_fail(EXIT_BAD_INPUT,
                         "option --synthetic: q_heads: %.0f is not a multiple of the %.0f kv_heads",
                         spec->q_heads, spec->kv_heads);
    }
    if (spec->queries > spec->tokens) {
        return tool_fail(EXIT_BAD_INPUT,
                         "option --synthetic: queries: %.0f is more than the "
                         "%.0f tokens",
                         spec->queries, spec->tokens);
    }
    if (spec->layers * spec->dim *
            (2.0 * spec->kv_heads * spec->tokens + spec->q_heads * spec->queries) >
        0x1p31) {
        return tool_fail(EXIT_BAD_INPUT, "option --synthetic: the tensors would exceed 8 GiB");
    }
    return EXIT_DONE;
}

/* -------------------------------------------------------------- generation */

/* A unit vector, orthogonal to `u` unless that is NULL. */
static void random_direction(random_state *random, uint32_t dim, const double *u, double *out)
{
    double along = 0.0, square = 0.0;

    for (uint32_t c = 0; c < dim; c++) {
        out[c] = random_normal(random);
        along += u ? u[c] * out[c] : 0.0;
    }
    for (uint32_t c = 0; c < dim; c++) {
        out[c] -= u ? along * u[c] : 0.0;
        square += out[c] * out[c];
    }
    for (uint32_t c = 0; c < dim; c++) {
        out[c] /= sqrt(square);
    }
}

/* The logit that token `token` is meant to have. */
static double shaped_logit(random_state *random, const synthetic_spec *spec, uint32_t token)
{
    switch (spec->kind) {
    case KIND_UNIFORM:
        return spec->std * sqrt(12.0) * (random_unit(random) - 0.5);
    case KIND_LAPLACE: {
        const double size = -log(random_unit(random)) * spec->std / sqrt(2.0);

        return random_bits(random) >> 63 ? size : -size;
    }
    case KIND_HEAVY: {
        /* Student's t = Z / sqrt(chi2(3) / 3), whose variance is 3. */
        const double z = random_normal(random);
        double chi2 = 0.0;

        for (int i = 0; i < 3; i++) {
            const double x = random_normal(random);

            chi2 += x * x;
        }
        return spec->std * z / sqrt(chi2);
    }
    case KIND_BIMODAL: {
        const bool is_high = random_unit(random) < spec->high;

        return spec->std * random_normal(random) + (is_high ? spec->gap : 0.0);
    }
    case KIND_LOCAL:
        /* Against the end of the sequence: for a query at another position all logits move by
         * the same constant, which softmax ignores. */
        return spec->std * random_normal(random) - (spec->tokens - 1.0 - token) / spec->decay;
    default:
        return spec->std * random_normal(random);
    }
}

/* Lifts some logits so that together they hold the wanted share of D. */
static void add_needles(random_state *random, const synthetic_spec *spec, double *logits)
{
    double rest = 0.0;

    for (uint32_t i = 0; i < (uint32_t)spec->tokens; i++) {
        rest += exp(logits[i]);
    }
    const double lifted = log(spec->mass / (1.0 - spec->mass) * rest / spec->needles);

    for (uint32_t i = 0; i < (uint32_t)spec->needles; i++) {
        logits[random_bits(random) % (uint64_t)spec->tokens] = lifted;
    }
}

/* Keys of one KV head with scale * q.k = the wanted logit for q = sqrt(dim) u, and noise of
 * deviation 1 in every direction orthogonal to u. */
static void make_shaped_keys(random_state *random, const synthetic_spec *spec, const double *u,
                             double *logits, float *k)
{
    const uint32_t tokens = (uint32_t)spec->tokens, dim = (uint32_t)spec->dim;

    for (uint32_t i = 0; i < tokens; i++) {
        logits[i] = shaped_logit(random, spec, i);
    }
    if (spec->kind == KIND_NEEDLE) {
        add_needles(random, spec, logits);
    }
    for (uint32_t i = 0; i < tokens; i++) {
        double noise[256], along = 0.0;

        for (uint32_t c = 0; c < dim; c++) {
            noise[c] = random_normal(random);
            along += noise[c] * u[c];
        }
        for (uint32_t c = 0; c < dim; c++) {
            k[(size_t)i * dim + c] = (float)(noise[c] + (logits[i] - along) * u[c]);
        }
    }
}

/* Queries whose logits are independent of each other, not those of a whole group alike. */
static bool has_free_queries(const synthetic_spec *spec)
{
    return spec->kind == KIND_GAUSSIAN || spec->kind == KIND_OUTLIER;
}

static void make_free_keys(random_state *random, const synthetic_spec *spec, float *k)
{
    const uint32_t tokens = (uint32_t)spec->tokens, dim = (uint32_t)spec->dim;
    const uint32_t channels = spec->kind == KIND_OUTLIER ? (uint32_t)spec->channels : 0;

    for (uint32_t i = 0; i < tokens; i++) {
        for (uint32_t c = 0; c < dim; c++) {
            k[(size_t)i * dim + c] =
                (float)(random_normal(random) + (c < channels ? spec->size : 0.0));
        }
    }
}

/* In place of the noise alone, V may also hold a part of K: then heavy tokens have other values than
 * light ones. */
static void make_values(random_state *random, const synthetic_spec *spec, const float *k, float *v)
{
    const uint32_t tokens = (uint32_t)spec->tokens, dim = (uint32_t)spec->dim;
    const uint32_t channels = spec->kind == KIND_OUTLIER ? (uint32_t)spec->channels : 0;

    for (uint32_t i = 0; i < tokens; i++) {
        for (uint32_t c = 0; c < dim; c++) {
            const size_t at = (size_t)i * dim + c;
            const double value = spec->vmean + random_normal(random) + spec->align * (double)k[at];

            v[at] = (float)(c < channels ? spec->size * value : value);
        }
    }
}

static void fill_layer(random_state *random, const synthetic_spec *spec, double *logits,
                       trace_layer *layer)
{
    const uint32_t dim = layer->head_dim_k, group = layer->q_heads / layer->kv_heads;
    const size_t plane = (size_t)layer->tokens * dim;
    const double length = sqrt((double)dim); /* of a query: 1 / scale */
    const bool is_free = has_free_queries(spec);

    for (uint32_t h = 0; h < layer->kv_heads; h++) {
        double u[256], w[256];

        random_direction(random, dim, NULL, u);
        if (is_free) {
            make_free_keys(random, spec, layer->k + h * plane);
        } else {
            make_shaped_keys(random, spec, u, logits, layer->k + h * plane);
        }
        make_values(random, spec, layer->k + h * plane, layer->v + h * plane);
        for (uint32_t j = 0; j < group * layer->queries; j++) {
            float *q = layer->q + ((size_t)h * group * layer->queries + j) * dim;

            random_direction(random, dim, is_free ? NULL : u, w);
            for (uint32_t c = 0; c < dim; c++) {
                /* A shaped query shares u with its group; a quarter of its own direction gives
                 * each row logits of its own, off by a normal deviation of .25. */
                q[c] = (float)(length * (is_free ? spec->std * w[c] : u[c] + 0.25 * w[c]));
            }
        }
    }
}

int synthetic_make(const char *specification, trace *out_trace)
{
    synthetic_spec spec = {0};
    random_state random = {0};
    int code;

    *out_trace = (trace){.name = specification};
    if ((code = parse_spec(specification, &spec)) != EXIT_DONE) {
        return code;
    }
    const size_t kv_count = (size_t)(spec.kv_heads * spec.tokens * spec.dim);
    const size_t q_count = (size_t)(spec.q_heads * spec.queries * spec.dim);
    double *logits = malloc((size_t)spec.tokens * sizeof *logits);

    out_trace->layers = calloc((size_t)spec.layers, sizeof *out_trace->layers);
    if (!logits || !out_trace->layers) {
        goto fail;
    }
    out_trace->layer_count = (uint32_t)spec.layers;
    random.state = (uint64_t)spec.seed;

    for (uint32_t i = 0; i < out_trace->layer_count; i++) {
        trace_layer *layer = &out_trace->layers[i];

        *layer = (trace_layer){
            .q_heads = (uint32_t)spec.q_heads,
            .kv_heads = (uint32_t)spec.kv_heads,
            .head_dim_k = (uint32_t)spec.dim,
            .head_dim_v = (uint32_t)spec.dim,
            .tokens = (uint32_t)spec.tokens,
            .queries = (uint32_t)spec.queries,
            .file_type = VSA_DTYPE_F32,
            .k = malloc(kv_count * sizeof(float)),
            .v = malloc(kv_count * sizeof(float)),
            .q = malloc(q_count * sizeof(float)),
        };
        if (!layer->k || !layer->v || !layer->q) {
            goto fail;
        }
        fill_layer(&random, &spec, logits, layer);
    }
    free(logits);
    return EXIT_DONE;

fail:
    free(logits);
    trace_destroy(out_trace);
    return tool_fail(EXIT_BAD_INPUT, "option --synthetic: not enough memory for the tensors");
}
