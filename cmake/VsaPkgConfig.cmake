# vsa.pc and vsa-standalone.pc. A static vsa needs what it was built with: that is collected from
# its targets into Libs.private, for `pkg-config --static`.

# Linker arguments of one entry of INTERFACE_LINK_LIBRARIES and everything behind it, once each,
# what depends before what it depends on.
function(_vsa_pc_collect entry)
    string(REGEX REPLACE "^\\$<(LINK_ONLY|BUILD_INTERFACE):(.*)>$" "\\2" entry "${entry}")
    get_property(seen GLOBAL PROPERTY _VSA_PC_SEEN)
    if(NOT entry OR entry STREQUAL "vsa_settings" OR entry IN_LIST seen)
        return()
    endif()
    set_property(GLOBAL APPEND PROPERTY _VSA_PC_SEEN "${entry}")
    if(entry STREQUAL "Threads::Threads")
        set_property(GLOBAL APPEND PROPERTY _VSA_PC_LAST "-pthread")
    elseif(TARGET "${entry}")
        get_target_property(type "${entry}" TYPE)
        if(NOT type STREQUAL "INTERFACE_LIBRARY")
            set_property(GLOBAL APPEND PROPERTY _VSA_PC_LIBRARIES "$<TARGET_FILE:${entry}>")
        endif()
        get_target_property(behind "${entry}" INTERFACE_LINK_LIBRARIES)
        foreach(next IN LISTS behind)
            if(next)
                _vsa_pc_collect("${next}")
            endif()
        endforeach()
    elseif(EXISTS "${entry}" OR entry MATCHES "^-")
        set_property(GLOBAL APPEND PROPERTY _VSA_PC_LIBRARIES "${entry}")
    else()
        set_property(GLOBAL APPEND PROPERTY _VSA_PC_LAST "-l${entry}")
    endif()
endfunction()

# The private libraries of a target of ours.
function(_vsa_pc_libraries target out)
    foreach(property SEEN LIBRARIES LAST)
        set_property(GLOBAL PROPERTY _VSA_PC_${property} "")
    endforeach()
    set_property(GLOBAL PROPERTY _VSA_PC_SEEN vsa)
    get_target_property(entries ${target} LINK_LIBRARIES)
    foreach(entry IN LISTS entries)
        _vsa_pc_collect("${entry}")
    endforeach()
    get_property(libraries GLOBAL PROPERTY _VSA_PC_LIBRARIES)
    get_property(last GLOBAL PROPERTY _VSA_PC_LAST)
    list(LENGTH libraries count)
    if(count GREATER 1)
        # glslang's libraries name each other in a circle.
        list(PREPEND libraries "-Wl,--start-group")
        list(APPEND libraries "-Wl,--end-group")
    endif()
    list(JOIN libraries " " libraries)
    list(REMOVE_DUPLICATES last)
    list(JOIN last " " last)
    set(${out} "${libraries} ${last}" PARENT_SCOPE)
endfunction()

function(_vsa_pc_write name target description requires)
    set(private)
    set(cflags)
    if(BUILD_SHARED_LIBS)
        set(cflags " -DVSA_SHARED")
    else()
        _vsa_pc_libraries(${target} private)
    endif()
    if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
        set(libdir "${CMAKE_INSTALL_FULL_LIBDIR}")
        set(includedir "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
        set(prefix "${CMAKE_INSTALL_PREFIX}")
    else()
        # From where the file lies: the prefix may change when it is installed.
        file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
        set(prefix "\${pcfiledir}/${up}")
        string(REGEX REPLACE "/$" "" prefix "${prefix}")
        set(libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
        set(includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
    endif()
    file(GENERATE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/pkgconfig/$<CONFIG>/${name}.pc" CONTENT
"prefix=${prefix}
libdir=${libdir}
includedir=${includedir}

Name: ${name}
Description: ${description}
Version: ${PROJECT_VERSION}
Requires: ${requires}
Cflags: -I\${includedir}${cflags}
Libs: -L\${libdir} -l${target}
Libs.private: ${private}
")
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/pkgconfig/$<CONFIG>/${name}.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

_vsa_pc_write(vsa vsa "${PROJECT_DESCRIPTION}" "")
_vsa_pc_write(vsa-standalone vsa_standalone
    "A Vulkan device and memory for vsa, for programs without Vulkan" "vsa = ${PROJECT_VERSION}")
