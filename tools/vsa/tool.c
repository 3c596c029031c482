#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int tool_fail(int exit_code, const char *format, ...)
{
    char line[2048];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);

    /* File and tensor names come from outside: they must not break the line. */
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    fflush(stdout);
    fprintf(stderr, "vsa: %s\n", line);
    return exit_code;
}

int tool_finish_output(void)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return tool_fail(EXIT_BAD_INPUT, "standard output: cannot be written: %s",
                         errno ? strerror(errno) : "error");
    }
    return EXIT_DONE;
}
