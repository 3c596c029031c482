#include "options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "tool.h"

typedef struct choice {
    const char *name; /* NULL ends a list */
    int value;
} choice;

static const choice methods[] = {
    {"dense", VSA_METHOD_DENSE},
    {"topk", VSA_METHOD_TOP_K},
    {"topp", VSA_METHOD_TOP_P},
    {"sample", VSA_METHOD_SAMPLE},
    {"vattention", VSA_METHOD_VATTENTION},
    {"guided", VSA_METHOD_GUIDED},
    {NULL, 0},
};
static const choice scorers[] = {
    {"exact", VSA_SCORER_EXACT}, {"page", VSA_SCORER_PAGE}, {"sign", VSA_SCORER_SIGN},
    {"int8", VSA_SCORER_INT8},   {"int4", VSA_SCORER_INT4}, {NULL, 0},
};
static const choice bounds[] = {
    {"clt", VSA_BOUND_CLT},
    {"strict", VSA_BOUND_STRICT},
    {NULL, 0},
};
static const choice targets[] = {
    {"denominator", VSA_TARGET_DENOMINATOR},
    {"numerator", VSA_TARGET_NUMERATOR},
    {"output", VSA_TARGET_OUTPUT},
    {NULL, 0},
};
static const choice miss_actions[] = {
    {"report", VSA_MISS_REPORT},
    {"dense", VSA_MISS_DENSE},
    {NULL, 0},
};
static const choice dtypes[] = {
    {"f32", VSA_DTYPE_F32},   {"f16", VSA_DTYPE_F16},   {"bf16", VSA_DTYPE_BF16},
    {"q8_0", VSA_DTYPE_Q8_0}, {"q4_0", VSA_DTYPE_Q4_0}, {NULL, 0},
};
static const choice orders[] = {
    {"head", VSA_KV_HEAD_MAJOR},
    {"token", VSA_KV_TOKEN_MAJOR},
    {NULL, 0},
};
static const choice compilers[] = {
    {"shaderc", VSA_COMPILER_SHADERC},
    {"glslang", VSA_COMPILER_GLSLANG},
    {"embedded", VSA_COMPILER_EMBEDDED},
    {NULL, 0},
};

typedef enum option_kind {
    OPTION_FLAG,       /* bool, no value */
    OPTION_TEXT,       /* const char *, not empty */
    OPTION_LIST,       /* option_list: texts, one for every time that the option is given */
    OPTION_CHOICE,     /* int, one of `choices` */
    OPTION_COUNT,      /* uint32_t in [low, high] */
    OPTION_PAGE,       /* uint32_t, 0 or a power of two up to `high` */
    OPTION_SEED,       /* uint64_t */
    OPTION_REAL,       /* double above `low` and below `high`, also as f32 */
    OPTION_REAL_UP_TO, /* the same, `high` included */
    OPTION_SHARE       /* option_share: a count in [low, high] or a fraction of up to 1 */
} option_kind;

typedef struct option {
    const char *name;  /* without the dashes */
    const char *value; /* for --help; NULL for a flag */
    option_kind kind;
    size_t offset; /* of the field in tool_options */
    double low, high;
    const choice *choices;
    int commands; /* COMMAND_* bits */
    const char *help;
} option;

#define FIELD(name) offsetof(tool_options, name)
#define MAX_TOKENS  16777216.0
#define RUNS        (COMMAND_ATTEND | COMMAND_DECODE | COMMAND_EVAL)

