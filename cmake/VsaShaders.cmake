# Turns shaders/ into C: the GLSL texts, and SPIR-V compiled at build time.

set(VSA_SHADER_DIR "${CMAKE_CURRENT_SOURCE_DIR}/shaders")
set(VSA_SHADER_SCRIPTS "${CMAKE_CURRENT_SOURCE_DIR}/cmake")

file(GLOB VSA_SHADER_STAGES CONFIGURE_DEPENDS "${VSA_SHADER_DIR}/*.comp")
file(GLOB VSA_SHADER_INCLUDES CONFIGURE_DEPENDS
    "${VSA_SHADER_DIR}/*.glsl" "${VSA_SHADER_DIR}/*.h")

function(vsa_embed_glsl out_source)
    set(source "${CMAKE_CURRENT_BINARY_DIR}/generated/glsl_sources.c")
    set(list "${CMAKE_CURRENT_BINARY_DIR}/generated/glsl_sources.txt")
    list(JOIN VSA_SHADER_STAGES "\n" stages)
    list(JOIN VSA_SHADER_INCLUDES "\n" includes)
    # Rewritten only when the list of files changes.
    file(CONFIGURE OUTPUT "${list}" CONTENT "${stages}\n${includes}\n" @ONLY)
    add_custom_command(
        OUTPUT "${source}"
        COMMAND ${CMAKE_COMMAND} "-DLIST=${list}" "-DOUTPUT=${source}"
            -P "${VSA_SHADER_SCRIPTS}/EmbedGlsl.cmake"
        DEPENDS ${VSA_SHADER_STAGES} ${VSA_SHADER_INCLUDES} "${list}"
            "${VSA_SHADER_SCRIPTS}/EmbedGlsl.cmake"
        COMMENT "Embedding GLSL"
        VERBATIM)
    set(${out_source} "${source}" PARENT_SCOPE)
endfunction()

# name, and for the shaders of VSA_KV_SHADERS also name.wide, .seg and .wide.seg, all 4 again with
# .quant.
function(vsa_embed_spirv out_source)
    set(modules)
    foreach(stage IN LISTS VSA_SHADER_STAGES)
        get_filename_component(name "${stage}" NAME_WE)
        set(variants "|0|1|0")
        if(name IN_LIST VSA_KV_SHADERS)
            list(APPEND variants ".wide|1|1|0" ".seg|0|8|0" ".wide.seg|1|8|0"
                ".quant|0|1|1" ".wide.quant|1|1|1" ".seg.quant|0|8|1" ".wide.seg.quant|1|8|1")
        endif()
        foreach(variant IN LISTS variants)
            string(REGEX MATCH "^(.*)\\|(.*)\\|(.*)\\|(.*)$" _ "${variant}")
            set(suffix "${CMAKE_MATCH_1}")
            set(wide "${CMAKE_MATCH_2}")
            set(segments "${CMAKE_MATCH_3}")
            set(quant "${CMAKE_MATCH_4}")
            set(module "${CMAKE_CURRENT_BINARY_DIR}/generated/spirv/${name}${suffix}.spv")
            add_custom_command(
                OUTPUT "${module}"
                COMMAND ${CMAKE_COMMAND}
                    "-DVALIDATOR=${VSA_GLSLANG_VALIDATOR}" "-DGLSLC=${VSA_GLSLC}"
                    "-DOPT=${VSA_SPIRV_OPT}" "-DINPUT=${stage}" "-DOUTPUT=${module}"
                    "-DINCLUDE=${VSA_SHADER_DIR}" "-DWIDE=${wide}" "-DSEGMENTS=${segments}"
                    "-DQUANT=${quant}"
                    -P "${VSA_SHADER_SCRIPTS}/CompileSpirv.cmake"
                DEPENDS "${stage}" ${VSA_SHADER_INCLUDES}
                    "${VSA_SHADER_SCRIPTS}/CompileSpirv.cmake"
                COMMENT "Compiling shader ${name}${suffix}"
                VERBATIM)
            list(APPEND modules "${module}")
        endforeach()
    endforeach()

    set(source "${CMAKE_CURRENT_BINARY_DIR}/generated/spirv_modules.c")
    set(list "${CMAKE_CURRENT_BINARY_DIR}/generated/spirv_modules.txt")
    list(JOIN modules "\n" lines)
    file(CONFIGURE OUTPUT "${list}" CONTENT "${lines}\n" @ONLY)
    add_custom_command(
        OUTPUT "${source}"
        COMMAND ${CMAKE_COMMAND} "-DLIST=${list}" "-DOUTPUT=${source}"
            -P "${VSA_SHADER_SCRIPTS}/EmbedSpirv.cmake"
        DEPENDS ${modules} "${list}" "${VSA_SHADER_SCRIPTS}/EmbedSpirv.cmake"
        COMMENT "Embedding SPIR-V"
        VERBATIM)
    set(${out_source} "${source}" PARENT_SCOPE)
endfunction()
