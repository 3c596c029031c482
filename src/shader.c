#include "shader.h"

#include "alloc.h"
#include "cache.h"
#include "embedded.h"

#include <stdio.h>
#include <string.h>

#define MAX_INCLUDES      64
#define MAX_INCLUDE_DEPTH 16
#define SPIRV_MAGIC       0x07230203u

typedef struct composition {
    const VkAllocationCallbacks *allocator;
    const vsa_log *log;
    const char    *shader;
    char          *text;       /* zero-terminated */
    size_t         size, capacity;
    const vsai_glsl_source *included[MAX_INCLUDES];
    size_t         included_count;
} composition;

int vsai_shader_variant_name(const char *shader, uint32_t variant, char *out_name, size_t capacity)
{
    const int length = snprintf(out_name, capacity, "%s%s%s%s", shader,
                                variant & VSAI_VARIANT_WIDE ? ".wide" : "",
                                variant & VSAI_VARIANT_SEGMENTS ? ".seg" : "",
                                variant & VSAI_VARIANT_QUANT ? ".quant" : "");
    return length > 0 && (size_t)length < capacity;
}

static vsa_result append(composition *to, const char *text, size_t size)
{
    if (size >= to->capacity - to->size) {
        size_t capacity = to->capacity ? to->capacity : 16384;
        while (size >= capacity - to->size) {
            capacity *= 2;
        }
        char *grown = vsai_calloc(to->allocator, capacity, 1);
        if (!grown) {
            return vsai_fail(to->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                             "no host memory for %zu bytes of GLSL", capacity);
        }
        if (to->size) {
            memcpy(grown, to->text, to->size);
        }
        vsai_free(to->allocator, to->text);
        to->text = grown;
        to->capacity = capacity;
    }
    memcpy(to->text + to->size, text, size);
    to->size += size;
    to->text[to->size] = '\0';
    return VSA_SUCCESS;
}

static const vsai_glsl_source *find_source(const char *name, size_t name_size)
{
    for (size_t i = 0; i < vsai_glsl_source_count; ++i) {
        const vsai_glsl_source *source = &vsai_glsl_sources[i];
        if (strlen(source->name) == name_size && memcmp(source->name, name, name_size) == 0) {
            return source;
        }
    }
    return NULL;
}

static int starts_with(const char *line, size_t size, const char *prefix)
{
    const size_t prefix_size = strlen(prefix);
    return size >= prefix_size && memcmp(line, prefix, prefix_size) == 0;
}

/* The name between the quotes of an #include "name" line; NULL for any other line. */
static const char *include_name(const char *line, size_t size, size_t *out_size)
{
    static const char directive[] = "#include \"";
    const char *end = line + size;
    while (line < end && (*line == ' ' || *line == '\t')) {
        ++line;
    }
    if (!starts_with(line, (size_t)(end - line), directive)) {
        return NULL;
    }
    const char *name = line + sizeof(directive) - 1;
    const char *quote = memchr(name, '"', (size_t)(end - name));
    if (!quote) {
        return NULL;
    }
    *out_size = (size_t)(quote - name);
    return name;
}

/* Each file is pasted at its first #include, whatever #if that stands in: includes are not to be
 * written inside conditions. */
static vsa_result append_source(composition *to, const vsai_glsl_source *source, unsigned depth)
{
    for (size_t i = 0; i < to->included_count; ++i) {
        if (to->included[i] == source) {
            return VSA_SUCCESS;
        }
    }
    if (to->included_count == MAX_INCLUDES || depth == MAX_INCLUDE_DEPTH) {
        return vsai_fail(to->log, VSA_ERROR_SHADER, "shader %s: too many includes at %s",
                         to->shader, source->name);
    }
    to->included[to->included_count++] = source;

    const char *line = source->text;
    const char *const text_end = source->text + source->size;
    while (line < text_end) {
        const char *newline = memchr(line, '\n', (size_t)(text_end - line));
        const char *next = newline ? newline + 1 : text_end;
        const size_t size = (size_t)(next - line);
        size_t name_size = 0;
        const char *name = include_name(line, size, &name_size);
        vsa_result status = VSA_SUCCESS;
        if (name) {
            const vsai_glsl_source *included = find_source(name, name_size);
            if (!included) {
                return vsai_fail(to->log, VSA_ERROR_SHADER, "shader %s: %s includes \"%.*s\", "
                                 "which is not embedded", to->shader, source->name,
                                 (int)name_size, name);
            }
            status = append_source(to, included, depth + 1);
        } else if (!starts_with(line, size, "#version") &&
                   !starts_with(line, size, "#extension GL_GOOGLE_include_directive")) {
            status = append(to, line, size);
        }
        if (status) {
            return status;
        }
        line = next;
    }
    return append(to, "\n", 1);
}