static const option table[] = {
    {"input", "FILE", OPTION_TEXT, FIELD(input), 0, 0, NULL, COMMAND_ATTEND | COMMAND_EVAL,
     "safetensors with k.L, v.L and q.L for every layer L"},
    {"output", "FILE", OPTION_TEXT, FIELD(output), 0, 0, NULL, COMMAND_ATTEND,
     "safetensors to write"},
    {"dump-indices", NULL, OPTION_FLAG, FIELD(dump_indices), 0, 0, NULL, COMMAND_ATTEND,
     "also write indices.L: the tokens that every row read"},
    {"trace", "FILE", OPTION_TEXT, FIELD(trace), 0, 0, NULL, COMMAND_DECODE,
     "safetensors with k.L, v.L and q.L for every layer L"},
    {"synthetic", "SPEC", OPTION_TEXT, FIELD(synthetic), 0, 0, NULL, COMMAND_DECODE,
     "generated tensors, see below (default gaussian)"},
    {"synthetic", "SPEC", OPTION_LIST, FIELD(specifications), 0, 0, NULL, COMMAND_EVAL,
     "generated tensors, see below; may be given several times"},
    {"queries", "N", OPTION_COUNT, FIELD(queries), 1, MAX_TOKENS, NULL, COMMAND_EVAL,
     "only the last N queries of every layer (all)"},
    {"csv", "FILE", OPTION_TEXT, FIELD(csv), 0, 0, NULL, COMMAND_EVAL,
     "also write the rows as comma-separated values"},
    {"html", "FILE", OPTION_TEXT, FIELD(html), 0, 0, NULL, COMMAND_EVAL,
     "also write a page with plots"},
    {"method", NULL, OPTION_CHOICE, FIELD(method), 0, 0, methods, RUNS,
     "what decides which tokens are read (vattention)"},
    {"scorer", NULL, OPTION_CHOICE, FIELD(scorer), 0, 0, scorers, RUNS,
     "how keys are scored (exact)"},
    {"bound", NULL, OPTION_CHOICE, FIELD(bound), 0, 0, bounds, RUNS,
     "what the certificate rests on (clt)"},
    {"target", NULL, OPTION_CHOICE, FIELD(target), 0, 0, targets, RUNS,
     "what the error is measured on (output)"},
    {"epsilon", "X", OPTION_REAL, FIELD(epsilon), 0, 1, NULL, RUNS, "relative error target (0.1)"},
    {"delta", "X", OPTION_REAL, FIELD(delta), 0, 1, NULL, RUNS,
     "probability of missing it, per row (0.1)"},
    {"sink", "N", OPTION_COUNT, FIELD(sink_tokens), 0, MAX_TOKENS, NULL, RUNS,
     "first tokens, always read (128)"},
    {"window", "N", OPTION_COUNT, FIELD(window_tokens), 0, MAX_TOKENS, NULL, RUNS,
     "last tokens, always read (128)"},
    {"top-k", "N|F", OPTION_SHARE, FIELD(top_k), 0, MAX_TOKENS, NULL, RUNS,
     "highest scores, always read: a count, or a fraction of the length (0.02)"},
    {"top-p", "P", OPTION_REAL_UP_TO, FIELD(top_p), 0, 1, NULL, RUNS,
     "mass that method topp reads"},
    {"base", "N|F", OPTION_SHARE, FIELD(base), 1, MAX_TOKENS, NULL, RUNS,
     "first sample: a count, or a fraction of the rest (0.025 within 64 to 256)"},
    {"max-samples", "N", OPTION_COUNT, FIELD(max_samples), 0, MAX_TOKENS, NULL, RUNS,
     "most samples per row; 0 = no maximum (0)"},
    {"on-miss", NULL, OPTION_CHOICE, FIELD(on_miss), 0, 0, miss_actions, RUNS,
     "for rows that miss their target (dense)"},
    {"seed", "S", OPTION_SEED, FIELD(seed), 0, 0, NULL, RUNS, "of the random draws (0)"},
    {"kv-type", NULL, OPTION_CHOICE, FIELD(kv_type), 0, 0, dtypes, RUNS,
     "of the KV cache (the file's type of k; f32 if synthetic)"},
    {"layout", NULL, OPTION_CHOICE, FIELD(order), 0, 0, orders, RUNS,
     "outermost dimension of the KV cache (head)"},
    {"page-tokens", "N", OPTION_PAGE, FIELD(page_tokens), 0, MAX_TOKENS, NULL, RUNS,
     "page size of a paged cache, a power of two; 0 = contiguous (0)"},
    {"device", "INDEX|NAME", OPTION_TEXT, FIELD(device), 0, 0, NULL, RUNS,
     "number from 'vsa devices', or a part of a name (the best that works)"},
    {"compiler", NULL, OPTION_CHOICE, FIELD(compiler), 0, 0, compilers, RUNS,
     "of the shaders (the first that was built in)"},
    {"cache", "DIR", OPTION_TEXT, FIELD(cache), 0, 0, NULL, RUNS,
     "keep compiled shaders and pipelines here (none)"},
    {"vulkan-validation", NULL, OPTION_FLAG, FIELD(vulkan_validation), 0, 0, NULL, RUNS,
     "run with the Khronos validation layer; any message is an error"},
    {"steps", NULL, OPTION_FLAG, FIELD(steps), 0, 0, NULL, COMMAND_DECODE,
     "report every step, not every eighth of the replay"},
    {"strict-exit", NULL, OPTION_FLAG, FIELD(strict_exit), 0, 0, NULL, RUNS,
     "exit with 1 when a row is missed or invalid"},
    {"no-progress", NULL, OPTION_FLAG, FIELD(no_progress), 0, 0, NULL, RUNS, "no progress bar"},
    {"json", NULL, OPTION_FLAG, FIELD(json), 0, 0, NULL, COMMAND_DEVICES | RUNS,
     "print one JSON object on standard output"},
    {"help", NULL, OPTION_FLAG, FIELD(help), 0, 0, NULL, COMMAND_DEVICES | RUNS, "this text"},
};

