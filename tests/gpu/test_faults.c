/* Whatever fails, and whenever: the right code with a sentence, nothing left behind, and the next
 * try works. Each test fails the first call of a kind, then the second, until the run passes. */
#include "check.h"
#include "faults.h"
#include "vsa_standalone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 32, HEADS = 2, TOKENS = 600, NEW = 3, CAPACITY = 64 };

static float k[TOKENS * DIM], v[TOKENS * DIM], q[HEADS * DIM], out[HEADS * DIM];
static int32_t indices[HEADS * CAPACITY];
static vsa_certificate certificates[HEADS];
static char sentence[1024];
static vsa_compiler compiler;
static const char *cache_directory;

static void keep_sentence(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    if (level == VSA_LOG_ERROR) {
        snprintf(sentence, sizeof sentence, "%s", message);
    }
}

static vsa_plan_create_info sparse_plan(void)
{
    return (vsa_plan_create_info){
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = HEADS, .kv_heads = 1,
        .max_sequences = 1, .max_tokens = TOKENS, .kv.page_tokens = 16,
        .policy = { .scorer = VSA_SCORER_INT8, .epsilon = 0.2f, .delta = 0.1f, .sink_tokens = 16,
                    .window_tokens = 16, .top_k = 16, .base_samples = 64 } };
}

/* All that a program does, from the first call to the last; the first error. */
static vsa_result step_twice(vsa_session *session)
{
    const uint32_t length = TOKENS;
    vsa_session_step step = { .lengths = &length, .new_k = k, .new_v = v, .new_tokens = 1, .q = q };
    vsa_session_step_result result = { .out = out, .certificates = certificates,
                                       .indices = indices };
    vsa_result status = vsa_session_write_kv(session, 0, 0, 0, TOKENS, k, TOKENS * DIM, v,
                                             TOKENS * DIM);
    if (status == VSA_SUCCESS) {
        status = vsa_session_run(session, &step, &result);
    }
    if (status == VSA_SUCCESS) {
        step.new_tokens = NEW;   /* new_k and new_v grow, the layers are made anew */
        step.dense = 1;
        result.indices = NULL;
        status = vsa_session_run(session, &step, &result);
    }
    return status;
}

static vsa_result use_buffers(vsa_standalone *standalone)
{
    vsa_buffer *buffer = (vsa_buffer *)(uintptr_t)1;
    vsa_result status = vsa_buffer_create(standalone, 4096, 0, &buffer);
    if (status != VSA_SUCCESS) {
        assert_null(buffer);
        return status;
    }
    status = vsa_buffer_fill(buffer, 7);
    vsa_buffer_destroy(buffer);
    return status;
}

static vsa_result live(void)
{
    const vsa_standalone_create_info info = {
        .api_version = VSA_API_VERSION, .device = getenv("VSA_TEST_DEVICE"), .compiler = compiler,
        .cache_directory = cache_directory, .allocator = &fault_allocator,
        .log.write = keep_sentence, .get_instance_proc_addr = fault_get_instance_proc_addr };
    const vsa_plan_create_info plan = sparse_plan();
    vsa_standalone *standalone = (vsa_standalone *)(uintptr_t)1;
    vsa_session *session = NULL;
    vsa_result status = vsa_standalone_create(&info, &standalone);
    if (status != VSA_SUCCESS) {
        assert_null(standalone);
        return status;
    }
    session = (vsa_session *)(uintptr_t)1;
    status = vsa_session_create(standalone, &(vsa_session_create_info){
        .plan = &plan, .page_shuffle = 1, .index_capacity = CAPACITY }, &session);
    if (status != VSA_SUCCESS) {
        assert_null(session);
    } else {
        status = step_twice(session);
    }
    if (status == VSA_SUCCESS) {
        status = use_buffers(standalone);
    }
    /* Loss stays: nothing may hang, crash or claim success. */
    if (status == VSA_ERROR_DEVICE_LOST && session != NULL) {
        assert_int_equal(step_twice(session), VSA_ERROR_DEVICE_LOST);
        assert_int_equal(use_buffers(standalone), VSA_ERROR_DEVICE_LOST);
    }
    vsa_session_destroy(session);
    vsa_standalone_destroy(standalone);
    return status;
}

