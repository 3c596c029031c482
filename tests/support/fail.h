/* fail.h - programs that link ggml or llama.cpp end with one sentence when something does not work. */
#ifndef VSA_SUPPORT_FAIL_H
#define VSA_SUPPORT_FAIL_H

#include <stddef.h>

enum {
    EXIT_WRONG = 1,    /* a result is wrong */
    EXIT_USAGE = 2,    /* wrong arguments or a bad file */
    EXIT_DEVICE = 3,   /* the device, llama.cpp, ggml or the plugin does not work here */
};

/* Prints "error: ..." and exits. */
#if defined(__GNUC__)
__attribute__((noreturn, format(printf, 2, 3)))
#endif
void fail(int code, const char *format, ...);

/* calloc that fails with a sentence. */
void *allocate(size_t count, size_t size);

double seconds_now(void);

#endif
