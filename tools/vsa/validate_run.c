#include "validate_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 2 };

static const uint64_t seed = 5;
static const uint32_t stream = 3;

static void fail(validate_outcome *outcome, vsa_result result, const char *sentence)
{
    outcome->status = VALIDATE_FAILED;
    outcome->tally.failed = true;
    snprintf(outcome->tally.detail, sizeof outcome->tally.detail, "%s%s%.200s",
             vsa_result_name(result), sentence[0] ? ": " : "", sentence);
}

/* The rows to append hold zeros, so that an append which does nothing shows. */
static vsa_result clear_rows(vsa_session *session, const harness_data *data, uint32_t count)
{
    const size_t values = (size_t)data->plan.kv_heads * count * REF_MAX_DIM;
    float *zeros = calloc(values, sizeof *zeros);
    vsa_result result = zeros ? VSA_SUCCESS : VSA_ERROR_OUT_OF_HOST_MEMORY;

    for (uint32_t s = 0; s < data->sequence_count && result == VSA_SUCCESS; s++) {
        result = vsa_session_write_kv(session, 0, s, data->lengths[s] - count, count, zeros,
                                      (size_t)count * data->plan.head_dim_k, zeros,
                                      (size_t)count * data->plan.head_dim_v);
    }
    free(zeros);
    return result;
}

static bool same_bits(const harness_result *a, const harness_result *b)
{
    return memcmp(a->out, b->out, (size_t)a->row_count * a->head_dim * sizeof *a->out) == 0 &&
           memcmp(a->certificates, b->certificates, a->row_count * sizeof *a->certificates) == 0 &&
           (!a->indices ||
            memcmp(a->indices, b->indices,
                   (size_t)a->row_count * a->index_capacity * sizeof *a->indices) == 0);
}

static void keep_times(validate_outcome *outcome, const harness_result *result)
{
    if (outcome->gpu_ms == 0 || result->gpu_ms < outcome->gpu_ms) {
        outcome->gpu_ms = result->gpu_ms;
        memcpy(outcome->stage_ms, result->stage_ms, sizeof outcome->stage_ms);
    }
}

/* Where steps learn from each other the next one is as the first only if its sequences begin anew. */
static vsa_result begin_anew(vsa_session *session, const harness_data *data)
{
    return data->plan.policy.carry_budget != 0 ? harness_data_write(session, data) : VSA_SUCCESS;
}

/* The same step again: the same bits. */
static vsa_result repeat(vsa_session *session, const harness_data *data,
                         const vsa_session_step *step, uint32_t capacity,
                         const harness_result *first, validate_outcome *outcome)
{
    for (int i = 0; i < REPEATS; i++) {
        harness_result again;
        vsa_result result = begin_anew(session, data);

        if (result == VSA_SUCCESS) {
            result = harness_data_run(session, data, step, capacity, &again);
        }
        if (result != VSA_SUCCESS) {
            return result;
        }
        if (!same_bits(first, &again) && !outcome->tally.failed) {
            outcome->status = VALIDATE_FAILED;
            outcome->tally.failed = true;
            snprintf(outcome->tally.detail, sizeof outcome->tally.detail,
                     "the same step gives other bits when it is run again");
        }
        keep_times(outcome, &again);
        harness_result_free(&again);
    }
    return VSA_SUCCESS;
}

/* Apart from the other repeats: the timestamps between kernels take time. */
static vsa_result time_kernels(vsa_session *session, const harness_data *data,
                               const vsa_session_step *step, kernel_times *times)
{
    vsa_result result = VSA_SUCCESS;

    for (int i = 0; i < REPEATS && result == VSA_SUCCESS; i++) {
        vsa_kernel_time items[KERNEL_TIMES_MAX];
        vsa_session_step_result taken = {.kernel_times = items,
                                         .kernel_capacity = KERNEL_TIMES_MAX};
        kernel_times now = {0};

        result = begin_anew(session, data);
        if (result == VSA_SUCCESS) {
            result = vsa_session_run(session, step, &taken);
        }
        kernel_times_add(&now, items, taken.kernel_count);
        kernel_times_keep_less(&now, times);
        *times = now;
    }
    return result;
}

static vsa_result run(vsa_standalone *standalone, const validate_case *entry,
                      const harness_data *data, const validate_rows *rows,
                      validate_outcome *outcome)
{
    const bool dense = entry->method == VSA_METHOD_DENSE;
    const uint32_t capacity = dense ? 0 : VALIDATE_CAPACITY;
    vsa_session_step step = harness_data_step(data);
    vsa_session *session = NULL;
    harness_result first = {0};
    vsa_result result =
        harness_data_session(standalone, data, entry->order, 11, capacity, &session);

    step.seed = seed;
    step.stream = stream;
    if (result == VSA_SUCCESS && entry->appended > 0) {
        step.new_k = rows->k;
        step.new_v = rows->v;
        step.new_tokens = entry->appended;
        result = clear_rows(session, data, entry->appended);
    }
    if (result == VSA_SUCCESS &&
        (result = harness_data_run(session, data, &step, capacity, &first)) == VSA_SUCCESS) {
        validate_compare(entry, data, &first, seed, stream, &outcome->tally);
        outcome->status = outcome->tally.failed ? VALIDATE_FAILED : VALIDATE_PASSED;
        result = repeat(session, data, &step, capacity, &first, outcome);
        if (result == VSA_SUCCESS) {
            result = time_kernels(session, data, &step, &outcome->times);
        }
    }
    harness_result_free(&first);
    vsa_session_destroy(session);
    return result;
}

void validate_run(vsa_standalone *standalone, const char *sentence, const validate_case *entry,
                  validate_outcome *out_outcome)
{
    validate_rows rows;
    harness_data *data = validate_case_data(entry, &rows);
    vsa_result result = VSA_ERROR_OUT_OF_HOST_MEMORY;

    *out_outcome = (validate_outcome){0};
    if (data) {
        result = run(standalone, entry, data, &rows, out_outcome);
    }
    if (result != VSA_SUCCESS) {
        fail(out_outcome, result, sentence);
    }
    free(rows.k);
    free(rows.v);
    harness_data_free(data);
}
