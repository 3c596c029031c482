/*
 * recall - what a model recalls of a long context when it decodes through vsa, beside dense.
 *
 *   recall calibrate OPTIONS   the parameter of each method at which it reads 5, 10 and 20%
 *   recall run OPTIONS         questions, under every configuration
 *   recall check OPTIONS       whether answers are the same in a batch as alone; --questions N of
 *                              each length
 *   recall table --folder F    markdown of what is in the folder
 *   recall prompt OPTIONS      a context of that length and a question about it; the answer is
 *                              printed on stderr
 *
 * Options: --model FILE, --plugin FILE (none: dense alone), --folder F (for results: one file per
 * unit of work; what is there is not done again), --lengths N,N, --questions N (of each kind and
 * length), --part I/N (of the work, so that several can run at once), --threads N.
 *
 * The exit code is 2 for wrong arguments and files, 3 when llama.cpp or the plugin fails.
 */
#include "recall.h"
#include "fail.h"
#include "table.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_QUESTIONS = 100000, MAX_LENGTH = 1 << 20, MAX_PARTS = 64 };

typedef struct recall_options {
    const char *command, *model, *plugin;
    int         thread_count;
    recall_work recall;
} recall_options;

static uint32_t parse_count(const char *name, const char *text, uint32_t low, uint32_t high,
                            const char **out_end)
{
    char *end = NULL;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || errno || *text == '-' || value < low || value > high) {
        fail(EXIT_USAGE, "%s is %s, must be a number from %u to %u", name, text, low, high);
    }
    *out_end = end;
    return (uint32_t)value;
}

static uint32_t parse_whole(const char *name, const char *text, uint32_t low, uint32_t high)
{
    const char *end;
    const uint32_t value = parse_count(name, text, low, high, &end);
    if (*end) {
        fail(EXIT_USAGE, "%s is %s, must be a number from %u to %u", name, text, low, high);
    }
    return value;
}

static void parse_lengths(const char *text, recall_work *out)
{
    out->length_count = 0;
    do {
        if (out->length_count == RECALL_MAX_LENGTHS) {
            fail(EXIT_USAGE, "--lengths has more than %d", RECALL_MAX_LENGTHS);
        }
        out->lengths[out->length_count++] = parse_count("--lengths", text, 256, MAX_LENGTH, &text);
    } while (*text++ == ',');
    if (text[-1]) {
        fail(EXIT_USAGE, "--lengths holds '%s', must be numbers with commas between", text - 1);
    }
}

static void parse_part(const char *text, recall_work *out)
{
    const char *end;
    out->part = parse_count("--part", text, 0, MAX_PARTS - 1, &end);
    if (*end != '/') {
        fail(EXIT_USAGE, "--part is %s, must be I/N", text);
    }
    out->part_count = parse_whole("--part", end + 1, out->part + 1, MAX_PARTS);
}

static void parse_option(recall_options *out, const char *name, const char *value)
{
    if (strcmp(name, "--model") == 0) {
        out->model = value;
    } else if (strcmp(name, "--plugin") == 0) {
        out->plugin = value;
    } else if (strcmp(name, "--folder") == 0) {
        out->recall.folder = value;
    } else if (strcmp(name, "--lengths") == 0) {
        parse_lengths(value, &out->recall);
    } else if (strcmp(name, "--questions") == 0) {
        out->recall.questions = parse_whole(name, value, 1, MAX_QUESTIONS);
    } else if (strcmp(name, "--part") == 0) {
        parse_part(value, &out->recall);
    } else if (strcmp(name, "--threads") == 0) {
        out->thread_count = (int)parse_whole(name, value, 1, 256);
    } else {
        fail(EXIT_USAGE, "unknown option %s", name);
    }
}

static recall_options parse(int count, char **arguments)
{
    recall_options parsed = {
        .thread_count = 1,
        .recall = { .lengths = { 1024, 2048, 4096 }, .length_count = 3, .questions = 200,
                    .part_count = 1 },
    };
    if (count < 2) {
        fail(EXIT_USAGE, "recall needs a command: calibrate, run, check, table or prompt");
    }
    parsed.command = arguments[1];
    for (int i = 2; i < count; i += 2) {
        if (i + 1 == count) {
            fail(EXIT_USAGE, "%s needs a value", arguments[i]);
        }
        parse_option(&parsed, arguments[i], arguments[i + 1]);
    }
    const int has_files = strcmp(parsed.command, "prompt") != 0 &&
                          strcmp(parsed.command, "check") != 0;
    if (!parsed.recall.folder && has_files) {
        fail(EXIT_USAGE, "recall %s needs --folder", parsed.command);
    }
    return parsed;
}

