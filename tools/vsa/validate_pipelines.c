#include "validate_pipelines.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const pipeline_number_names[PIPELINE_NUMBERS] = {
    "spills", "scratch", "registers", "shared", "waves", "subgroup", "instructions",
};

/* Statistics as Mesa's drivers name them. Several that mean the same number add up. */
static const struct {
    const char *statistic;
    pipeline_number number;
} known[] = {
    /* RADV */
    {"Spilled SGPRs", PIPELINE_SPILLS},
    {"Spilled VGPRs", PIPELINE_SPILLS},
    {"Scratch size", PIPELINE_SCRATCH},
    {"VGPRs", PIPELINE_REGISTERS},
    {"LDS size", PIPELINE_SHARED},
    {"Subgroups per SIMD", PIPELINE_WAVES},
    {"Instructions", PIPELINE_INSTRUCTIONS},
    /* ANV, HASVK */
    {"Spill Count", PIPELINE_SPILLS},
    {"Scratch Memory Size", PIPELINE_SCRATCH},
    {"Max live registers", PIPELINE_REGISTERS},
    {"Workgroup Memory Size", PIPELINE_SHARED},
    {"Instruction Count", PIPELINE_INSTRUCTIONS}, /* Turnip too */
    /* NVK */
    {"Spills to memory", PIPELINE_SPILLS},
    {"SLM size", PIPELINE_SCRATCH},
    {"Number of GPRs", PIPELINE_REGISTERS},
    {"Max warps/SM", PIPELINE_WAVES},
    {"Instruction count", PIPELINE_INSTRUCTIONS},
    /* Turnip: STP stores to private memory */
    {"STP Count", PIPELINE_SPILLS},
    {"Registers used", PIPELINE_REGISTERS},
    {"Max Waves Per Core", PIPELINE_WAVES},
    /* Honeykrisp */
    {"Spills", PIPELINE_SPILLS},
    {"Scratch", PIPELINE_SCRATCH},
    {"GPRs", PIPELINE_REGISTERS},
};

int pipeline_number_of(const char *statistic)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].statistic, statistic) == 0) {
            return (int)known[i].number;
        }
    }
    return -1;
}

typedef struct executable_functions {
    VkDevice device;
    PFN_vkGetPipelineExecutablePropertiesKHR properties;
    PFN_vkGetPipelineExecutableStatisticsKHR statistics;
} executable_functions;

/* NULL pointers where the device does not have the extension. */
static executable_functions load_functions(vsa_standalone *standalone)
{
    vsa_vulkan_handles handles;
    executable_functions f = {0};

    vsa_standalone_handles(standalone, &handles);

    const PFN_vkGetDeviceProcAddr get = (PFN_vkGetDeviceProcAddr)handles.get_instance_proc_addr(
        handles.instance, "vkGetDeviceProcAddr");

    if (get) {
        f.device = handles.device;
        f.properties = (PFN_vkGetPipelineExecutablePropertiesKHR)get(
            handles.device, "vkGetPipelineExecutablePropertiesKHR");
        f.statistics = (PFN_vkGetPipelineExecutableStatisticsKHR)get(
            handles.device, "vkGetPipelineExecutableStatisticsKHR");
    }
    return f;
}

static double value_of(const VkPipelineExecutableStatisticKHR *statistic)
{
    switch (statistic->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        return statistic->value.b32;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        return (double)statistic->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        return (double)statistic->value.u64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
        return statistic->value.f64;
    default:
        return NAN;
    }
}

double pipeline_number_worse(pipeline_number number, double a, double b)
{
    return number == PIPELINE_WAVES ? fmin(a, b) : fmax(a, b);
}

/* One executable's numbers, made part of the pipeline's: a pipeline may have several, of which the
 * driver takes one. */
