/*
 * validate_case.h - what vsa validate runs: every kernel and variant at least once, in small
 * steps that double precision follows.
 */
#ifndef VSA_TOOL_VALIDATE_CASE_H
#define VSA_TOOL_VALIDATE_CASE_H

#include <stdbool.h>
#include <stddef.h>

#include "harness_data.h"

typedef enum validate_strides {
    STRIDES_PACKED = 0, /* as the session lays the cache out */
    STRIDES_NARROW,     /* multiples of 4 bytes only: the kernels without wide loads */
    STRIDES_SEGMENTS    /* K and V in ranges too small for one descriptor */
} validate_strides;

typedef struct validate_case {
    const char *name; /* "method/what" */
    uint32_t q_heads, kv_heads, dim_k, dim_v;
    vsa_dtype k, v;
    vsa_kv_order order;
    uint32_t page_tokens;
    validate_strides strides;
    uint32_t appended;     /* last tokens, written by the GPU */
    uint32_t max_dispatch; /* vsa_plan_create_info::max_dispatch_tokens */
    float softcap;
    vsa_method method;
    vsa_scorer scorer;
    vsa_bound bound;
    vsa_target target;
    bool carries;  /* vsa_policy::carry_budget */
    double spread; /* of the logits */
    float epsilon;
} validate_case;

extern const validate_case validate_cases[];
extern const size_t validate_case_total;

enum { VALIDATE_MAX_TOKENS = 1500, VALIDATE_SEQUENCES = 2, VALIDATE_QUERIES = 2 };

/* A range that the caches of STRIDES_SEGMENTS exceed, for vsa_standalone_create_info. */
enum { VALIDATE_SEGMENT_RANGE = 1400000 };

/* The plan, with a complete layout when the case has its own. */
vsa_plan_create_info validate_case_plan(const validate_case *entry);

/* Inputs of the case; appended rows are rounded as all others are, and `out_rows`, if not NULL,
 * receives them as they were before: new_k and new_v of a step. NULL when memory is out. */
typedef struct validate_rows {
    float *k, *v;
} validate_rows;

harness_data *validate_case_data(const validate_case *entry, validate_rows *out_rows);

/* Whether a case has `part` in its name. */
bool validate_case_find(const char *part);

/* Does the method score keys with a compact copy of them? */
bool validate_case_is_compact(const validate_case *entry);

#endif
