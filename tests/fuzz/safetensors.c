/* The safetensors reader: a file of any bytes is refused with a line, or every tensor of it lies in
 * the file and can be read. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "safetensors.h"
#include "tool.h"

static int lines;

/* The tool's, without the printing. */
int tool_fail(int exit_code, const char *format, ...)
{
    lines += format[0] != '\0';
    return exit_code;
}

int tool_finish_output(void)
{
    return EXIT_DONE;
}

static void read_tensor(const safetensors_file *file, const safetensors_tensor *tensor)
{
    char text[SAFETENSORS_POSITION_SIZE];
    float *values = NULL;

    FUZZ_CHECK(tensor->begin <= tensor->end && tensor->end <= file->data_size);
    FUZZ_CHECK(safetensors_find(file, tensor->name) != NULL);
    lines = 0;
    if (tensor->dtype != 0 && tensor->rank <= SAFETENSORS_MAX_RANK &&
        safetensors_read_f32(file, tensor, &values) == EXIT_DONE) {
        for (uint64_t i = 0; i < tensor->element_count; i++) {
            FUZZ_CHECK(isfinite(values[i]));
        }
        if (tensor->element_count > 0) {
            safetensors_position(tensor->shape, tensor->rank, tensor->element_count - 1, text);
            FUZZ_CHECK(memchr(text, 0, sizeof text) != NULL);
        }
    } else {
        FUZZ_CHECK(values == NULL);
    }
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    safetensors_file file;
    const int descriptor = memfd_create("input", 0);

    FUZZ_CHECK(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    lines = 0;
    if (safetensors_open(path, &file) == EXIT_DONE) {
        FUZZ_CHECK(lines == 0);
        safetensors_find(&file, "k.0");
        safetensors_metadata(&file, "softmax_scale");
        for (size_t i = 0; i < file.tensor_count; i++) {
            read_tensor(&file, &file.tensors[i]);
        }
        safetensors_close(&file);
    } else {
        FUZZ_CHECK(lines == 1);
    }
    close(descriptor);
    return 0;
}
