#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct choice {
    const char *name;
    int         value;
} choice;

static const choice methods[] = {
    {"dense", VSA_METHOD_DENSE},   {"vattention", VSA_METHOD_VATTENTION},
    {"guided", VSA_METHOD_GUIDED}, {"sample", VSA_METHOD_SAMPLE},
    {"topk", VSA_METHOD_TOP_K},    {"topp", VSA_METHOD_TOP_P},
    {NULL, 0}};
static const choice scorers[] = {{"exact", VSA_SCORER_EXACT}, {"page", VSA_SCORER_PAGE},
                                 {"sign", VSA_SCORER_SIGN},   {"int8", VSA_SCORER_INT8},
                                 {"int4", VSA_SCORER_INT4},   {NULL, 0}};
static const choice bounds[] = {
    {"clt", VSA_BOUND_CLT}, {"strict", VSA_BOUND_STRICT}, {NULL, 0}};
static const choice targets[] = {{"denominator", VSA_TARGET_DENOMINATOR},
                                 {"numerator", VSA_TARGET_NUMERATOR},
                                 {"output", VSA_TARGET_OUTPUT},
                                 {NULL, 0}};
static const choice misses[] = {{"dense", VSA_MISS_DENSE}, {"report", VSA_MISS_REPORT}, {NULL, 0}};
static const choice device_types[] = {
    {"accel", VSAI_GGML_ACCEL}, {"gpu", VSAI_GGML_GPU}, {NULL, 0}};

typedef enum kind {
    CHOICE,     /* int */
    SHARE,      /* uint32_t at `offset`, or the float at `fraction` */
    COUNT,      /* uint32_t */
    SWITCH,     /* uint32_t, 0 or 1 */
    WORD64,     /* uint64_t */
    OPEN,       /* float, 0 < x < 1 */
    HALF_OPEN,  /* float, 0 < x <= 1 */
    LAYERS,
    TEXT        /* char[limit] */
} kind;

typedef struct entry {
    const char   *name;
    kind          kind;
    size_t        offset, fraction;
    const choice *choices;
    size_t        limit;   /* COUNT, SHARE: the largest value; TEXT: bytes */
    int           fixed;
} entry;

#define AT(field) offsetof(vsai_ggml_options, field)
#define MAX_COUNT (1u << 24)   /* the longest context of vsa */

static const entry entries[] = {
    {"method", CHOICE, AT(policy.method), 0, methods, 0, 0},
    {"scorer", CHOICE, AT(policy.scorer), 0, scorers, 0, 0},
    {"bound", CHOICE, AT(policy.bound), 0, bounds, 0, 0},
    {"target", CHOICE, AT(policy.target), 0, targets, 0, 0},
    {"on_miss", CHOICE, AT(policy.on_miss), 0, misses, 0, 0},
    {"epsilon", OPEN, AT(policy.epsilon), 0, NULL, 0, 0},
    {"delta", OPEN, AT(policy.delta), 0, NULL, 0, 0},
    {"sink", SHARE, AT(policy.sink_tokens), AT(policy.sink_fraction), NULL, MAX_COUNT, 0},
    {"window", SHARE, AT(policy.window_tokens), AT(policy.window_fraction), NULL, MAX_COUNT, 0},
    {"top_k", SHARE, AT(policy.top_k), AT(policy.top_k_fraction), NULL, MAX_COUNT, 0},
    {"base_samples", SHARE, AT(policy.base_samples), AT(policy.base_fraction), NULL, MAX_COUNT, 0},
    {"max_samples", COUNT, AT(policy.max_samples), 0, NULL, MAX_COUNT, 0},
    {"top_p", HALF_OPEN, AT(policy.top_p), 0, NULL, 0, 0},
    {"seed", WORD64, AT(seed), 0, NULL, 0, 0},
    {"dense_layers", LAYERS, AT(dense_layers), 0, NULL, 0, 0},
    {"min_tokens", COUNT, AT(min_tokens), 0, NULL, MAX_COUNT, 0},
    {"verify", SWITCH, AT(verify), 0, NULL, 0, 0},
    {"mirror", SWITCH, AT(mirror), 0, NULL, 0, 0},
    {"device", TEXT, AT(device), 0, NULL, sizeof((vsai_ggml_options *)0)->device, 1},
    {"device_type", CHOICE, AT(device_type), 0, device_types, 0, 1},
    {"cache", TEXT, AT(cache), 0, NULL, VSAI_GGML_PATH, 1},
    {"summary", TEXT, AT(summary), 0, NULL, VSAI_GGML_PATH, 1},
};
enum { ENTRY_COUNT = sizeof entries / sizeof *entries };

