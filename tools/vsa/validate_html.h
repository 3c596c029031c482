/*
 * validate_html.h - a page of validate's results: cases by devices, kernels by devices.
 */
#ifndef VSA_TOOL_VALIDATE_HTML_H
#define VSA_TOOL_VALIDATE_HTML_H

#include "options.h"

struct cJSON;

/* Of the root object. An exit code, after one line on standard error. */
int validate_html_write(const struct cJSON *root, const tool_options *options, const char *path);

#endif
