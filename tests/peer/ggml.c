/*
 * peer_ggml - dense attention against ggml's FLASH_ATTN_EXT, on one Vulkan device.
 *
 *   peer_ggml [--device D] [--lengths N,N] [--runs N] [--order token|head] [--f16 on|off] [--json]
 *
 * One query token, 32 query heads on 8 KV heads, d = 128, K and V in f16, q and out in f32; the
 * same numbers in the same order go to both, and are there before the clock starts. Runs
 * alternate, after some that are not counted. Both times are wall time: for ggml around
 * ggml_backend_graph_compute of a graph that computes this one node, for vsa around a step of
 * vsa_session, which also writes q, records, and reads the output back. What is fixed in them is
 * measured beside: a graph of one element, a step over one token. The CPU time is that of all other
 * threads of the process: what the work costs on a driver that runs on the CPU, however busy the
 * machine is. The calling thread is left out because ggml's spins until the fence is signalled, on
 * cores that such a driver needs; vsa's sleeps. ggml gets no mask, and f32 accumulators, as
 * llama.cpp asks for them. --f16 off forbids it f16 arithmetic, which lavapipe has only by
 * conversions.
 *
 * --device is a part of a name, any case, or an index; `llvmpipe` is the default. --order is
 * [token][head][channel], as llama.cpp's cache has it, or [head][token][channel].
 *
 * The exit code is 1 when a result is wrong: 5% from double precision for ggml, which multiplies
 * in f16, 1e-5 for vsa; 2 for wrong arguments, 3 when there is no such device, or it fails.
 */
#include "fail.h"
#include "median.h"
#include "reference.h"
#include "vsa_standalone.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    Q_HEADS = 32, KV_HEADS = 8, GROUP = Q_HEADS / KV_HEADS, DIM = 128, OUT = Q_HEADS * DIM,
    WARM_UP = 3, MAX_LENGTHS = 16, MAX_RUNS = 1000, MAX_TOKENS = 1 << 20,
};

#define MAX_GGML_ERROR 0.05
#define MAX_VSA_ERROR  1e-5

typedef struct options {
    const char  *device;
    uint32_t     lengths[MAX_LENGTHS], length_count, runs;
    vsa_kv_order order;
    int          ggml_f16, json;
} options;

/* [head][token][channel], exact in f16. */
typedef struct data {
    uint32_t tokens;
    float   *k, *v, *q;
} data;

typedef struct peer {
    vsa_standalone *standalone;
    ggml_backend_t  backend;
} peer;

/* Of one run, or medians. */
typedef struct times {
    double wall_ms, cpu_ms, gpu_ms;
} times;

typedef struct measurement {
    uint32_t tokens;
    times    ggml, vsa;
    double   ggml_error, vsa_error;   /* the largest relative L2 error of a head */
} measurement;

static double clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static times start_times(void)
{
    return (times){ .wall_ms = clock_ms(CLOCK_MONOTONIC),
                    .cpu_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID) -
                              clock_ms(CLOCK_THREAD_CPUTIME_ID) };
}

static times times_since(times start)
{
    const times end = start_times();
    return (times){ .wall_ms = end.wall_ms - start.wall_ms, .cpu_ms = end.cpu_ms - start.cpu_ms };
}

static times medians(const times *runs, uint32_t count)
{
    double *wall = allocate(count, sizeof(double));
    double *cpu = allocate(count, sizeof(double));
    double *gpu = allocate(count, sizeof(double));
    for (uint32_t i = 0; i < count; i++) {
        wall[i] = runs[i].wall_ms;
        cpu[i] = runs[i].cpu_ms;
        gpu[i] = runs[i].gpu_ms;
    }
    const times result = { median(wall, count), median(cpu, count), median(gpu, count) };
    free(wall);
    free(cpu);
    free(gpu);
    return result;
}

/* ------------------------------------------------------------------ data */

