/*
 * json.h - the one JSON object of --json.
 */
#ifndef VSA_TOOL_JSON_H
#define VSA_TOOL_JSON_H

#include <stdint.h>

struct cJSON;

/* Prints the object on standard output and deletes it. A number that is not finite prints as
 * null. An exit code; NULL is memory that ran out. */
int json_print(struct cJSON *object);

/* The same into a file. */
int json_write(struct cJSON *object, const char *path);

/* Adds an array of reasons as vsa_device_report has them. */
void json_add_reasons(struct cJSON *object, const char *name, const char (*reasons)[96],
                      uint32_t count);

#endif
