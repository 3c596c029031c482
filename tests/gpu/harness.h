/*
 * harness.h - what every GPU test program shares: a device with the validation layers on; inputs,
 * steps and the truth are those of harness_data.h.
 *
 * Environment: VSA_TEST_DEVICE picks a device (as vsa_standalone_create_info::device);
 * VSA_TEST_VALIDATION=0 runs without the layer, =1 insists on it, otherwise it is used when it is
 * installed. Any validation message fails the program when it ends.
 */
#ifndef VSA_HARNESS_H
#define VSA_HARNESS_H

#include "check.h"
#include "harness_data.h"
#include "quantised.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ device */

extern vsa_standalone *harness_device;

/* Group setup and teardown of cmocka. */
int harness_setup(void **state);
int harness_teardown(void **state);

/* A second device, for tests that need other settings; `info` is completed and may be NULL.
 * harness_close also counts its validation messages. */
vsa_result harness_open(const vsa_standalone_create_info *info, vsa_standalone **out_standalone);
void harness_close(vsa_standalone *standalone);

/* Can K and V be bound as segments on this device? */
int harness_has_segments(void);

/* What the library's log said last as an error, "" after harness_listen. While listening, errors
 * are not printed. */
void harness_listen(void);
const char *harness_heard(void);

/* Fails the test with the log's sentence unless `result` is VSA_SUCCESS. */
#define check_ok(expression)                                                                   \
    do {                                                                                       \
        vsa_result check_result_ = (expression);                                               \
        if (check_result_ != VSA_SUCCESS) {                                                    \
            fail_msg("%s: %s: %s", #expression, vsa_result_name(check_result_),                \
                     harness_heard());                                                         \
        }                                                                                      \
    } while (0)

/* ------------------------------------------------------------------ running */

/* A session for the data's plan with K and V written; fails the test on any error. */
vsa_session *harness_session(vsa_standalone *standalone, const harness_data *data,
                             vsa_kv_order order, uint32_t page_shuffle, uint32_t index_capacity);

/* One step over all sequences and queries of the data; the same. */
harness_result harness_run(vsa_session *session, const harness_data *data, int dense,
                           uint64_t seed, uint32_t stream, uint32_t index_capacity);

#endif