static void fill(float *values, size_t count, ref_random *random, int half)
{
    for (size_t i = 0; i < count; i++) {
        const float value = (float)ref_random_normal(random);
        values[i] = half ? ggml_fp16_to_fp32(ggml_fp32_to_fp16(value)) : value;
    }
}

static data data_create(uint32_t tokens)
{
    const size_t rows = (size_t)KV_HEADS * tokens;
    data result = {
        .tokens = tokens,
        .k = allocate(rows * DIM, sizeof(float)),
        .v = allocate(rows * DIM, sizeof(float)),
        .q = allocate(OUT, sizeof(float)),
    };
    ref_random random = { .state = tokens };
    fill(result.k, rows * DIM, &random, 1);
    fill(result.v, rows * DIM, &random, 1);
    fill(result.q, OUT, &random, 0);
    return result;
}

static void data_destroy(data *data)
{
    free(data->k);
    free(data->v);
    free(data->q);
}

/* out: [head][channel] */
static void attend_in_double(const data *data, double *out)
{
    double *logits = allocate(data->tokens, sizeof(*logits));
    for (uint32_t head = 0; head < Q_HEADS; head++) {
        const size_t first = (size_t)(head / GROUP) * data->tokens * DIM;
        ref_logits(data->q + head * DIM, data->k + first, DIM, DIM, data->tokens,
                   1 / sqrt((double)DIM), 0, logits);
        ref_attend(logits, data->v + first, DIM, DIM, data->tokens, out + head * DIM);
    }
    free(logits);
}

/* The larger one; not a number when one of them is not. */
static double larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

static double largest_error(const float *out, const double *truth)
{
    double largest = 0;
    for (uint32_t head = 0; head < Q_HEADS; head++) {
        largest = larger(ref_relative_error_f32(out + head * DIM, truth + head * DIM, DIM),
                         largest);
    }
    return largest;
}

/* ------------------------------------------------------------------ ggml */

typedef struct ggml_case {
    struct ggml_context  *context;
    ggml_backend_buffer_t buffer;
    struct ggml_cgraph   *graph;
    struct ggml_tensor   *result;
} ggml_case;

