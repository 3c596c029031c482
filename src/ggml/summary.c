#include "summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct vsa_ggml_summary *vsai_ggml_counts_layer(vsai_ggml_counts *counts, uint32_t layer)
{
    layer = layer < VSAI_GGML_SUMMARY_LAYERS ? layer : VSAI_GGML_SUMMARY_LAYERS - 1;
    counts->layer_count = layer < counts->layer_count ? counts->layer_count : layer + 1;
    return &counts->layers[layer];
}

void vsai_ggml_counts_rows(struct vsa_ggml_summary *layer, const vsa_certificate *rows,
                           uint32_t row_count, int dense, uint64_t read_bytes,
                           uint64_t dense_bytes)
{
    layer->rows += row_count;
    layer->dense += dense ? row_count : 0;
    layer->read_bytes += read_bytes;
    layer->dense_bytes += dense_bytes;
    for (uint32_t i = 0; i < row_count; i++) {
        const vsa_certificate *row = &rows[i];
        layer->attended_tokens += row->length_tokens;
        layer->read_tokens += row->exact_tokens + row->sampled_tokens;
        switch (VSA_CERTIFICATE_STATUS(row->status)) {
        case VSA_CERTIFICATE_EXACT:
            layer->exact++;
            continue;
        case VSA_CERTIFICATE_MET:
            layer->met++;
            break;
        case VSA_CERTIFICATE_MISSED:
            layer->missed++;
            break;
        default:
            layer->invalid++;
            continue;
        }
        if (isfinite(row->error_bound) && row->error_bound > layer->worst_bound) {
            layer->worst_bound = row->error_bound;
        }
    }
}

void vsai_ggml_counts_host(struct vsa_ggml_summary *layer, uint32_t row_count, uint32_t tokens,
                           uint64_t bytes)
{
    layer->rows += row_count;
    layer->host += row_count;
    layer->attended_tokens += (uint64_t)row_count * tokens;
    layer->read_tokens += (uint64_t)row_count * tokens;
    layer->read_bytes += bytes;
    layer->dense_bytes += bytes;
}

void vsai_ggml_counts_verified(struct vsa_ggml_summary *layer, const vsa_certificate *row,
                               double error)
{
    const int met = VSA_CERTIFICATE_STATUS(row->status) == VSA_CERTIFICATE_MET;

    layer->verified++;
    /* Written so that NaN counts as an error. */
    layer->above_epsilon += met && !(error <= row->epsilon);
    layer->above_bound += met && !(error <= row->error_bound);
    if (!(error <= layer->largest_error)) {
        layer->largest_error = error;
    }
}

static void add(struct vsa_ggml_summary *to, const struct vsa_ggml_summary *from)
{
    to->nodes += from->nodes;
    to->rows += from->rows;
    to->exact += from->exact;
    to->met += from->met;
    to->missed += from->missed;
    to->invalid += from->invalid;
    to->host += from->host;
    to->dense += from->dense;
    to->attended_tokens += from->attended_tokens;
    to->read_tokens += from->read_tokens;
    to->read_bytes += from->read_bytes;
    to->dense_bytes += from->dense_bytes;
    to->worst_bound = fmax(to->worst_bound, from->worst_bound);
    to->verified += from->verified;
    to->above_epsilon += from->above_epsilon;
    to->above_bound += from->above_bound;
    if (!(from->largest_error <= to->largest_error)) {
        to->largest_error = from->largest_error;
    }
    to->checked_rows += from->checked_rows;
    to->changed_rows += from->changed_rows;
}

static void finish(struct vsa_ggml_summary *summary)
{
    summary->density = summary->attended_tokens != 0
                           ? (double)summary->read_tokens / (double)summary->attended_tokens : 0;
}

void vsai_ggml_counts_total(const vsai_ggml_counts *counts, struct vsa_ggml_summary *out_total)
{
    memset(out_total, 0, sizeof *out_total);
    for (uint32_t i = 0; i < counts->layer_count; i++) {
        add(out_total, &counts->layers[i]);
    }
    finish(out_total);
}

typedef struct writer {
    char    *text;
    uint64_t capacity, used;
} writer;

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void put(writer *w, const char *format, ...)
{
    const uint64_t room = w->used < w->capacity ? w->capacity - w->used : 0;
    va_list arguments;

    va_start(arguments, format);
    const int count = vsnprintf(room != 0 ? w->text + w->used : NULL, (size_t)room, format,
                                arguments);
    va_end(arguments);
    w->used += count > 0 ? (uint64_t)count : 0;
}

static void put_line(writer *w, const char *name, const struct vsa_ggml_summary *s)
{
    put(w, "%-6s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64
           " %8.4f %9.1f %9.1f %8.4f", name, s->rows, s->exact, s->met, s->missed, s->invalid,
        s->host, s->density, (double)s->read_bytes / 1e6, (double)s->dense_bytes / 1e6,
        s->worst_bound);
    if (s->verified != 0) {
        put(w, " %8" PRIu64 " %6" PRIu64 " %8.4f", s->verified, s->above_epsilon,
            s->largest_error);
    }
    put(w, "\n");
}

uint64_t vsai_ggml_counts_print(const vsai_ggml_counts *counts, char *text, uint64_t capacity)
{
    writer w = {.text = text, .capacity = capacity};
    struct vsa_ggml_summary total;

    vsai_ggml_counts_total(counts, &total);
    put(&w, "vsa: %" PRIu64 " attention nodes\n", total.nodes);
    if (total.rows == 0) {
        return w.used;
    }
    put(&w, "%-6s %9s %9s %9s %7s %7s %7s %8s %9s %9s %8s%s\n", "layer", "rows", "exact", "met",
        "missed", "invalid", "host", "density", "read MB", "dense MB", "bound",
        total.verified != 0 ? " verified  above    error" : "");
    for (uint32_t i = 0; i < counts->layer_count; i++) {
        struct vsa_ggml_summary layer = counts->layers[i];
        char name[16];
        if (layer.rows != 0) {
            finish(&layer);
            snprintf(name, sizeof name, "%" PRIu32, i);
            put_line(&w, name, &layer);
        }
    }
    put_line(&w, "all", &total);
    if (total.dense != 0) {
        put(&w, "%" PRIu64 " rows were dense from the start\n", total.dense);
    }
    if (total.checked_rows != 0) {
        put(&w, "%" PRIu64 " rows of K and V were checked for changes, %" PRIu64 " had changed\n",
            total.checked_rows, total.changed_rows);
    }
    return w.used;
}
