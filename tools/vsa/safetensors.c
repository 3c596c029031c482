#include "safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "rounding.h"
#include "tool.h"

enum { MAX_HEADER_SIZE = 100 * 1000 * 1000, READ_SIZE = 1 << 16 };

typedef struct dtype_entry {
    const char *name;
    uint32_t bits;
    vsa_dtype dtype; /* 0: the tool does not read it */
} dtype_entry;

static const dtype_entry dtypes[] = {
    {"BOOL", 8, 0},
    {"U8", 8, 0},
    {"I8", 8, 0},
    {"F8_E5M2", 8, 0},
    {"F8_E4M3", 8, 0},
    {"F8_E8M0", 8, 0},
    {"F4", 4, 0},
    {"F6_E2M3", 6, 0},
    {"F6_E3M2", 6, 0},
    {"I16", 16, 0},
    {"U16", 16, 0},
    {"I32", 32, 0},
    {"U32", 32, 0},
    {"I64", 64, 0},
    {"U64", 64, 0},
    {"F64", 64, 0},
    {"C64", 64, 0},
    {"F16", 16, VSA_DTYPE_F16},
    {"BF16", 16, VSA_DTYPE_BF16},
    {"F32", 32, VSA_DTYPE_F32},
};

/* --------------------------------------------------------------------- header */

/* JSON is UTF-8 (RFC 8259, section 8.1); cJSON does not look. */
static bool is_utf8(const unsigned char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        const unsigned char lead = text[i++];
        uint32_t more, code;

        if (lead < 0x80) {
            continue;
        }
        if (lead >= 0xc2 && lead < 0xe0) {
            more = 1, code = lead & 0x1fu;
        } else if (lead >= 0xe0 && lead < 0xf0) {
            more = 2, code = lead & 0x0fu;
        } else if (lead >= 0xf0 && lead < 0xf5) {
            more = 3, code = lead & 0x07u;
        } else {
            return false;
        }
        const uint32_t least = more == 1 ? 0x80u : more == 2 ? 0x800u : 0x10000u;

        for (uint32_t j = 0; j < more; j++, i++) {
            if (i == size || (text[i] & 0xc0) != 0x80) {
                return false;
            }
            code = code << 6 | (text[i] & 0x3fu);
        }
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            return false;
        }
    }
    return true;
}

/* A NUL, raw or escaped, would end a C string early and make two names look alike. */
static bool has_nul(const char *text, size_t size)
{
    if (memchr(text, 0, size)) {
        return true;
    }
    for (size_t i = 0; i + 1 < size; i++) {
        if (text[i] != '\\') {
            continue;
        }
        if (size - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0) {
            return true;
        }
        i++;
    }
    return false;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t child_count(const cJSON *object)
{
    size_t count = 0;

    for (const cJSON *c = object->child; c; c = c->next) {
        count++;
    }
    return count;
}

/* Sets *out_name to a key that occurs twice, or NULL. False when memory is out. */
static bool find_duplicate(const cJSON *object, const char **out_name)
{
    const size_t count = child_count(object);

    *out_name = NULL;
    if (count < 2) {
        return true;
    }
    const char **names = malloc(count * sizeof *names);
    size_t i = 0;

    if (!names) {
        return false;
    }
    for (const cJSON *c = object->child; c; c = c->next) {
        names[i++] = c->string;
    }
    qsort(names, count, sizeof *names, compare_text);
    for (i = 1; i < count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            *out_name = names[i];
            break;
        }
    }
    free(names);
    return true;
}

static int out_of_memory(const safetensors_file *file)
{
    return tool_fail(EXIT_BAD_INPUT, "%s: not enough memory to read it", file->path);
}

static int bad_tensor(const safetensors_file *file, const char *name, const char *what)
{
    return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': %s", file->path, name, what);
}

/* A whole number from 0 to 2^53, the range in which a double is exact. */
static bool whole_number(const cJSON *item, uint64_t *out_value)
{
    *out_value = 0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0.0) ||
        !(item->valuedouble <= 9007199254740992.0) ||
        item->valuedouble != floor(item->valuedouble)) {
        return false;
    }
    *out_value = (uint64_t)item->valuedouble;
    return true;
}

