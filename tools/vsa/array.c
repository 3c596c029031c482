#include "array.h"

#include <stdint.h>
#include <stdlib.h>

void *array_reserve(void *items, size_t count, size_t more, size_t *in_out_capacity,
                    size_t item_size)
{
    if (items && more <= *in_out_capacity - count) {
        return items;
    }
    const size_t capacity = 2 * count + more + 16;

    if (capacity > SIZE_MAX / item_size) {
        return NULL;
    }
    void *grown = realloc(items, capacity * item_size);

    if (grown) {
        *in_out_capacity = capacity;
    }
    return grown;
}
