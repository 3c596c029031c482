/* glslang through its C interface. */
#include "compiler.h"

#ifdef VSAI_HAVE_GLSLANG

#include "alloc.h"

#include <glslang/Include/glslang_c_interface.h>
#include <glslang/Public/resource_limits_c.h>
#include <glslang/build_info.h>
#include <string.h>

#ifdef _WIN32
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
static SRWLOCK process_lock = SRWLOCK_INIT;
#  define LOCK()   AcquireSRWLockExclusive(&process_lock)
#  define UNLOCK() ReleaseSRWLockExclusive(&process_lock)
#else
#  include <pthread.h>
static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
#  define LOCK()   pthread_mutex_lock(&process_lock)
#  define UNLOCK() pthread_mutex_unlock(&process_lock)
#endif

/* glslang's process-wide tables live while any thread compiles. */
static unsigned process_users;

static int process_enter(void)
{
    LOCK();
    const int ready = process_users > 0 || glslang_initialize_process();
    if (ready) {
        process_users++;
    }
    UNLOCK();
    return ready;
}

static void process_leave(void)
{
    LOCK();
    if (--process_users == 0) {
        glslang_finalize_process();
    }
    UNLOCK();
}

static vsa_result compile_entered(const char *variant, const char *source,
                                  const VkAllocationCallbacks *allocator, const vsa_log *log,
                                  vsai_spirv *out_spirv)
{
    const glslang_input_t input = {
        .language = GLSLANG_SOURCE_GLSL,
        .stage = GLSLANG_STAGE_COMPUTE,
        .client = GLSLANG_CLIENT_VULKAN,
        .client_version = GLSLANG_TARGET_VULKAN_1_2,
        .target_language = GLSLANG_TARGET_SPV,
        .target_language_version = GLSLANG_TARGET_SPV_1_5,
        .code = source,
        .default_version = 450,
        .default_profile = GLSLANG_NO_PROFILE,
        .messages = GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT,
        .resource = glslang_default_resource(),
    };
    vsa_result status = VSA_ERROR_SHADER;
    glslang_program_t *program = NULL;
    glslang_shader_t *shader = glslang_shader_create(&input);
    if (!shader) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                           "glslang could not make a shader object for %s", variant);
        goto done;
    }
    if (!glslang_shader_preprocess(shader, &input) || !glslang_shader_parse(shader, &input)) {
        vsai_log(log, VSA_LOG_ERROR, "glslang: shader %s: %s", variant,
                 glslang_shader_get_info_log(shader));
        goto done;
    }
    program = glslang_program_create();
    if (!program) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                           "glslang could not make a program object for %s", variant);
        goto done;
    }
    glslang_program_add_shader(program, shader);
    if (!glslang_program_link(program, GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT)) {
        vsai_log(log, VSA_LOG_ERROR, "glslang: shader %s: %s", variant,
                 glslang_program_get_info_log(program));
        goto done;
    }
    glslang_program_SPIRV_generate(program, GLSLANG_STAGE_COMPUTE);
    const size_t word_count = glslang_program_SPIRV_get_size(program);
    if (word_count == 0) {
        vsai_log(log, VSA_LOG_ERROR, "glslang: shader %s gave no SPIR-V", variant);
        goto done;
    }
    out_spirv->memory = vsai_calloc(allocator, word_count, sizeof(uint32_t));
    if (!out_spirv->memory) {
        status = vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                           "no host memory for %zu words of SPIR-V", word_count);
        goto done;
    }
    glslang_program_SPIRV_get(program, out_spirv->memory);
    out_spirv->words = out_spirv->memory;
    out_spirv->size = word_count * sizeof(uint32_t);
    status = VSA_SUCCESS;

done:
    if (program) {
        glslang_program_delete(program);
    }
    if (shader) {
        glslang_shader_delete(shader);
    }
    return status;
}

static vsa_result compile(const char *variant, const char *source, size_t source_size,
                          const VkAllocationCallbacks *allocator, const vsa_log *log,
                          vsai_spirv *out_spirv)
{
    (void)source_size;   /* the composed source ends in a zero */
    *out_spirv = (vsai_spirv){0};
    if (!process_enter()) {
        return vsai_fail(log, VSA_ERROR_SHADER, "glslang could not be initialised");
    }
    const vsa_result status = compile_entered(variant, source, allocator, log, out_spirv);
    process_leave();
    return status;
}

#define TEXT_OF(value) #value
#define TEXT(value)    TEXT_OF(value)

static const vsai_compiler glslang = {
    .name = "glslang",
    .signature = "glslang " TEXT(GLSLANG_VERSION_MAJOR) "." TEXT(GLSLANG_VERSION_MINOR) "."
                 TEXT(GLSLANG_VERSION_PATCH) " vulkan1.2 spirv1.5 1",
    .compile = compile,
};

const vsai_compiler *vsai_compiler_glslang(void)
{
    return &glslang;
}

#else

const vsai_compiler *vsai_compiler_glslang(void)
{
    return NULL;
}

#endif
