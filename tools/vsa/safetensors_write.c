#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "safetensors.h"
#include "tool.h"

static uint64_t data_size(const safetensors_output *tensor)
{
    uint64_t size = tensor->element_size;

    for (uint32_t d = 0; d < tensor->rank; d++) {
        size *= tensor->shape[d];
    }
    return size;
}

/* The header's JSON, or NULL when memory is out. Freed with cJSON_free. */
static char *make_header(const safetensors_output *tensors, size_t tensor_count,
                         const char *const (*metadata)[2], size_t metadata_count)
{
    cJSON *header = cJSON_CreateObject();
    cJSON *pairs = cJSON_AddObjectToObject(header, "__metadata__");
    uint64_t offset = 0;
    bool good = header && pairs;

    for (size_t i = 0; i < metadata_count && good; i++) {
        good = cJSON_AddStringToObject(pairs, metadata[i][0], metadata[i][1]) != NULL;
    }
    for (size_t i = 0; i < tensor_count && good; i++) {
        cJSON *entry = cJSON_AddObjectToObject(header, tensors[i].name);

        good = cJSON_AddStringToObject(entry, "dtype", tensors[i].dtype_name) != NULL;

        cJSON *shape = cJSON_AddArrayToObject(entry, "shape");

        for (uint32_t d = 0; d < tensors[i].rank && good; d++) {
            good = cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensors[i].shape[d]));
        }
        cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");

        good = good && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)offset));
        offset += data_size(&tensors[i]);
        good = good && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)offset));
    }
    char *text = good ? cJSON_PrintUnformatted(header) : NULL;

    cJSON_Delete(header);
    return text;
}

static bool write_stream(FILE *stream, const char *header, const safetensors_output *tensors,
                         size_t tensor_count)
{
    const size_t length = strlen(header);
    const size_t padded = (length + 7) / 8 * 8;
    unsigned char prefix[8];
    bool good;

    for (size_t i = 0; i < sizeof prefix; i++) {
        prefix[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    }
    good = fwrite(prefix, 1, sizeof prefix, stream) == sizeof prefix &&
           fwrite(header, 1, length, stream) == length &&
           fwrite("        ", 1, padded - length, stream) == padded - length;
    for (size_t i = 0; i < tensor_count && good; i++) {
        const size_t size = (size_t)data_size(&tensors[i]);

        good = size == 0 || fwrite(tensors[i].data, 1, size, stream) == size;
    }
    return good && fflush(stream) == 0;
}

int safetensors_write(const char *path, const safetensors_output *tensors, size_t tensor_count,
                      const char *const (*metadata)[2], size_t metadata_count)
{
    char *header = make_header(tensors, tensor_count, metadata, metadata_count);
    char *final_path = platform_resolve(path);
    char *temporary = final_path ? malloc(strlen(final_path) + 32) : NULL;
    FILE *stream = NULL;
    int code = EXIT_DONE;
    bool good;

    if (!header || !final_path || !temporary) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to write it", path);
        goto done;
    }
    /* A device or a pipe must be written to, not replaced. */
    const bool in_place = platform_path(final_path) == PLATFORM_PATH_OTHER;

    sprintf(temporary, "%s.%lu.tmp", final_path, platform_process_id());
    stream = fopen(in_place ? final_path : temporary, in_place ? "wb" : "wbx");
    if (!stream) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: cannot be created: %s", path, strerror(errno));
        goto done;
    }
    good = write_stream(stream, header, tensors, tensor_count);

    const int write_error = errno;
    const bool closed = fclose(stream) == 0;

    if (!good || !closed) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: cannot be written: %s", path,
                         strerror(good ? errno : write_error));
    } else if (!in_place && rename(temporary, final_path) != 0) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: cannot be replaced: %s", path, strerror(errno));
    }
    if (code != EXIT_DONE && !in_place) {
        remove(temporary);
    }

done:
    cJSON_free(header);
    free(final_path);
    free(temporary);
    return code;
}

int safetensors_check_output(const char *path)
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
