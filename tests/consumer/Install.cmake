# cmake -DBUILD= -DPREFIX= [-DSOURCE= -DCACHE= -DGENERATOR=] -P Install.cmake
# Installs the build of vsa in BUILD into PREFIX; with SOURCE, builds it there first.

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
        ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${ARGN}: ${result}\n${output}")
    endif()
endfunction()

if(SOURCE)
    file(REMOVE_RECURSE "${BUILD}")
    run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BUILD}" -G "${GENERATOR}" -C "${CACHE}"
        -DBUILD_SHARED_LIBS=ON)
    run("${CMAKE_COMMAND}" --build "${BUILD}")
endif()
file(REMOVE_RECURSE "${PREFIX}")
run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}")
