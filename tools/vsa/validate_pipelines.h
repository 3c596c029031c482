/*
 * validate_pipelines.h - what the driver's compiler made of every kernel, by
 * VK_KHR_pipeline_executable_properties.
 */
#ifndef VSA_TOOL_VALIDATE_PIPELINES_H
#define VSA_TOOL_VALIDATE_PIPELINES_H

#include "validate_case.h"

struct cJSON;

/* The driver's numbers in common terms; what it does not tell is NaN. */
typedef enum pipeline_number {
    PIPELINE_SPILLS = 0,   /* registers kept in memory, or the instructions that do so */
    PIPELINE_SCRATCH,      /* bytes of private memory */
    PIPELINE_REGISTERS,    /* vector registers of an invocation */
    PIPELINE_SHARED,       /* bytes of a workgroup */
    PIPELINE_WAVES,        /* subgroups that one SIMD unit or core holds at a time */
    PIPELINE_SUBGROUP,     /* invocations */
    PIPELINE_INSTRUCTIONS,
    PIPELINE_NUMBERS
} pipeline_number;

extern const char *const pipeline_number_names[PIPELINE_NUMBERS];

/* Which number a driver's statistic is, or -1. */
int pipeline_number_of(const char *statistic);

/* Fewer waves are worse, of everything else more. NaN gives way. */
double pipeline_number_worse(pipeline_number number, double a, double b);

/* Makes the case's plan and adds an object to `array` for each of its pipelines, "case/kernel".
 * The standalone was opened with compile_only. */
vsa_result validate_pipelines(vsa_standalone *standalone, const validate_case *entry,
                              struct cJSON *array);

#endif
