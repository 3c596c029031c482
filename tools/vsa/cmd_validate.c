/*
 * vsa validate: every kernel and variant on every device, against the reference in double
 * precision; or what their drivers' compilers make of them.
 */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "device.h"
#include "json.h"
#include "output_file.h"
#include "tool.h"
#include "validate_device.h"
#include "validate_html.h"
#include "validate_read.h"
#include "validate_summary.h"
#include "validate_table.h"

static bool contains(const char *text, const char *part)
{
    const size_t length = strlen(part);

    for (; *text; text++) {
        size_t i = 0;

        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) {
            i++;
        }
        if (i == length) {
            return true;
        }
    }
    return false;
}

/* As vsa_standalone_create_info::device, and "all". */
static bool is_wanted(const char *wanted, const vsa_device_info *device)
{
    if (!wanted || strcmp(wanted, "all") == 0) {
        return true;
    }
    if (wanted[strspn(wanted, "0123456789")] == '\0') {
        return strtoul(wanted, NULL, 10) == device->index;
    }
    return contains(device->name, wanted);
}

static bool prints_table(const tool_options *options)
{
    return !options_given(options, "json") || options->json_file;
}

static cJSON *make_root(void)
{
    cJSON *root = cJSON_CreateObject();
    const uint32_t version = vsa_version();
    const time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    char text[64];

    snprintf(text, sizeof text, "%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
    cJSON_AddStringToObject(root, "version", text);
    if (utc && strftime(text, sizeof text, "%Y-%m-%d", utc) > 0) {
        cJSON_AddStringToObject(root, "date", text);
    }
    cJSON_AddArrayToObject(root, "devices");
    return root;
}

static int run_all(const tool_options *options, cJSON *root)
{
    const bool table = prints_table(options);
    cJSON *list = cJSON_GetObjectItem(root, "devices");
    tool_device errors = {0};
    vsa_device_info *devices;
    uint32_t count;
    int code = device_list(&errors, &devices, &count);

    if (code != EXIT_DONE) {
        return code;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_wanted(options->device, &devices[i])) {
            continue;
        }
        if (table) {
            validate_table_begin(devices[i].name, devices[i].driver);
        }

        cJSON *device = validate_device(options, &devices[i], table ? validate_table_case : NULL);

        if (table) {
            validate_table_end(device);
        }
        cJSON_AddItemToArray(list, device);
    }
    if (count == 0) {
        code = tool_fail(EXIT_NO_DEVICE, "there is no Vulkan device: is a driver installed?");
    } else if (cJSON_GetArraySize(list) == 0) {
        code = tool_fail(EXIT_NO_DEVICE, "no device matches \"%s\", of %u", options->device, count);
    }
    free(devices);
    return code;
}

static void print_read(const cJSON *root)
{
    const cJSON *device, *entry;

    cJSON_ArrayForEach(device, cJSON_GetObjectItem(root, "devices"))
    {
        validate_table_begin(validate_text_of(device, "name"), validate_text_of(device, "driver"));
        cJSON_ArrayForEach(entry, cJSON_GetObjectItem(device, "cases"))
        {
            validate_table_case(entry);
        }
        validate_table_end(device);
    }
}

/* The exit code that the verdicts stand for, after one line when no device is usable. */
static int judge(const cJSON *root)
{
    const cJSON *device;
    char reasons[VALIDATE_SENTENCE_SIZE] = "no device";
    bool usable = false;

    cJSON_ArrayForEach(device, cJSON_GetObjectItem(root, "devices"))
    {
        const char *verdict = validate_text_of(device, "verdict");

        if (strcmp(verdict, VERDICT_FAILS) == 0) {
            return EXIT_CHECK_FAILED;
        }
        if (strcmp(verdict, device_verdict_name(VSA_VERDICT_CANNOT)) != 0) {
            usable = true;
        } else {
            validate_join(cJSON_GetObjectItem(device, "missing"), reasons, sizeof reasons);
        }
    }
    return usable ? EXIT_DONE : tool_fail(EXIT_NO_DEVICE, "no device is usable: %s", reasons);
}

/* Deletes the root. */
static int write_results(const tool_options *options, cJSON *root)
{
    int code = EXIT_DONE;

    if (options->html) {
        code = validate_html_write(root, options, options->html);
    }
    if (code != EXIT_DONE || !options_given(options, "json")) {
        cJSON_Delete(root);
        return code == EXIT_DONE ? tool_finish_output() : code;
    }
    return options->json_file ? json_write(root, options->json_file) : json_print(root);
}

static int check_options(const tool_options *options)
{
    const char *const outputs[] = {options->json_file, options->html};

    if (options->json_file && options->html && strcmp(options->json_file, options->html) == 0) {
        return tool_fail(EXIT_BAD_INPUT, "validate: options --json and --html name the same file");
    }
    if (options->read && (options->compile_only || options->cases || options->skip ||
                          options->device)) {
        return tool_fail(EXIT_BAD_INPUT, "validate: option --read runs nothing: --compile-only, "
                                         "--cases, --skip and --device are not for it");
    }
    if (options->cases && !validate_case_find(options->cases)) {
        return tool_fail(EXIT_BAD_INPUT, "option --cases: no case has '%s' in its name",
                         options->cases);
    }
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        const int code = outputs[i] ? output_file_check(outputs[i]) : EXIT_DONE;

        if (code != EXIT_DONE) {
            return code;
        }
    }
    return EXIT_DONE;
}

int command_validate(const tool_options *options)
{
    int code = check_options(options);

    if (code != EXIT_DONE) {
        return code;
    }

    cJSON *root = make_root();

    code = options->read ? validate_read(options->read, cJSON_GetObjectItem(root, "devices"))
                         : run_all(options, root);
    if (code != EXIT_DONE) {
        cJSON_Delete(root);
        return code;
    }
    if (options->read && prints_table(options)) {
        print_read(root);
    }

    cJSON *copy = cJSON_Duplicate(root, 1);

    code = write_results(options, root);
    if (code == EXIT_DONE) {
        code = judge(copy);
    }
    cJSON_Delete(copy);
    return code;
}
