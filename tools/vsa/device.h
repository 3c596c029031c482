/*
 * device.h - the device that a command runs on, the library's last error sentence, and which exit
 * code a result stands for.
 */
#ifndef VSA_TOOL_DEVICE_H
#define VSA_TOOL_DEVICE_H

#include "options.h"
#include "vsa_standalone.h"

enum { DEVICE_SENTENCE_SIZE = 1024 };

typedef struct tool_device {
    vsa_standalone *standalone;
    char sentence[DEVICE_SENTENCE_SIZE]; /* last error from the library; "" = none */
} tool_device;

/* The address of `out_device` must not change until it is closed. An exit code, after one line
 * on standard error. */
int device_open(tool_device *out_device, const tool_options *options);
/* Accepts a zero-initialised device. */
void device_close(tool_device *device);

/* A log that keeps the last error in device->sentence. */
vsa_log device_log(tool_device *device);

/* Reports a failed call with the library's sentence, or with its result where there is none.
 * Returns EXIT_BAD_INPUT when the options or the file ask for what the library refuses, else
 * EXIT_NO_DEVICE. */
int device_fail(const tool_device *device, vsa_result result, const char *what);

/* "works", "slow" or "cannot". */
const char *device_verdict_name(vsa_verdict verdict);

/* All devices; the caller frees them. `device` keeps the library's last error. An exit code, after
 * one line on standard error. */
int device_list(tool_device *device, vsa_device_info **out_devices, uint32_t *out_count);

/* EXIT_NO_DEVICE after one line if the validation layer said anything. */
int device_check_validation(const tool_device *device);

#endif
