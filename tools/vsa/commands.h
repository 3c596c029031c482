/*
 * commands.h - the subcommands. Each takes parsed options and returns the tool's exit code.
 */
#ifndef VSA_TOOL_COMMANDS_H
#define VSA_TOOL_COMMANDS_H

#include "options.h"

int command_devices(const tool_options *options);
int command_attend(const tool_options *options);
int command_decode(const tool_options *options);
int command_eval(const tool_options *options);
int command_bench(const tool_options *options);
int command_validate(const tool_options *options);

#endif
