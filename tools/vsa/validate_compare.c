#include "validate_compare.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* f32 sums over rounded inputs: of all tokens, of some, and of some with unequal weights. */
#define DENSE_TOLERANCE  2e-6
#define SPARSE_TOLERANCE 5e-6
#define GUIDED_TOLERANCE 1e-5

/* One row as the checks see it. */
typedef struct row_view {
    const validate_case *entry;
    const harness_data *data;
    const harness_result *result;
    uint32_t row;
    harness_row at;
    const vsa_certificate *certificate;
    vsa_certificate_status status;
    const int32_t *indices;
    const float *out;
} row_view;

static void fail(validate_tally *tally, const char *format, ...) TOOL_PRINTF(2, 3);

static void fail(validate_tally *tally, const char *format, ...)
{
    va_list arguments;

    if (!tally->failed) {
        va_start(arguments, format);
        vsnprintf(tally->detail, sizeof tally->detail, format, arguments);
        va_end(arguments);
    }
    tally->failed = true;
}

static row_view view_row(const validate_case *entry, const harness_data *data,
                         const harness_result *result, uint32_t row)
{
    const vsa_certificate *certificate = &result->certificates[row];

    return (row_view){
        .entry = entry,
        .data = data,
        .result = result,
        .row = row,
        .at = harness_locate(data, row),
        .certificate = certificate,
        .status = VSA_CERTIFICATE_STATUS(certificate->status),
        .indices = result->indices ? result->indices + (size_t)row * result->index_capacity : NULL,
        .out = result->out + (size_t)row * result->head_dim,
    };
}

/* NaN counts as infinite. */
static void note_error(validate_tally *tally, double error)
{
    tally->error = error <= tally->error ? tally->error : isnan(error) ? INFINITY : error;
}

/* A row that was computed from every token. */
static void check_exact(const row_view *view, validate_tally *tally)
{
    const vsa_certificate *c = view->certificate;
    double truth[REF_MAX_DIM];
    const double log_normaliser = harness_truth(view->data, view->row, truth);
    const double error = ref_relative_error_f32(view->out, truth, view->entry->dim_v);

    note_error(tally, error);
    if (!(error <= DENSE_TOLERANCE)) {
        fail(tally, "row %u of %u tokens: error %.3g", view->row, view->at.length, error);
    }
    if (view->status != VSA_CERTIFICATE_EXACT || c->error_bound != 0 || c->sampled_tokens != 0 ||
        c->exact_tokens != view->at.length || c->length_tokens != view->at.length ||
        !(fabs((double)c->log_normaliser - log_normaliser) <= 1e-5 * (1 + fabs(log_normaliser)))) {
        fail(tally, "row %u of %u tokens: status %u, %u exact tokens, log normaliser %.7g", view->row,
             view->at.length, view->status, c->exact_tokens, (double)c->log_normaliser);
    }
    for (uint32_t i = 0; view->indices && i < view->at.length; i++) {
        if (view->indices[i] != (int32_t)i) {
            fail(tally, "row %u: dense, but index %u is %d", view->row, i, view->indices[i]);
        }
    }
}

/* The promise itself: a row's actual error against what it certifies. */
static void check_promise(const row_view *view, validate_tally *tally)
{
    const vsa_policy *policy = &view->data->plan.policy;
    const vsa_certificate *c = view->certificate;
    const bool strict = policy->bound == VSA_BOUND_STRICT;
    double truth[REF_MAX_DIM], found[REF_MAX_DIM];
    const double log_normaliser = harness_truth(view->data, view->row, truth);
    const double scale = exp((double)c->log_normaliser - log_normaliser);
    double error = fabs(scale - 1);

    if (policy->target != VSA_TARGET_DENOMINATOR) {
        for (uint32_t i = 0; i < view->entry->dim_v; i++) {
            found[i] = (double)view->out[i] * (policy->target == VSA_TARGET_NUMERATOR ? scale : 1);
        }
        error = ref_relative_error(found, truth, view->entry->dim_v);
    }
    if (view->status != VSA_CERTIFICATE_MET || !(c->error_bound <= policy->epsilon) ||
        c->length_tokens != view->at.length) {
        fail(tally, "row %u: status %u, certified %.3g", view->row, view->status,
             (double)c->error_bound);
    }
    /* Of a correct CLT estimate, 2.5 times the 90% quantile is far out in the tail. */
    if (!(error <= (strict ? 1 : 2.5) * (double)c->error_bound + 3e-6)) {
        fail(tally, "row %u: error %.3g, certified %.3g", view->row, error,
             (double)c->error_bound);
    }
}

