/*
 * attention_speed - the attention of one decode step on a long cache: ggml's CPU backend, its
 * Vulkan backend, and libggml-vsa by several methods.
 *
 *   attention_speed --plugin FILE [--cells N] [--runs N]
 *
 * One FLASH_ATTN_EXT node, as llama.cpp makes it for one token: 32 query heads on 16 KV heads,
 * d = 128, K and V in f16 and token-major in memory of the host (for Vulkan: of its device), a mask
 * with every cell visible. The default of 33,024 cells makes K and V 129 MiB each, above the
 * 128 MiB that lavapipe binds as one range. Logits are normal with deviation 1, values normal
 * around half their deviation, as in docs/methods.md. A backend may decline the node: ggml's Vulkan
 * backend does where K or V exceeds that range. Times are medians of wall time and CPU time around
 * ggml_backend_graph_compute, after runs that are not counted. The error is the largest relative L2
 * error of a head against double precision.
 *
 * The Vulkan backend leaves devices on the CPU out, unless GGML_VK_VISIBLE_DEVICES names one: this
 * program names device 0, unless it is set.
 */
#include "fail.h"
#include "median.h"
#include "plugin.h"

#include <ggml-alloc.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    Q_HEADS = 32, KV_HEADS = 16, GROUP = Q_HEADS / KV_HEADS, DIM = 128, OUT = Q_HEADS * DIM,
    WARM_UP = 2, MAX_RUNS = 1000, CELL_STEP = 256, MAX_CELLS = 1 << 20,
};

#define LOGIT_DEVIATION 1.0
#define VALUE_MEAN      0.5   /* in deviations */

typedef struct speed_options {
    const char *plugin;
    uint32_t    cells, runs;
} speed_options;

/* [cell][head][channel] in f16, q in f32. */
typedef struct speed_data {
    uint32_t     cells;
    ggml_fp16_t *k, *v;
    float       *q;
    double      *truth;   /* [head][channel] */
} speed_data;

/* The node, in the memory of one backend. */
typedef struct speed_node {
    ggml_backend_t        backend;
    struct ggml_context  *context;
    ggml_backend_buffer_t buffer;
    struct ggml_cgraph   *graph;
    struct ggml_tensor   *out;
} speed_node;

/* ------------------------------------------------------------------ data */

static ggml_fp16_t *make_plane(uint32_t cells, double mean, ref_random *random)
{
    const size_t count = (size_t)cells * KV_HEADS * DIM;
    ggml_fp16_t *plane = allocate(count, sizeof(*plane));
    for (size_t i = 0; i < count; i++) {
        plane[i] = ggml_fp32_to_fp16((float)(mean + ref_random_normal(random)));
    }
    return plane;
}

static void attend_in_double(speed_data *data)
{
    const size_t row = (size_t)KV_HEADS * DIM;
    float *k = allocate((size_t)data->cells * DIM, sizeof(*k));
    float *v = allocate((size_t)data->cells * DIM, sizeof(*v));
    double *logits = allocate(data->cells, sizeof(*logits));
    for (uint32_t head = 0; head < Q_HEADS; head++) {
        const size_t first = (size_t)(head / GROUP) * DIM;
        for (uint32_t i = 0; i < data->cells; i++) {
            ggml_fp16_to_fp32_row(data->k + i * row + first, k + (size_t)i * DIM, DIM);
            ggml_fp16_to_fp32_row(data->v + i * row + first, v + (size_t)i * DIM, DIM);
        }
        ref_logits(data->q + head * DIM, k, DIM, DIM, data->cells, 1 / sqrt((double)DIM), 0,
                   logits);
        ref_attend(logits, v, DIM, DIM, data->cells, data->truth + head * DIM);
    }
    free(k);
    free(v);
    free(logits);
}

static speed_data data_create(uint32_t cells)
{
    ref_random random = { .state = cells };
    speed_data made = { .cells = cells };
    made.k = make_plane(cells, 0, &random);
    made.v = make_plane(cells, VALUE_MEAN, &random);
    made.q = allocate(OUT, sizeof(float));
    made.truth = allocate(OUT, sizeof(double));
    for (uint32_t i = 0; i < OUT; i++) {
        made.q[i] = (float)(LOGIT_DEVIATION * ref_random_normal(&random));
    }
    attend_in_double(&made);
    return made;
}

static void data_destroy(speed_data *data)
{
    free(data->k);
    free(data->v);
    free(data->q);
    free(data->truth);
}

/* ------------------------------------------------------------------ the node */

