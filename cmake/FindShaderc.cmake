# Finds libshaderc and defines shaderc::shaderc. Look for glslang first.
#
# A complete libshaderc, shared or static, is taken as it is. Debian 12's libraries leave most of
# glslang undefined: there the static one is completed with glslang's own static libraries, so
# that the program has one glslang. (The shared one would mix its own parts with those.)

find_path(SHADERC_INCLUDE_DIR shaderc/shaderc.h HINTS ENV VULKAN_SDK PATH_SUFFIXES include)
find_library(SHADERC_LIBRARY NAMES shaderc shaderc_shared shaderc_combined
    HINTS ENV VULKAN_SDK PATH_SUFFIXES lib)
find_library(SHADERC_COMBINED_LIBRARY NAMES shaderc_combined
    HINTS ENV VULKAN_SDK PATH_SUFFIXES lib)
mark_as_advanced(SHADERC_INCLUDE_DIR SHADERC_LIBRARY SHADERC_COMBINED_LIBRARY)

set(_shaderc_choice)
set(_shaderc_glslang)
if(SHADERC_INCLUDE_DIR AND SHADERC_LIBRARY)
    include(CheckCSourceCompiles)
    set(_shaderc_test "#include <shaderc/shaderc.h>
        int main(void) { return shaderc_compiler_initialize() == 0; }")
    set(CMAKE_REQUIRED_QUIET ON)
    set(CMAKE_REQUIRED_INCLUDES "${SHADERC_INCLUDE_DIR}")
    set(CMAKE_REQUIRED_LIBRARIES "${SHADERC_LIBRARY}")
    if(SHADERC_LIBRARY STREQUAL SHADERC_COMBINED_LIBRARY)
        list(APPEND CMAKE_REQUIRED_LIBRARIES stdc++ m pthread)
    endif()
    check_c_source_compiles("${_shaderc_test}" SHADERC_IS_COMPLETE)
    if(SHADERC_IS_COMPLETE)
        set(_shaderc_choice "${SHADERC_LIBRARY}")
    elseif(SHADERC_COMBINED_LIBRARY AND TARGET glslang::glslang AND TARGET glslang::SPIRV)
        set(_shaderc_glslang glslang::SPIRV glslang::glslang)
        if(TARGET SPIRV-Tools-opt)
            list(APPEND _shaderc_glslang SPIRV-Tools-opt)
        endif()
        set(CMAKE_REQUIRED_LIBRARIES "${SHADERC_COMBINED_LIBRARY}" ${_shaderc_glslang} stdc++ m)
        check_c_source_compiles("${_shaderc_test}" SHADERC_LINKS_WITH_GLSLANG)
        if(SHADERC_LINKS_WITH_GLSLANG)
            set(_shaderc_choice "${SHADERC_COMBINED_LIBRARY}")
        endif()
    endif()
    unset(CMAKE_REQUIRED_QUIET)
    unset(CMAKE_REQUIRED_INCLUDES)
    unset(CMAKE_REQUIRED_LIBRARIES)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Shaderc DEFAULT_MSG _shaderc_choice SHADERC_INCLUDE_DIR)

if(Shaderc_FOUND AND NOT TARGET shaderc::shaderc)
    add_library(shaderc::shaderc UNKNOWN IMPORTED)
    set_target_properties(shaderc::shaderc PROPERTIES
        IMPORTED_LOCATION "${_shaderc_choice}"
        INTERFACE_INCLUDE_DIRECTORIES "${SHADERC_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES "${_shaderc_glslang}")
    if(_shaderc_choice STREQUAL SHADERC_COMBINED_LIBRARY)
        set_target_properties(shaderc::shaderc PROPERTIES
            IMPORTED_LINK_INTERFACE_LANGUAGES CXX)
    endif()
endif()