enum { OPTION_TOTAL = sizeof table / sizeof table[0], TEXT_SIZE = 160, NAMES_SIZE = 128 };
_Static_assert(OPTION_TOTAL <= 64, "tool_options.given has a bit for every entry");

/* "dense|topk|..." */
static void join_choices(const choice *choices, const char *separator, char text[NAMES_SIZE])
{
    size_t used = 0;

    for (const choice *c = choices; c->name && used < NAMES_SIZE; c++) {
        used += (size_t)snprintf(text + used, NAMES_SIZE - used, "%s%s",
                                 c == choices ? "" : separator, c->name);
    }
}

/* What the option accepts, to follow "must be" or "needs". */
static void describe(const option *entry, char text[TEXT_SIZE])
{
    char names[NAMES_SIZE] = "";

    switch (entry->kind) {
    case OPTION_FLAG:
        snprintf(text, TEXT_SIZE, "without a value");
        break;
    case OPTION_TEXT:
        snprintf(text, TEXT_SIZE, "a %s", entry->value);
        break;
    case OPTION_LIST:
        snprintf(text, TEXT_SIZE, "a %s, up to %d times", entry->value, OPTION_LIST_SIZE);
        break;
    case OPTION_CHOICE:
        join_choices(entry->choices, ", ", names);
        snprintf(text, TEXT_SIZE, "one of %s", names);
        break;
    case OPTION_COUNT:
        snprintf(text, TEXT_SIZE, "a whole number from %.0f to %.0f", entry->low, entry->high);
        break;
    case OPTION_PAGE:
        snprintf(text, TEXT_SIZE, "0 or a power of two, up to %.0f", entry->high);
        break;
    case OPTION_SEED:
        snprintf(text, TEXT_SIZE, "a whole number from 0 to 18446744073709551615");
        break;
    case OPTION_REAL:
        snprintf(text, TEXT_SIZE, "a number above %g and below %g", entry->low, entry->high);
        break;
    case OPTION_REAL_UP_TO:
        snprintf(text, TEXT_SIZE, "a number above %g, up to %g", entry->low, entry->high);
        break;
    case OPTION_SHARE:
        snprintf(text, TEXT_SIZE,
                 "a whole number from %.0f to %.0f, or a fraction such as 0.05 "
                 "from 0 to 1",
                 entry->low, entry->high);
        break;
    }
}

static bool read_count(const option *entry, const char *text, uint32_t *out_count)
{
    uint64_t value;

    if (!parse_count(text, &value) || (double)value < entry->low || (double)value > entry->high) {
        return false;
    }
    *out_count = (uint32_t)value;
    return true;
}