static void ggml_message(enum ggml_log_level level, const char *text, void *user)
{
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

/* ggml leaves CPU devices out, unless GGML_VK_VISIBLE_DEVICES names them. */
static ggml_backend_t ggml_start(const vsa_device_info *device, int f16)
{
    char index[16];
    snprintf(index, sizeof(index), "%u", device->index);
    setenv("GGML_VK_VISIBLE_DEVICES", index, 1);
    if (f16) {
        unsetenv("GGML_VK_DISABLE_F16");
    } else {
        setenv("GGML_VK_DISABLE_F16", "1", 1);
    }
    ggml_log_set(ggml_message, NULL);
    ggml_backend_load_all();
    const ggml_backend_reg_t vulkan = ggml_backend_reg_by_name("Vulkan");
    if (!vulkan || ggml_backend_reg_dev_count(vulkan) != 1) {
        fail(EXIT_DEVICE, "ggml has no Vulkan backend, or it does not see device %s", index);
    }
    const ggml_backend_dev_t chosen = ggml_backend_reg_dev_get(vulkan, 0);
    if (strcmp(ggml_backend_dev_description(chosen), device->name) != 0) {
        fail(EXIT_DEVICE, "ggml's device %s is %s, not %s", index,
             ggml_backend_dev_description(chosen), device->name);
    }
    const ggml_backend_t backend = ggml_backend_dev_init(chosen, NULL);
    if (!backend) {
        fail(EXIT_DEVICE, "ggml cannot use %s", device->name);
    }
    return backend;
}

static struct ggml_context *new_context(void)
{
    const struct ggml_init_params parameters = {
        .mem_size = 16 * ggml_tensor_overhead() + ggml_graph_overhead(),
        .no_alloc = true,
    };
    struct ggml_context *context = ggml_init(parameters);
    if (!context) {
        fail(EXIT_DEVICE, "ggml_init failed");
    }
    return context;
}

/* Makes the graph of `result` and memory for it and what it is computed from. */
static ggml_case finish_case(const peer *peer, struct ggml_context *context,
                             struct ggml_tensor *result)
{
    if (!ggml_backend_supports_op(peer->backend, result)) {
        fail(EXIT_DEVICE, "ggml's Vulkan backend does not compute %s here", ggml_op_desc(result));
    }
    ggml_case made = { .context = context, .result = result, .graph = ggml_new_graph(context) };
    ggml_build_forward_expand(made.graph, result);
    made.buffer = ggml_backend_alloc_ctx_tensors(context, peer->backend);
    if (!made.buffer) {
        fail(EXIT_DEVICE, "ggml cannot allocate the tensors");
    }
    return made;
}

/* [channel, token, head] in ggml's order of dimensions, innermost first. */
static struct ggml_tensor *new_plane(struct ggml_context *context, vsa_kv_order order,
                                     uint32_t tokens)
{
    if (order == VSA_KV_HEAD_MAJOR) {
        return ggml_new_tensor_3d(context, GGML_TYPE_F16, DIM, tokens, KV_HEADS);
    }
    return ggml_permute(context,
                        ggml_new_tensor_3d(context, GGML_TYPE_F16, DIM, KV_HEADS, tokens),
                        0, 2, 1, 3);
}

static void upload_plane(struct ggml_tensor *plane, const float *values, uint32_t tokens)
{
    struct ggml_tensor *memory = plane->view_src ? plane->view_src : plane;
    ggml_fp16_t *half = allocate((size_t)tokens * KV_HEADS * DIM, sizeof(*half));
    for (uint32_t head = 0; head < KV_HEADS; head++) {
        for (uint32_t token = 0; token < tokens; token++) {
            const size_t row = token * plane->nb[1] + head * plane->nb[2];
            ggml_fp32_to_fp16_row(values + ((size_t)head * tokens + token) * DIM,
                                  half + row / sizeof(*half), DIM);
        }
    }
    ggml_backend_tensor_set(memory, half, 0, ggml_nbytes(memory));
    free(half);
}

static ggml_case ggml_attention(const peer *peer, const options *options, const data *data)
{
    struct ggml_context *context = new_context();
    struct ggml_tensor *q = ggml_new_tensor_3d(context, GGML_TYPE_F32, DIM, 1, Q_HEADS);
    struct ggml_tensor *k = new_plane(context, options->order, data->tokens);
    struct ggml_tensor *v = new_plane(context, options->order, data->tokens);
    struct ggml_tensor *out = ggml_flash_attn_ext(context, q, k, v, NULL,
                                                  1 / sqrtf((float)DIM), 0, 0);
    if (!ggml_prec_set_acc(out, GGML_PREC_F32)) {
        fail(EXIT_DEVICE, "ggml does not take f32 accumulators");
    }
    const ggml_case made = finish_case(peer, context, out);
    ggml_backend_tensor_set(q, data->q, 0, ggml_nbytes(q));
    upload_plane(k, data->k, data->tokens);
    upload_plane(v, data->v, data->tokens);
    return made;
}

static ggml_case ggml_one_element(const peer *peer)
{
    struct ggml_context *context = new_context();
    struct ggml_tensor *input = ggml_new_tensor_1d(context, GGML_TYPE_F32, 1);
    const ggml_case made = finish_case(peer, context, ggml_scale(context, input, 2));
    const float one = 1;
    ggml_backend_tensor_set(input, &one, 0, sizeof(one));
    return made;
}

static times ggml_run(const peer *peer, const ggml_case *measured)
{
    const times start = start_times();
    const enum ggml_status status = ggml_backend_graph_compute(peer->backend, measured->graph);
    const times result = times_since(start);
    if (status != GGML_STATUS_SUCCESS) {
        fail(EXIT_DEVICE, "ggml_backend_graph_compute: %s", ggml_status_to_string(status));
    }
    return result;
}

static void ggml_case_destroy(ggml_case *made)
{
    ggml_backend_buffer_free(made->buffer);
    ggml_free(made->context);
}

/* ------------------------------------------------------------------ vsa */

static void vsa_message(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "vsa: %s\n", message);
}

