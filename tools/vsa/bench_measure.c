#include "bench_measure.h"

#include <math.h>
#include <stdlib.h>

/* ---------------------------------------------------------------------- lane */

static bool lane_make(const bench_case *entry, const tool_options *options, bench_lane *out)
{
    const size_t rounds = options->repeat;

    *out = (bench_lane){
        .entry = entry,
        .gpu_ms = calloc(rounds * (2 + VSA_TIMESTAMP_COUNT), sizeof *out->gpu_ms),
        .kernels = options->kernels ? calloc(rounds, sizeof *out->kernels) : NULL};
    if (!out->gpu_ms || (options->kernels && !out->kernels)) {
        return false;
    }
    out->wall_ms = out->gpu_ms + rounds;
    for (size_t i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        out->stage_ms[i] = out->gpu_ms + (2 + i) * rounds;
    }
    return true;
}

static void lane_destroy(bench_lane *lane)
{
    bench_session_close(&lane->own);
    report_destroy(&lane->rows);
    stats_destroy(&lane->errors);
    free(lane->gpu_ms);
    free(lane->kernels);
    *lane = (bench_lane){0};
}

static const bench_session *session_of(const bench_batch *batch, const bench_lane *lane)
{
    return lane->own.session ? &lane->own : batch->place->cache;
}

/* --------------------------------------------------------------------- batch */

static vsa_result add_lane(bench_batch *batch, const bench_case *entry, const bench_session *own)
{
    bench_lane *lane = &batch->lanes[batch->count];
    vsa_result result = VSA_SUCCESS;

    if (!lane_make(entry, batch->context->options, lane)) {
        result = VSA_ERROR_OUT_OF_HOST_MEMORY;
    }
    lane->own = *own;
    if (result == VSA_SUCCESS) {
        result = bench_session_warm_up(batch->context, session_of(batch, lane));
    }
    if (result == VSA_SUCCESS) {
        batch->count++;
    } else {
        lane_destroy(lane);
    }
    return result;
}

vsa_result bench_batch_begin(const bench_context *context, const bench_place *place,
                             const bench_case *dense, bench_batch *out_batch)
{
    static const bench_session none;

    *out_batch = (bench_batch){.context = context, .place = place};
    return add_lane(out_batch, dense, &none);
}

vsa_result bench_batch_add(bench_batch *batch, const bench_case *entry)
{
    const bench_place *place = batch->place;
    const bench_plan plan = {
        .options = bench_case_options(entry, batch->context->options),
        .tokens = place->tokens,
        .layers = place->layers,
        .tuning = place->tuning,
        .cache_of = place->cache,
    };
    bench_session session;
    const vsa_result result = bench_session_open(batch->context, &plan, &session);

    batch->setup_seconds += session.setup_seconds;
    return result == VSA_SUCCESS ? add_lane(batch, entry, &session) : result;
}

void bench_batch_end(bench_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        lane_destroy(&batch->lanes[i]);
    }
    batch->count = 0;
}

uint64_t bench_batch_memory(const bench_batch *batch, uint64_t *out_largest)
{
    uint64_t sum = 0;

    *out_largest = 0;
    for (size_t i = 1; i < batch->count; i++) {
        const uint64_t size = vsa_session_memory_size(batch->lanes[i].own.session);

        sum += size;
        *out_largest = size > *out_largest ? size : *out_largest;
    }
    return sum;
}

/* ----------------------------------------------------------------------- run */

static bool add_errors(const bench_batch *batch, uint32_t step, bench_lane *lane)
{
    const bench_context *context = batch->context;
    const bench_truth *truth = batch->place->truth;
    const uint32_t dim = context->input->head_dim_v;

    for (uint32_t i = 0; i < truth->count; i++) {
        const bench_check *check = &truth->checks[i];

        if (check->step == step &&
            !stats_add(&lane->errors,
                       dense_reference_error(
                           (vsa_target)context->options->target, dim,
                           context->host->out + (size_t)check->head * dim,
                           (double)context->host->certificates[check->head].log_normaliser,
                           check->out, check->truth, context->options->value_floor))) {
            return false;
        }
    }
    return true;
}

static vsa_result run_step(const bench_batch *batch, uint32_t round, uint32_t step,
                           bench_lane *lane)
{
    const bench_context *context = batch->context;
    const bench_session *session = session_of(batch, lane);
    vsa_session_step_result times;
    vsa_result result = bench_session_lead(context, session, step);

    if (result == VSA_SUCCESS) {
        result = bench_session_step(context, session, step, &times, &lane->wall_ms[round]);
    }
    if (result != VSA_SUCCESS) {
        return result;
    }
    lane->gpu_ms[round] = times.gpu_ms;
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        lane->stage_ms[i][round] = times.stage_ms[i];
    }
    return report_add(&lane->rows, vsa_session_plan(session->session), context->host->certificates,
                      context->input->q_heads, times.gpu_ms) &&
                   add_errors(batch, step, lane)
               ? VSA_SUCCESS
               : VSA_ERROR_OUT_OF_HOST_MEMORY;
}

