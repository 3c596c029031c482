# cmake -DVALIDATOR= -DGLSLC= -DOPT= -DINPUT= -DOUTPUT= -DINCLUDE= -DWIDE= -DSEGMENTS=
#       -DQUANT= -P ...
# One compute shader to SPIR-V, optimised when spirv-opt is there.

get_filename_component(directory "${OUTPUT}" DIRECTORY)
file(MAKE_DIRECTORY "${directory}")
set(raw "${OUTPUT}.raw")
set(defines "-DVSA_WIDE=${WIDE}" "-DVSA_SEGMENTS=${SEGMENTS}" "-DVSA_QUANT=${QUANT}")

function(run_tool)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
        ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        file(REMOVE "${OUTPUT}" "${raw}")
        message(FATAL_ERROR "${INPUT} (${defines}):\n${output}")
    endif()
endfunction()

if(VALIDATOR)
    run_tool("${VALIDATOR}" --target-env vulkan1.2 -S comp "-I${INCLUDE}" ${defines}
        -o "${raw}" "${INPUT}")
else()
    run_tool("${GLSLC}" --target-env=vulkan1.2 -fshader-stage=comp -I "${INCLUDE}" ${defines}
        -o "${raw}" "${INPUT}")
endif()
if(OPT)
    run_tool("${OPT}" --target-env=vulkan1.2 -O "${raw}" -o "${OUTPUT}")
    file(REMOVE "${raw}")
else()
    file(RENAME "${raw}" "${OUTPUT}")
endif()
