/*
 * setting.h - the configurations that are compared: each method at each density. What the plugin
 * is told for one: everything but one parameter follows from the density; calibration finds that.
 */
#ifndef VSA_LLAMA_SETTING_H
#define VSA_LLAMA_SETTING_H

#include "row.h"

#define SETTING_DENSE      "dense"      /* llama.cpp without vsa */
#define SETTING_VSA_DENSE  "vsa-dense"  /* vsa reading every token */

enum {
    SETTING_METHODS    = 5,
    SETTING_DENSITIES  = 3,
    SETTING_COUNT      = SETTING_METHODS * SETTING_DENSITIES,
    SETTING_MAX_OPTIONS = 12,
};

extern const double setting_densities[SETTING_DENSITIES];   /* rising */
#define SETTING_TOLERANCE 0.02   /* calibration: of the density */

typedef struct recall_setting {
    uint32_t length;
    char     method[ROW_METHOD_SIZE];
    double   target;      /* density aimed at; 0 for SETTING_VSA_DENSE */
    double   parameter;   /* epsilon, fraction for top_k, or top_p */
    double   density;     /* measured with it on calibration questions */
} recall_setting;

typedef struct recall_option {
    const char *name;
    char        value[24];
} recall_option;

/* Setting i < SETTING_COUNT of a length; `parameter` is a first guess, between the bounds. */
void setting_init(recall_setting *out, uint32_t length, uint32_t index);
void setting_bounds(const recall_setting *setting, double *out_low, double *out_high);
/* "epsilon", "top_k" or "top_p"; NULL for SETTING_VSA_DENSE. */
const char *setting_parameter_name(const recall_setting *setting);
/* Whether more of the parameter means more tokens. */
int setting_is_rising(const recall_setting *setting);

/* What the plugin has to be told; returns how many. */
uint32_t setting_options(const recall_setting *setting, recall_option out[SETTING_MAX_OPTIONS]);

/* One line a file. 0: `out_error` has a sentence; a file that does not exist is an error too. */
int setting_read(recall_setting *out, const char *path, char out_error[256]);
void setting_write(FILE *file, const recall_setting *written);

#endif