static void check_vsa(vsa_result result)
{
    if (result) {
        fail(EXIT_DEVICE, "%s", vsa_result_name(result));
    }
}

static vsa_session *vsa_attention(const peer *peer, const options *options, const data *data)
{
    const vsa_plan_create_info plan = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_tokens = data->tokens,
        .kv = { .k = { .dtype = VSA_DTYPE_F16 }, .v = { .dtype = VSA_DTYPE_F16 } },
        .policy = { .method = VSA_METHOD_DENSE },
    };
    const vsa_session_create_info info = { .plan = &plan, .order = options->order };
    vsa_session *session = NULL;
    check_vsa(vsa_session_create(peer->standalone, &info, &session));
    const size_t head_stride = (size_t)data->tokens * DIM;
    check_vsa(vsa_session_write_kv(session, 0, 0, 0, data->tokens, data->k, head_stride, data->v,
                                   head_stride));
    return session;
}

static times vsa_run(vsa_session *session, const data *data, float *out)
{
    const vsa_session_step step = { .lengths = &data->tokens, .q = data->q };
    vsa_session_step_result result = { .out = out };
    const times start = start_times();
    const vsa_result status = vsa_session_run(session, &step, &result);
    times taken = times_since(start);
    check_vsa(status);
    taken.gpu_ms = result.gpu_ms;
    return taken;
}

/* ------------------------------------------------------------------ measuring */

/* The two take turns, run by run. */
static void measure_times(const peer *peer, const options *options, const ggml_case *theirs,
                          vsa_session *ours, const data *data, float *our_out,
                          measurement *result)
{
    times *ggml = allocate(options->runs, sizeof(*ggml));
    times *vsa = allocate(options->runs, sizeof(*vsa));
    for (uint32_t i = 0; i < WARM_UP + options->runs; i++) {
        const uint32_t run = i < WARM_UP ? 0 : i - WARM_UP;
        ggml[run] = ggml_run(peer, theirs);
        vsa[run] = vsa_run(ours, data, our_out);
    }
    result->ggml = medians(ggml, options->runs);
    result->vsa = medians(vsa, options->runs);
    free(ggml);
    free(vsa);
}

static measurement measure_length(const peer *peer, const options *options, uint32_t tokens)
{
    measurement result = { .tokens = tokens };
    float ggml_out[OUT], vsa_out[OUT];
    double truth[OUT];
    data data = data_create(tokens);
    ggml_case theirs = ggml_attention(peer, options, &data);
    vsa_session *ours = vsa_attention(peer, options, &data);
    measure_times(peer, options, &theirs, ours, &data, vsa_out, &result);
    ggml_backend_tensor_get(theirs.result, ggml_out, 0, sizeof(ggml_out));
    attend_in_double(&data, truth);
    result.ggml_error = largest_error(ggml_out, truth);
    result.vsa_error = largest_error(vsa_out, truth);
    vsa_session_destroy(ours);
    ggml_case_destroy(&theirs);
    data_destroy(&data);
    return result;
}

/* What a submission costs that has nothing to do. */
static measurement measure_fixed(const peer *peer, const options *options)
{
    measurement result = { .tokens = 1 };
    float out[OUT];
    data data = data_create(1);
    ggml_case theirs = ggml_one_element(peer);
    vsa_session *ours = vsa_attention(peer, options, &data);
    measure_times(peer, options, &theirs, ours, &data, out, &result);
    vsa_session_destroy(ours);
    ggml_case_destroy(&theirs);
    data_destroy(&data);
    return result;
}

/* ------------------------------------------------------------------ output */