/* ------------------------------------------------------------------ table */

typedef struct recall_results {
    recall_rows rows;
    recall_setting  settings[RECALL_MAX_LENGTHS * SETTING_COUNT];
    size_t   setting_count;
} recall_results;

static int has_form(const char *name, const char *start)
{
    const size_t size = strlen(name);
    return strncmp(name, start, strlen(start)) == 0 && size > 4 &&
           strcmp(name + size - 4, ".csv") == 0;
}

static void read_result(recall_results *out, const char *folder, const char *name)
{
    char path[RECALL_PATH_SIZE], sentence[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (has_form(name, "rows-") && !row_list_read(&out->rows, path, sentence)) {
        fail(EXIT_USAGE, "%s", sentence);
    }
    if (has_form(name, "setting-")) {
        if (out->setting_count == RECALL_MAX_LENGTHS * SETTING_COUNT) {
            fail(EXIT_USAGE, "%s holds calibrations of more than %d lengths", folder,
                 RECALL_MAX_LENGTHS);
        }
        if (!setting_read(&out->settings[out->setting_count++], path, sentence)) {
            fail(EXIT_USAGE, "%s", sentence);
        }
    }
}

static void write_table(const char *folder)
{
    recall_results *found = allocate(1, sizeof(*found));
    DIR *directory = opendir(folder);
    if (!directory) {
        fail(EXIT_USAGE, "%s: %s", folder, strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        read_result(found, folder, entry->d_name);
    }
    closedir(directory);
    if (!table_write(stdout, &found->rows, found->settings, found->setting_count)) {
        fail(EXIT_USAGE, "%s holds no rows", folder);
    }
    row_list_free(&found->rows);
    free(found);
}

/* ------------------------------------------------------------------ prompt */

static void write_prompt(const recall_work *recall)
{
    recall_task task;
    char question[TASK_FACT_SIZE + 16];
    char *text = asking_text(&recall->engine, recall->lengths[0], TASK_MIXED, 0, &task);
    task_prompt(&task.questions[0], question);
    printf("%s%s", text, question);
    fprintf(stderr, "the answer is%s\n", task.questions[0].answer);
    free(text);
}

/* ------------------------------------------------------------------ main */

static uint32_t longest(const recall_work *recall)
{
    uint32_t length = 0;
    for (uint32_t i = 0; i < recall->length_count; i++) {
        length = recall->lengths[i] > length ? recall->lengths[i] : length;
    }
    return length;
}

static void start(recall_options *options)
{
    recall_work *recall = &options->recall;
    if (!options->model) {
        fail(EXIT_USAGE, "recall %s needs --model", options->command);
    }
    const uint32_t length = longest(recall);
    recall->engine = engine_open(options->model, length, length + TASK_QUESTIONS * ASKING_ROOM,
                                 options->thread_count);
    recall->has_plugin = options->plugin != NULL;
    if (recall->has_plugin) {
        recall->plugin = plugin_load(options->plugin);
        plugin_set(&recall->plugin, "min_tokens", "0");
        engine_add_sparse(&recall->engine);
    }
}

int main(int count, char **arguments)
{
    recall_options options = parse(count, arguments);
    if (strcmp(options.command, "prompt") == 0) {
        start(&options);
        write_prompt(&options.recall);
        engine_close(&options.recall.engine);
    } else if (strcmp(options.command, "table") == 0) {
        write_table(options.recall.folder);
    } else if (strcmp(options.command, "run") == 0) {
        start(&options);
        recall_run(&options.recall);
        engine_close(&options.recall.engine);
    } else if (strcmp(options.command, "check") == 0) {
        start(&options);
        recall_check(&options.recall);
        engine_close(&options.recall.engine);
    } else if (strcmp(options.command, "calibrate") == 0) {
        start(&options);
        if (!options.recall.has_plugin) {
            fail(EXIT_USAGE, "recall calibrate needs --plugin");
        }
        recall_calibrate(&options.recall);
        engine_close(&options.recall.engine);
    } else {
        fail(EXIT_USAGE, "unknown command %s: calibrate, run, check, table or prompt",
             options.command);
    }
    return 0;
}