static void check_nothing_left(uint32_t n)
{
    check_that(fault_live_objects() == 0, "%s, number %u: %ld Vulkan objects are left",
               fault_where(), n, fault_live_objects());
    check_that(fault_live_memory() == 0, "%s, number %u: %ld allocations are left",
               fault_where(), n, fault_live_memory());
}

/* The fault at every n until it is not met any more. */
static void sweep(const fault_plan *plan, vsa_result expected, uint32_t least)
{
    uint32_t n = 1, tolerated = 0;
    for (;; n++) {
        sentence[0] = 0;
        fault_arm(plan, n);
        const vsa_result status = live();
        if (!fault_disarm()) {
            check_that(status == VSA_SUCCESS, "without a fault: %s: %s", vsa_result_name(status),
                       sentence);
            check_nothing_left(n);
            break;
        }
        check_nothing_left(n);
        if (status == VSA_SUCCESS) {
            tolerated++;   /* caches, and memory that another type has */
            continue;
        }
        check_that(status == expected, "%s, number %u: %s: %s", fault_where(), n,
                   vsa_result_name(status), sentence);
        check_that(sentence[0] != 0, "%s, number %u: nothing in the log", fault_where(), n);
    }
    printf("%u faults, %u of them tolerated\n", n - 1, tolerated);
    check_that(n > least, "only %u faults were met", n - 1);
    check_that(tolerated * 2 < n, "%u of %u faults were tolerated", tolerated, n - 1);
}

static void host_memory(void **state)
{
    (void)state;
    sweep(&(fault_plan){ FAULT_HOST_MEMORY, VK_SUCCESS, 0 }, VSA_ERROR_OUT_OF_HOST_MEMORY, 30);
}

static void host_memory_from_then_on(void **state)
{
    (void)state;
    sweep(&(fault_plan){ FAULT_HOST_MEMORY, VK_SUCCESS, 1 }, VSA_ERROR_OUT_OF_HOST_MEMORY, 30);
}

static void device_memory(void **state)
{
    (void)state;
    sweep(&(fault_plan){ FAULT_DEVICE_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY, 1 },
          VSA_ERROR_OUT_OF_DEVICE_MEMORY, 8);
}

static void pipelines(void **state)
{
    (void)state;
    sweep(&(fault_plan){ FAULT_PIPELINE, VK_ERROR_OUT_OF_DEVICE_MEMORY, 0 },
          VSA_ERROR_OUT_OF_DEVICE_MEMORY, 8);
    sweep(&(fault_plan){ FAULT_PIPELINE, VK_ERROR_UNKNOWN, 0 }, VSA_ERROR_SHADER, 8);
}

static void submits(void **state)
{
    (void)state;
    sweep(&(fault_plan){ FAULT_SUBMIT, VK_ERROR_OUT_OF_DEVICE_MEMORY, 0 },
          VSA_ERROR_OUT_OF_DEVICE_MEMORY, 2);
}

static void waits(void **state)
{
    (void)state;
    sweep(&(fault_plan){ FAULT_WAIT, VK_ERROR_OUT_OF_DEVICE_MEMORY, 0 },
          VSA_ERROR_OUT_OF_DEVICE_MEMORY, 2);
}

static void lost_devices(void **state)
{
    (void)state;
    sweep(&(fault_plan){ FAULT_SUBMIT, VK_ERROR_DEVICE_LOST, 0 }, VSA_ERROR_DEVICE_LOST, 2);
    sweep(&(fault_plan){ FAULT_WAIT, VK_ERROR_DEVICE_LOST, 0 }, VSA_ERROR_DEVICE_LOST, 2);
}