static bool read_real(const option *entry, const char *text, double *out_value)
{
    double value;

    if (!parse_real(text, &value)) {
        return false;
    }
    /* The library takes it as f32: a value that rounds onto a limit is outside too. */
    const double rounded = (double)(float)value;

    if (!(value > entry->low && rounded > entry->low)) {
        return false;
    }
    if (entry->kind == OPTION_REAL ? !(value < entry->high && rounded < entry->high)
                                   : !(value <= entry->high)) {
        return false;
    }
    *out_value = value;
    return true;
}

static bool read_share(const option *entry, const char *text, option_share *out_share)
{
    option_share share = {0};

    if (strpbrk(text, ".eE")) {
        share.is_fraction = true;
        if (!parse_real(text, &share.fraction) || !(share.fraction >= 0.0) ||
            !(share.fraction <= 1.0)) {
            return false;
        }
    } else if (!read_count(entry, text, &share.count)) {
        return false;
    }
    *out_share = share;
    return true;
}

static bool read_choice(const option *entry, const char *text, int *out_value)
{
    for (const choice *c = entry->choices; c->name; c++) {
        if (strcmp(c->name, text) == 0) {
            *out_value = c->value;
            return true;
        }
    }
    return false;
}

static bool add_to_list(option_list *list, const char *text)
{
    if (list->count == OPTION_LIST_SIZE) {
        return false;
    }
    list->items[list->count++] = text;
    return true;
}

static bool read_value(const option *entry, const char *text, void *field)
{
    switch (entry->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_TEXT:
        *(const char **)field = text;
        return *text != '\0';
    case OPTION_LIST:
        return *text != '\0' && add_to_list(field, text);
    case OPTION_CHOICE:
        return read_choice(entry, text, field);
    case OPTION_COUNT:
        return read_count(entry, text, field);
    case OPTION_PAGE: {
        uint32_t *page = field;

        return read_count(entry, text, page) && (*page & (*page - 1)) == 0;
    }
    case OPTION_SEED:
        return parse_count(text, field);
    case OPTION_REAL:
    case OPTION_REAL_UP_TO:
        return read_real(entry, text, field);
    case OPTION_SHARE:
        return read_share(entry, text, field);
    }
    return false;
}

static const option *find_option(const char *name, size_t length, int command, bool *out_elsewhere)
{
    *out_elsewhere = false;
    for (size_t i = 0; i < OPTION_TOTAL; i++) {
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0) {
            if (table[i].commands & command) {
                return &table[i];
            }
            *out_elsewhere = true;
        }
    }
    return NULL;
}

static const char *command_name(int command)
{
    return command == COMMAND_DEVICES  ? "devices"
           : command == COMMAND_ATTEND ? "attend"
           : command == COMMAND_DECODE ? "decode"
                                       : "eval";
}

