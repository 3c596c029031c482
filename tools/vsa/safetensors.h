/*
 * safetensors.h - reads and writes safetensors files: 8 bytes of header size (little-endian), a
 * JSON header, then the tensors' bytes without gaps.
 *
 * A file is taken as hostile: open checks everything that the header claims against the file
 * before a tensor is read. Functions that return int return an exit code, after one line on
 * standard error that names the file, the tensor and what is wrong.
 */
#ifndef VSA_TOOL_SAFETENSORS_H
#define VSA_TOOL_SAFETENSORS_H

#include <stdint.h>
#include <stdio.h>

#include "vsa.h"

enum { SAFETENSORS_MAX_RANK = 8 };

typedef struct safetensors_tensor {
    const char *name;       /* lives as long as the file is open */
    const char *dtype_name; /* "F16" */
    vsa_dtype dtype;        /* F32, F16 or BF16; 0 for any other type */
    uint32_t rank;          /* may exceed SAFETENSORS_MAX_RANK: no dimension is then kept */
    uint64_t shape[SAFETENSORS_MAX_RANK];
    uint64_t element_count;
    uint64_t begin, end; /* bytes from the start of the data */
} safetensors_tensor;

typedef struct safetensors_file {
    const char *path;
    FILE *stream;
    struct cJSON *header;
    const struct cJSON *metadata; /* NULL if there is none */
    safetensors_tensor *tensors;  /* ascending by name */
    size_t tensor_count;
    uint64_t data_offset; /* in the file */
    uint64_t data_size;
} safetensors_file;

int safetensors_open(const char *path, safetensors_file *out_file);
/* Accepts a file that was not opened, if zero-initialised. */
void safetensors_close(safetensors_file *file);

/* NULL if there is none of that name. */
const safetensors_tensor *safetensors_find(const safetensors_file *file, const char *name);
const char *safetensors_metadata(const safetensors_file *file, const char *key);

/* The values of an F32, F16 or BF16 tensor, row-major; the caller frees them. Refuses values that
 * are not finite. */
int safetensors_read_f32(const safetensors_file *file, const safetensors_tensor *tensor,
                         float **out_values);

/* "tensor 'k.0': value at [1, 3, 7]" needs the position of a flat index. */
enum { SAFETENSORS_POSITION_SIZE = 32 * SAFETENSORS_MAX_RANK };
void safetensors_position(const uint64_t *shape, uint32_t rank, uint64_t index,
                          char text[SAFETENSORS_POSITION_SIZE]);

/* ------------------------------------------------------------------- writing */

typedef struct safetensors_output {
    const char *name;
    const char *dtype_name; /* "F32" or "I32" */
    uint32_t element_size;
    uint32_t rank;
    uint64_t shape[SAFETENSORS_MAX_RANK];
    const void *data; /* borrowed; host byte order, which must be little-endian */
} safetensors_output;

/* `metadata` holds `metadata_count` pairs of key and value. The file appears whole or not at all:
 * it is written beside `path` and renamed. */
int safetensors_write(const char *path, const safetensors_output *tensors, size_t tensor_count,
                      const char *const (*metadata)[2], size_t metadata_count);

#endif
