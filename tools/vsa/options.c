#include "options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "option_table.h"
#include "parse.h"
#include "tool.h"

enum { TEXT_SIZE = 160, NAMES_SIZE = 128 };

/* "dense|topk|..." */
static void join_choices(const option_choice *choices, const char *separator, char text[NAMES_SIZE])
{
    size_t used = 0;

    for (const option_choice *c = choices; c->name && used < NAMES_SIZE; c++) {
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
    case OPTION_MAYBE_TEXT:
        snprintf(text, TEXT_SIZE, "a %s", entry->value);
        break;
    case OPTION_LIST:
        snprintf(text, TEXT_SIZE, "a %s, up to %d times", entry->value, OPTION_LIST_SIZE);
        break;
    case OPTION_CHOICE:
        join_choices(entry->choices, ", ", names);
        snprintf(text, TEXT_SIZE, "one of %s", names);
        break;
    case OPTION_CHOICES:
        join_choices(entry->choices, ", ", names);
        snprintf(text, TEXT_SIZE, "some of %s, with commas between", names);
        break;
    case OPTION_COUNT:
        snprintf(text, TEXT_SIZE, "a whole number from %.0f to %.0f", entry->low, entry->high);
        break;
    case OPTION_COUNTS:
        snprintf(text, TEXT_SIZE,
                 "whole numbers from %.0f to %.0f with commas between, up to %d; K and M are 2^10 "
                 "and 2^20",
                 entry->low, entry->high, OPTION_LIST_SIZE);
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
    case OPTION_REAL_FROM:
        snprintf(text, TEXT_SIZE, "a number from %g to %g", entry->low, entry->high);
        break;
    case OPTION_REALS:
        snprintf(text, TEXT_SIZE, "numbers above %g and below %g with commas between, up to %d",
                 entry->low, entry->high, OPTION_LIST_SIZE);
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

static bool in_range(const option *entry, double value)
{
    /* The library takes it as f32: a value that rounds onto a limit is outside too. */
    const double rounded = (double)(float)value;
    const bool above = value > entry->low && rounded > entry->low;

    switch (entry->kind) {
    case OPTION_REAL_UP_TO:
        return above && value <= entry->high;
    case OPTION_REAL_FROM:
        return value >= entry->low && value <= entry->high;
    default:
        return above && value < entry->high && rounded < entry->high;
    }
}

static bool read_real(const option *entry, const char *text, double *out_value)
{
    return parse_real(text, out_value) && in_range(entry, *out_value);
}

enum { PART_SIZE = 64 };

/* The part of `*text` up to its first comma, and `*text` behind that comma, or NULL after the last
 * part. False when the part is too long. */
static bool next_part(const char **text, char part[PART_SIZE])
{
    const size_t length = strcspn(*text, ",");

    if (length >= PART_SIZE) {
        return false;
    }
    memcpy(part, *text, length);
    part[length] = '\0';
    *text = (*text)[length] == '\0' ? NULL : *text + length + 1;
    return true;
}

static bool read_reals(const option *entry, const char *text, option_reals *out_list)
{
    option_reals list = {0};
    char part[PART_SIZE];

    while (text) {
        if (list.count == OPTION_LIST_SIZE || !next_part(&text, part) ||
            !read_real(entry, part, &list.items[list.count++])) {
            return false;
        }
    }
    *out_list = list;
    return true;
}

static bool read_length(const option *entry, char *text, uint32_t *out_count)
{
    const size_t length = strlen(text);
    const char unit = length > 0 ? text[length - 1] : '\0';
    const unsigned shift = unit == 'K' ? 10 : unit == 'M' ? 20 : 0;
    uint32_t factor;
    uint64_t value;

    if (shift == 0) {
        return read_count(entry, text, out_count);
    }
    text[length - 1] = '\0';
    factor = UINT32_C(1) << shift;
    if (!parse_count(text, &value) || value > UINT32_MAX / factor) {
        return false;
    }
    *out_count = (uint32_t)value * factor;
    return *out_count >= entry->low && *out_count <= entry->high;
}

static bool read_counts(const option *entry, const char *text, option_counts *out_list)
{
    option_counts list = {0};
    char part[PART_SIZE];

    while (text) {
        if (list.count == OPTION_LIST_SIZE || !next_part(&text, part) ||
            !read_length(entry, part, &list.items[list.count++])) {
            return false;
        }
    }
    *out_list = list;
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
    for (const option_choice *c = entry->choices; c->name; c++) {
        if (strcmp(c->name, text) == 0) {
            *out_value = c->value;
            return true;
        }
    }
    return false;
}

static bool read_choices(const option *entry, const char *text, option_enums *out_list)
{
    option_enums list = {0};
    char part[PART_SIZE];

    while (text) {
        if (list.count == OPTION_LIST_SIZE || !next_part(&text, part) ||
            !read_choice(entry, part, &list.items[list.count++])) {
            return false;
        }
    }
    *out_list = list;
    return true;
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
    case OPTION_MAYBE_TEXT:
        *(const char **)field = text;
        return *text != '\0';
    case OPTION_LIST:
        return *text != '\0' && add_to_list(field, text);
    case OPTION_CHOICE:
        return read_choice(entry, text, field);
    case OPTION_CHOICES:
        return read_choices(entry, text, field);
    case OPTION_COUNT:
        return read_count(entry, text, field);
    case OPTION_COUNTS:
        return read_counts(entry, text, field);
    case OPTION_PAGE: {
        uint32_t *page = field;

        return read_count(entry, text, page) && (*page & (*page - 1)) == 0;
    }
    case OPTION_SEED:
        return parse_count(text, field);
    case OPTION_REAL:
    case OPTION_REAL_UP_TO:
    case OPTION_REAL_FROM:
        return read_real(entry, text, field);
    case OPTION_REALS:
        return read_reals(entry, text, field);
    case OPTION_SHARE:
        return read_share(entry, text, field);
    }
    return false;
}

static const option *find_option(const char *name, size_t length, int command, bool *out_elsewhere)
{
    *out_elsewhere = false;
    for (size_t i = 0; i < option_total; i++) {
        if (strlen(option_table[i].name) == length &&
            memcmp(option_table[i].name, name, length) == 0) {
            if (option_table[i].commands & command) {
                return &option_table[i];
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
           : command == COMMAND_EVAL   ? "eval"
           : command == COMMAND_BENCH  ? "bench"
                                       : "validate";
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
        .top_p = 0.9,
        .sink = {.count = 128},
        .window = {.count = 128},
        .top_k = {.is_fraction = true, .fraction = 0.02},
        .repeat = 9,
        .error_rows = 64,
        .q_heads = 32,
        .kv_heads = 8,
        .head_dim = 128,
        .logit_std = 1.0,
        .time_limit = 300.0,
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
            const bool none = i + 1 == argument_count || strncmp(arguments[i + 1], "--", 2) == 0;

            if (none && entry->kind == OPTION_MAYBE_TEXT) {
                out_options->given |= UINT64_C(1) << (entry - option_table);
                continue;
            }
            if (none) {
                return tool_fail(EXIT_BAD_INPUT, "option --%s: needs a value: %s", entry->name,
                                 allowed);
            }
            value = arguments[++i];
        }
        if (!read_value(entry, value, (char *)out_options + entry->offset)) {
            return tool_fail(EXIT_BAD_INPUT, "option --%s: '%s' must be %s", entry->name, value,
                             allowed);
        }
        out_options->given |= UINT64_C(1) << (entry - option_table);
    }
    return EXIT_DONE;
}

bool options_given(const tool_options *options, const char *name)
{
    for (size_t i = 0; i < option_total; i++) {
        if ((options->given >> i & 1) != 0 && strcmp(option_table[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void options_help(int command)
{
    for (size_t i = 0; i < option_total; i++) {
        const option *entry = &option_table[i];
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

double option_share_value(option_share share)
{
    return share.is_fraction ? share.fraction : share.count;
}

vsa_policy options_policy(const tool_options *options)
{
    vsa_policy policy = {
        .method = (vsa_method)options->method,
        .scorer = (vsa_scorer)options->scorer,
        .bound = (vsa_bound)options->bound,
        .target = (vsa_target)options->target,
        .on_miss = (vsa_miss_action)options->on_miss,
        .sink_tokens = options->sink.count,
        .sink_fraction = (float)options->sink.fraction,
        .window_tokens = options->window.count,
        .window_fraction = (float)options->window.fraction,
        .top_k = options->top_k.count,
        .top_k_fraction = (float)options->top_k.fraction,
        .top_p = (float)options->top_p,
        .max_samples = options->max_samples,
        .epsilon = (float)options->epsilon,
        .delta = (float)options->delta,
        .value_floor = (float)options->value_floor,
        .carry_budget = options->carry_budget,
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