static int read_tensor_entry(const safetensors_file *file, const cJSON *entry,
                             safetensors_tensor *tensor)
{
    const char *name = entry->string;
    const char *duplicate;

    *tensor = (safetensors_tensor){.name = name, .element_count = 1};
    if (!cJSON_IsObject(entry)) {
        return bad_tensor(file, name, "the header's entry is not an object");
    }
    if (!find_duplicate(entry, &duplicate)) {
        return out_of_memory(file);
    }
    if (duplicate) {
        return bad_tensor(file, name, "the header's entry has a key twice");
    }
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");

    if (!dtype || !shape || !offsets) {
        return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': %s is missing", file->path, name,
                         !dtype   ? "dtype"
                         : !shape ? "shape"
                                  : "data_offsets");
    }
    if (!cJSON_IsString(dtype)) {
        return bad_tensor(file, name, "dtype is not a string");
    }
    uint32_t bits = 0;

    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(dtypes[i].name, dtype->valuestring) == 0) {
            tensor->dtype_name = dtypes[i].name;
            tensor->dtype = dtypes[i].dtype;
            bits = dtypes[i].bits;
        }
    }
    if (bits == 0) {
        return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': unknown dtype '%s'", file->path, name,
                         dtype->valuestring);
    }
    if (!cJSON_IsArray(shape)) {
        return bad_tensor(file, name, "shape is not an array");
    }
    bool overflow = false, empty = false;

    for (const cJSON *c = shape->child; c; c = c->next) {
        uint64_t dimension;

        if (!whole_number(c, &dimension)) {
            return bad_tensor(file, name,
                              "shape has an entry that is not a whole number from 0 "
                              "to 2^53");
        }
        if (tensor->rank < SAFETENSORS_MAX_RANK) {
            tensor->shape[tensor->rank] = dimension;
        }
        tensor->rank++;
        empty = empty || dimension == 0;
        if (dimension != 0) {
            if (tensor->element_count > UINT64_MAX / 64 / dimension) {
                overflow = true;
                tensor->element_count = 1;
            }
            tensor->element_count *= dimension;
        }
    }
    if (empty) {
        tensor->element_count = 0;
    } else if (overflow) {
        return bad_tensor(file, name, "the size of its shape overflows");
    }
    if (!cJSON_IsArray(offsets) || child_count(offsets) != 2 ||
        !whole_number(offsets->child, &tensor->begin) ||
        !whole_number(offsets->child->next, &tensor->end)) {
        return bad_tensor(file, name, "data_offsets is not a pair of whole numbers from 0 to 2^53");
    }
    if (tensor->begin > tensor->end) {
        return bad_tensor(file, name, "data_offsets begins after its end");
    }
    if (tensor->end > file->data_size) {
        return tool_fail(EXIT_BAD_INPUT,
                         "%s: tensor '%s': data_offsets ends at byte %llu, the file has %llu "
                         "bytes of data",
                         file->path, name, (unsigned long long)tensor->end,
                         (unsigned long long)file->data_size);
    }
    const uint64_t total_bits = tensor->element_count * bits;

    if (total_bits % 8 != 0 || tensor->end - tensor->begin != total_bits / 8) {
        return tool_fail(EXIT_BAD_INPUT,
                         "%s: tensor '%s': data_offsets spans %llu bytes, its shape and dtype "
                         "need %llu",
                         file->path, name, (unsigned long long)(tensor->end - tensor->begin),
                         (unsigned long long)((total_bits + 7) / 8));
    }
    return EXIT_DONE;
}

static int by_position(const void *a, const void *b)
{
    const safetensors_tensor *x = a, *y = b;

    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const safetensors_tensor *)a)->name, ((const safetensors_tensor *)b)->name);
}

/* Every byte of data belongs to exactly one tensor. */
static int check_coverage(safetensors_file *file)
{
    uint64_t covered = 0;
    const safetensors_tensor *last = NULL;

    qsort(file->tensors, file->tensor_count, sizeof *file->tensors, by_position);
    for (size_t i = 0; i < file->tensor_count; i++) {
        const safetensors_tensor *tensor = &file->tensors[i];

        if (tensor->begin < covered) {
            return tool_fail(EXIT_BAD_INPUT, "%s: tensor '%s': overlaps tensor '%s'", file->path,
                             tensor->name, last ? last->name : "?");
        }
        if (tensor->begin > covered) {
            return tool_fail(EXIT_BAD_INPUT,
                             "%s: tensor '%s': bytes %llu to %llu before it belong to no tensor",
                             file->path, tensor->name, (unsigned long long)covered,
                             (unsigned long long)tensor->begin);
        }
        covered = tensor->end;
        last = tensor;
    }
    if (covered != file->data_size) {
        return tool_fail(EXIT_BAD_INPUT, "%s: the last %llu bytes belong to no tensor", file->path,
                         (unsigned long long)(file->data_size - covered));
    }
    qsort(file->tensors, file->tensor_count, sizeof *file->tensors, by_name);
    return EXIT_DONE;
}

