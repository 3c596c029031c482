/* The backend as ggml loads it: registration, device, backend. */
#include "buffer.h"
#include "engine.h"
#include "iface.h"
#include "node.h"
#include "say.h"
#include "set_rows.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "VSA"

#if defined(_WIN32)
#  define EXPORT __declspec(dllexport)
#else
#  define EXPORT __attribute__((visibility("default")))
#endif

static struct ggml_backend_reg registration;
static struct ggml_backend_device device;

/* ----------------------------------------------------------------- backend */

static const char *backend_name(ggml_backend_t backend)
{
    (void)backend;
    return NAME;
}

static void backend_free(ggml_backend_t backend)
{
    vsai_ggml_session_destroy(backend->context);
    free(backend);
}

static enum ggml_status attend(ggml_backend_t backend, const struct ggml_tensor *op)
{
    vsai_ggml_node node;
    const char *sentence = vsai_ggml_node_read(op, &node);

    if (sentence != NULL) {
        vsai_ggml_say(GGML_LOG_LEVEL_ERROR, "node %s was declined before: %s", op->name, sentence);
        return GGML_STATUS_FAILED;
    }
    return vsai_ggml_engine_attend(backend->context, &node) ? GGML_STATUS_SUCCESS
                                                           : GGML_STATUS_ALLOC_FAILED;
}

/* Only another view of memory. */
static bool computes_nothing(enum ggml_op op)
{
    return op == GGML_OP_NONE || op == GGML_OP_VIEW || op == GGML_OP_RESHAPE ||
           op == GGML_OP_PERMUTE || op == GGML_OP_TRANSPOSE;
}

static enum ggml_status graph_compute(ggml_backend_t backend, struct ggml_cgraph *graph)
{
    enum ggml_status status = GGML_STATUS_SUCCESS;
    const int count = ggml_graph_n_nodes(graph);

    for (int i = 0; i < count && status == GGML_STATUS_SUCCESS; i++) {
        const struct ggml_tensor *op = ggml_graph_node(graph, i);
        /* A branch that was not selected: ggml_build_forward_select. Its inputs hold anything. */
        if ((op->flags & GGML_TENSOR_FLAG_COMPUTE) == 0 || computes_nothing(op->op)) {
            continue;
        }
        switch (op->op) {
        case GGML_OP_FLASH_ATTN_EXT:
            status = attend(backend, op);
            break;
        case GGML_OP_SET_ROWS:
            if (!vsai_ggml_set_rows(op)) {
                vsai_ggml_say(GGML_LOG_LEVEL_ERROR,
                              "node %s: an index is not below the %" PRId64 " rows of its cache",
                              op->name, op->ne[1]);
                status = GGML_STATUS_FAILED;
            }
            break;
        default:
            vsai_ggml_say(GGML_LOG_LEVEL_ERROR, "node %s is a %s, which was never accepted",
                          op->name, ggml_op_name(op->op));
            status = GGML_STATUS_FAILED;
            break;
        }
    }
    return status;
}

static ggml_guid_t guid(void)
{
    static ggml_guid bytes = {0x76, 0x73, 0x61, 0x2d, 0x67, 0x67, 0x6d, 0x6c,
                              0x9c, 0x41, 0x5e, 0x0d, 0x7a, 0x21, 0xb8, 0x33};
    return &bytes;
}

/* ------------------------------------------------------------------ device */

static const char *device_name(ggml_backend_dev_t dev)
{
    (void)dev;
    return NAME;
}

static const char *device_description(ggml_backend_dev_t dev)
{
    (void)dev;
    return vsai_ggml_engine_device_name();
}

static int is_gpu(void)
{
    return vsai_ggml_engine_options()->device_type == VSAI_GGML_GPU;
}

/* As ACCEL it allocates from the CPU's buffers. llama.cpp gives layers to a GPU by its memory. */
static void device_memory(ggml_backend_dev_t dev, size_t *out_free, size_t *out_total)
{
    (void)dev;
    *out_free = 0;
    *out_total = 0;
    if (is_gpu()) {
        vsai_ggml_host_memory(out_free, out_total);
    }
}

