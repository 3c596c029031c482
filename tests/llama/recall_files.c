#include "recall.h"
#include "fail.h"

#include <errno.h>
#include <string.h>

void recall_setting_path(const recall_work *recall, const recall_setting *setting,
                         const char *suffix, char out[RECALL_PATH_SIZE])
{
    snprintf(out, RECALL_PATH_SIZE, "%s/setting-%u-%s-%g%s", recall->folder, setting->length,
             setting->method, setting->target, suffix);
}

void recall_rows_path(const recall_work *recall, uint32_t length, recall_family family,
                      uint32_t context, const char *suffix, char out[RECALL_PATH_SIZE])
{
    snprintf(out, RECALL_PATH_SIZE, "%s/rows-%u-%d-%u%s", recall->folder, length, (int)family,
             context, suffix);
}

int recall_file_exists(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file) {
        fclose(file);
    }
    return file != NULL;
}

static void part_path(const char *path, char out[RECALL_PATH_SIZE + 8])
{
    snprintf(out, RECALL_PATH_SIZE + 8, "%s.part", path);
}

FILE *recall_file_start(const char *path)
{
    char part[RECALL_PATH_SIZE + 8];
    part_path(path, part);
    FILE *file = fopen(part, "w");
    if (!file) {
        fail(EXIT_USAGE, "%s: %s", part, strerror(errno));
    }
    return file;
}

void recall_file_finish(FILE *file, const char *path)
{
    char part[RECALL_PATH_SIZE + 8];
    part_path(path, part);
    const int is_bad = ferror(file);
    if (fclose(file) || is_bad || rename(part, path)) {
        fail(EXIT_USAGE, "%s: %s", path, strerror(errno));
    }
}
