#include "validate_html.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "html.h"
#include "output_file.h"
#include "tool.h"
#include "validate_summary.h"

/* A name that is in no device before the `before`-th. */
static bool is_first(const cJSON *devices, int before, const char *list, const char *key,
                     const char *name, const cJSON *stop)
{
    for (int d = 0; d <= before; d++) {
        const cJSON *item;

        cJSON_ArrayForEach(item, cJSON_GetObjectItem(cJSON_GetArrayItem(devices, d), list))
        {
            if (item == stop) {
                return true;
            }
            if (strcmp(validate_text_of(item, key), name) == 0) {
                return false;
            }
        }
    }
    return true;
}

static const cJSON *find_case(const cJSON *device, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(device, "cases"))
    {
        if (strcmp(validate_text_of(item, "name"), name) == 0) {
            return item;
        }
    }
    return NULL;
}

static void write_word(FILE *stream, const char *text, bool flag)
{
    fprintf(stream, "<td class=\"word%s\">", flag ? " flag" : "");
    html_text(stream, text);
    fputs("</td>", stream);
}

/* ---- one row a device */

static void write_devices(FILE *stream, const cJSON *devices)
{
    const cJSON *device;
    int number = 1;

    fputs("<h2>Devices</h2>\n<div class=\"table\"><table>\n<tr><th>#</th><th class=\"word\">Device"
          "</th><th class=\"word\">Driver</th><th>Vulkan</th><th class=\"word\">Result</th></tr>\n",
          stream);
    cJSON_ArrayForEach(device, devices)
    {
        char sentence[VALIDATE_SENTENCE_SIZE];
        const char *verdict = validate_text_of(device, "verdict");

        validate_sentence(device, sentence);
        fprintf(stream, "<tr><td>%d</td>", number++);
        write_word(stream, validate_text_of(device, "name"), false);
        write_word(stream, validate_text_of(device, "driver"), false);
        write_word(stream, validate_text_of(device, "vulkan"), false);
        write_word(stream, sentence,
                   strcmp(verdict, "fails") == 0 || strcmp(verdict, "cannot") == 0);
        fputs("</tr>\n", stream);
    }
    fputs("</table></div>\n", stream);
}

static void write_column_numbers(FILE *stream, const char *first, int count)
{
    fprintf(stream, "<div class=\"table\"><table>\n<tr><th class=\"word\">%s</th>", first);
    for (int i = 1; i <= count; i++) {
        fprintf(stream, "<th>%d</th>", i);
    }
    fputs("</tr>\n", stream);
}

/* ---- cases by devices */

static void write_case_cell(FILE *stream, const cJSON *entry)
{
    const char *status = validate_text_of(entry, "status");
    const double error = validate_number_of(entry, "error");

    if (strcmp(status, "failed") == 0) {
        fputs("<td class=\"flag\" title=\"", stream);
        html_text(stream, validate_text_of(entry, "detail"));
        fputs("\">failed</td>", stream);
    } else if (strcmp(status, "passed") != 0) {
        fputs(entry ? "<td>skipped</td>" : "<td></td>", stream);
    } else if (isnan(error)) {
        fputs("<td>compiles</td>", stream);
    } else {
        fprintf(stream, "<td title=\"%.3f ms\">%.1e</td>", validate_number_of(entry, "gpu_ms"),
                error);
    }
}

static void write_cases(FILE *stream, const cJSON *devices)
{
    const int count = cJSON_GetArraySize(devices);

    fputs("<h2>Cases</h2>\n<p>The largest relative difference from the reference in double "
          "precision. A case passes when that is within the tolerance of f32 sums, the draws are "
          "those of the reference, certificates hold, and the same step run again gives the same "
          "bits.</p>\n",
          stream);
    write_column_numbers(stream, "Case", count);
    for (int d = 0; d < count; d++) {
        const cJSON *item;

        cJSON_ArrayForEach(item, cJSON_GetObjectItem(cJSON_GetArrayItem(devices, d), "cases"))
        {
            const char *name = validate_text_of(item, "name");

            if (!is_first(devices, d, "cases", "name", name, item)) {
                continue;
            }
            fputs("<tr>", stream);
            write_word(stream, name, false);
            for (int i = 0; i < count; i++) {
                write_case_cell(stream, find_case(cJSON_GetArrayItem(devices, i), name));
            }
            fputs("</tr>\n", stream);
        }
    }
    fputs("</table></div>\n", stream);
}

