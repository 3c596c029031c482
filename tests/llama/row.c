#include "row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char header[] =
    "length,family,context,question,kind,method,target,right,agreed,compared,attended,visible,rows,"
    "exact_rows,seconds\n";

int row_list_add(recall_rows *list, const recall_row *added)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 256;
        recall_row *rows = realloc(list->rows, capacity * sizeof(*rows));
        if (!rows) {
            return 0;
        }
        list->rows = rows;
        list->capacity = capacity;
    }
    list->rows[list->count++] = *added;
    return 1;
}

void row_list_free(recall_rows *list)
{
    free(list->rows);
    *list = (recall_rows){ 0 };
}

void row_write_header(FILE *file)
{
    fputs(header, file);
}

void row_write(FILE *file, const recall_row *written)
{
    fprintf(file, "%u,%d,%u,%u,%s,%s,%g,%d,%u,%u,%.0f,%.0f,%u,%u,%.3f\n", written->length,
            (int)written->family, written->context, written->question,
            task_kind_name(written->kind), written->method, written->target, written->is_right,
            written->agreed, written->compared, written->attended, written->visible, written->rows,
            written->exact_rows, written->seconds);
}

int row_parse(const char *line, recall_row *out)
{
    char kind[16];
    int family, end = 0;
    const int found = sscanf(line, "%u,%d,%u,%u,%15[^,],%15[^,],%lf,%d,%u,%u,%lf,%lf,%u,%u,%lf%n",
                             &out->length, &family, &out->context, &out->question, kind,
                             out->method, &out->target, &out->is_right, &out->agreed,
                             &out->compared, &out->attended, &out->visible, &out->rows,
                             &out->exact_rows, &out->seconds, &end);
    if (found != 15 || line[end] != '\n' || family < 0 || family >= TASK_FAMILY_COUNT) {
        return 0;
    }
    out->family = (recall_family)family;
    return task_kind_parse(kind, &out->kind);
}

int row_list_read(recall_rows *list, const char *path, char out_error[256])
{
    char line[512];
    unsigned number = 1;
    FILE *file = fopen(path, "r");
    if (!file) {
        if (errno == ENOENT) {
            return 1;
        }
        snprintf(out_error, 256, "%s: %s", path, strerror(errno));
        return 0;
    }
    int is_good = !fgets(line, sizeof(line), file) || strcmp(line, header) == 0;
    while (is_good && fgets(line, sizeof(line), file)) {
        recall_row found;
        number++;
        is_good = row_parse(line, &found) && row_list_add(list, &found);
    }
    fclose(file);
    if (!is_good) {
        snprintf(out_error, 256, "%s: line %u is no row of a recall run: remove the file, or the "
                 "line and what follows", path, number);
    }
    return is_good;
}
