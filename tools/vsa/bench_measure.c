#include "bench_measure.h"

#include <math.h>
#include <stdlib.h>

#include "platform.h"

/* One value per step, and what all rows add up to. */
typedef struct measurement {
    double *gpu_ms, *wall_ms, *host_us, *stage_ms[VSA_TIMESTAMP_COUNT];
    double *values; /* owns all of these */
    uint32_t steps;
    report rows;
    stats errors;
    uint32_t checked; /* of the truth's checks */
} measurement;

static bool measurement_make(uint32_t steps, measurement *out)
{
    *out = (measurement){
        .values = calloc((size_t)steps * (3 + VSA_TIMESTAMP_COUNT), sizeof *out->values)};
    if (!out->values) {
        return false;
    }
    out->gpu_ms = out->values;
    out->wall_ms = out->values + steps;
    out->host_us = out->values + 2 * (size_t)steps;
    for (size_t i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        out->stage_ms[i] = out->values + (3 + i) * steps;
    }
    return true;
}

static void measurement_destroy(measurement *m)
{
    report_destroy(&m->rows);
    stats_destroy(&m->errors);
    free(m->values);
}

static bool add_errors(const bench_context *context, const bench_place *place, measurement *m)
{
    const uint32_t dim = context->input->head_dim_v;

    for (; m->checked < place->truth->count; m->checked++) {
        const bench_check *check = &place->truth->checks[m->checked];

        if (check->step != m->steps) {
            break;
        }
        const double error = dense_reference_error(
            (vsa_target)context->options->target, dim, context->host->out + check->head * dim,
            (double)context->host->certificates[check->head].log_normaliser, check->out,
            check->truth, context->options->value_floor);

        if (!stats_add(&m->errors, error)) {
            return false;
        }
    }
    return true;
}

static vsa_result run_steps(const bench_context *context, const bench_session *session,
                            const bench_place *place, measurement *m)
{
    while (m->steps < context->options->repeat) {
        vsa_session_step_result step;
        double wall_ms;
        const vsa_result result = bench_session_step(context, session, m->steps, &step, &wall_ms);

        if (result != VSA_SUCCESS) {
            return result;
        }
        m->gpu_ms[m->steps] = step.gpu_ms;
        m->wall_ms[m->steps] = wall_ms;
        m->host_us[m->steps] = 1e3 * (wall_ms - step.gpu_ms);
        for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
            m->stage_ms[i][m->steps] = step.stage_ms[i];
        }
        if (!report_add(&m->rows, vsa_session_plan(session->session), context->host->certificates,
                        context->input->q_heads, step.gpu_ms) ||
            !add_errors(context, place, m)) {
            return VSA_ERROR_OUT_OF_HOST_MEMORY;
        }
        place->advance(place->user, m->steps++);
    }
    return VSA_SUCCESS;
}

static double mean_certified(const report *rows)
{
    double sum = 0.0;
    size_t count = 0;

    for (size_t i = 0; i < rows->count; i++) {
        if (isfinite(rows->certificates[i].error_bound)) {
            sum += (double)rows->certificates[i].error_bound;
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

static void fill_times(measurement *m, bench_row *row)
{
    static const bench_spread unknown = {(double)NAN, (double)NAN, (double)NAN};
    const bool has_timestamps = m->rows.gpu_ms > 0.0;

    row->wall_ms = bench_spread_of(m->wall_ms, m->steps);
    row->gpu_ms = has_timestamps ? bench_spread_of(m->gpu_ms, m->steps) : unknown;
    row->host_us = has_timestamps ? bench_spread_of(m->host_us, m->steps).median : (double)NAN;
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        row->stage_ms[i] =
            has_timestamps ? bench_spread_of(m->stage_ms[i], m->steps).median : (double)NAN;
    }
}

static bool fill_row(const bench_context *context, const bench_session *session, measurement *m,
                     bench_row *row)
{
    const double steps = (double)m->steps;
    bench_bytes bytes;

    if (!bench_bytes_count(vsa_session_plan(session->session),
                           row->entry.method == VSA_METHOD_DENSE, m->rows.certificates,
                           m->rows.count, &bytes)) {
        return false;
    }
    fill_times(m, row);
    row->steps = m->steps;
    row->bytes = (double)bytes.read / steps;
    row->bytes_dense = (double)bytes.dense / steps;
    row->stage_bytes[VSA_TIMESTAMP_SCORE] = (double)bytes.score / steps;
    row->stage_bytes[VSA_TIMESTAMP_ATTEND] = (double)bytes.attend / steps;
    row->stage_bytes[VSA_TIMESTAMP_FALLBACK] = (double)bytes.fallback / steps;
    report_check(&m->rows, &row->rows);
    row->gathered_tokens = (double)m->rows.gathered_tokens / steps;
    row->error_rows = (uint32_t)m->errors.count;
    row->error = stats_summarise(&m->errors, context->options->epsilon);
    row->certified_mean = mean_certified(&m->rows);
    row->memory = vsa_session_memory_size(session->session);
    return true;
}

vsa_result bench_measure(const bench_context *context, const bench_case *entry,
                         const bench_place *place, bench_row *out_row, bench_effort *out_effort)
{
    const bench_plan plan = {
        .options = bench_case_options(entry, context->options),
        .tokens = place->tokens,
        .layers = place->layers,
        .tuning = place->tuning,
        .cache_of = place->cache,
    };
    const double start = platform_seconds();
    const bench_session *session = place->cache;
    measurement m = {0};
    bench_session own = {0};
    vsa_result result = VSA_SUCCESS;

    *out_row = (bench_row){.entry = *entry, .tokens = place->tokens, .layers = place->layers};
    if (entry->method != VSA_METHOD_DENSE) {
        session = &own;
        result = bench_session_open(context, &plan, &own);
    }
    if (result == VSA_SUCCESS) {
        result = bench_session_warm_up(context, session);
    }
    if (result == VSA_SUCCESS && !measurement_make(context->options->repeat, &m)) {
        result = VSA_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (result == VSA_SUCCESS) {
        result = run_steps(context, session, place, &m);
    }
    if (result == VSA_SUCCESS && !fill_row(context, session, &m, out_row)) {
        result = VSA_ERROR_OUT_OF_HOST_MEMORY;
    }
    *out_effort = (bench_effort){.setup = own.setup_seconds,
                                 .work = platform_seconds() - start - own.setup_seconds};
    measurement_destroy(&m);
    bench_session_close(&own);
    return result;
}
