/* What the environment, or a benchmark at run time, asks of the backend. Pure but for the two
 * functions that read the environment. */
#ifndef VSAI_GGML_OPTIONS_H
#define VSAI_GGML_OPTIONS_H

#include "vsa.h"

enum { VSAI_GGML_MAX_DENSE_LAYERS = 1024, VSAI_GGML_PATH = 512 };

typedef enum vsai_ggml_device_type {
    VSAI_GGML_ACCEL = 0,   /* reads the CPU's buffers */
    VSAI_GGML_GPU          /* has buffers of its own */
} vsai_ggml_device_type;

typedef struct vsai_ggml_options {
    vsa_policy policy;
    uint64_t   seed;
    uint32_t   min_tokens;    /* rows with fewer visible tokens are dense */
    uint8_t    dense_layers[VSAI_GGML_MAX_DENSE_LAYERS / 8];
    uint32_t   verify;        /* 0 or 1 */
    uint32_t   mirror;        /* 0 or 1: copy K and V though they could be imported */
    char       device[64];    /* empty = the best */
    char       cache[VSAI_GGML_PATH];     /* empty = none */
    char       summary[VSAI_GGML_PATH];   /* "0", "1" or a path */
    vsai_ggml_device_type device_type;
} vsai_ggml_options;

typedef struct vsai_ggml_error {
    char sentence[320];
} vsai_ggml_error;

void vsai_ggml_options_default(vsai_ggml_options *out_options);

/* 1 = set. 0 = the name is unknown or the value wrong: *error says so, nothing has changed. */
int vsai_ggml_options_set(vsai_ggml_options *options, const char *name, const char *value,
                          vsai_ggml_error *error);

/* What single values cannot tell: 0 and a sentence when they do not go together. vsa_plan_create
 * says the same, but only when a node is there that has been accepted. */
int vsai_ggml_options_check(const vsai_ggml_options *options, vsai_ggml_error *error);

/* Whether the option may change after the device has been opened. */
int vsai_ggml_option_is_fixed(const char *name);

/* Every VSA_ variable that is set and not empty, over the defaults; 0 and a sentence for the first
 * bad one. */
int vsai_ggml_options_from_environment(vsai_ggml_options *out_options, vsai_ggml_error *error);

int vsai_ggml_options_layer_is_dense(const vsai_ggml_options *options, uint32_t layer);

#endif
