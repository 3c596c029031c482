/* GLSL to SPIR-V: three back ends behind one table. */
#ifndef VSAI_COMPILER_H
#define VSAI_COMPILER_H

#include "log.h"

typedef struct vsai_spirv {
    const uint32_t *words;
    size_t          size;     /* bytes */
    void           *memory;   /* that `words` is in, owned: vsai_free; NULL when it is static */
} vsai_spirv;

typedef struct vsai_compiler {
    const char *name;        /* "shaderc", "glslang", "embedded" */
    const char *signature;   /* name and version: part of the cache key */
    /* `variant` is the embedded table's name, e.g. "score.wide"; `source` the composed GLSL. */
    vsa_result (*compile)(const char *variant, const char *source, size_t source_size,
                          const VkAllocationCallbacks *allocator, const vsa_log *log,
                          vsai_spirv *out_spirv);
} vsai_compiler;

/* NULL when this build lacks it. */
const vsai_compiler *vsai_compiler_shaderc(void);
const vsai_compiler *vsai_compiler_glslang(void);
const vsai_compiler *vsai_compiler_embedded(void);
const vsai_compiler *vsai_compiler_choose(vsa_compiler choice);

#endif
