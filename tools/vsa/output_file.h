/*
 * output_file.h - files that appear whole or not at all: written beside their path and renamed.
 * Functions that return int return an exit code, after one line on standard error.
 */
#ifndef VSA_TOOL_OUTPUT_FILE_H
#define VSA_TOOL_OUTPUT_FILE_H

#include <stdbool.h>
#include <stdio.h>

/* Zero-initialised = not open. */
typedef struct output_file {
    FILE *stream; /* to write to; its error flag is checked by output_file_commit */
    const char *path;
    char *final_path, *temporary;
    bool in_place; /* a device or a pipe is written to, not replaced */
} output_file;

/* Early refusal of a path that cannot be written: a directory, or in a directory that does not
 * exist. */
int output_file_check(const char *path);

/* `path` must live until the file is committed or discarded. */
int output_file_open(const char *path, output_file *out_file);

/* Puts the file in place; when something could not be written, removes it and fails. */
int output_file_commit(output_file *file);

/* Removes an open file. Accepts one that is not open. */
void output_file_discard(output_file *file);

#endif