static int check_metadata(const safetensors_file *file)
{
    const char *duplicate;

    if (!file->metadata) {
        return EXIT_DONE;
    }
    if (!cJSON_IsObject(file->metadata)) {
        return tool_fail(EXIT_BAD_INPUT, "%s: __metadata__ is not an object", file->path);
    }
    if (!find_duplicate(file->metadata, &duplicate)) {
        return out_of_memory(file);
    }
    if (duplicate) {
        return tool_fail(EXIT_BAD_INPUT, "%s: metadata '%s': occurs twice", file->path, duplicate);
    }
    for (const cJSON *c = file->metadata->child; c; c = c->next) {
        if (!cJSON_IsString(c)) {
            return tool_fail(EXIT_BAD_INPUT, "%s: metadata '%s': is not a string", file->path,
                             c->string);
        }
    }
    return EXIT_DONE;
}

static int read_header(safetensors_file *file, char *text, size_t size)
{
    const char *duplicate;
    int code;

    if (fread(text, 1, size, file->stream) != size) {
        return tool_fail(EXIT_BAD_INPUT, "%s: the header cannot be read", file->path);
    }
    text[size] = '\0';
    if (has_nul(text, size)) {
        return tool_fail(EXIT_BAD_INPUT, "%s: the header contains a NUL character", file->path);
    }
    if (!is_utf8((const unsigned char *)text, size)) {
        return tool_fail(EXIT_BAD_INPUT, "%s: the header is not UTF-8", file->path);
    }
    file->header = cJSON_ParseWithLengthOpts(text, size + 1, NULL, 1);
    if (!file->header) {
        return tool_fail(EXIT_BAD_INPUT, "%s: the header is not JSON", file->path);
    }
    if (!cJSON_IsObject(file->header) || text[0] != '{') {
        return tool_fail(EXIT_BAD_INPUT, "%s: the header is not a JSON object", file->path);
    }
    if (!find_duplicate(file->header, &duplicate)) {
        return out_of_memory(file);
    }
    if (duplicate) {
        return bad_tensor(file, duplicate, "the header names it twice");
    }
    file->metadata = cJSON_GetObjectItemCaseSensitive(file->header, "__metadata__");
    if ((code = check_metadata(file)) != EXIT_DONE) {
        return code;
    }
    file->tensors = calloc(child_count(file->header) + 1, sizeof *file->tensors);
    if (!file->tensors) {
        return out_of_memory(file);
    }
    for (const cJSON *c = file->header->child; c; c = c->next) {
        if (c == file->metadata) {
            continue;
        }
        if ((code = read_tensor_entry(file, c, &file->tensors[file->tensor_count])) != EXIT_DONE) {
            return code;
        }
        file->tensor_count++;
    }
    return check_coverage(file);
}

