/*
 * tool.h - exit codes and the one way in which the tool reports a failure.
 */
#ifndef VSA_TOOL_H
#define VSA_TOOL_H

#if defined(__GNUC__)
#    ifdef __MINGW32__
#        define TOOL_PRINTF_KIND gnu_printf /* with __USE_MINGW_ANSI_STDIO */
#    else
#        define TOOL_PRINTF_KIND printf
#    endif
#    define TOOL_PRINTF(format_index, first_index)                                                 \
        __attribute__((format(TOOL_PRINTF_KIND, format_index, first_index)))
#else
#    define TOOL_PRINTF(format_index, first_index)
#endif

/* Stable: scripts rely on them. */
enum {
    EXIT_DONE = 0,
    EXIT_CHECK_FAILED = 1, /* done, but a case of validate failed, or --strict-exit */
    EXIT_BAD_INPUT = 2,    /* usage, or an input or output file */
    EXIT_NO_DEVICE = 3     /* no usable device, or a Vulkan error */
};

/* Prints "vsa: MESSAGE" as exactly one line on standard error (control characters become '?')
 * and returns `exit_code`. */
int tool_fail(int exit_code, const char *format, ...) TOOL_PRINTF(2, 3);

/* Flushes standard output: EXIT_DONE, or a failure if what was printed could not be written. */
int tool_finish_output(void);

#endif
