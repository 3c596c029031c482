/*
 * progress.h - a bar on standard error while something long runs. Silent unless standard error is
 * a terminal.
 */
#ifndef VSA_TOOL_PROGRESS_H
#define VSA_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    const char *label;
    uint64_t total;
    double started, drawn; /* seconds */
    bool shown;            /* false: every call does nothing */
    bool visible;          /* the bar is on the current line */
} progress;

progress progress_begin(const char *label, uint64_t total, bool wanted);
void progress_update(progress *bar, uint64_t done);
/* Takes the bar off the screen; the next update draws it again. */
void progress_clear(progress *bar);

#endif