void vsai_ggml_options_default(vsai_ggml_options *out_options)
{
    *out_options = (vsai_ggml_options){
        .policy = {.method = VSA_METHOD_VATTENTION, .scorer = VSA_SCORER_EXACT,
                   .bound = VSA_BOUND_CLT, .target = VSA_TARGET_OUTPUT, .on_miss = VSA_MISS_DENSE,
                   .sink_tokens = 128, .window_tokens = 128, .top_k_fraction = 0.02f,
                   .top_p = 0.95f, .base_fraction = 0.025f, .epsilon = 0.1f, .delta = 0.1f},
        .min_tokens = 8192,
        .summary = "0",
    };
}

static const entry *find(const char *name)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            return &entries[i];
        }
    }
    return NULL;
}

/* `expected` completes "VSA_NAME is 'value', must be ...". */
static int bad_value(vsai_ggml_error *error, const entry *e, const char *value,
                     const char *expected)
{
    char name[32];
    size_t i = 0;

    for (; e->name[i] != 0 && i + 1 < sizeof name; i++) {
        name[i] = (char)toupper((unsigned char)e->name[i]);
    }
    name[i] = 0;
    snprintf(error->sentence, sizeof error->sentence, "VSA_%s is '%.64s', must be %s", name, value,
             expected);
    return 0;
}

static int read_choice(const entry *e, const char *value, void *field, vsai_ggml_error *error)
{
    char expected[160] = "";

    for (const choice *c = e->choices; c->name != NULL; c++) {
        if (strcmp(c->name, value) == 0) {
            /* Enums of vsa.h have the size of int: each ends in 0x7fffffff. */
            memcpy(field, &c->value, sizeof c->value);
            return 1;
        }
        const size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s",
                 used == 0 ? "" : c[1].name != NULL ? ", " : " or ", c->name);
    }
    return bad_value(error, e, value, expected);
}

/* Digits only: strtoull would take a sign and spaces. */
static int read_digits(const char *value, uint64_t limit, uint64_t *out)
{
    if (!isdigit((unsigned char)*value)) {
        return 0;
    }
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(value, &end, 10);
    if (errno != 0 || *end != 0 || number > limit) {
        return 0;
    }
    *out = number;
    return 1;
}

/* Digits with a point or an exponent; independent of the locale, because the host program may have
 * set one in which the point is a comma. */
static int read_fraction(const char *value, double *out)
{
    double number = 0, unit = 1;
    int digits = 0;

    for (; isdigit((unsigned char)*value); value++, digits++) {
        number = number * 10 + (*value - '0');
    }
    if (*value == '.') {
        for (value++; isdigit((unsigned char)*value); value++, digits++) {
            unit /= 10;
            number += (*value - '0') * unit;
        }
    }
    if (digits != 0 && (*value == 'e' || *value == 'E')) {
        const int negative = value[1] == '-';
        uint64_t exponent;
        if (!read_digits(value + 1 + (value[1] == '-' || value[1] == '+'), 300, &exponent)) {
            return 0;
        }
        *out = number * pow(10, negative ? -(double)exponent : (double)exponent);
        return 1;
    }
    *out = number;
    return digits != 0 && *value == 0;
}

static int read_layers(const char *value, uint8_t *bits)
{
    uint8_t set[VSAI_GGML_MAX_DENSE_LAYERS / 8] = {0};

    for (const char *at = value; *at != 0;) {
        uint32_t layer = 0;
        int digits = 0;
        for (; isdigit((unsigned char)*at) && layer < VSAI_GGML_MAX_DENSE_LAYERS; at++, digits++) {
            layer = layer * 10 + (uint32_t)(*at - '0');
        }
        if (digits == 0 || layer >= VSAI_GGML_MAX_DENSE_LAYERS) {
            return 0;
        }
        set[layer / 8] |= (uint8_t)(1u << layer % 8);
        if (*at == ',' && at[1] != 0) {
            at++;
        } else if (*at != 0) {
            return 0;
        }
    }
    memcpy(bits, set, sizeof set);
    return 1;
}

static int set_fraction(const entry *e, const char *value, char *base, size_t offset, int closed,
                        vsai_ggml_error *error)
{
    double number;
    if (!read_fraction(value, &number) || !(number > 0) || number > 1 ||
        (!closed && (float)number >= 1.0f) || (float)number <= 0.0f) {
        return bad_value(error, e, value, closed ? "above 0 and at most 1" : "above 0 and below 1");
    }
    const float narrowed = (float)number;
    memcpy(base + offset, &narrowed, sizeof narrowed);
    return 1;
}

