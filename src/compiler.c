#include "compiler.h"

#include <stddef.h>

const vsai_compiler *vsai_compiler_choose(vsa_compiler choice)
{
    switch (choice) {
    case VSA_COMPILER_SHADERC:
        return vsai_compiler_shaderc();
    case VSA_COMPILER_GLSLANG:
        return vsai_compiler_glslang();
    case VSA_COMPILER_EMBEDDED:
        return vsai_compiler_embedded();
    case VSA_COMPILER_DEFAULT: {
        const vsai_compiler *compiler = vsai_compiler_shaderc();
        if (!compiler) {
            compiler = vsai_compiler_glslang();
        }
        return compiler ? compiler : vsai_compiler_embedded();
    }
    case VSA_COMPILER_MAX_ENUM:
        break;
    }
    return NULL;
}
