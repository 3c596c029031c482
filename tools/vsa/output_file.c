#include "output_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "tool.h"

int output_file_check(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (platform_path(path) == PLATFORM_PATH_DIRECTORY) {
        return tool_fail(EXIT_BAD_INPUT, "%s: cannot be created: is a directory", path);
    }
    if (!slash || slash == path) {
        return EXIT_DONE;
    }
    const size_t length = (size_t)(slash - path);
    char *parent = malloc(length + 1);

    if (!parent) {
        return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to write it", path);
    }
    memcpy(parent, path, length);
    parent[length] = '\0';

    int code = EXIT_DONE;
    const platform_path_kind kind = platform_path(parent);

    if (kind != PLATFORM_PATH_DIRECTORY) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: cannot be created: %s", path,
                         kind == PLATFORM_PATH_NONE ? strerror(errno) : "not in a directory");
    }
    free(parent);
    return code;
}

static void release(output_file *file)
{
    free(file->final_path);
    free(file->temporary);
    *file = (output_file){0};
}

int output_file_open(const char *path, output_file *out_file)
{
    char *final_path = platform_resolve(path);
    char *temporary = final_path ? malloc(strlen(final_path) + 32) : NULL;

    *out_file = (output_file){.path = path, .final_path = final_path, .temporary = temporary};
    if (!temporary) {
        release(out_file);
        return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to write it", path);
    }
    out_file->in_place = platform_path(final_path) == PLATFORM_PATH_OTHER;
    sprintf(temporary, "%s.%lu.tmp", final_path, platform_process_id());
    out_file->stream = out_file->in_place ? fopen(final_path, "wb") : platform_create(temporary);
    if (!out_file->stream) {
        const int error = errno;

        release(out_file);
        return tool_fail(EXIT_BAD_INPUT, "%s: cannot be created: %s", path, strerror(error));
    }
    return EXIT_DONE;
}

int output_file_commit(output_file *file)
{
    int code = EXIT_DONE;

    errno = 0;

    const bool written = fflush(file->stream) == 0 && !ferror(file->stream);
    const int write_error = errno;
    const bool closed = fclose(file->stream) == 0;

    file->stream = NULL;
    if (!written || !closed) {
        const int error = written ? errno : write_error;

        /* An error before the last flush leaves only the stream's flag. */
        code = tool_fail(EXIT_BAD_INPUT, "%s: cannot be written: %s", file->path,
                         error ? strerror(error) : "write error");
    } else if (!file->in_place && !platform_replace(file->temporary, file->final_path)) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: cannot be replaced: %s", file->path, strerror(errno));
    }
    if (code != EXIT_DONE && !file->in_place) {
        remove(file->temporary);
    }
    release(file);
    return code;
}

void output_file_discard(output_file *file)
{
    if (file->stream) {
        fclose(file->stream);
        if (!file->in_place) {
            remove(file->temporary);
        }
    }
    release(file);
}
