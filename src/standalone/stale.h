/* Tokens that the host wrote into the cache and `state` does not know yet: a range a sequence. Pure. */
#ifndef VSAI_STALE_H
#define VSAI_STALE_H

#include <stdint.h>

typedef struct vsai_stale {
    uint32_t first, end; /* empty unless first < end */
} vsai_stale;

/* Tokens [first, end) were written. */
void vsai_stale_add(vsai_stale *stale, uint32_t first, uint32_t end);

/* The smallest range that has what is stale of the first `count` sequences and below their lengths. */
vsai_stale vsai_stale_union(const vsai_stale *stale, const uint32_t *lengths, uint32_t count);

/* That range was indexed: what is left lies beyond the lengths. */
void vsai_stale_indexed(vsai_stale *stale, const uint32_t *lengths, uint32_t count);

#endif
