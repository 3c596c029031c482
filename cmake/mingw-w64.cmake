# Toolchain: 64-bit Windows programs from a Linux machine with mingw-w64. tools/windows uses it.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(_prefix x86_64-w64-mingw32)
# The posix flavour has C11's threads of winpthreads, which cmocka and the simulations need.
find_program(CMAKE_C_COMPILER NAMES ${_prefix}-gcc-posix ${_prefix}-gcc REQUIRED)
find_program(CMAKE_CXX_COMPILER NAMES ${_prefix}-g++-posix ${_prefix}-g++)
set(CMAKE_FIND_ROOT_PATH /usr/${_prefix})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# Whoever copies a program needs nothing beside it.
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
# %zu and %a as C11 has them.
add_compile_definitions(__USE_MINGW_ANSI_STDIO=1)
find_program(CMAKE_CROSSCOMPILING_EMULATOR NAMES wine64 wine)
