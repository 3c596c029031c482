/*
 * validate_read.h - results of earlier runs of vsa validate.
 */
#ifndef VSA_TOOL_VALIDATE_READ_H
#define VSA_TOOL_VALIDATE_READ_H

struct cJSON;

/* Moves the devices of every object in the file into `devices`. An exit code, after one line on
 * standard error. */
int validate_read(const char *path, struct cJSON *devices);

#endif
