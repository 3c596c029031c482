/* One file per key. A reader sees a whole file or none: files are written beside and renamed. */
#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#  define _POSIX_C_SOURCE 200809L
#endif

#include "standalone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef _WIN32
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
#  include <direct.h>
#else
#  include <sys/stat.h>
#  include <sys/types.h>
#  include <unistd.h>
#endif

struct vsa_directory_cache {
    vsa_log     log;
    atomic_uint serial;      /* makes the names of unfinished files distinct */
    size_t      path_size;   /* without the zero */
    char        path[];
};

/* "/" + 64 hex digits + ".bin", and for unfinished files "." + process + "." + serial */
#define NAME_CAPACITY 128

static unsigned long process_id(void)
{
#ifdef _WIN32
    return (unsigned long)GetCurrentProcessId();
#else
    return (unsigned long)getpid();
#endif
}

static int make_directory(const char *path)
{
#ifdef _WIN32
    const DWORD attributes = GetFileAttributesA(path);
    if (attributes != INVALID_FILE_ATTRIBUTES) {
        return attributes & FILE_ATTRIBUTE_DIRECTORY ? 0 : ENOTDIR;
    }
    return _mkdir(path) == 0 || errno == EEXIST ? 0 : errno;
#else
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return errno;
    }
    struct stat status;
    if (stat(path, &status) != 0) {
        return errno;
    }
    return S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
#endif
}

static int is_separator(char c)
{
#ifdef _WIN32
    return c == '/' || c == '\\';
#else
    return c == '/';
#endif
}

static int make_directories(char *path)
{
    for (char *c = path + 1; *c; ++c) {
        if (is_separator(*c) && !is_separator(c[-1]) && c[-1] != ':') {
            const char separator = *c;
            *c = '\0';
            const int error = make_directory(path);
            *c = separator;
            if (error) {
                return error;
            }
        }
    }
    return make_directory(path);
}

static int replace_file(const char *from, const char *to)
{
#ifdef _WIN32
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) != 0;
#else
    return rename(from, to) == 0;
#endif
}

static char *file_path(const vsa_directory_cache *cache, const uint8_t key[32],
                       const char *suffix)
{
    static const char digits[] = "0123456789abcdef";
    char hex[65];
    for (unsigned i = 0; i < 32; ++i) {
        hex[2 * i] = digits[key[i] >> 4];
        hex[2 * i + 1] = digits[key[i] & 15u];
    }
    hex[64] = '\0';
    const size_t capacity = cache->path_size + NAME_CAPACITY;
    char *path = vsai_calloc(NULL, capacity, 1);
    if (path) {
        snprintf(path, capacity, "%s/%s.bin%s", cache->path, hex, suffix);
    }
    return path;
}

static size_t cache_get(void *user, const uint8_t key[32], void *data, size_t capacity)
{
    const vsa_directory_cache *cache = user;
    size_t size = 0;
    char *path = file_path(cache, key, "");
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        const long end = ftell(file);
        if (end > 0 && fseek(file, 0, SEEK_SET) == 0) {
            size = (size_t)end;
            const size_t wanted = size < capacity ? size : capacity;
            if (wanted && fread(data, 1, wanted, file) != wanted) {
                size = 0;
            }
        }
    }
    if (file) {
        fclose(file);
    }
    vsai_free(NULL, path);
    return size;
}

static void cache_put(void *user, const uint8_t key[32], const void *data, size_t size)
{
    vsa_directory_cache *cache = user;
    char suffix[48];
    snprintf(suffix, sizeof(suffix), ".%lu.%u", process_id(),
             atomic_fetch_add(&cache->serial, 1));
    char *path = file_path(cache, key, "");
    char *unfinished = file_path(cache, key, suffix);
    FILE *file = path && unfinished ? fopen(unfinished, "wb") : NULL;
    if (!file) {
        vsai_log(&cache->log, VSA_LOG_WARN, "cache: cannot write in %s: %s", cache->path,
                 strerror(errno));
        goto done;
    }
    const int written = fwrite(data, 1, size, file) == size;
    const int closed = fclose(file) == 0;
    if (!written || !closed || !replace_file(unfinished, path)) {
        vsai_log(&cache->log, VSA_LOG_WARN, "cache: cannot write %s: %s", path, strerror(errno));
        remove(unfinished);
    }

done:
    vsai_free(NULL, path);
    vsai_free(NULL, unfinished);
}

vsa_result vsa_directory_cache_create(const char *path, const vsa_log *log,
                                      vsa_directory_cache **out_cache)
{
    if (!out_cache) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "out_cache is NULL");
    }
    *out_cache = NULL;
    if (!path || !path[0]) {
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT, "the cache's path is empty");
    }
    const size_t size = strlen(path);
    vsa_directory_cache *cache = vsai_calloc(NULL, 1, sizeof(*cache) + size + 1);
    if (!cache) {
        return vsai_fail(log, VSA_ERROR_OUT_OF_HOST_MEMORY, "no host memory for a cache");
    }
    if (log) {
        cache->log = *log;
    }
    atomic_init(&cache->serial, 0);
    cache->path_size = size;
    memcpy(cache->path, path, size + 1);
    const int error = make_directories(cache->path);
    if (error) {
        vsai_free(NULL, cache);
        return vsai_fail(log, VSA_ERROR_INVALID_ARGUMENT,
                         "cannot make the cache directory %s: %s", path, strerror(error));
    }
    *out_cache = cache;
    return VSA_SUCCESS;
}

void vsa_directory_cache_destroy(vsa_directory_cache *cache)
{
    vsai_free(NULL, cache);
}

vsa_cache vsa_directory_cache_callbacks(vsa_directory_cache *cache)
{
    return (vsa_cache){.get = cache_get, .put = cache_put, .user = cache};
}