/* ---- methods that draw uniformly, or not at all */

/* Splits what the row read: marks its exact set in `member`, and counts it. The samples follow. */
static uint32_t read_member(const row_view *view, uint8_t *member)
{
    const uint32_t exact = view->certificate->exact_tokens;

    memset(member, 0, view->at.length);
    for (uint32_t i = 0; i < exact && i < VALIDATE_CAPACITY; i++) {
        const int32_t token = view->indices[i];

        if (token < 0 || (uint32_t)token >= view->at.length ||
            (i > 0 && token <= view->indices[i - 1])) {
            return 0;
        }
        member[token] = 1;
    }
    return exact <= view->at.length ? exact : 0;
}

/* How much of the reference's top-k a scorer must find here: below what lavapipe finds (sign .40,
 * int8 .99, int4 .86, page .09: pages of unrelated keys say little), above what chance does (.04). */
static double least_found(vsa_scorer scorer)
{
    return scorer == VSA_SCORER_SIGN   ? 0.33
           : scorer == VSA_SCORER_INT8 ? 0.95
           : scorer == VSA_SCORER_INT4 ? 0.8
           : scorer == VSA_SCORER_PAGE ? 0.07
                                       : 0.97;
}

typedef struct set_count {
    uint32_t found, wanted;
} set_count;

/* Tokens between sink and window that both sets hold. */
static void count_found(const harness_expected *expected, const uint8_t *member, set_count *count)
{
    for (uint32_t i = expected->set.sink_end; i < expected->set.window_begin; i++) {
        count->wanted += expected->member[i];
        count->found += expected->member[i] && member[i];
    }
}

/* The row's own exact set, as the device chose it, through the reference's draws and estimates. */
static void check_uniform(const row_view *view, uint64_t seed, uint32_t stream, uint8_t *member,
                          uint32_t *draws, set_count *found, validate_tally *tally)
{
    const vsa_policy *policy = &view->data->plan.policy;
    const vsa_certificate *c = view->certificate;
    harness_expected *expected = harness_expect(view->data, view->row, seed, stream);
    const uint32_t exact = read_member(view, member);
    const uint32_t residual = view->at.length - exact;
    const bool promises = policy->method != VSA_METHOD_TOP_K && policy->method != VSA_METHOD_TOP_P;
    /* A set of one's own size: budgets and sums of weights decide it, which may round. */
    const bool sized = policy->method == VSA_METHOD_TOP_P;
    const int64_t gap = (int64_t)exact - expected->set.exact_count;
    vsa_policy estimator = *policy;
    ref_permutation permutation;
    ref_row_result want;
    ref_row row = expected->row;

    if (exact == 0 || gap < -(sized ? 1 : 0) || gap > (sized ? 1 : 0)) {
        fail(tally, "row %u: %u exact tokens in ascending order, not %u", view->row, exact,
             expected->set.exact_count);
        harness_expected_free(expected);
        return;
    }
    ref_permutation_init(&permutation, seed, stream, view->at.sequence, view->at.kv_head,
                         view->at.length);
    ref_draw(&permutation, member, residual, draws);
    for (uint32_t i = 0; i < c->sampled_tokens; i++) {
        if (i >= residual || view->indices[exact + i] != (int32_t)draws[i]) {
            fail(tally, "row %u: draw %u is token %d, not %u", view->row, i,
                 view->indices[exact + i], i < residual ? draws[i] : 0);
            break;
        }
    }
    if (validate_case_is_compact(view->entry) && promises) {
        /* The residual's weights are not known then: all there is to go by is the sample. */
        estimator.method = VSA_METHOD_SAMPLE;
    }
    row.member = member;
    row.samples = draws;
    row.residual_count = residual;
    ref_decode_row(&estimator, &row, &want);
    count_found(expected, member, found);
    if (promises) {
        check_promise(view, tally);
    } else if (view->status != VSA_CERTIFICATE_MISSED || !isinf(c->error_bound)) {
        fail(tally, "row %u: status %u", view->row, view->status);
    }
    /* Compact scorers bound weights by what they keep of the keys, which the reference has not. */
    const bool comparable = !(policy->bound == VSA_BOUND_STRICT && promises &&
                              validate_case_is_compact(view->entry));

    if (comparable && want.status == view->status && want.sampled_tokens == c->sampled_tokens) {
        const double error = ref_relative_error_f32(view->out, want.out, view->entry->dim_v);

        tally->reference++;
        note_error(tally, error);
        if (!(error <= SPARSE_TOLERANCE)) {
            fail(tally, "row %u: %.3g from the reference's estimate", view->row, error);
        }
        if (promises && !(fabs((double)c->error_bound - want.error) <= 2e-3 * want.error)) {
            fail(tally, "row %u: certifies %.6g, the reference %.6g", view->row,
                 (double)c->error_bound, want.error);
        }
    } else if (!comparable) {
        tally->reference++;
    }
    harness_expected_free(expected);
}

