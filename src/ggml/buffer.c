#define _DEFAULT_SOURCE   /* _SC_AVPHYS_PAGES */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of tensors in a buffer: the largest legal minStorageBufferOffsetAlignment, so that all can be
 * imported. */
enum { ALIGNMENT = 256 };

static void free_buffer(ggml_backend_buffer_t buffer)
{
    free(buffer->context);
}

static void *get_base(ggml_backend_buffer_t buffer)
{
    return buffer->context;
}

static void memset_tensor(ggml_backend_buffer_t buffer, struct ggml_tensor *tensor, uint8_t value,
                          size_t offset, size_t size)
{
    (void)buffer;
    memset((char *)tensor->data + offset, value, size);
}

static void set_tensor(ggml_backend_buffer_t buffer, struct ggml_tensor *tensor, const void *data,
                       size_t offset, size_t size)
{
    (void)buffer;
    memcpy((char *)tensor->data + offset, data, size);
}

static void get_tensor(ggml_backend_buffer_t buffer, const struct ggml_tensor *tensor, void *data,
                       size_t offset, size_t size)
{
    (void)buffer;
    memcpy(data, (const char *)tensor->data + offset, size);
}

static bool copy_tensor(ggml_backend_buffer_t buffer, const struct ggml_tensor *from,
                        struct ggml_tensor *to)
{
    (void)buffer;
    if (!ggml_backend_buffer_is_host(from->buffer)) {
        return false;
    }
    memcpy(to->data, from->data, ggml_nbytes(from));
    return true;
}

static void clear(ggml_backend_buffer_t buffer, uint8_t value)
{
    memset(buffer->context, value, buffer->size);
}

static const char *get_name(ggml_backend_buffer_type_t type)
{
    (void)type;
    return "VSA";
}

static ggml_backend_buffer_t alloc_buffer(ggml_backend_buffer_type_t type, size_t size)
{
    static const struct ggml_backend_buffer_i iface = {
        .free_buffer = free_buffer, .get_base = get_base, .memset_tensor = memset_tensor,
        .set_tensor = set_tensor, .get_tensor = get_tensor, .cpy_tensor = copy_tensor,
        .clear = clear};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = NULL;

    if (posix_memalign(&memory, page, (size / page + 1) * page) != 0) {
        return NULL;
    }
    return ggml_backend_buffer_init(type, iface, memory, size);
}

static size_t get_alignment(ggml_backend_buffer_type_t type)
{
    (void)type;
    return ALIGNMENT;
}

static bool is_host(ggml_backend_buffer_type_t type)
{
    (void)type;
    return true;
}

ggml_backend_buffer_type_t vsai_ggml_buffer_type(ggml_backend_dev_t device)
{
    static struct ggml_backend_buffer_type type = {
        .iface = {.get_name = get_name, .alloc_buffer = alloc_buffer,
                  .get_alignment = get_alignment, .is_host = is_host}};

    type.device = device;
    return &type;
}

void vsai_ggml_host_memory(size_t *out_free, size_t *out_total)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    *out_total = (size_t)sysconf(_SC_PHYS_PAGES) * page;
#ifdef _SC_AVPHYS_PAGES
    *out_free = (size_t)sysconf(_SC_AVPHYS_PAGES) * page;
#else
    *out_free = *out_total;
#endif
}
