/* array.h - arrays that grow. */
#ifndef VSA_TOOL_ARRAY_H
#define VSA_TOOL_ARRAY_H

#include <stddef.h>

/* `items`, of which `count` are in use, with room for `more` of them: moved if need be, and
 * *in_out_capacity says how many fit. NULL when memory is out; `items` then stays as it is. */
void *array_reserve(void *items, size_t count, size_t more, size_t *in_out_capacity,
                    size_t item_size);

#endif
