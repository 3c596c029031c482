/* What the build generates from shaders/. */
#ifndef VSAI_EMBEDDED_H
#define VSAI_EMBEDDED_H

#include <stddef.h>
#include <stdint.h>

typedef struct vsai_glsl_source {
    const char *name;   /* "score.comp" */
    const char *text;   /* zero-terminated */
    size_t      size;   /* without the zero */
} vsai_glsl_source;

extern const vsai_glsl_source vsai_glsl_sources[];
extern const size_t vsai_glsl_source_count;

typedef struct vsai_spirv_module {
    const char     *name;   /* "score.wide.seg" */
    const uint32_t *words;
    size_t          size;   /* bytes */
} vsai_spirv_module;

/* Only in a build with VSAI_HAVE_EMBEDDED. */
extern const vsai_spirv_module vsai_spirv_modules[];
extern const size_t vsai_spirv_module_count;

#endif
