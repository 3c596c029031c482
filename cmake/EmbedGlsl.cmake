# cmake -DLIST=<file of paths> -DOUTPUT=<C file> -P EmbedGlsl.cmake
# Byte arrays, because string literals have a length limit.

file(STRINGS "${LIST}" paths)
set(arrays "")
set(table "")
set(index 0)
foreach(path IN LISTS paths)
    get_filename_component(name "${path}" NAME)
    file(READ "${path}" bytes HEX)
    string(LENGTH "${bytes}" size)
    math(EXPR size "${size} / 2")
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
        "\\1\n" bytes "${bytes}")
    # The terminating zero also keeps an empty file valid C.
    string(APPEND arrays "static const unsigned char text_${index}[] = {\n${bytes}0x00};\n")
    string(APPEND table "    {\"${name}\", (const char *)text_${index}, ${size}},\n")
    math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUTPUT}" "/* Generated from shaders/: do not edit. */
#include \"embedded.h\"

${arrays}
const vsai_glsl_source vsai_glsl_sources[] = {
${table}    {0, 0, 0}};
const size_t vsai_glsl_source_count = ${index};
")