/* ---- method guided */

static bool reads_the_same(const row_view *view, const ref_guided_draw *draw)
{
    const int32_t *at = view->indices;

    if (!draw->member) {
        return false;
    }
    for (uint32_t i = 0; i < view->at.length; i++) {
        if (draw->member[i] && *at++ != (int32_t)i) {
            return false;
        }
    }
    for (uint32_t i = 0; i < draw->sample_count; i++) {
        if (*at++ != (int32_t)draw->samples[i]) {
            return false;
        }
    }
    return at == view->indices + view->at.length || *at == -1;
}

static void check_guided_row(const row_view *view, const ref_row_result *want,
                             const ref_guided_draw *draw, validate_tally *tally)
{
    const vsa_certificate *c = view->certificate;

    if (view->status == VSA_CERTIFICATE_EXACT) {
        check_exact(view, tally);
        tally->reference += want->status == VSA_CERTIFICATE_EXACT;
        return;
    }
    tally->sampled++;
    check_promise(view, tally);
    /* A probability next to its hash, or a logit next to the edge of its bin, may round to the
     * other side. */
    if (validate_case_is_compact(view->entry)) {
        tally->reference++;
    } else if (want->status == view->status && reads_the_same(view, draw)) {
        const double error = ref_relative_error_f32(view->out, want->out, view->entry->dim_v);

        tally->reference++;
        note_error(tally, error);
        if (!(error <= GUIDED_TOLERANCE)) {
            fail(tally, "row %u: %.3g from the reference's estimate", view->row, error);
        }
        if (!(fabs((double)c->error_bound - want->error) <= 5e-3 * want->error + 1e-9)) {
            fail(tally, "row %u: certifies %.6g, the reference %.6g", view->row,
                 (double)c->error_bound, want->error);
        }
    }
}

static void check_guided_group(const validate_case *entry, const harness_data *data,
                               const harness_result *result, uint32_t first, uint64_t seed,
                               uint32_t stream, validate_tally *tally)
{
    enum { MAX_GROUP = 16 };
    const uint32_t heads = entry->q_heads / entry->kv_heads;
    const harness_row at = harness_locate(data, first);
    double *logits[MAX_GROUP] = {0};
    ref_row_result want[MAX_GROUP];
    ref_guided_draw draw = {0};

    for (uint32_t h = 0; h < heads; h++) {
        logits[h] = harness_logits(data, first + h);
    }
    const ref_group group = {
        .logits = (const double *const *)logits,
        .heads = heads,
        .v = harness_v(data, at.sequence, at.kv_head, 0),
        .v_stride = entry->dim_v,
        .head_dim = entry->dim_v,
        .length = at.length,
        .key = {.seed = seed,
                .stream = stream,
                .sequence = at.sequence,
                .kv_head = at.kv_head,
                .length = at.length},
    };

    ref_decode_guided(&data->plan.policy, &group, want, &draw);
    for (uint32_t h = 0; h < heads; h++) {
        const row_view view = view_row(entry, data, result, first + h);

        check_guided_row(&view, &want[h], &draw, tally);
        free(logits[h]);
    }
    ref_guided_draw_free(&draw);
}

