#include "validate_read.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "tool.h"

/* The whole file and a terminating zero; NULL after one line on standard error. */
static char *read_file(const char *path)
{
    const uint64_t limit = UINT64_C(1) << 30;
    FILE *stream = fopen(path, "rb");
    uint64_t size = 0;
    char *text = NULL;

    if (!stream) {
        tool_fail(EXIT_BAD_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    if (!platform_file_size(stream, &size) || size > limit ||
        !(text = malloc((size_t)size + 1)) || !platform_file_seek(stream, 0) ||
        fread(text, 1, (size_t)size, stream) != size) {
        tool_fail(EXIT_BAD_INPUT, "%s: cannot be read", path);
        free(text);
        text = NULL;
    } else {
        text[size] = '\0';
    }
    fclose(stream);
    return text;
}

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

/* Takes the array's objects out of it. */
static bool move_devices(cJSON *from, cJSON *to)
{
    cJSON *device;

    if (!cJSON_IsArray(from)) {
        return false;
    }
    while ((device = cJSON_DetachItemFromArray(from, 0))) {
        cJSON_AddItemToArray(to, device);
    }
    return true;
}

int validate_read(const char *path, struct cJSON *devices)
{
    char *text = read_file(path);
    int code = EXIT_DONE;

    if (!text) {
        return EXIT_BAD_INPUT;
    }
    for (const char *at = skip_space(text); *at && code == EXIT_DONE; at = skip_space(at)) {
        cJSON *object = cJSON_ParseWithOpts(at, &at, 0);

        if (!object || !move_devices(cJSON_GetObjectItem(object, "devices"), devices)) {
            code = tool_fail(EXIT_BAD_INPUT, "%s: is not what 'vsa validate --json' writes", path);
        }
        cJSON_Delete(object);
    }
    free(text);
    return code;
}
