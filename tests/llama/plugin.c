#include "plugin.h"
#include "fail.h"

#include <string.h>

/* POSIX lets an object pointer hold a function; C does not say how to convert it. */
static void find_function(const vsa_plugin *plugin, const char *name, void *out_function,
                          size_t size)
{
    void *address = ggml_backend_reg_get_proc_address(plugin->registration, name);
    if (!address) {
        fail(EXIT_DEVICE, "the backend %s has no function %s",
             ggml_backend_reg_name(plugin->registration), name);
    }
    memcpy(out_function, &address, size);
}

vsa_plugin plugin_load(const char *path)
{
    vsa_plugin loaded = {.registration = ggml_backend_load(path)};
    if (!loaded.registration) {
        fail(EXIT_DEVICE, "ggml cannot load %s", path);
    }
    find_function(&loaded, "vsa_set_option", &loaded.set_option, sizeof(loaded.set_option));
    find_function(&loaded, "vsa_reset_summary", &loaded.reset_summary,
                  sizeof(loaded.reset_summary));
    find_function(&loaded, "vsa_get_summary", &loaded.get_summary, sizeof(loaded.get_summary));
    return loaded;
}

void plugin_set(const vsa_plugin *plugin, const char *name, const char *value)
{
    const char *sentence = plugin->set_option(name, value);
    if (sentence) {
        fail(EXIT_DEVICE, "%s", sentence);
    }
}

void plugin_apply(const vsa_plugin *plugin, const recall_setting *setting)
{
    recall_option options[SETTING_MAX_OPTIONS];
    const uint32_t count = setting_options(setting, options);
    for (uint32_t i = 0; i < count; i++) {
        plugin_set(plugin, options[i].name, options[i].value);
    }
}

struct vsa_ggml_summary plugin_counts(const vsa_plugin *plugin)
{
    struct vsa_ggml_summary counts;
    plugin->get_summary(&counts);
    if (counts.rows == 0) {
        fail(EXIT_DEVICE, "llama.cpp gave the plugin no attention to compute");
    }
    if (counts.invalid || counts.host) {
        fail(EXIT_DEVICE,
             "%llu rows were invalid and %llu were computed on the host: those are "
             "not what is measured",
             (unsigned long long)counts.invalid, (unsigned long long)counts.host);
    }
    return counts;
}
