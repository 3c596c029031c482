#include "harness.h"

vsa_standalone *harness_device;

/* ------------------------------------------------------------------ device */

static char last_error[1024];
static int  listening;
static uint32_t validation_messages;   /* of devices that are closed */
static uint32_t printed_messages;

enum { MAX_PRINTED = 20 };   /* a failed test leaves hundreds of objects behind */

static void write_log(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    if (level == VSA_LOG_ERROR) {
        snprintf(last_error, sizeof last_error, "%s", message);
    }
    int validation = strncmp(message, "validation", 10) == 0;
    if (validation ? printed_messages++ < MAX_PRINTED : !listening) {
        fprintf(stderr, "%s\n", message);
    }
}

void harness_listen(void)
{
    last_error[0] = 0;
    listening = 1;
}

const char *harness_heard(void)
{
    return last_error;
}

vsa_result harness_open(const vsa_standalone_create_info *info, vsa_standalone **out_standalone)
{
    const char *wish = getenv("VSA_TEST_VALIDATION");
    vsa_standalone_create_info complete = { 0 };
    if (info != NULL) {
        complete = *info;
    }
    complete.api_version = VSA_API_VERSION;
    complete.device = getenv("VSA_TEST_DEVICE");
    complete.validation = wish == NULL || strcmp(wish, "0") != 0;
    complete.log = (vsa_log){ .write = write_log };
    if (complete.cache_directory == NULL) {
        complete.cache_directory = VSA_TEST_CACHE;
    }
    int was_listening = listening;
    listening |= wish == NULL;
    vsa_result result = vsa_standalone_create(&complete, out_standalone);
    listening = was_listening;
    if (result == VSA_ERROR_VULKAN && complete.validation && wish == NULL
        && strstr(last_error, "validation") != NULL) {
        fprintf(stderr, "not validated: %s\n", last_error);
        complete.validation = 0;
        result = vsa_standalone_create(&complete, out_standalone);
    }
    return result;
}

void harness_close(vsa_standalone *standalone)
{
    if (standalone != NULL) {
        validation_messages += vsa_standalone_validation_count(standalone);
    }
    vsa_standalone_destroy(standalone);
}

int harness_setup(void **state)
{
    (void)state;
    vsa_result result = harness_open(NULL, &harness_device);
    if (result != VSA_SUCCESS) {
        fprintf(stderr, "no device: %s: %s\n", vsa_result_name(result), last_error);
        return -1;
    }
    const vsa_device_info *device = vsa_standalone_device(harness_device);
    fprintf(stderr, "%s, %s\n", device->name, device->driver);
    return 0;
}

int harness_teardown(void **state)
{
    (void)state;
    harness_close(harness_device);
    harness_device = NULL;
    if (validation_messages > 0) {
        fprintf(stderr, "%u validation messages\n", validation_messages);
    }
    return validation_messages > 0 ? -1 : 0;
}

int harness_has_segments(void)
{
    const vsa_device_report *report = &vsa_standalone_device(harness_device)->report;
    for (uint32_t i = 0; i < report->slow_count; i++) {
        if (strstr(report->slow[i], "segments") != NULL) {
            return 0;
        }
    }
    return 1;
}

/* ------------------------------------------------------------------ running */

vsa_session *harness_session(vsa_standalone *standalone, const harness_data *data,
                             vsa_kv_order order, uint32_t page_shuffle, uint32_t index_capacity)
{
    vsa_session *session = NULL;
    check_ok(harness_data_session(standalone, data, order, page_shuffle, index_capacity,
                                  &session));
    return session;
}

harness_result harness_run(vsa_session *session, const harness_data *data, int dense,
                           uint64_t seed, uint32_t stream, uint32_t index_capacity)
{
    harness_result result;
    vsa_session_step step = harness_data_step(data);
    step.dense = dense;
    step.seed = seed;
    step.stream = stream;
    check_ok(harness_data_run(session, data, &step, index_capacity, &result));
    return result;
}