static int open_regular(safetensors_file *file, const char *path)
{
    errno = 0;
    switch (platform_path(path)) {
    case PLATFORM_PATH_NONE:
        return tool_fail(EXIT_BAD_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    case PLATFORM_PATH_DIRECTORY:
        return tool_fail(EXIT_BAD_INPUT, "%s: is a directory", path);
    case PLATFORM_PATH_OTHER:
        return tool_fail(EXIT_BAD_INPUT, "%s: is not a regular file", path);
    case PLATFORM_PATH_FILE:
        break;
    }
    file->stream = fopen(path, "rb");
    if (!file->stream) {
        return tool_fail(EXIT_BAD_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    }
    return EXIT_DONE;
}

int safetensors_open(const char *path, safetensors_file *out_file)
{
    unsigned char prefix[8];
    uint64_t file_size, header_size = 0;
    char *text = NULL;
    int code;

    *out_file = (safetensors_file){.path = path};
    if ((code = open_regular(out_file, path)) != EXIT_DONE) {
        return code;
    }
    if (!platform_file_size(out_file->stream, &file_size)) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: its size cannot be read: %s", path, strerror(errno));
        goto fail;
    }
    if (file_size == 0) {
        code = tool_fail(EXIT_BAD_INPUT, "%s: is empty", path);
        goto fail;
    }
    if (file_size < sizeof prefix || fread(prefix, 1, sizeof prefix, out_file->stream) != 8) {
        code = tool_fail(EXIT_BAD_INPUT,
                         "%s: is too short for a safetensors file: %llu "
                         "bytes",
                         path, (unsigned long long)file_size);
        goto fail;
    }
    for (size_t i = 0; i < sizeof prefix; i++) {
        header_size |= (uint64_t)prefix[i] << 8 * i;
    }
    if (header_size > MAX_HEADER_SIZE) {
        code = tool_fail(EXIT_BAD_INPUT,
                         "%s: the header's size is %llu bytes, the format allows %d: not a "
                         "safetensors file?",
                         path, (unsigned long long)header_size, MAX_HEADER_SIZE);
        goto fail;
    }
    if (header_size > file_size - sizeof prefix) {
        code = tool_fail(EXIT_BAD_INPUT,
                         "%s: the header's size is %llu bytes, the file has %llu after it: "
                         "truncated?",
                         path, (unsigned long long)header_size,
                         (unsigned long long)(file_size - sizeof prefix));
        goto fail;
    }
    out_file->data_offset = sizeof prefix + header_size;
    out_file->data_size = file_size - out_file->data_offset;

    text = malloc((size_t)header_size + 1);
    if (!text) {
        code = out_of_memory(out_file);
        goto fail;
    }
    if ((code = read_header(out_file, text, (size_t)header_size)) != EXIT_DONE) {
        goto fail;
    }
    free(text);
    return EXIT_DONE;

fail:
    free(text);
    safetensors_close(out_file);
    return code;
}

void safetensors_close(safetensors_file *file)
{
    if (file->stream) {
        fclose(file->stream);
    }
    cJSON_Delete(file->header);
    free(file->tensors);
    *file = (safetensors_file){0};
}

const safetensors_tensor *safetensors_find(const safetensors_file *file, const char *name)
{
    const safetensors_tensor key = {.name = name};

    return file->tensor_count == 0
               ? NULL
               : bsearch(&key, file->tensors, file->tensor_count, sizeof *file->tensors, by_name);
}

const char *safetensors_metadata(const safetensors_file *file, const char *key)
{
    const cJSON *value =
        file->metadata ? cJSON_GetObjectItemCaseSensitive(file->metadata, key) : NULL;

    return value ? value->valuestring : NULL;
}

/* --------------------------------------------------------------------- values */

void safetensors_position(const uint64_t *shape, uint32_t rank, uint64_t index,
                          char text[SAFETENSORS_POSITION_SIZE])
{
    uint64_t position[SAFETENSORS_MAX_RANK];
    size_t used = 0;

    rank = rank < SAFETENSORS_MAX_RANK ? rank : SAFETENSORS_MAX_RANK;
    for (uint32_t d = rank; d-- > 0;) {
        position[d] = index % shape[d];
        index /= shape[d];
    }
    text[used++] = '[';
    for (uint32_t d = 0; d < rank; d++) {
        used += (size_t)snprintf(text + used, SAFETENSORS_POSITION_SIZE - used, "%s%llu",
                                 d ? ", " : "", (unsigned long long)position[d]);
    }
    snprintf(text + used, SAFETENSORS_POSITION_SIZE - used, "]");
}

static float value_at(vsa_dtype dtype, const unsigned char *bytes)
{
    if (dtype == VSA_DTYPE_F32) {
        const uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                              (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        float value;

        memcpy(&value, &bits, sizeof value);
        return value;
    }
    const uint16_t bits = (uint16_t)(bytes[0] | bytes[1] << 8);

    return dtype == VSA_DTYPE_F16 ? rounding_f16_to_f32(bits) : rounding_bf16_to_f32(bits);
}

int safetensors_read_f32(const safetensors_file *file, const safetensors_tensor *tensor,
                         float **out_values)
{
    unsigned char block[READ_SIZE];
    const uint32_t size = tensor->dtype == VSA_DTYPE_F32 ? 4 : 2;
    uint64_t done = 0;

    *out_values = NULL;
    if (tensor->element_count > SIZE_MAX / sizeof(float)) {
        return out_of_memory(file);
    }
    float *values = malloc((size_t)tensor->element_count * sizeof *values + 1);

    if (!values) {
        return out_of_memory(file);
    }
    if (!platform_file_seek(file->stream, file->data_offset + tensor->begin)) {
        free(values);
        return bad_tensor(file, tensor->name, "its data cannot be read");
    }
    while (done < tensor->element_count) {
        const uint64_t left = tensor->element_count - done;
        const size_t count = left < READ_SIZE / size ? (size_t)left : READ_SIZE / size;

        if (fread(block, size, count, file->stream) != count) {
            free(values);
            return bad_tensor(file, tensor->name, "its data cannot be read");
        }
        for (size_t i = 0; i < count; i++) {
            const float value = value_at(tensor->dtype, block + i * size);

            if (!isfinite(value)) {
                char position[SAFETENSORS_POSITION_SIZE];

                safetensors_position(tensor->shape, tensor->rank, done + i, position);
                free(values);
                return tool_fail(EXIT_BAD_INPUT,
                                 "%s: tensor '%s': the value at %s is %s, not "
                                 "finite",
                                 file->path, tensor->name, position,
                                 isnan(value) ? "NaN" : "infinite");
            }
            values[done + i] = value;
        }
        done += count;
    }
    *out_values = values;
    return EXIT_DONE;
}
