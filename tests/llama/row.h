/*
 * row.h - what was measured of one question under one configuration, and files of such rows.
 */
#ifndef VSA_LLAMA_ROW_H
#define VSA_LLAMA_ROW_H

#include "task.h"

#include <stdio.h>

#define ROW_METHOD_SIZE 16

typedef struct recall_row {
    uint32_t    length;         /* tokens that context, question and answer have room in */
    recall_family family;
    uint32_t    context, question;
    recall_kind   kind;
    char        method[ROW_METHOD_SIZE];   /* "dense": llama.cpp without vsa */
    double      target;         /* density that was aimed at; 0 = none */
    int         is_right;
    uint32_t    agreed;         /* tokens equal to dense's before the first that differs */
    uint32_t    compared;       /* agreed, and the one that differs */
    /* Of a batch of questions, shared out by answer tokens; their sums are exact. */
    double      attended, visible;   /* tokens, over layers, heads and steps */
    uint32_t    rows, exact_rows;    /* certificates, and those that ended dense */
    double      seconds;
} recall_row;

typedef struct recall_rows {
    recall_row   *rows;
    size_t count, capacity;
} recall_rows;

/* 0 when memory ran out. */
int  row_list_add(recall_rows *list, const recall_row *added);
void row_list_free(recall_rows *list);

void row_write_header(FILE *file);
void row_write(FILE *file, const recall_row *written);
/* 0 when the line is no row. */
int row_parse(const char *line, recall_row *out);

/* Appends the rows of a file to the list; a file that does not exist has none. 0: `out_error` has a
 * sentence. */
int row_list_read(recall_rows *list, const char *path, char out_error[256]);

#endif
