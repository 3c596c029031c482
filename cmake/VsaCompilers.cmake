# Which of the three ways from GLSL to SPIR-V this build has.

set(VSA_HAVE_SHADERC OFF)
set(VSA_HAVE_GLSLANG OFF)
set(VSA_HAVE_EMBEDDED OFF)

if(VSA_SHADERC)
    find_package(Shaderc QUIET)
    if(TARGET shaderc::shaderc)
        set(VSA_HAVE_SHADERC ON)
    else()
        message(STATUS "shaderc was not found (Debian: libshaderc-dev): built without it")
    endif()
endif()

if(VSA_GLSLANG)
    find_package(Threads QUIET)
    find_package(SPIRV-Tools-opt CONFIG QUIET)
    find_package(glslang CONFIG QUIET)
    find_path(VSA_GLSLANG_INCLUDE_DIR glslang/Public/resource_limits_c.h)
    if(TARGET glslang::glslang AND TARGET Threads::Threads AND VSA_GLSLANG_INCLUDE_DIR)
        set(VSA_HAVE_GLSLANG ON)
        # glslang is a C++ static library: whatever links it is linked as C++.
        enable_language(CXX)
    else()
        message(STATUS "glslang 12 or newer was not found (Debian: glslang-dev): "
            "built without it")
    endif()
endif()

# Debian 12's libshaderc.so leaves most of glslang undefined.
if(VSA_HAVE_SHADERC AND NOT VSA_HAVE_GLSLANG)
    include(CheckCSourceCompiles)
    set(CMAKE_REQUIRED_LIBRARIES shaderc::shaderc)
    check_c_source_compiles("#include <shaderc/shaderc.h>
        int main(void) { return shaderc_compiler_initialize() == 0; }" VSA_SHADERC_LINKS_ALONE)
    unset(CMAKE_REQUIRED_LIBRARIES)
    if(NOT VSA_SHADERC_LINKS_ALONE)
        message(STATUS "this shaderc does not link without glslang: built without it")
        set(VSA_HAVE_SHADERC OFF)
    endif()
endif()

if(VSA_EMBED_SPIRV)
    find_program(VSA_GLSLANG_VALIDATOR NAMES glslangValidator glslang)
    find_program(VSA_GLSLC NAMES glslc)
    find_program(VSA_SPIRV_OPT NAMES spirv-opt)
    if(VSA_GLSLANG_VALIDATOR OR VSA_GLSLC)
        set(VSA_HAVE_EMBEDDED ON)
    else()
        message(STATUS "neither glslangValidator nor glslc was found (Debian: glslang-tools): "
            "no SPIR-V is embedded")
    endif()
endif()

if(NOT VSA_HAVE_SHADERC AND NOT VSA_HAVE_GLSLANG AND NOT VSA_HAVE_EMBEDDED)
    message(FATAL_ERROR "shaderc, glslang and embedded SPIR-V are all off: nothing could "
        "turn the shaders into SPIR-V")
endif()
message(STATUS "Shader compilers: shaderc ${VSA_HAVE_SHADERC}, glslang ${VSA_HAVE_GLSLANG}, "
    "embedded ${VSA_HAVE_EMBEDDED}")

# Debian 12's libshaderc.so also brings GlslangToSpv of its own. That only works together with the rest of
# glslang when the program takes all of it from the static libraries, so these come first
# on the link line.
function(vsa_add_compilers target)
    if(VSA_HAVE_GLSLANG)
        target_compile_definitions(${target} PRIVATE VSAI_HAVE_GLSLANG)
        foreach(library SPIRV glslang glslang-default-resource-limits)
            if(TARGET glslang::${library})
                target_link_libraries(${target} PRIVATE glslang::${library})
            endif()
        endforeach()
        target_link_libraries(${target} PRIVATE Threads::Threads)
    endif()
    if(VSA_HAVE_SHADERC)
        target_compile_definitions(${target} PRIVATE VSAI_HAVE_SHADERC)
        target_link_libraries(${target} PRIVATE shaderc::shaderc)
    endif()
    if(VSA_HAVE_EMBEDDED)
        vsa_embed_spirv(_spirv_c)
        target_sources(${target} PRIVATE "${_spirv_c}")
        target_compile_definitions(${target} PRIVATE VSAI_HAVE_EMBEDDED)
    endif()
endfunction()