static void every_other_call(void **state)
{
    (void)state;
    sweep(&(fault_plan){ FAULT_CALL, VK_ERROR_OUT_OF_HOST_MEMORY, 0 },
          VSA_ERROR_OUT_OF_HOST_MEMORY, 60);
}

/* Compilers and no cache: the dearest path, so only as far as a context and a dense plan. */
static void host_memory_while_compiling(void **state)
{
    (void)state;
    static const vsa_compiler compilers[] = { VSA_COMPILER_SHADERC, VSA_COMPILER_GLSLANG };
    for (int i = 0; i < 2; i++) {
        for (uint32_t n = 1;; n++) {
            const vsa_standalone_create_info info = {
                .api_version = VSA_API_VERSION, .device = getenv("VSA_TEST_DEVICE"),
                .compiler = compilers[i], .allocator = &fault_allocator,
                .log.write = keep_sentence,
                .get_instance_proc_addr = fault_get_instance_proc_addr };
            vsa_plan_create_info plan_info = sparse_plan();
            vsa_standalone *standalone = NULL;
            vsa_plan *plan = NULL;
            plan_info.policy = (vsa_policy){ .method = VSA_METHOD_DENSE };
            vsa_kv_layout_init(&plan_info.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F32, VSA_DTYPE_F32, DIM,
                               DIM, 1, TOKENS, 0);
            fault_arm(&(fault_plan){ FAULT_NONE }, 0);
            vsa_result status = vsa_standalone_create(&info, &standalone);
            if (status == VSA_ERROR_UNSUPPORTED_CONFIG) {
                break;   /* not in this build */
            }
            assert_int_equal(status, VSA_SUCCESS);
            const long before = fault_live_memory();   /* arming counts from 0 again */
            fault_arm(&(fault_plan){ FAULT_HOST_MEMORY, VK_SUCCESS, 0 }, n);
            status = vsa_plan_create(vsa_standalone_context(standalone), &plan_info, &plan);
            const int met = fault_disarm();
            check_that(status == (met ? VSA_ERROR_OUT_OF_HOST_MEMORY : VSA_SUCCESS),
                       "allocation %u: %s: %s", n, vsa_result_name(status), sentence);
            vsa_plan_destroy(plan);
            /* The context keeps what it compiled. */
            vsa_standalone_destroy(standalone);
            check_that(before + fault_live_memory() == 0, "allocation %u: %ld are left", n,
                       before + fault_live_memory());
            if (!met) {
                assert_true(n > 4);
                break;
            }
        }
    }
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < TOKENS * DIM; i++) {
        k[i] = (float)(i * 37 % 101) / 101 - 0.5f;
        v[i] = (float)(i * 53 % 97) / 97 + 0.5f;
    }
    for (int i = 0; i < HEADS * DIM; i++) {
        q[i] = (float)(i * 29 % 31) / 31 - 0.5f;
    }
    /* The quickest way from a shader to SPIR-V: embedded, or a cache that is warm. */
    cache_directory = VSA_TEST_CACHE;
    compiler = VSA_COMPILER_EMBEDDED;
    fault_arm(&(fault_plan){ FAULT_NONE }, 0);
    if (live() == VSA_ERROR_UNSUPPORTED_CONFIG) {
        compiler = VSA_COMPILER_DEFAULT;
    }
    fault_arm(&(fault_plan){ FAULT_NONE }, 0);
    const vsa_result status = live();
    if (status != VSA_SUCCESS) {
        fprintf(stderr, "no device: %s: %s\n", vsa_result_name(status), sentence);
        return -1;
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_memory),
        cmocka_unit_test(host_memory_from_then_on),
        cmocka_unit_test(device_memory),
        cmocka_unit_test(pipelines),
        cmocka_unit_test(submits),
        cmocka_unit_test(waits),
        cmocka_unit_test(lost_devices),
        cmocka_unit_test(every_other_call),
        cmocka_unit_test(host_memory_while_compiling),
    };
    return cmocka_run_group_tests_name("faults", tests, setup, NULL);
}
