#include "setting.h"

#include <errno.h>
#include <string.h>

const double setting_densities[SETTING_DENSITIES] = {0.05, 0.1, 0.2};

static const struct method {
    const char *name, *parameter;
    double low, high;
    int is_rising;
} methods[SETTING_METHODS] = {
    {"topk", "top_k", 0, 0.5, 1},          {"topp", "top_p", 0.01, 0.999999, 1},
    {"sample", "epsilon", 0.002, 0.999, 0}, {"vattention", "epsilon", 0.002, 0.999, 0},
    {"guided", "epsilon", 0.002, 0.999, 0},
};

/* Shares of the tokens to read, as in docs/methods.md. */
#define EDGE_SHARE  (1.0 / 16) /* sink, window and base sample, each */
#define TOP_K_SHARE (3.0 / 8)  /* top-k of vattention */

static const struct method *find_method(const char *name)
{
    for (int i = 0; i < SETTING_METHODS; i++) {
        if (strcmp(methods[i].name, name) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

void setting_init(recall_setting *out, uint32_t length, uint32_t index)
{
    const struct method *method = &methods[index / SETTING_DENSITIES];
    *out =
        (recall_setting){.length = length, .target = setting_densities[index % SETTING_DENSITIES]};
    snprintf(out->method, sizeof(out->method), "%s", method->name);
    out->parameter = method->is_rising ? 0.9 : 0.3;
    if (strcmp(method->name, "topk") == 0) {
        out->parameter = out->target * (1 - 2 * EDGE_SHARE);
    }
}

void setting_bounds(const recall_setting *setting, double *out_low, double *out_high)
{
    const struct method *method = find_method(setting->method);
    *out_low = method ? method->low : 0;
    *out_high = method ? method->high : 0;
}

const char *setting_parameter_name(const recall_setting *setting)
{
    const struct method *method = find_method(setting->method);
    return method ? method->parameter : NULL;
}

int setting_is_rising(const recall_setting *setting)
{
    const struct method *method = find_method(setting->method);
    return method && method->is_rising;
}

static void add_text(recall_option *options, uint32_t *count, const char *name, const char *text)
{
    recall_option *option = &options[(*count)++];
    option->name = name;
    snprintf(option->value, sizeof(option->value), "%s", text);
}

/* With a point: the plugin takes such values as fractions of the length. */
static void add_fraction(recall_option *options, uint32_t *count, const char *name, double value)
{
    recall_option *option = &options[(*count)++];
    option->name = name;
    snprintf(option->value, sizeof(option->value), "%.9f", value);
}

uint32_t setting_options(const recall_setting *setting, recall_option out[SETTING_MAX_OPTIONS])
{
    const struct method *method = find_method(setting->method);
    uint32_t count = 0;
    add_text(out, &count, "method", method ? method->name : "dense");
    if (!method) {
        return count;
    }
    const double edge = setting->target * EDGE_SHARE;
    add_fraction(out, &count, "sink", edge);
    add_fraction(out, &count, "window", edge);
    add_fraction(out, &count, "base_samples", edge);
    if (strcmp(method->name, "vattention") == 0) {
        add_fraction(out, &count, "top_k", setting->target * TOP_K_SHARE);
    }
    add_fraction(out, &count, method->parameter, setting->parameter);
    return count;
}

int setting_read(recall_setting *out, const char *path, char out_error[256])
{
    FILE *file = fopen(path, "r");
    if (!file) {
        snprintf(out_error, 256, "%s: %s", path, strerror(errno));
        return 0;
    }
    const int found = fscanf(file, "%u,%15[^,],%lf,%lf,%lf", &out->length, out->method,
                             &out->target, &out->parameter, &out->density);
    fclose(file);
    if (found != 5 || !find_method(out->method)) {
        snprintf(out_error, 256, "%s is no calibration: remove it", path);
        return 0;
    }
    return 1;
}

void setting_write(FILE *file, const recall_setting *written)
{
    fprintf(file, "%u,%s,%g,%.9g,%.9g\n", written->length, written->method, written->target,
            written->parameter, written->density);
}
