# cmake -DLIST=<file of paths> -DOUTPUT=<C file> -P EmbedSpirv.cmake

file(STRINGS "${LIST}" paths)
set(arrays "")
set(table "")
set(index 0)
foreach(path IN LISTS paths)
    get_filename_component(name "${path}" NAME)
    string(REGEX REPLACE "\\.spv$" "" name "${name}")
    file(READ "${path}" bytes HEX)
    string(LENGTH "${bytes}" size)
    math(EXPR size "${size} / 2")
    # SPIR-V files are written little-endian here; the array holds words.
    string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${bytes}")
    string(REGEX REPLACE "(0x........,0x........,0x........,0x........,0x........,0x........,0x........,0x........,)"
        "\\1\n" words "${words}")
    string(APPEND arrays "static const uint32_t words_${index}[] = {\n${words}};\n")
    string(APPEND table "    {\"${name}\", words_${index}, ${size}},\n")
    math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUTPUT}" "/* Generated from shaders/: do not edit. */
#include \"embedded.h\"

${arrays}
const vsai_spirv_module vsai_spirv_modules[] = {
${table}    {0, 0, 0}};
const size_t vsai_spirv_module_count = ${index};
")
