# ctest -L consumer: projects that use vsa in every way there is, each in C and in C++.
set(_work "${CMAKE_CURRENT_BINARY_DIR}/consumer")
set(_here "${CMAKE_CURRENT_SOURCE_DIR}/consumer")

# Builds of vsa from source take what this one found, and no more shaders than they need.
set(_embed ON)
if(VSA_HAVE_SHADERC OR VSA_HAVE_GLSLANG)
    set(_embed OFF)
endif()
file(GENERATE OUTPUT "${_work}/cache.cmake" CONTENT
"set(CMAKE_BUILD_TYPE Release CACHE STRING \"\")
set(VSA_SHADERC ${VSA_SHADERC} CACHE BOOL \"\")
set(VSA_GLSLANG ${VSA_GLSLANG} CACHE BOOL \"\")
set(VSA_EMBED_SPIRV ${_embed} CACHE BOOL \"\")
")
file(GENERATE OUTPUT "${_work}/shared.cmake" CONTENT
"include(\"${_work}/cache.cmake\")
set(VSA_BUILD_TESTS OFF CACHE BOOL \"\")
set(VSA_BUILD_TOOL OFF CACHE BOOL \"\")
set(VSA_BUILD_EXAMPLES OFF CACHE BOOL \"\")
")

# _vsa_consumer_test(name fixture command...)
function(_vsa_consumer_test name)
    cmake_parse_arguments(arg "" "" "NEEDS;MAKES;COMMAND" ${ARGN})
    add_test(NAME consumer_${name} COMMAND "${CMAKE_COMMAND}" ${arg_COMMAND})
    set_tests_properties(consumer_${name} PROPERTIES LABELS consumer TIMEOUT 600
        FIXTURES_REQUIRED "${arg_NEEDS}" FIXTURES_SETUP "${arg_MAKES}")
endfunction()

# What this build is, installed; where that is static, a shared build beside it.
set(_kinds static)
if(BUILD_SHARED_LIBS)
    set(_kinds shared)
endif()
_vsa_consumer_test(install_${_kinds} MAKES consumer_${_kinds} COMMAND
    "-DBUILD=${PROJECT_BINARY_DIR}" "-DPREFIX=${_work}/prefix-${_kinds}" -P "${_here}/Install.cmake")
if(NOT BUILD_SHARED_LIBS AND UNIX)
    list(APPEND _kinds shared)
    _vsa_consumer_test(install_shared MAKES consumer_shared COMMAND
        "-DBUILD=${_work}/build-shared" "-DPREFIX=${_work}/prefix-shared"
        "-DSOURCE=${PROJECT_SOURCE_DIR}" "-DCACHE=${_work}/shared.cmake"
        "-DGENERATOR=${CMAKE_GENERATOR}" -P "${_here}/Install.cmake")
endif()

set(_ways package)
find_program(VSA_PKG_CONFIG NAMES pkg-config pkgconf)
if(VSA_PKG_CONFIG AND UNIX)
    list(APPEND _ways pkgconfig)
endif()
foreach(_kind IN LISTS _kinds)
    string(COMPARE EQUAL "${_kind}" shared _shared)
    foreach(_way IN LISTS _ways)
        foreach(_language C CXX)
            set(_name ${_way}_${_kind}_${_language})
            _vsa_consumer_test(${_name} NEEDS consumer_${_kind} COMMAND
                -DWAY=${_way} -DLANGUAGE=${_language} -DSHARED=${_shared}
                "-DPREFIX=${_work}/prefix-${_kind}" "-DWORK=${_work}/${_name}"
                "-DGENERATOR=${CMAKE_GENERATOR}" -P "${_here}/Run.cmake")
        endforeach()
    endforeach()
    if(UNIX AND NOT APPLE AND CMAKE_NM)
        _vsa_consumer_test(symbols_${_kind} NEEDS consumer_${_kind} COMMAND
            "-DNM=${CMAKE_NM}" "-DOBJDUMP=${CMAKE_OBJDUMP}" "-DPREFIX=${_work}/prefix-${_kind}"
            -DSHARED=${_shared} -DSOVERSION=${VSA_SOVERSION} -P "${_here}/Symbols.cmake")
    endif()
endforeach()
foreach(_pair subdirectory:C fetchcontent:CXX)
    string(REPLACE ":" ";" _pair "${_pair}")
    list(GET _pair 0 _way)
    list(GET _pair 1 _language)
    _vsa_consumer_test(${_way}_${_language} COMMAND
        -DWAY=${_way} -DLANGUAGE=${_language} -DSHARED=OFF "-DSOURCE=${PROJECT_SOURCE_DIR}"
        "-DCACHE=${_work}/cache.cmake" "-DWORK=${_work}/${_way}_${_language}"
        "-DGENERATOR=${CMAKE_GENERATOR}" -P "${_here}/Run.cmake")
endforeach()