/* As llama.cpp's cache: [channel, cell, head] of memory that is [cell][head][channel]. */
static struct ggml_tensor *new_plane(struct ggml_context *context, uint32_t cells)
{
    struct ggml_tensor *memory = ggml_new_tensor_3d(context, GGML_TYPE_F16, DIM, KV_HEADS, cells);
    return ggml_permute(context, memory, 0, 2, 1, 3);
}

static void upload(struct ggml_tensor *tensor, const void *data)
{
    struct ggml_tensor *memory = tensor->view_src ? tensor->view_src : tensor;
    ggml_backend_tensor_set(memory, data, 0, ggml_nbytes(memory));
}

static speed_node node_create(ggml_backend_t backend, ggml_backend_buffer_type_t memory,
                              const speed_data *data)
{
    const struct ggml_init_params parameters = {
        .mem_size = 16 * ggml_tensor_overhead() + ggml_graph_overhead(),
        .no_alloc = true,
    };
    struct ggml_context *context = ggml_init(parameters);
    if (!context) {
        fail(EXIT_DEVICE, "ggml_init failed");
    }
    struct ggml_tensor *q = ggml_new_tensor_3d(context, GGML_TYPE_F32, DIM, 1, Q_HEADS);
    struct ggml_tensor *k = new_plane(context, data->cells);
    struct ggml_tensor *v = new_plane(context, data->cells);
    struct ggml_tensor *mask = ggml_new_tensor_2d(context, GGML_TYPE_F16, data->cells, 1);
    speed_node made = {
        .backend = backend,
        .context = context,
        .out = ggml_flash_attn_ext(context, q, k, v, mask, 1 / sqrtf((float)DIM), 0, 0),
        .graph = ggml_new_graph(context),
    };
    made.buffer = ggml_backend_alloc_ctx_tensors_from_buft(context, memory);   /* of them all */
    if (!made.buffer) {
        fail(EXIT_DEVICE, "%s cannot allocate the tensors", ggml_backend_name(backend));
    }
    ggml_build_forward_expand(made.graph, made.out);
    ggml_fp16_t *visible = allocate(data->cells, sizeof(*visible));
    upload(q, data->q);
    upload(k, data->k);
    upload(v, data->v);
    upload(mask, visible);
    free(visible);
    return made;
}

static void node_destroy(speed_node *node)
{
    ggml_backend_buffer_free(node->buffer);
    ggml_free(node->context);
}

static double largest_error(const speed_node *node, const speed_data *data)
{
    double largest = 0;
    float *out = allocate(OUT, sizeof(*out));
    ggml_backend_tensor_get(node->out, out, 0, OUT * sizeof(*out));
    for (uint32_t head = 0; head < Q_HEADS; head++) {
        const double error = ref_relative_error_f32(out + head * DIM, data->truth + head * DIM,
                                                    DIM);
        largest = isnan(error) || error > largest ? error : largest;
    }
    free(out);
    return largest;
}

/* Medians, in milliseconds: `wall`, and `cpu` of all threads of this process. Where the device is
 * the CPU the second is steady though other programs run. */
typedef struct speed_times {
    double wall, cpu;
} speed_times;

static speed_times measure(const speed_node *node, uint32_t runs)
{
    double *wall = allocate(runs, sizeof(*wall)), *cpu = allocate(runs, sizeof(*cpu));
    for (uint32_t i = 0; i < WARM_UP + runs; i++) {
        const double start = seconds_now();
        const clock_t cpu_start = clock();
        const enum ggml_status status = ggml_backend_graph_compute(node->backend, node->graph);
        if (status != GGML_STATUS_SUCCESS) {
            fail(EXIT_DEVICE, "%s: %s", ggml_backend_name(node->backend),
                 ggml_status_to_string(status));
        }
        if (i >= WARM_UP) {
            wall[i - WARM_UP] = 1e3 * (seconds_now() - start);
            cpu[i - WARM_UP] = 1e3 * (double)(clock() - cpu_start) / CLOCKS_PER_SEC;
        }
    }
    const speed_times times = {median(wall, runs), median(cpu, runs)};
    free(wall);
    free(cpu);
    return times;
}

static void report(const char *label, const speed_node *node, const speed_data *data, uint32_t runs,
                   const vsa_plugin *plugin)
{
    if (!ggml_backend_supports_op(node->backend, node->out)) {
        printf("| %s | declined | | | | |\n", label);
        return;
    }
    if (plugin) {
        plugin->reset_summary();
    }
    const speed_times times = measure(node, runs);
    printf("| %s | %.1f | %.1f | %.2g |", label, times.wall, times.cpu, largest_error(node, data));
    if (plugin) {
        const struct vsa_ggml_summary counts = plugin_counts(plugin);
        printf(" %.1f | %llu of %llu |\n", 100 * counts.density,
               (unsigned long long)(counts.met + counts.exact), (unsigned long long)counts.rows);
    } else {
        printf(" 100 | |\n");
    }
    fflush(stdout);
}

