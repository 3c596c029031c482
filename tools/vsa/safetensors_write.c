#include <cjson/cJSON.h>
#include <stdbool.h>
#include <string.h>

#include "output_file.h"
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

/* What cannot be written shows in the stream's error flag. */
static void write_stream(FILE *stream, const char *header, const safetensors_output *tensors,
                         size_t tensor_count)
{
    const size_t length = strlen(header);
    const size_t padded = (length + 7) / 8 * 8;
    unsigned char prefix[8];

    for (size_t i = 0; i < sizeof prefix; i++) {
        prefix[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    }
    fwrite(prefix, 1, sizeof prefix, stream);
    fwrite(header, 1, length, stream);
    fwrite("        ", 1, padded - length, stream);
    for (size_t i = 0; i < tensor_count && !ferror(stream); i++) {
        fwrite(tensors[i].data, 1, (size_t)data_size(&tensors[i]), stream);
    }
}

int safetensors_write(const char *path, const safetensors_output *tensors, size_t tensor_count,
                      const char *const (*metadata)[2], size_t metadata_count)
{
    char *header = make_header(tensors, tensor_count, metadata, metadata_count);
    output_file file = {0};
    int code;

    if (!header) {
        return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to write it", path);
    }
    if ((code = output_file_open(path, &file)) == EXIT_DONE) {
        write_stream(file.stream, header, tensors, tensor_count);
        code = output_file_commit(&file);
    }
    cJSON_free(header);
    return code;
}
