/*
 * vsa: the command-line tool of the library of that name.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "synthetic.h"
#include "tool.h"

typedef struct command {
    const char *name;
    int bit;
    int (*run)(const tool_options *options);
    const char *usage, *help;
} command;

static const command commands[] = {
    {"devices", COMMAND_DEVICES, command_devices, "vsa devices [--json]",
     "Lists the Vulkan devices, whether vsa works on them, and what they lack."},
    {"attend", COMMAND_ATTEND, command_attend, "vsa attend --input FILE --output FILE [options]",
     "Attends with every query of a file, once, and writes results and certificates. Query j of m\n"
     "attends to the first tokens - m + 1 + j tokens."},
    {"decode", COMMAND_DECODE, command_decode,
     "vsa decode [--trace FILE | --synthetic SPEC] [options]",
     "Replays a decode token by token: append a row, attend, compare with dense attention."},
    {"eval", COMMAND_EVAL, command_eval, "vsa eval [--input FILE | --synthetic SPEC ...] [options]",
     "Every query once by every method, scorer, bound and target over a sweep of epsilon,\n"
     "top-k or top-p, each row compared with dense attention. --method, --scorer, --bound,\n"
     "--target, --epsilon, --top-k and --top-p narrow the sweep to one value; scorers other\n"
     "than exact are swept with target output only, unless --scorer names one. Without input:\n"
     "a built-in set.\n"
     "\n"
     "With --density each method is moved, topk by its k, topp by its p, the others by\n"
     "epsilon, until the tokens read are that part of all tokens, to 2%. What the command\n"
     "line leaves open is made to fit: sink, window and base sample are a sixteenth each of\n"
     "the tokens to read, the top-k of vattention is three eighths of them; scorer exact, bound clt,\n"
     "target output. Tables at the end compare the methods."},
    {"bench", COMMAND_BENCH, command_bench, "vsa bench [--tokens N,...] [options]",
     "Times one step of decode (one new token, one layer) by every method and scorer at several\n"
     "lengths, dense attention beside them, and states density, certified and actual error."},
    {"validate", COMMAND_VALIDATE, command_validate, "vsa validate [--device all] [options]",
     "Runs every kernel and variant on every device, compares the results with double precision\n"
     "and with their own repetition, and says for each device whether it works, works on a\n"
     "slower path, fails, or what it lacks."},
};

enum { COMMAND_TOTAL = sizeof commands / sizeof commands[0] };

static int print_help(void)
{
    printf("vsa - verified sparse attention on Vulkan\n\n");
    for (int i = 0; i < COMMAND_TOTAL; i++) {
        printf("%s\n%s\n\n", commands[i].usage, commands[i].help);
    }
    printf("vsa COMMAND --help\nLists the options of a command.\n\n"
           "vsa --version\nPrints the version.\n\n"
           "Exit codes: 0 done; 1 done, but a case of validate failed, or a guarantee was missed\n"
           "under --strict-exit; 2 usage or bad input; 3 no usable device, or a Vulkan error.\n");
    return tool_finish_output();
}

static int print_command_help(const command *entry)
{
    printf("%s\n\n%s\n\nOptions:\n", entry->usage, entry->help);
    options_help(entry->bit);
    if (entry->bit & (COMMAND_DECODE | COMMAND_EVAL)) {
        printf("\n");
        synthetic_help();
    }
    return tool_finish_output();
}

static int print_version(void)
{
    const uint32_t version = vsa_version();

    printf("vsa %u.%u.%u\n", version >> 16, version >> 8 & 0xff, version & 0xff);
    return tool_finish_output();
}

static int run_command(const command *entry, int argument_count, char *const *arguments)
{
    tool_options options;
    const int code = options_parse(&options, entry->bit, argument_count, arguments);

    if (code != EXIT_DONE) {
        return code;
    }
    return options.help ? print_command_help(entry) : entry->run(&options);
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 2) {
        return tool_fail(EXIT_BAD_INPUT, "no command; 'vsa --help' lists them");
    }
    const char *name = arguments[1];

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        return print_help();
    }
    if (strcmp(name, "--version") == 0) {
        return print_version();
    }
    for (int i = 0; i < COMMAND_TOTAL; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return run_command(&commands[i], argument_count - 2, arguments + 2);
        }
    }
    return tool_fail(EXIT_BAD_INPUT, "unknown command '%s'; 'vsa --help' lists them", name);
}
