/* SPIR-V made when the library was built. */
#include "compiler.h"

#ifdef VSAI_HAVE_EMBEDDED

#include "embedded.h"

#include <string.h>

static vsa_result compile(const char *variant, const char *source, size_t source_size,
                          const VkAllocationCallbacks *allocator, const vsa_log *log,
                          vsai_spirv *out_spirv)
{
    (void)source;
    (void)source_size;
    (void)allocator;
    *out_spirv = (vsai_spirv){0};
    for (size_t i = 0; i < vsai_spirv_module_count; ++i) {
        const vsai_spirv_module *module = &vsai_spirv_modules[i];
        if (strcmp(module->name, variant) != 0) {
            continue;
        }
        out_spirv->words = module->words;
        out_spirv->size = module->size;
        return VSA_SUCCESS;
    }
    return vsai_fail(log, VSA_ERROR_UNSUPPORTED_CONFIG,
                     "shader %s is not embedded in this build, and it has no compiler", variant);
}

static const vsai_compiler embedded = {
    .name = "embedded",
    .signature = "embedded",
    .compile = compile,
};

const vsai_compiler *vsai_compiler_embedded(void)
{
    return &embedded;
}

#else

const vsai_compiler *vsai_compiler_embedded(void)
{
    return NULL;
}

#endif
