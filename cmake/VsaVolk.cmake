# volk, compiled from its source file as an object of its own.

find_path(VSA_VOLK_INCLUDE_DIR volk.h
    HINTS ENV VULKAN_SDK PATH_SUFFIXES include include/volk include/Volk volk)
find_file(VSA_VOLK_SOURCE volk.c HINTS "${VSA_VOLK_INCLUDE_DIR}" PATH_SUFFIXES include)
set(VSA_VOLK_FOUND OFF)
if(VSA_VOLK_INCLUDE_DIR AND VSA_VOLK_SOURCE)
    set(VSA_VOLK_FOUND ON)
else()
    message(STATUS "volk.h and volk.c were not found (Debian: libvulkan-volk-dev): "
        "vsa_standalone is not built")
endif()