static void print_heading(const vsa_device_info *device, const options *options,
                          const measurement *fixed)
{
    printf("device: %s, %s\n", device->name, device->driver);
    printf("ggml %s, f16 arithmetic %s; vsa %u.%u.%u\n", ggml_version(),
           options->ggml_f16 ? "on" : "off", (unsigned)VSA_VERSION_MAJOR,
           (unsigned)VSA_VERSION_MINOR, (unsigned)VSA_VERSION_PATCH);
    printf("%d query heads, %d KV heads, d %d, f16, %s-major; medians of %u runs each, in turns\n",
           Q_HEADS, KV_HEADS, DIM, options->order == VSA_KV_TOKEN_MAJOR ? "token" : "head",
           options->runs);
    printf("fixed cost, in the times below: ggml %.3f ms (a graph of one element), "
           "vsa %.3f ms (one token)\n\n", fixed->ggml.wall_ms, fixed->vsa.wall_ms);
    printf("%8s %9s %9s %7s %11s %12s %11s %12s %11s %11s\n", "tokens", "ggml ms", "vsa ms",
           "ratio", "vsa GPU ms", "ggml CPU ms", "vsa CPU ms", "of CPU time", "ggml error",
           "vsa error");
    fflush(stdout);
}

static void print_row(const measurement *m)
{
    printf("%8u %9.2f %9.2f %7.2f %11.2f %12.2f %11.2f %12.2f %11.1e %11.1e\n", m->tokens,
           m->ggml.wall_ms, m->vsa.wall_ms, m->ggml.wall_ms / m->vsa.wall_ms, m->vsa.gpu_ms,
           m->ggml.cpu_ms, m->vsa.cpu_ms, m->ggml.cpu_ms / m->vsa.cpu_ms, m->ggml_error,
           m->vsa_error);
    fflush(stdout);
}

/* JSON has no word for what is not a number. */
static const char *json_number(double value, char text[32])
{
    snprintf(text, 32, "%.6g", value);
    return isfinite(value) ? text : "null";
}

static void print_json_string(const char *name, const char *value)
{
    printf("\"%s\":\"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\') {
            putchar('\\');
        }
        putchar((unsigned char)*value < 0x20 ? ' ' : *value);
    }
    printf("\"");
}

static void print_json(const vsa_device_info *device, const options *options,
                       const measurement *fixed, const measurement *rows)
{
    char text[7][32];
    printf("{");
    print_json_string("device", device->name);
    printf(",");
    print_json_string("driver", device->driver);
    printf(",");
    print_json_string("ggml", ggml_version());
    printf(",\"ggml_f16\":%s,\"vsa\":\"%u.%u.%u\",\"order\":\"%s\",\"runs\":%u",
           options->ggml_f16 ? "true" : "false", (unsigned)VSA_VERSION_MAJOR,
           (unsigned)VSA_VERSION_MINOR, (unsigned)VSA_VERSION_PATCH,
           options->order == VSA_KV_TOKEN_MAJOR ? "token" : "head", options->runs);
    printf(",\"ggml_fixed_ms\":%s,\"vsa_fixed_ms\":%s,\"rows\":[",
           json_number(fixed->ggml.wall_ms, text[0]),
           json_number(fixed->vsa.wall_ms, text[1]));
    for (uint32_t i = 0; i < options->length_count; i++) {
        const measurement *m = &rows[i];
        printf("%s{\"tokens\":%u,\"ggml_ms\":%s,\"vsa_ms\":%s,\"vsa_gpu_ms\":%s,"
               "\"ggml_cpu_ms\":%s,\"vsa_cpu_ms\":%s,\"ggml_error\":%s,\"vsa_error\":%s}",
               i ? "," : "", m->tokens, json_number(m->ggml.wall_ms, text[0]),
               json_number(m->vsa.wall_ms, text[1]), json_number(m->vsa.gpu_ms, text[2]),
               json_number(m->ggml.cpu_ms, text[3]), json_number(m->vsa.cpu_ms, text[4]),
               json_number(m->ggml_error, text[5]), json_number(m->vsa_error, text[6]));
    }
    printf("]}\n");
}

/* ------------------------------------------------------------------ arguments */

