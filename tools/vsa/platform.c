#ifndef _WIN32
#define _POSIX_C_SOURCE   200809L
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64

#include "platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

platform_path_kind platform_path(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0) {
        return PLATFORM_PATH_NONE;
    }
    return S_ISREG(status.st_mode)   ? PLATFORM_PATH_FILE
           : S_ISDIR(status.st_mode) ? PLATFORM_PATH_DIRECTORY
                                     : PLATFORM_PATH_OTHER;
}

char *platform_resolve(const char *path)
{
    char *resolved = realpath(path, NULL);

    return resolved ? resolved : strdup(path);
}

bool platform_is_terminal(FILE *stream)
{
    return isatty(fileno(stream)) == 1;
}

double platform_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

unsigned long platform_process_id(void)
{
    return (unsigned long)getpid();
}

bool platform_file_size(FILE *stream, uint64_t *out_size)
{
    struct stat status;

    *out_size = 0;
    if (fstat(fileno(stream), &status) != 0 || status.st_size < 0) {
        return false;
    }
    *out_size = (uint64_t)status.st_size;
    return true;
}

bool platform_file_seek(FILE *stream, uint64_t offset)
{
    if (offset > (uint64_t)INT64_MAX) {
        errno = EINVAL;
        return false;
    }
    return fseeko(stream, (off_t)offset, SEEK_SET) == 0;
}

FILE *platform_create(const char *path)
{
    return fopen(path, "wbx");
}

bool platform_replace(const char *from, const char *to)
{
    return rename(from, to) == 0;
}

#else
/* A translation unit needs a declaration. */
typedef int platform_posix_is_empty;
#endif
