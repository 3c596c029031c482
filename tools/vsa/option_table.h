/*
 * option_table.h - what the options of the command line are; options.h reads a command line with it.
 */
#ifndef VSA_TOOL_OPTION_TABLE_H
#define VSA_TOOL_OPTION_TABLE_H

#include <stddef.h>

#include "options.h"

typedef struct option_choice {
    const char *name; /* NULL ends a list */
    int value;
} option_choice;

typedef enum option_kind {
    OPTION_FLAG,       /* bool, no value */
    OPTION_TEXT,       /* const char *, not empty */
    OPTION_MAYBE_TEXT, /* the same, or nothing: options_given tells that from its absence */
    OPTION_LIST,       /* option_list: texts, one for every time that the option is given */
    OPTION_CHOICE,     /* int, one of `choices` */
    OPTION_CHOICES,    /* option_enums: several of `choices` with commas between them */
    OPTION_COUNT,      /* uint32_t in [low, high] */
    OPTION_COUNTS,     /* option_counts: the same, several; K and M stand for 2^10 and 2^20 */
    OPTION_PAGE,       /* uint32_t, 0 or a power of two up to `high` */
    OPTION_SEED,       /* uint64_t */
    OPTION_REAL,       /* double above `low` and below `high`, also as f32 */
    OPTION_REAL_UP_TO, /* the same, `high` included */
    OPTION_REAL_FROM,  /* double in [low, high] */
    OPTION_REALS,      /* option_reals: OPTION_REAL, several with commas between them */
    OPTION_SHARE       /* option_share: a count in [low, high] or a fraction of up to 1 */
} option_kind;

typedef struct option {
    const char *name;  /* without the dashes */
    const char *value; /* for --help; NULL for a flag or a choice */
    option_kind kind;
    size_t offset; /* of the field in tool_options */
    double low, high;
    const option_choice *choices;
    int commands; /* COMMAND_* bits */
    const char *help;
} option;

/* One entry per option, and per command where their meaning differs. */
extern const option option_table[];
extern const size_t option_total; /* at most 64: tool_options.given has a bit for every entry */

#endif