/* ---- all rows */

static void compare_guided(const validate_case *entry, const harness_data *data,
                           const harness_result *result, uint64_t seed, uint32_t stream,
                           validate_tally *tally)
{
    const uint32_t heads = entry->q_heads / entry->kv_heads;

    for (uint32_t first = 0; first < result->row_count; first += heads) {
        check_guided_group(entry, data, result, first, seed, stream, tally);
    }
}

/* Whether the reference ends a dense row densely. It does not know the sets of compact scorers. */
static bool is_dense_too(const row_view *view, uint64_t seed, uint32_t stream)
{
    if (validate_case_is_compact(view->entry)) {
        return true;
    }
    harness_expected *expected = harness_expect(view->data, view->row, seed, stream);
    const bool dense = expected->result.status == VSA_CERTIFICATE_EXACT;

    harness_expected_free(expected);
    return dense;
}

static void compare_uniform(const validate_case *entry, const harness_data *data,
                            const harness_result *result, uint64_t seed, uint32_t stream,
                            validate_tally *tally)
{
    static uint8_t member[VALIDATE_MAX_TOKENS];
    static uint32_t draws[VALIDATE_MAX_TOKENS];
    set_count found = {0};

    for (uint32_t row = 0; row < result->row_count; row++) {
        const row_view view = view_row(entry, data, result, row);

        if (view.status == VSA_CERTIFICATE_EXACT) {
            check_exact(&view, tally);
            tally->reference += is_dense_too(&view, seed, stream);
        } else {
            tally->sampled++;
            check_uniform(&view, seed, stream, member, draws, &found, tally);
        }
    }
    if (found.wanted > 0) {
        const double share = (double)found.found / found.wanted;

        if (!(share >= least_found(entry->scorer))) {
            fail(tally, "%.3f of the heaviest keys found", share);
        } else if (!tally->failed && validate_case_is_compact(entry)) {
            snprintf(tally->detail, sizeof tally->detail, "%.3f of the heaviest keys found", share);
        }
    }
}

static void compare_dense(const validate_case *entry, const harness_data *data,
                          const harness_result *result, validate_tally *tally)
{
    for (uint32_t row = 0; row < result->row_count; row++) {
        const row_view view = view_row(entry, data, result, row);

        check_exact(&view, tally);
        tally->reference++;
    }
}

void validate_compare(const validate_case *entry, const harness_data *data,
                      const harness_result *result, uint64_t seed, uint32_t stream,
                      validate_tally *out_tally)
{
    validate_tally *tally = out_tally;

    *tally = (validate_tally){.rows = result->row_count};
    if (entry->method == VSA_METHOD_DENSE) {
        compare_dense(entry, data, result, tally);
    } else if (entry->method == VSA_METHOD_GUIDED) {
        compare_guided(entry, data, result, seed, stream, tally);
    } else {
        compare_uniform(entry, data, result, seed, stream, tally);
    }
    /* A budget that rounds decides otherwise, now and then. */
    const uint32_t least = entry->method == VSA_METHOD_GUIDED ? 80 : 90;

    if (tally->reference * 100 < tally->rows * least) {
        fail(tally, "%u of %u rows took the reference's decisions", tally->reference, tally->rows);
    }
    if (entry->method != VSA_METHOD_DENSE && tally->sampled * 2 < tally->rows) {
        fail(tally, "%u of %u rows are sparse: the kernels were not exercised", tally->sampled,
             tally->rows);
    }
}