static enum ggml_backend_dev_type device_type(ggml_backend_dev_t dev)
{
    (void)dev;
    return is_gpu() ? GGML_BACKEND_DEVICE_TYPE_GPU : GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

static void device_props(ggml_backend_dev_t dev, struct ggml_backend_dev_props *out_props)
{
    memset(out_props, 0, sizeof *out_props);
    out_props->name = device_name(dev);
    out_props->description = device_description(dev);
    out_props->type = device_type(dev);
    device_memory(dev, &out_props->memory_free, &out_props->memory_total);
}

static ggml_backend_t init_backend(ggml_backend_dev_t dev, const char *params)
{
    ggml_backend_t backend = calloc(1, sizeof *backend);
    vsai_ggml_session *session = vsai_ggml_session_create();

    (void)params;
    if (backend == NULL || session == NULL) {
        vsai_ggml_session_destroy(session);
        free(backend);
        return NULL;
    }
    *backend = (struct ggml_backend){
        .guid = guid(),
        .iface = {.get_name = backend_name, .free = backend_free, .graph_compute = graph_compute},
        .device = dev,
        .context = session,
    };
    return backend;
}

static ggml_backend_buffer_type_t device_buffer_type(ggml_backend_dev_t dev)
{
    return is_gpu() ? vsai_ggml_buffer_type(dev) : ggml_backend_cpu_buffer_type();
}

static bool supports_op(ggml_backend_dev_t dev, const struct ggml_tensor *op)
{
    vsai_ggml_node node;

    (void)dev;
    if (computes_nothing(op->op)) {
        return true;
    }
    switch (op->op) {
    case GGML_OP_FLASH_ATTN_EXT:
        return vsai_ggml_node_read(op, &node) == NULL && vsai_ggml_engine_is_ready();
    case GGML_OP_SET_ROWS:
        return vsai_ggml_set_rows_supported(op) && vsai_ggml_engine_is_ready();
    default:
        return false;
    }
}

static bool supports_buffer_type(ggml_backend_dev_t dev, ggml_backend_buffer_type_t type)
{
    (void)dev;
    return ggml_backend_buft_is_host(type);
}

/* ------------------------------------------------------------ registration */

static const char *registration_name(ggml_backend_reg_t reg)
{
    (void)reg;
    return NAME;
}

static size_t device_count(ggml_backend_reg_t reg)
{
    (void)reg;
    return 1;
}

static ggml_backend_dev_t get_device(ggml_backend_reg_t reg, size_t index)
{
    (void)reg;
    (void)index;
    return &device;
}

static void *get_proc_address(ggml_backend_reg_t reg, const char *name)
{
    static const struct {
        const char *name;
        void (*function)(void);
    } functions[] = {
        {"vsa_set_option", (void (*)(void))vsai_ggml_engine_set_option},
        {"vsa_reset_summary", (void (*)(void))vsai_ggml_engine_reset_summary},
        {"vsa_get_summary", (void (*)(void))vsai_ggml_engine_get_summary},
        {"vsa_print_summary", (void (*)(void))vsai_ggml_engine_print_summary},
    };

    (void)reg;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            void *address;
            memcpy(&address, &functions[i].function, sizeof address);
            return address;
        }
    }
    return NULL;
}

/* Option summary, when the program or the backend goes. */
#if defined(__GNUC__)
__attribute__((destructor))
#endif
static void print_summary(void)
{
    const char *where = vsai_ggml_engine_options()->summary;
    const uint64_t size = vsai_ggml_engine_print_at_exit(NULL, 0);
    char *text = where[0] != 0 && strcmp(where, "0") != 0 ? malloc((size_t)size + 1) : NULL;

    if (text == NULL) {
        return;
    }
    vsai_ggml_engine_print_at_exit(text, size + 1);
    FILE *file = strcmp(where, "1") == 0 ? stderr : fopen(where, "w");
    if (file == NULL || fputs(text, file) < 0 || (file != stderr && fclose(file) != 0)) {
        fprintf(stderr, "vsa: the summary could not be written to %s\n", where);
    }
    free(text);
}

EXPORT ggml_backend_reg_t ggml_backend_init(void);

EXPORT ggml_backend_reg_t ggml_backend_init(void)
{
    if (!vsai_ggml_version_is_tested(ggml_version())) {
        vsai_ggml_say(GGML_LOG_LEVEL_ERROR,
                      "ggml is %s, libggml-vsa was tested with " VSAI_GGML_TESTED
                      " and refuses others", ggml_version());
        return NULL;
    }
    vsai_ggml_engine_start();
    device = (struct ggml_backend_device){
        .iface = {.get_name = device_name, .get_description = device_description,
                  .get_memory = device_memory, .get_type = device_type, .get_props = device_props,
                  .init_backend = init_backend, .get_buffer_type = device_buffer_type,
                  .supports_op = supports_op, .supports_buft = supports_buffer_type},
        .reg = &registration,
    };
    registration = (struct ggml_backend_reg){
        .api_version = VSAI_GGML_API_VERSION,
        .iface = {.get_name = registration_name, .get_device_count = device_count,
                  .get_device = get_device, .get_proc_address = get_proc_address},
    };
    return &registration;
}
