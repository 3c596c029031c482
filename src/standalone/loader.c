/* Opens the system's Vulkan loader. Not by volk: its variables have the names of Vulkan's
 * functions, and a static library that defines them takes over the calls of a program that links
 * libvulkan. */
#include "standalone.h"

#include <string.h>

#ifdef _WIN32
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>

static const char *const libraries[] = {"vulkan-1.dll"};

static PFN_vkGetInstanceProcAddr open_library(const char *name)
{
    const HMODULE library = LoadLibraryA(name);
    const FARPROC found = library ? GetProcAddress(library, "vkGetInstanceProcAddr") : NULL;
    PFN_vkGetInstanceProcAddr function;
    memcpy(&function, &found, sizeof(function));
    return function;
}
#else
#  include <dlfcn.h>

#  ifdef __APPLE__
static const char *const libraries[] = {"libvulkan.dylib", "libvulkan.1.dylib",
                                        "libMoltenVK.dylib"};
#  else
static const char *const libraries[] = {"libvulkan.so.1", "libvulkan.so"};
#  endif

static PFN_vkGetInstanceProcAddr open_library(const char *name)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    void *const found = library ? dlsym(library, "vkGetInstanceProcAddr") : NULL;
    /* ISO C has no conversion between the two kinds of pointer; POSIX gives them one size. */
    PFN_vkGetInstanceProcAddr function;
    memcpy(&function, &found, sizeof(function));
    return function;
}
#endif

PFN_vkGetInstanceProcAddr vsai_loader_open(void)
{
    /* The pointer alone is kept: two threads that both open the library get the same one. */
    static _Atomic(PFN_vkGetInstanceProcAddr) opened;
    PFN_vkGetInstanceProcAddr get = atomic_load(&opened);
    for (size_t i = 0; !get && i < sizeof(libraries) / sizeof(libraries[0]); ++i) {
        get = open_library(libraries[i]);
    }
    atomic_store(&opened, get);
    return get;
}
