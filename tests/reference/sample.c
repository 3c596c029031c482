/* Samples: the permutation's values in order, without the exact set. */
#include "reference.h"

uint32_t ref_draw(const ref_permutation *permutation, const uint8_t *member, uint32_t count,
                  uint32_t *out_tokens)
{
    uint32_t accepted = 0;
    for (uint32_t c = 0; c < permutation->length && accepted < count; c++) {
        uint32_t token = ref_permute(permutation, c);
        if (!member[token]) {
            out_tokens[accepted++] = token;
        }
    }
    return accepted;
}