static int set_share(const entry *e, const char *value, char *base, vsai_ggml_error *error)
{
    const uint32_t no_count = 0;
    const float no_fraction = 0;
    uint64_t count;
    double number;

    if (strpbrk(value, ".eE") != NULL) {
        if (!read_fraction(value, &number) || number < 0 || number > 1) {
            return bad_value(error, e, value, "a count, or a fraction from 0.0 to 1.0");
        }
        const float narrowed = (float)number;
        memcpy(base + e->fraction, &narrowed, sizeof narrowed);
        memcpy(base + e->offset, &no_count, sizeof no_count);
        return 1;
    }
    if (!read_digits(value, e->limit, &count)) {
        return bad_value(error, e, value,
                         "a count from 0 to 16777216, or a fraction from 0.0 to 1.0");
    }
    const uint32_t narrowed = (uint32_t)count;
    memcpy(base + e->offset, &narrowed, sizeof narrowed);
    memcpy(base + e->fraction, &no_fraction, sizeof no_fraction);
    return 1;
}

int vsai_ggml_options_set(vsai_ggml_options *options, const char *name, const char *value,
                          vsai_ggml_error *error)
{
    const entry *e = find(name);
    char *base = (char *)options;
    uint64_t number;

    if (e == NULL) {
        snprintf(error->sentence, sizeof error->sentence, "there is no option '%.64s'", name);
        return 0;
    }
    switch (e->kind) {
    case CHOICE:
        return read_choice(e, value, base + e->offset, error);
    case SHARE:
        return set_share(e, value, base, error);
    case OPEN:
        return set_fraction(e, value, base, e->offset, 0, error);
    case HALF_OPEN:
        return set_fraction(e, value, base, e->offset, 1, error);
    case COUNT:
    case SWITCH:
        if (!read_digits(value, e->kind == SWITCH ? 1 : e->limit, &number)) {
            return bad_value(error, e, value,
                             e->kind == SWITCH ? "0 or 1" : "a count from 0 to 16777216");
        }
        memcpy(base + e->offset, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        return 1;
    case WORD64:
        if (!read_digits(value, UINT64_MAX, &number)) {
            return bad_value(error, e, value, "a number from 0 to 2^64 - 1");
        }
        memcpy(base + e->offset, &number, sizeof number);
        return 1;
    case LAYERS:
        return read_layers(value, (uint8_t *)base + e->offset) ||
               bad_value(error, e, value, "numbers of layers from 0 to 1023 between commas");
    case TEXT:
        if (strlen(value) >= e->limit) {
            return bad_value(error, e, value,
                             e->limit == VSAI_GGML_PATH ? "at most 511 bytes long"
                                                        : "at most 63 bytes long");
        }
        strcpy(base + e->offset, value);
        return 1;
    }
    return 0;
}

int vsai_ggml_options_check(const vsai_ggml_options *options, vsai_ggml_error *error)
{
    const vsa_policy *p = &options->policy;
    const char *sentence = NULL;

    if (p->max_samples != 0 && p->max_samples < VSA_SAMPLE_GROUPS) {
        sentence = "VSA_MAX_SAMPLES must be 0 or at least 32";
    } else if (p->bound == VSA_BOUND_STRICT &&
        (p->method == VSA_METHOD_VATTENTION || p->method == VSA_METHOD_GUIDED) &&
        (p->scorer == VSA_SCORER_SIGN || p->scorer == VSA_SCORER_PAGE)) {
        sentence = "VSA_BOUND=strict needs VSA_SCORER=exact, int8 or int4";
    } else if (p->bound == VSA_BOUND_STRICT && p->method == VSA_METHOD_VATTENTION &&
               p->target != VSA_TARGET_DENOMINATOR) {
        sentence = "VSA_BOUND=strict with VSA_METHOD=vattention needs VSA_TARGET=denominator";
    } else if (p->bound == VSA_BOUND_STRICT && p->method == VSA_METHOD_SAMPLE) {
        sentence = "VSA_BOUND=strict needs VSA_METHOD=vattention or guided";
    }
    if (sentence != NULL) {
        snprintf(error->sentence, sizeof error->sentence, "%s", sentence);
    }
    return sentence == NULL;
}

int vsai_ggml_option_is_fixed(const char *name)
{
    const entry *e = find(name);
    return e != NULL && e->fixed;
}

int vsai_ggml_options_from_environment(vsai_ggml_options *out_options, vsai_ggml_error *error)
{
    vsai_ggml_options_default(out_options);
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        char variable[40] = "VSA_";
        for (size_t c = 0; entries[i].name[c] != 0; c++) {
            variable[4 + c] = (char)toupper((unsigned char)entries[i].name[c]);
        }
        const char *value = getenv(variable);
        if (value != NULL && *value != 0 &&
            !vsai_ggml_options_set(out_options, entries[i].name, value, error)) {
            return 0;
        }
    }
    return vsai_ggml_options_check(out_options, error);
}

int vsai_ggml_options_layer_is_dense(const vsai_ggml_options *options, uint32_t layer)
{
    return layer < VSAI_GGML_MAX_DENSE_LAYERS &&
           (options->dense_layers[layer / 8] >> layer % 8 & 1) != 0;
}
