/* shaderc, one compiler object per call: shaderc guards its own process-wide state. */
#include "compiler.h"

#ifdef VSAI_HAVE_SHADERC

#include "alloc.h"

#include <shaderc/shaderc.h>
#include <string.h>

static vsa_result compile(const char *variant, const char *source, size_t source_size,
                          const VkAllocationCallbacks *allocator, const vsa_log *log,
                          vsai_spirv *out_spirv)
{
    *out_spirv = (vsai_spirv){0};
    vsa_result status = VSA_SUCCESS;
    shaderc_compilation_result_t result = NULL;
    shaderc_compile_options_t options = NULL;
    shaderc_compiler_t compiler = shaderc_compiler_initialize();
    if (compiler) {
        options = shaderc_compile_options_initialize();
    }
    if (!options) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY, "shaderc could not be initialised");
        goto done;
    }
    shaderc_compile_options_set_target_env(options, shaderc_target_env_vulkan,
                                           shaderc_env_version_vulkan_1_2);
    shaderc_compile_options_set_target_spirv(options, shaderc_spirv_version_1_5);
    shaderc_compile_options_set_optimization_level(options,
                                                   shaderc_optimization_level_performance);
    result = shaderc_compile_into_spv(compiler, source, source_size, shaderc_compute_shader,
                                      variant, "main", options);
    if (!result) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                           "shaderc returned nothing for shader %s", variant);
        goto done;
    }
    if (shaderc_result_get_compilation_status(result) != shaderc_compilation_status_success) {
        status = vsai_fail(log, VSA_ERROR_SHADER, "shaderc: %s",
                           shaderc_result_get_error_message(result));
        goto done;
    }
    const size_t size = shaderc_result_get_length(result);
    out_spirv->memory = vsai_calloc(allocator, size, 1);
    if (!out_spirv->memory) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                           "no host memory for %zu bytes of SPIR-V", size);
        goto done;
    }
    memcpy(out_spirv->memory, shaderc_result_get_bytes(result), size);
    out_spirv->words = out_spirv->memory;
    out_spirv->size = size;

done:
    if (result) {
        shaderc_result_release(result);
    }
    if (options) {
        shaderc_compile_options_release(options);
    }
    if (compiler) {
        shaderc_compiler_release(compiler);
    }
    return status;
}

/* shaderc has no version of its own to ask for; the one of SPIR-V that it writes, and the
 * options above. Raise the number when they change. */
static const vsai_compiler shaderc = {
    .name = "shaderc",
    .signature = "shaderc vulkan1.2 spirv1.5 performance 1",
    .compile = compile,
};

const vsai_compiler *vsai_compiler_shaderc(void)
{
    return &shaderc;
}

#else

const vsai_compiler *vsai_compiler_shaderc(void)
{
    return NULL;
}

#endif