static vsa_result compose(composition *to, uint32_t variant)
{
    char head[96];
    char file[64];
    const int file_size = snprintf(file, sizeof(file), "%s.comp", to->shader);
    const vsai_glsl_source *source =
        file_size > 0 && (size_t)file_size < sizeof(file) ? find_source(file, (size_t)file_size)
                                                          : NULL;
    if (!source) {
        return vsai_fail(to->log, VSA_ERROR_SHADER, "shader %s is not embedded", to->shader);
    }
    const int head_size = snprintf(head, sizeof(head),
                                   "#version 450\n#define VSA_WIDE %d\n#define VSA_SEGMENTS %d\n"
                                   "#define VSA_QUANT %d\n",
                                   variant & VSAI_VARIANT_WIDE ? 1 : 0,
                                   variant & VSAI_VARIANT_SEGMENTS ? 8 : 1,
                                   variant & VSAI_VARIANT_QUANT ? 1 : 0);
    const vsa_result status = append(to, head, (size_t)head_size);
    return status ? status : append_source(to, source, 0);
}

static int is_spirv(const vsai_spirv *spirv)
{
    return spirv->size >= 20 && spirv->size % 4 == 0 && spirv->words[0] == SPIRV_MAGIC;
}

/* Composed and compiled, or out of the application's cache. */
static vsa_result fetch(vsa_context *context, const char *name, const char *shader,
                        uint32_t variant, vsai_spirv *out_spirv)
{
    const vsai_compiler *compiler = context->compiler;
    const VkAllocationCallbacks *allocator = context->allocator;
    *out_spirv = (vsai_spirv){0};
    if (compiler == vsai_compiler_embedded()) {
        return compiler->compile(name, NULL, 0, allocator, &context->log, out_spirv);
    }

    composition source = {.allocator = allocator, .log = &context->log, .shader = shader};
    vsa_result status = compose(&source, variant);
    if (status) {
        goto done;
    }
    uint8_t key[32];
    const vsai_cache_part parts[] = {
        {"spirv", 5},
        {compiler->signature, strlen(compiler->signature)},
        {source.text, source.size},
    };
    vsai_cache_key(parts, sizeof(parts) / sizeof(parts[0]), key);
    vsai_cache_blob blob;
    if (vsai_cache_get(&context->cache, allocator, key, &blob)) {
        const vsai_spirv cached = {.words = blob.data, .size = blob.size, .memory = blob.data};
        if (is_spirv(&cached)) {
            *out_spirv = cached;
            goto done;
        }
        vsai_cache_blob_free(allocator, &blob);
    }
    status = compiler->compile(name, source.text, source.size, allocator, &context->log,
                               out_spirv);
    if (!status) {
        vsai_log(&context->log, VSA_LOG_DEBUG, "%s compiled %s: %zu bytes of SPIR-V",
                 compiler->name, name, out_spirv->size);
        vsai_cache_put(&context->cache, allocator, key, out_spirv->words, out_spirv->size);
    }

done:
    vsai_free(allocator, source.text);
    return status;
}

vsa_result vsai_shader_spirv(vsa_context *context, const char *shader, uint32_t variant,
                             const vsai_spirv **out_spirv)
{
    char name[VSAI_SHADER_NAME_SIZE];
    if (!vsai_shader_variant_name(shader, variant, name, sizeof(name))) {
        return vsai_fail(&context->log, VSA_ERROR_SHADER, "shader name %s is too long", shader);
    }
    *out_spirv = vsai_shader_set_find(&context->shaders, name);
    if (*out_spirv) {
        return VSA_SUCCESS;
    }
    vsai_spirv spirv;
    const vsa_result status = fetch(context, name, shader, variant, &spirv);
    if (status) {
        return status;
    }
    *out_spirv = vsai_shader_set_add(&context->shaders, context->allocator, name, spirv);
    return *out_spirv ? VSA_SUCCESS
                      : vsai_fail(&context->log, VSA_ERROR_OUT_OF_HOST_MEMORY,
                                  "no host memory to keep shader %s", name);
}
