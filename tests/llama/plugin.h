/*
 * plugin.h - libggml-vsa in this process: its options and counts, by the functions of vsa_ggml.h.
 */
#ifndef VSA_LLAMA_PLUGIN_H
#define VSA_LLAMA_PLUGIN_H

#include "setting.h"
#include "vsa_ggml.h"

#include <ggml-backend.h>

typedef struct vsa_plugin {
    ggml_backend_reg_t   registration;
    vsa_set_option_fn    set_option;
    vsa_reset_summary_fn reset_summary;
    vsa_get_summary_fn   get_summary;
} vsa_plugin;

/* Loads the library for good: ggml cannot unload a backend that is in use. */
vsa_plugin plugin_load(const char *path);

/* Fails with the plugin's sentence when it does not take the value. */
void plugin_set(const vsa_plugin *plugin, const char *name, const char *value);
void plugin_apply(const vsa_plugin *plugin, const recall_setting *setting);

/* Counts of the rows since the last reset: fails when there are none, or one was invalid. */
struct vsa_ggml_summary plugin_counts(const vsa_plugin *plugin);

#endif
