/* recall.h - what the subcommands of recall share. */
#ifndef VSA_LLAMA_RECALL_H
#define VSA_LLAMA_RECALL_H

#include "asking.h"
#include "plugin.h"

enum { RECALL_MAX_LENGTHS = 8, RECALL_PATH_SIZE = 1024 };

typedef struct recall_work {
    const char *folder; /* of the files that are written, one per unit of work */
    uint32_t lengths[RECALL_MAX_LENGTHS], length_count;
    uint32_t questions;        /* of each kind and length */
    uint32_t part, part_count; /* units of work i with i % part_count == part are done here */
    llama_engine engine;
    vsa_plugin plugin;
    int has_plugin;
} recall_work;

/* Finds the parameter of each setting; writes one file a setting. */
void recall_calibrate(recall_work *recall);
/* Asks; writes one file a context. Fails when a calibration is missing. */
void recall_run(recall_work *recall);
/* Whether answers are the same when the questions of a context are asked together and one by one,
 * but for ties; fails when one is not. */
void recall_check(recall_work *recall);

/* "FOLDER/setting-1024-topk-0.1" and "FOLDER/rows-1024-0-17", and `suffix`. */
void recall_setting_path(const recall_work *recall, const recall_setting *setting,
                         const char *suffix, char out[RECALL_PATH_SIZE]);
void recall_rows_path(const recall_work *recall, uint32_t length, recall_family family,
                      uint32_t context, const char *suffix, char out[RECALL_PATH_SIZE]);

int recall_file_exists(const char *path);
/* Opens PATH.part for writing, and closes it and gives it its name: a file is there whole or not
 * at all. */
FILE *recall_file_start(const char *path);
void recall_file_finish(FILE *file, const char *path);

#endif