static uint32_t parse_count(const char *text, char **end, uint32_t largest)
{
    errno = 0;
    const unsigned long value = strtoul(text, end, 10);
    if (*end == text || *text == '-' || errno || value == 0 || value > largest) {
        fail(EXIT_USAGE, "%s: expected 1 to %u", text, largest);
    }
    return (uint32_t)value;
}

static void parse_lengths(const char *text, options *out)
{
    out->length_count = 0;
    for (char *end;; text = end + 1) {
        if (out->length_count == MAX_LENGTHS) {
            fail(EXIT_USAGE, "more than %d lengths", MAX_LENGTHS);
        }
        out->lengths[out->length_count++] = parse_count(text, &end, MAX_TOKENS);
        if (*end == '\0') {
            return;
        }
        if (*end != ',') {
            fail(EXIT_USAGE, "%s: expected numbers with commas between them", text);
        }
    }
}

/* The index of the word among two. */
static int parse_choice(const char *text, const char *first, const char *second)
{
    if (strcmp(text, first) != 0 && strcmp(text, second) != 0) {
        fail(EXIT_USAGE, "%s: expected %s or %s", text, first, second);
    }
    return strcmp(text, first) != 0;
}

static void parse_option(const char *name, const char *value, options *out)
{
    char *end;
    if (strcmp(name, "--device") == 0) {
        out->device = value;
    } else if (strcmp(name, "--lengths") == 0) {
        parse_lengths(value, out);
    } else if (strcmp(name, "--runs") == 0) {
        out->runs = parse_count(value, &end, MAX_RUNS);
        if (*end) {
            fail(EXIT_USAGE, "%s: expected a number", value);
        }
    } else if (strcmp(name, "--order") == 0) {
        out->order = parse_choice(value, "token", "head") ? VSA_KV_HEAD_MAJOR : VSA_KV_TOKEN_MAJOR;
    } else if (strcmp(name, "--f16") == 0) {
        out->ggml_f16 = parse_choice(value, "off", "on");
    } else {
        fail(EXIT_USAGE, "%s: unknown option", name);
    }
}

static options parse_options(int count, char **arguments)
{
    options result = {
        .device = "llvmpipe", .lengths = { 4096, 8192, 16384, 32768 }, .length_count = 4,
        .runs = 11, .order = VSA_KV_TOKEN_MAJOR, .ggml_f16 = 1,
    };
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0) {
            result.json = 1;
        } else if (i + 1 == count) {
            fail(EXIT_USAGE, "%s: unknown option, or without its value", arguments[i]);
        } else {
            parse_option(arguments[i], arguments[i + 1], &result);
            i++;
        }
    }
    return result;
}

int main(int argument_count, char **arguments)
{
    const options options = parse_options(argument_count, arguments);
    const vsa_standalone_create_info info = {
        .api_version = VSA_API_VERSION,
        .device = options.device,
        .log = { .write = vsa_message, .max_level = VSA_LOG_WARN },
    };
    peer peer = { 0 };
    check_vsa(vsa_standalone_create(&info, &peer.standalone));
    const vsa_device_info *device = vsa_standalone_device(peer.standalone);
    peer.backend = ggml_start(device, options.ggml_f16);

    const measurement fixed = measure_fixed(&peer, &options);
    if (!options.json) {
        print_heading(device, &options, &fixed);
    }
    measurement rows[MAX_LENGTHS];
    int right = 1;
    for (uint32_t i = 0; i < options.length_count; i++) {
        rows[i] = measure_length(&peer, &options, options.lengths[i]);
        if (!options.json) {
            print_row(&rows[i]);
        }
        right = right && rows[i].ggml_error <= MAX_GGML_ERROR && rows[i].vsa_error <= MAX_VSA_ERROR;
    }
    if (options.json) {
        print_json(device, &options, &fixed, rows);
    } else {
        putchar('\n');
    }
    ggml_backend_free(peer.backend);
    vsa_standalone_destroy(peer.standalone);
    if (!right) {
        fail(EXIT_WRONG, "a result is further from double precision than %g (ggml) or %g (vsa)",
             MAX_GGML_ERROR, MAX_VSA_ERROR);
    }
    return 0;
}