int options_parse(tool_options *out_options, int command, int argument_count,
                  char *const *arguments)
{
    *out_options = (tool_options){
        .arguments = arguments,
        .argument_count = argument_count,
        .method = VSA_METHOD_VATTENTION,
        .scorer = VSA_SCORER_EXACT, /* the best that this version of the library has */
        .bound = VSA_BOUND_CLT,
        .target = VSA_TARGET_OUTPUT,
        .on_miss = VSA_MISS_DENSE,
        .epsilon = 0.1,
        .delta = 0.1,
        .sink_tokens = 128,
        .window_tokens = 128,
        .top_k = {.is_fraction = true, .fraction = 0.02},
    };

    for (int i = 0; i < argument_count; i++) {
        const char *argument = arguments[i];

        if (strcmp(argument, "-h") == 0) {
            argument = "--help";
        }
        if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0') {
            return tool_fail(EXIT_BAD_INPUT, "%s: unexpected argument '%s'; options start with --",
                             command_name(command), argument);
        }
        const char *name = argument + 2;
        const char *equals = strchr(name, '=');
        const size_t length = equals ? (size_t)(equals - name) : strlen(name);
        bool elsewhere;
        const option *entry = find_option(name, length, command, &elsewhere);

        if (!entry) {
            return tool_fail(EXIT_BAD_INPUT,
                             elsewhere ? "%s: option --%.*s belongs to another command"
                                       : "%s: unknown option --%.*s; 'vsa %s --help' lists them",
                             command_name(command), (int)length, name, command_name(command));
        }
        char allowed[TEXT_SIZE];
        const char *value = equals ? equals + 1 : NULL;

        describe(entry, allowed);
        if (entry->kind == OPTION_FLAG) {
            if (value) {
                return tool_fail(EXIT_BAD_INPUT, "option --%s: takes no value, got '%s'",
                                 entry->name, value);
            }
        } else if (!value) {
            if (i + 1 == argument_count || strncmp(arguments[i + 1], "--", 2) == 0) {
                return tool_fail(EXIT_BAD_INPUT, "option --%s: needs a value: %s", entry->name,
                                 allowed);
            }
            value = arguments[++i];
        }
        if (!read_value(entry, value, (char *)out_options + entry->offset)) {
            return tool_fail(EXIT_BAD_INPUT, "option --%s: '%s' must be %s", entry->name, value,
                             allowed);
        }
        out_options->given |= UINT64_C(1) << (entry - table);
    }
    return EXIT_DONE;
}

bool options_given(const tool_options *options, const char *name)
{
    for (size_t i = 0; i < OPTION_TOTAL; i++) {
        if ((options->given >> i & 1) != 0 && strcmp(table[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void options_help(int command)
{
    for (size_t i = 0; i < OPTION_TOTAL; i++) {
        const option *entry = &table[i];
        char names[NAMES_SIZE] = "";
        char left[TEXT_SIZE + 32];

        if (!(entry->commands & command)) {
            continue;
        }
        if (entry->choices) {
            join_choices(entry->choices, "|", names);
        }
        snprintf(left, sizeof left, "--%s%s%s", entry->name, entry->kind == OPTION_FLAG ? "" : " ",
                 entry->kind == OPTION_FLAG ? ""
                 : entry->choices           ? names
                                            : entry->value);
        printf(strlen(left) <= 26 ? "  %-26s  %s\n" : "  %s\n                              %s\n",
               left, entry->help);
    }
}

vsa_policy options_policy(const tool_options *options)
{
    vsa_policy policy = {
        .method = (vsa_method)options->method,
        .scorer = (vsa_scorer)options->scorer,
        .bound = (vsa_bound)options->bound,
        .target = (vsa_target)options->target,
        .on_miss = (vsa_miss_action)options->on_miss,
        .sink_tokens = options->sink_tokens,
        .window_tokens = options->window_tokens,
        .top_k = options->top_k.count,
        .top_k_fraction = (float)options->top_k.fraction,
        .top_p = (float)options->top_p,
        .max_samples = options->max_samples,
        .epsilon = (float)options->epsilon,
        .delta = (float)options->delta,
    };

    if (options->base.is_fraction) {
        policy.base_samples = 2;
        policy.base_fraction = (float)options->base.fraction;
    } else if (options->base.count > 0) {
        policy.base_samples = options->base.count;
    } else {
        policy.base_samples = 64;
        policy.base_fraction = 0.025f;
        policy.base_max_samples = 256;
    }
    return policy;
}

static const char *choice_name(const choice *choices, int value)
{
    for (const choice *c = choices; c->name; c++) {
        if (c->value == value) {
            return c->name;
        }
    }
    return "?";
}

const char *options_method_name(int method)
{
    return choice_name(methods, method);
}
const char *options_scorer_name(int scorer)
{
    return choice_name(scorers, scorer);
}
const char *options_bound_name(int bound)
{
    return choice_name(bounds, bound);
}
const char *options_target_name(int target)
{
    return choice_name(targets, target);
}
const char *options_on_miss_name(int on_miss)
{
    return choice_name(miss_actions, on_miss);
}
const char *options_dtype_name(int dtype)
{
    return choice_name(dtypes, dtype);
}
