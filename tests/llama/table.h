/*
 * table.h - rows into the tables of docs/recall.md. Pure but for the file written to.
 */
#ifndef VSA_LLAMA_TABLE_H
#define VSA_LLAMA_TABLE_H

#include "setting.h"

/* Of the questions that fit a choice, under one configuration. */
typedef struct table_cell {
    uint32_t questions, clusters; /* clusters: contexts, whose questions are not independent */
    double right, dense_right;    /* shares, of the same questions */
    double difference;            /* right - dense_right */
    double standard_error;        /* of the difference, from the clusters; infinite with one */
    uint32_t gained, lost;        /* right where dense is wrong, and the other way round */
    double agreement;             /* tokens equal to dense's given the same tokens before */
    double same;                  /* answers with the tokens of dense */
    double density;               /* tokens attended to, of those visible */
    double exact;                 /* rows that ended dense */
} table_cell;

/* kind < 0: all kinds. */
void table_count(const recall_rows *list, uint32_t length, int kind, const char *method,
                 double target, table_cell *out);

/* Markdown. `settings` may hold fewer lengths than the rows. 0 when there are no rows. */
int table_write(FILE *file, const recall_rows *list, const recall_setting *settings,
                size_t setting_count);

#endif