/* ------------------------------------------------------------------ backends */

static void time_cpu(const speed_data *data, uint32_t runs)
{
    const ggml_backend_t backend = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
    if (!backend) {
        fail(EXIT_DEVICE, "ggml has no CPU backend");
    }
    speed_node node = node_create(backend, ggml_backend_get_default_buffer_type(backend), data);
    report("ggml CPU", &node, data, runs, NULL);
    node_destroy(&node);
    ggml_backend_free(backend);
}

static void time_vulkan(const speed_data *data, uint32_t runs)
{
    const ggml_backend_reg_t vulkan = ggml_backend_reg_by_name("Vulkan");
    if (!vulkan || ggml_backend_reg_dev_count(vulkan) == 0) {
        printf("| ggml Vulkan | not there: no device | | | | |\n");
        return;
    }
    const ggml_backend_t backend = ggml_backend_dev_init(ggml_backend_reg_dev_get(vulkan, 0), NULL);
    if (!backend) {
        fail(EXIT_DEVICE, "ggml cannot use its Vulkan device 0");
    }
    speed_node node = node_create(backend, ggml_backend_get_default_buffer_type(backend), data);
    report("ggml Vulkan", &node, data, runs, NULL);
    node_destroy(&node);
    ggml_backend_free(backend);
}

static void time_plugin(const vsa_plugin *plugin, const speed_data *data, uint32_t runs)
{
    static const struct {
        const char *label, *method, *scorer;
    } cases[] = {
        { "vsa dense", "dense", "exact" },
        { "vsa vattention", "vattention", "exact" },
        { "vsa guided", "guided", "exact" },
        { "vsa sample", "sample", "exact" },
    };
    const ggml_backend_dev_t device = ggml_backend_reg_dev_get(plugin->registration, 0);
    const ggml_backend_t backend = ggml_backend_dev_init(device, NULL);
    if (!backend) {
        fail(EXIT_DEVICE, "the plugin cannot start");
    }
    speed_node node = node_create(backend, ggml_backend_cpu_buffer_type(), data);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        plugin_set(plugin, "method", cases[i].method);
        plugin_set(plugin, "scorer", cases[i].scorer);
        report(cases[i].label, &node, data, runs, plugin);
    }
    node_destroy(&node);
    ggml_backend_free(backend);
}

/* ------------------------------------------------------------------ main */

static uint32_t parse_count(const char *name, const char *text, uint32_t high)
{
    char *end = NULL;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || errno || *text == '-' || value < 1 || value > high) {
        fail(EXIT_USAGE, "%s is %s, must be a number from 1 to %u", name, text, high);
    }
    return (uint32_t)value;
}

static speed_options parse(int count, char **arguments)
{
    speed_options parsed = { .cells = 33024, .runs = 11 };
    for (int i = 1; i < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (!value) {
            fail(EXIT_USAGE, "%s needs a value", name);
        }
        if (strcmp(name, "--plugin") == 0) {
            parsed.plugin = value;
        } else if (strcmp(name, "--cells") == 0) {
            parsed.cells = parse_count(name, value, MAX_CELLS);
        } else if (strcmp(name, "--runs") == 0) {
            parsed.runs = parse_count(name, value, MAX_RUNS);
        } else {
            fail(EXIT_USAGE, "unknown option %s", name);
        }
    }
    if (!parsed.plugin) {
        fail(EXIT_USAGE, "attention_speed needs --plugin");
    }
    /* llama.cpp pads the cells that it attends to. */
    parsed.cells = (parsed.cells + CELL_STEP - 1) / CELL_STEP * CELL_STEP;
    return parsed;
}

int main(int count, char **arguments)
{
    const speed_options options = parse(count, arguments);
    setenv("GGML_VK_VISIBLE_DEVICES", "0", 0);
    ggml_backend_load_all();
    const vsa_plugin plugin = plugin_load(options.plugin);
    speed_data data = data_create(options.cells);
    printf("%u cells, K and V %.1f MiB each, %u runs\n\n", data.cells,
           (double)data.cells * KV_HEADS * DIM * sizeof(ggml_fp16_t) / (1 << 20), options.runs);
    printf("| attention | ms | CPU ms | largest error | density %% | rows EXACT or MET |\n"
           "|---|---|---|---|---|---|\n");
    time_cpu(&data, options.runs);
    time_vulkan(&data, options.runs);
    time_plugin(&plugin, &data, options.runs);
    data_destroy(&data);
    return 0;
}