static void write_failures(FILE *stream, const cJSON *devices)
{
    const cJSON *device, *entry;
    int number = 0;
    bool any = false;

    cJSON_ArrayForEach(device, devices)
    {
        number++;
        cJSON_ArrayForEach(entry, cJSON_GetObjectItem(device, "cases"))
        {
            if (strcmp(validate_text_of(entry, "status"), "failed") != 0) {
                continue;
            }
            fputs(any ? "<tr>" : "<h2>Failures</h2>\n<div class=\"table\"><table>\n<tr>", stream);
            any = true;
            fprintf(stream, "<td>%d</td>", number);
            write_word(stream, validate_text_of(entry, "name"), false);
            write_word(stream, validate_text_of(entry, "detail"), true);
            fputs("</tr>\n", stream);
        }
    }
    if (any) {
        fputs("</table></div>\n", stream);
    }
}

/* ---- kernels by devices */

static void write_kernel_cell(FILE *stream, const cJSON *device, const char *kernel)
{
    double worst[PIPELINE_NUMBERS];

    for (int i = 0; i < PIPELINE_NUMBERS; i++) {
        worst[i] = validate_kernel_worst(device, kernel, (pipeline_number)i);
    }
    if (isnan(worst[PIPELINE_REGISTERS]) && isnan(worst[PIPELINE_SPILLS])) {
        fputs("<td></td>", stream);
        return;
    }

    const bool flag = worst[PIPELINE_SPILLS] > 0 || worst[PIPELINE_SCRATCH] > 0;

    fprintf(stream, "<td%s title=\"spills %.0f, scratch %.0f, shared %.0f, instructions %.0f\">",
            flag ? " class=\"flag\"" : "", worst[PIPELINE_SPILLS], worst[PIPELINE_SCRATCH],
            worst[PIPELINE_SHARED], worst[PIPELINE_INSTRUCTIONS]);
    if (isnan(worst[PIPELINE_WAVES])) {
        fprintf(stream, "%.0f", worst[PIPELINE_REGISTERS]);
    } else {
        fprintf(stream, "%.0f / %.0f", worst[PIPELINE_REGISTERS], worst[PIPELINE_WAVES]);
    }
    fputs(flag ? " spills</td>" : "</td>", stream);
}

static double time_of(const cJSON *device, const char *kernel)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(device, "kernels"))
    {
        if (strcmp(validate_text_of(item, "kernel"), kernel) == 0) {
            return validate_number_of(item, "ms");
        }
    }
    return NAN;
}

static void write_time_cell(FILE *stream, const cJSON *device, const char *kernel)
{
    const double ms = time_of(device, kernel);

    fprintf(stream, isnan(ms) ? "<td></td>" : "<td>%.3f</td>", ms);
}

/* A row for each kernel that `list` of any device names, a column for each device. */
static void write_by_kernel(FILE *stream, const cJSON *devices, const char *list,
                            const char *heading,
                            void (*write_cell)(FILE *stream, const cJSON *device,
                                               const char *kernel))
{
    const int count = cJSON_GetArraySize(devices);
    bool any = false;

    for (int d = 0; d < count; d++) {
        const cJSON *item;

        cJSON_ArrayForEach(item, cJSON_GetObjectItem(cJSON_GetArrayItem(devices, d), list))
        {
            const char *kernel = validate_text_of(item, "kernel");

            if (!is_first(devices, d, list, "kernel", kernel, item)) {
                continue;
            }
            if (!any) {
                fputs(heading, stream);
                write_column_numbers(stream, "Kernel", count);
                any = true;
            }
            fputs("<tr>", stream);
            write_word(stream, kernel, false);
            for (int i = 0; i < count; i++) {
                write_cell(stream, cJSON_GetArrayItem(devices, i), kernel);
            }
            fputs("</tr>\n", stream);
        }
    }
    if (any) {
        fputs("</table></div>\n", stream);
    }
}

int validate_html_write(const struct cJSON *root, const tool_options *options, const char *path)
{
    const cJSON *devices = cJSON_GetObjectItem(root, "devices");
    output_file file;
    int code = output_file_open(path, &file);

    if (code != EXIT_DONE) {
        return code;
    }
    html_begin(file.stream, "vsa validate");
    html_facts_begin(file.stream);
    html_run_facts(file.stream, "validate", options, NULL);
    html_facts_end(file.stream);
    write_devices(file.stream, devices);
    write_failures(file.stream, devices);
    write_cases(file.stream, devices);
    write_by_kernel(file.stream, devices, "kernels",
                    "<h2>Times</h2>\n<p>Milliseconds of each kernel, summed over all cases that "
                    "passed: small contexts, where what a dispatch costs shows as much as the "
                    "work.</p>\n",
                    write_time_cell);
    write_by_kernel(file.stream, devices, "pipelines",
                    "<h2>Kernels</h2>\n<p>What the driver's compiler made of each kernel, the "
                    "worst over all cases: registers, and subgroups that run side by side where "
                    "the driver tells.</p>\n",
                    write_kernel_cell);
    html_end(file.stream);
    return output_file_commit(&file);
}
