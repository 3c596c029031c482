# Finds libshaderc: the shared library, else the self-contained static one.
# Defines shaderc::shaderc.

find_path(SHADERC_INCLUDE_DIR shaderc/shaderc.h HINTS ENV VULKAN_SDK PATH_SUFFIXES include)
find_library(SHADERC_LIBRARY NAMES shaderc shaderc_shared shaderc_combined
    HINTS ENV VULKAN_SDK PATH_SUFFIXES lib)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Shaderc DEFAULT_MSG SHADERC_LIBRARY SHADERC_INCLUDE_DIR)
mark_as_advanced(SHADERC_INCLUDE_DIR SHADERC_LIBRARY)

if(Shaderc_FOUND AND NOT TARGET shaderc::shaderc)
    add_library(shaderc::shaderc UNKNOWN IMPORTED)
    set_target_properties(shaderc::shaderc PROPERTIES
        IMPORTED_LOCATION "${SHADERC_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${SHADERC_INCLUDE_DIR}")
    if(SHADERC_LIBRARY MATCHES "shaderc_combined")
        enable_language(CXX)
        set_target_properties(shaderc::shaderc PROPERTIES
            IMPORTED_LINK_INTERFACE_LANGUAGES CXX)
    endif()
endif()
