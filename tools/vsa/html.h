/*
 * html.h - a self-contained page: light and dark, no script, nothing from a network. What cannot
 * be written shows in the stream's error flag.
 */
#ifndef VSA_TOOL_HTML_H
#define VSA_TOOL_HTML_H

#include <stdio.h>

#include "options.h"
#include "vsa_standalone.h"

/* Up to and with the heading; `title` is also the page's. */
void html_begin(FILE *stream, const char *title);
void html_end(FILE *stream);

/* Text, escaped for contents and for attribute values. */
void html_text(FILE *stream, const char *text);

/* Facts are a list of names and values: begin, any number of facts, end. */
void html_facts_begin(FILE *stream);
void html_fact(FILE *stream, const char *name, const char *value);
void html_facts_end(FILE *stream);

/* The facts of every page: command line, device and driver unless NULL, version, date. */
void html_run_facts(FILE *stream, const char *command, const tool_options *options,
                    const vsa_device_info *device);

#endif
