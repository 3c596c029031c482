/* The buffer type of the device as GPU: memory of the host, in whole pages, which the CPU backend
 * may use as well. */
#ifndef VSAI_GGML_BUFFER_H
#define VSAI_GGML_BUFFER_H

#include "iface.h"

/* One for the process; `device` is what it says it belongs to. */
ggml_backend_buffer_type_t vsai_ggml_buffer_type(ggml_backend_dev_t device);

/* Of this machine, in bytes. */
void vsai_ggml_host_memory(size_t *out_free, size_t *out_total);

#endif
