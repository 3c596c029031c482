/*
 * validate_table.h - validate in the terminal: cases as they end, and what a device came to.
 */
#ifndef VSA_TOOL_VALIDATE_TABLE_H
#define VSA_TOOL_VALIDATE_TABLE_H

struct cJSON;

void validate_table_begin(const char *device, const char *driver);
void validate_table_case(const struct cJSON *entry);
/* Pipelines that spill or use scratch, and the verdict. */
void validate_table_end(const struct cJSON *device);

#endif
