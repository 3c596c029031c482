# cmake -DPAGE=README.md -DFILE=examples/decode_loop.c -P Quote.cmake
# A page quotes the whole of a file, letter by letter, in a block ```c; and the file is no longer than
# MAX_LINES, when that is given. Both PAGE and MAX_LINES may be left out.

set(page)
if(PAGE)
    file(READ "${PAGE}" page)
endif()
file(READ "${FILE}" code)
string(FIND "${page}" "```c\n${code}```" position)
if(PAGE AND position EQUAL -1)
    message(FATAL_ERROR "${PAGE} does not quote ${FILE} as it is")
endif()
string(REGEX MATCHALL "\n" lines "${code}")
list(LENGTH lines count)
if(MAX_LINES AND count GREATER MAX_LINES)
    message(FATAL_ERROR "${FILE} has ${count} lines, more than ${MAX_LINES}")
endif()