/* The same steps again, for their kernels. */
static vsa_result run_kernels(bench_batch *batch)
{
    const uint32_t rounds = batch->context->options->repeat;

    for (uint32_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < batch->count; i++) {
            bench_lane *lane = &batch->lanes[i];
            const bench_session *session = session_of(batch, lane);
            const uint32_t step = (round + (uint32_t)i) % rounds;
            vsa_result result = bench_session_lead(batch->context, session, step);

            if (result == VSA_SUCCESS) {
                result = bench_session_kernels(batch->context, session, step,
                                               &lane->kernels[round]);
            }
            if (result != VSA_SUCCESS) {
                return result;
            }
            batch->place->advance(batch->place->user);
        }
    }
    return VSA_SUCCESS;
}

/* In a round every case runs another step, hence reads another layer: none finds in a cache what the
 * case before it has read. In all rounds together every case runs every step. */
vsa_result bench_batch_run(bench_batch *batch)
{
    const uint32_t rounds = batch->context->options->repeat;

    for (uint32_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < batch->count; i++) {
            const uint32_t step = (round + (uint32_t)i) % rounds;
            const vsa_result result = run_step(batch, round, step, &batch->lanes[i]);

            if (result != VSA_SUCCESS) {
                return result;
            }
            batch->place->advance(batch->place->user);
        }
    }
    return batch->context->options->kernels ? run_kernels(batch) : VSA_SUCCESS;
}

/* ----------------------------------------------------------------------- row */

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

static bench_spread spread_of(const double *values, uint32_t count, double *scratch)
{
    for (uint32_t i = 0; i < count; i++) {
        scratch[i] = values[i];
    }
    return bench_spread_of(scratch, count);
}

static void fill_times(const bench_batch *batch, const bench_lane *lane, double *scratch,
                       bench_row *row)
{
    const bench_lane *dense = &batch->lanes[0];
    const uint32_t rounds = batch->context->options->repeat;
    const bool has_timestamps = lane->rows.gpu_ms > 0.0;
    const double *ms = has_timestamps ? lane->gpu_ms : lane->wall_ms;
    const double *dense_ms = has_timestamps ? dense->gpu_ms : dense->wall_ms;

    row->wall_ms = spread_of(lane->wall_ms, rounds, scratch);
    row->gpu_ms = bench_spread_unknown;
    row->host_us = (double)NAN;
    if (has_timestamps) {
        row->gpu_ms = spread_of(lane->gpu_ms, rounds, scratch);
        for (uint32_t i = 0; i < rounds; i++) {
            scratch[i] = 1e3 * (lane->wall_ms[i] - lane->gpu_ms[i]);
        }
        row->host_us = bench_spread_of(scratch, rounds).median;
    }
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        row->stage_ms[i] =
            has_timestamps ? spread_of(lane->stage_ms[i], rounds, scratch).median : (double)NAN;
    }
    for (uint32_t i = 0; i < rounds; i++) {
        scratch[i] = dense_ms[i] / ms[i];
    }
    row->speedup = bench_spread_of(scratch, rounds);
}

/* Every round has the same kernels in the same order: what a step records does not depend on its data. */
static void fill_kernels(const bench_lane *lane, uint32_t rounds, double *scratch, bench_row *row)
{
    if (!lane->kernels) {
        return;
    }
    row->kernels = lane->kernels[0];
    for (uint32_t i = 0; i < row->kernels.count; i++) {
        for (uint32_t round = 0; round < rounds; round++) {
            scratch[round] = lane->kernels[round].kernels[i].ms;
        }
        row->kernels.kernels[i].ms = bench_spread_of(scratch, rounds).median;
    }
    kernel_times_sort(&row->kernels);
}

bool bench_batch_row(const bench_batch *batch, size_t lane_index, bench_row *out_row)
{
    const bench_lane *lane = &batch->lanes[lane_index];
    const bench_session *session = session_of(batch, lane);
    const double rounds = batch->context->options->repeat;
    double *scratch = malloc(batch->context->options->repeat * sizeof *scratch);
    stats errors = lane->errors;
    bench_bytes bytes;

    *out_row = (bench_row){.entry = *lane->entry,
                           .tokens = batch->place->tokens,
                           .layers = batch->place->layers,
                           .steps = batch->context->options->repeat};
    if (!scratch || !bench_bytes_count(vsa_session_plan(session->session),
                                       lane->entry->method == VSA_METHOD_DENSE,
                                       lane->rows.certificates, lane->rows.count, &bytes)) {
        free(scratch);
        return false;
    }
    fill_times(batch, lane, scratch, out_row);
    fill_kernels(lane, batch->context->options->repeat, scratch, out_row);
    out_row->bytes = (double)bytes.read / rounds;
    out_row->bytes_dense = (double)bytes.dense / rounds;
    out_row->stage_bytes[VSA_TIMESTAMP_SCORE] = (double)bytes.score / rounds;
    out_row->stage_bytes[VSA_TIMESTAMP_ATTEND] = (double)bytes.attend / rounds;
    out_row->stage_bytes[VSA_TIMESTAMP_FALLBACK] = (double)bytes.fallback / rounds;
    report_check(&lane->rows, &out_row->rows);
    out_row->gathered_tokens = (double)lane->rows.gathered_tokens / rounds;
    out_row->error_rows = (uint32_t)lane->errors.count;
    out_row->error = stats_summarise(&errors, batch->context->options->epsilon);
    out_row->certified_mean = mean_certified(&lane->rows);
    out_row->memory = vsa_session_memory_size(session->session);
    free(scratch);
    return true;
}
