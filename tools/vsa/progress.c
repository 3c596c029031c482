#include "progress.h"

#include <stdio.h>

#include "platform.h"

enum { BAR_WIDTH = 30 };

progress progress_begin(const char *label, uint64_t total, bool wanted)
{
    return (progress){
        .label = label,
        .total = total,
        .started = platform_seconds(),
        .shown = wanted && total > 0 && platform_is_terminal(stderr),
    };
}

void progress_update(progress *bar, uint64_t done)
{
    if (!bar->shown) {
        return;
    }
    const double now = platform_seconds();

    if (bar->visible && now - bar->drawn < 0.1 && done < bar->total) {
        return;
    }
    char cells[BAR_WIDTH + 1];
    const double share = (double)done / (double)bar->total;
    const int full = (int)(share * BAR_WIDTH);

    for (int i = 0; i < BAR_WIDTH; i++) {
        cells[i] = i < full ? '#' : '.';
    }
    cells[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3.0f%%", bar->label, cells, 100.0 * share);
    if (done > 0) {
        fprintf(stderr, "  %.0f s left ", (now - bar->started) * (1.0 - share) / share);
    }
    fprintf(stderr, "\033[K");
    fflush(stderr);
    bar->drawn = now;
    bar->visible = true;
}

void progress_clear(progress *bar)
{
    if (bar->visible) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
        bar->visible = false;
    }
}
