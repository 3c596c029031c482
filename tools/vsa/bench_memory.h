/*
 * bench_memory.h - how long a context fits the device, and how many layers it takes to read from
 * memory and not from a cache.
 */
#ifndef VSA_TOOL_BENCH_MEMORY_H
#define VSA_TOOL_BENCH_MEMORY_H

#include "bench_input.h"
#include "device.h"

/* Bytes that bench may take: four fifths of the largest device-local heap. 0 = not known. */
uint64_t bench_memory_limit(const tool_device *device);

/* K and V of one layer. */
uint64_t bench_memory_of_layer(const bench_input *input, uint32_t tokens);

/* What a session takes, rounded up: its layers and the scratch memory of the methods so far. */
uint64_t bench_memory_of_session(const bench_input *input, uint32_t tokens, uint32_t layers);

/* Layers that take turns, so that a step finds nothing of the step before in a cache: 1 to 8, of
 * 256 MiB together if they fit `limit`. */
uint32_t bench_memory_layers(const bench_input *input, uint32_t tokens, uint64_t limit);

#endif