static void read_executable(const executable_functions *f, VkPipeline pipeline, uint32_t index,
                            double numbers[PIPELINE_NUMBERS])
{
    enum { MAX_STATISTICS = 64 };
    VkPipelineExecutableStatisticKHR statistics[MAX_STATISTICS];
    uint32_t count = MAX_STATISTICS;
    double own[PIPELINE_NUMBERS];
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
        .pipeline = pipeline,
        .executableIndex = index,
    };

    for (int i = 0; i < MAX_STATISTICS; i++) {
        statistics[i] = (VkPipelineExecutableStatisticKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    }
    for (int i = 0; i < PIPELINE_NUMBERS; i++) {
        own[i] = NAN;
    }
    if (f->statistics(f->device, &info, &count, statistics) < 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int number = pipeline_number_of(statistics[i].name);

        if (number >= 0) {
            const double value = value_of(&statistics[i]);

            own[number] = isnan(own[number]) ? value : own[number] + value;
        }
    }
    for (int i = 0; i < PIPELINE_NUMBERS; i++) {
        numbers[i] = pipeline_number_worse((pipeline_number)i, numbers[i], own[i]);
    }
}

static void read_numbers(const executable_functions *f, VkPipeline pipeline,
                         double numbers[PIPELINE_NUMBERS])
{
    enum { MAX_EXECUTABLES = 8 };
    VkPipelineExecutablePropertiesKHR properties[MAX_EXECUTABLES];
    uint32_t count = MAX_EXECUTABLES;
    const VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR,
                                    .pipeline = pipeline};

    for (int i = 0; i < PIPELINE_NUMBERS; i++) {
        numbers[i] = NAN;
    }
    for (int i = 0; i < MAX_EXECUTABLES; i++) {
        properties[i] = (VkPipelineExecutablePropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    }
    if (!f->properties || !f->statistics ||
        f->properties(f->device, &info, &count, properties) < 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        read_executable(f, pipeline, i, numbers);
        numbers[PIPELINE_SUBGROUP] =
            fmax(numbers[PIPELINE_SUBGROUP], (double)properties[i].subgroupSize);
    }
}

static void add_pipeline(cJSON *array, const validate_case *entry, const char *kernel,
                         const double numbers[PIPELINE_NUMBERS])
{
    cJSON *object = cJSON_CreateObject();
    char name[128];

    snprintf(name, sizeof name, "%s/%s", entry->name, kernel);
    cJSON_AddStringToObject(object, "name", name);
    cJSON_AddStringToObject(object, "kernel", kernel);
    for (int i = 0; i < PIPELINE_NUMBERS; i++) {
        /* Not a number prints as null. */
        cJSON_AddNumberToObject(object, pipeline_number_names[i], numbers[i]);
    }
    cJSON_AddItemToArray(array, object);
}

vsa_result validate_pipelines(vsa_standalone *standalone, const validate_case *entry,
                              struct cJSON *array)
{
    enum { MAX_PIPELINES = 64 };
    vsa_plan_pipeline pipelines[MAX_PIPELINES];
    const executable_functions f = load_functions(standalone);
    vsa_plan_create_info info = validate_case_plan(entry);
    vsa_plan *plan = NULL;
    uint32_t count = 0;

    if (f.statistics) {
        info.pipeline_flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    }
    if (info.kv.k.token_stride == 0) {
        vsa_kv_layout_init(&info.kv, entry->order, entry->k, entry->v, entry->dim_k, entry->dim_v,
                           entry->kv_heads, VALIDATE_MAX_TOKENS, entry->page_tokens);
    }

    const vsa_result result =
        vsa_plan_create(vsa_standalone_context(standalone), &info, &plan);

    if (result != VSA_SUCCESS) {
        return result;
    }
    vsa_plan_get_pipelines(plan, pipelines, MAX_PIPELINES, &count);
    for (uint32_t i = 0; i < count && i < MAX_PIPELINES; i++) {
        double numbers[PIPELINE_NUMBERS];

        read_numbers(&f, pipelines[i].pipeline, numbers);
        add_pipeline(array, entry, pipelines[i].kernel, numbers);
    }
    vsa_plan_destroy(plan);
    return VSA_SUCCESS;
}
