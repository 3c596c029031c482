#ifdef _WIN32

#    include "platform.h"

#    define WIN32_LEAN_AND_MEAN
#    include <windows.h>

#    include <errno.h>
#    include <fcntl.h>
#    include <io.h>
#    include <stdlib.h>
#    include <string.h>
#    include <sys/stat.h>

platform_path_kind platform_path(const char *path)
{
    struct _stat64 status;

    if (_stat64(path, &status) != 0) {
        return PLATFORM_PATH_NONE;
    }
    return (status.st_mode & _S_IFMT) == _S_IFREG   ? PLATFORM_PATH_FILE
           : (status.st_mode & _S_IFMT) == _S_IFDIR ? PLATFORM_PATH_DIRECTORY
                                                    : PLATFORM_PATH_OTHER;
}

char *platform_resolve(const char *path)
{
    /* Symbolic links are rare here, and replaced rather than followed. */
    return _strdup(path);
}

bool platform_is_terminal(FILE *stream)
{
    return _isatty(_fileno(stream)) != 0;
}

double platform_seconds(void)
{
    LARGE_INTEGER count, frequency;

    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart / (double)frequency.QuadPart;
}

unsigned long platform_process_id(void)
{
    return GetCurrentProcessId();
}

bool platform_file_size(FILE *stream, uint64_t *out_size)
{
    const __int64 size = _filelengthi64(_fileno(stream));

    *out_size = size > 0 ? (uint64_t)size : 0;
    return size >= 0;
}

bool platform_file_seek(FILE *stream, uint64_t offset)
{
    if (offset > (uint64_t)INT64_MAX) {
        errno = EINVAL;
        return false;
    }
    return _fseeki64(stream, (__int64)offset, SEEK_SET) == 0;
}

FILE *platform_create(const char *path)
{
    const int file = _open(path, _O_CREAT | _O_EXCL | _O_WRONLY | _O_BINARY, _S_IREAD | _S_IWRITE);

    return file < 0 ? NULL : _fdopen(file, "wb");
}

bool platform_replace(const char *from, const char *to)
{
    if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING)) {
        return true;
    }
    errno = EACCES;
    return false;
}

#else
/* A translation unit needs a declaration. */
typedef int platform_windows_is_empty;
#endif
