/*
 * platform.h - what the tool needs from the operating system beyond C11: platform.c has it for POSIX
 * systems, platform_windows.c for Windows. The only files to port.
 */
#ifndef VSA_TOOL_PLATFORM_H
#define VSA_TOOL_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum platform_path_kind {
    PLATFORM_PATH_NONE, /* errno says why */
    PLATFORM_PATH_FILE,
    PLATFORM_PATH_DIRECTORY,
    PLATFORM_PATH_OTHER /* device, pipe, socket */
} platform_path_kind;

/* Follows symbolic links. */
platform_path_kind platform_path(const char *path);

/* The path with symbolic links resolved if it exists, else a copy; the caller frees it. NULL when
 * memory is out. */
char *platform_resolve(const char *path);

bool platform_is_terminal(FILE *stream);

/* Monotonic, in seconds. */
double platform_seconds(void);

unsigned long platform_process_id(void);

/* 64-bit file positions. False on an error. */
bool platform_file_size(FILE *stream, uint64_t *out_size);
bool platform_file_seek(FILE *stream, uint64_t offset);

/* Opens a file that must not exist yet, to write bytes; NULL with errno. */
FILE *platform_create(const char *path);

/* Renames over what may be there. False with errno. */
bool platform_replace(const char *from, const char *to);

#endif
