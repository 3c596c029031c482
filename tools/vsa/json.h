/*
 * json.h - prints the one JSON object of --json.
 */
#ifndef VSA_TOOL_JSON_H
#define VSA_TOOL_JSON_H

struct cJSON;

/* Prints the object on standard output and deletes it. A number that is not finite prints as
 * null. An exit code; NULL is memory that ran out. */
int json_print(struct cJSON *object);

#endif
