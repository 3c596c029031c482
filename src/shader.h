/* A shader variant: which source file and which capability defines. Composes GLSL with its
 * includes and fetches SPIR-V through the application's cache, once per context. */
#ifndef VSAI_SHADER_H
#define VSAI_SHADER_H

#include "context.h"

typedef enum vsai_variant {
    VSAI_VARIANT_WIDE     = 1,  /* VSA_WIDE 1: K and V are read 16 bytes at a time */
    VSAI_VARIANT_SEGMENTS = 2,  /* VSA_SEGMENTS 8: K and V are bound as 8 segments, not 1 */
    VSAI_VARIANT_QUANT    = 4   /* VSA_QUANT 1: K or V has a quantised type */
} vsai_variant;

/* "score" + WIDE | SEGMENTS | QUANT -> "score.wide.seg.quant". Returns 0 when it does not fit. */
int vsai_shader_variant_name(const char *shader, uint32_t variant, char *out_name, size_t capacity);

/* `shader` is a file of shaders/ without ".comp". What is returned belongs to the context. */
vsa_result vsai_shader_spirv(vsa_context *context, const char *shader, uint32_t variant,
                             const vsai_spirv **out_spirv);

#endif
