/*
 * validate_device.h - everything that vsa validate finds out about one device, as the object that
 * goes into "devices" of its JSON; tables and pages are made from that.
 */
#ifndef VSA_TOOL_VALIDATE_DEVICE_H
#define VSA_TOOL_VALIDATE_DEVICE_H

#include "options.h"
#include "vsa_standalone.h"

struct cJSON;

/* Called with each case's object when it is done; may be NULL. */
typedef void (*validate_tell)(const struct cJSON *entry);

/* The object; the caller deletes it. NULL when memory is out. */
struct cJSON *validate_device(const tool_options *options, const vsa_device_info *device,
                              validate_tell tell);

/* "verdict" is one of device_verdict_name, or this: it has what is required, and a case failed. */
#define VERDICT_FAILS "fails"

#endif
