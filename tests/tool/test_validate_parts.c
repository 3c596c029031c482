/* vsa validate without a device: results that are right pass, and any one thing that is wrong in
 * them does not. */
#include "check.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "validate_compare.h"
#include "validate_summary.h"
#include "kernel_times.h"

enum { SEED = 5, STREAM = 3 };

static const validate_case *find(const char *name)
{
    for (size_t i = 0; i < validate_case_total; i++) {
        if (strcmp(validate_cases[i].name, name) == 0) {
            return &validate_cases[i];
        }
    }
    fail_msg("no case %s", name);
    return NULL;
}

/* What a device that makes no error would hand back. */
typedef struct made {
    const validate_case *entry;
    harness_data  *data;
    harness_result result;
} made;

static void fill_dense(made *m, uint32_t row)
{
    double truth[REF_MAX_DIM];
    uint32_t length = harness_locate(m->data, row).length, dim = m->result.head_dim;
    double log_normaliser = harness_truth(m->data, row, truth);
    for (uint32_t i = 0; i < dim; i++) {
        m->result.out[(size_t)row * dim + i] = (float)truth[i];
    }
    m->result.certificates[row] = (vsa_certificate){
        .status = VSA_CERTIFICATE_EXACT, .log_normaliser = (float)log_normaliser,
        .length_tokens = length, .exact_tokens = length };
    for (uint32_t i = 0; m->result.indices != NULL && i < length; i++) {
        m->result.indices[(size_t)row * m->result.index_capacity + i] = (int32_t)i;
    }
}

static void fill_sparse(made *m, uint32_t row)
{
    harness_expected *e = harness_expect(m->data, row, SEED, STREAM);
    uint32_t dim = m->result.head_dim;
    int32_t *index = m->result.indices + (size_t)row * m->result.index_capacity;
    if (e->result.status == VSA_CERTIFICATE_EXACT) {
        fill_dense(m, row);
        harness_expected_free(e);
        return;
    }
    for (uint32_t i = 0; i < dim; i++) {
        m->result.out[(size_t)row * dim + i] = (float)e->result.out[i];
    }
    m->result.certificates[row] = (vsa_certificate){
        .status = e->result.status, .error_bound = (float)e->result.error,
        .log_normaliser = (float)e->result.log_normaliser, .length_tokens = e->set.length,
        .exact_tokens = e->result.exact_tokens, .sampled_tokens = e->result.sampled_tokens };
    for (uint32_t i = 0; i < e->set.length; i++) {
        if (e->member[i]) {
            *index++ = (int32_t)i;
        }
    }
    for (uint32_t i = 0; i < e->result.sampled_tokens; i++) {
        *index++ = (int32_t)e->samples[i];
    }
    *index = -1;
    harness_expected_free(e);
}

static made make(const char *name)
{
    made m = { .entry = find(name) };
    validate_rows rows;
    m.data = validate_case_data(m.entry, &rows);
    assert_non_null(m.data);
    assert_null(rows.k);
    int dense = m.entry->method == VSA_METHOD_DENSE;
    uint32_t count = harness_row_count(m.data);
    m.result = (harness_result){ .row_count = count, .head_dim = m.entry->dim_v,
                                 .index_capacity = dense ? 0 : VALIDATE_CAPACITY };
    m.result.out = malloc((size_t)count * m.entry->dim_v * sizeof(float));
    m.result.certificates = calloc(count, sizeof *m.result.certificates);
    m.result.indices = dense ? NULL : calloc((size_t)count * VALIDATE_CAPACITY, sizeof(int32_t));
    for (uint32_t row = 0; row < count; row++) {
        (dense ? fill_dense : fill_sparse)(&m, row);
    }
    return m;
}

static validate_tally compare(const made *m)
{
    validate_tally tally;
    validate_compare(m->entry, m->data, &m->result, SEED, STREAM, &tally);
    return tally;
}

static void free_made(made *m)
{
    harness_result_free(&m->result);
    harness_data_free(m->data);
}

static void right_results_pass(void **state)
{
    (void)state;
    static const char *const names[] = { "dense/f16", "topk/exact", "sample/output",
                                         "vattention/output", "vattention/denominator" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        made m = make(names[i]);
        validate_tally tally = compare(&m);
        check_that(!tally.failed, "%s: %s", names[i], tally.detail);
        assert_int_equal(tally.reference, tally.rows);
        check_between(tally.error, 0, 1e-6);
        free_made(&m);
    }
}

/* The last row that is not dense: a check that looks at the first alone would miss it. */
static uint32_t last_sparse(const made *m)
{
    uint32_t row = m->result.row_count;
    while (row-- > 0) {
        if (VSA_CERTIFICATE_STATUS(m->result.certificates[row].status) != VSA_CERTIFICATE_EXACT) {
            return row;
        }
    }
    fail_msg("%s has no sparse row", m->entry->name);
    return 0;
}

static void wrong_results_fail(void **state)
{
    (void)state;
    made m = make("vattention/output");
    uint32_t row = last_sparse(&m);
    vsa_certificate *c = &m.result.certificates[row], kept = *c;
    float *out = m.result.out + (size_t)row * m.result.head_dim, value = out[3];
    int32_t *index = m.result.indices + (size_t)row * VALIDATE_CAPACITY;

    out[3] = value + 1e-3f;
    assert_true(compare(&m).failed);
    out[3] = NAN;
    assert_true(compare(&m).failed);
    out[3] = value;
    c->error_bound *= 1.01f;
    assert_true(compare(&m).failed);
    *c = kept;
    c->status = VSA_CERTIFICATE_MISSED;
    assert_true(compare(&m).failed);
    *c = kept;
    c->status = VSA_CERTIFICATE_NONE;
    assert_true(compare(&m).failed);
    *c = kept;
    int32_t drawn = index[c->exact_tokens + 1];
    index[c->exact_tokens + 1] = index[c->exact_tokens];
    assert_true(compare(&m).failed);
    index[c->exact_tokens + 1] = drawn;
    int32_t first = index[0];
    index[0] = -1;
    assert_true(compare(&m).failed);
    index[0] = first;
    assert_false(compare(&m).failed);
    free_made(&m);

    m = make("dense/f16");
    m.result.out[m.result.row_count * m.result.head_dim - 1] *= 1.0001f;
    assert_true(compare(&m).failed);
    free_made(&m);
}

/* A device that computes everything densely has not shown that its sparse kernels work. */
static void dense_instead_of_sparse_fails(void **state)
{
    (void)state;
    made m = make("vattention/output");
    for (uint32_t row = 0; row < m.result.row_count; row++) {
        fill_dense(&m, row);
    }
    validate_tally tally = compare(&m);
    assert_true(tally.failed);
    free_made(&m);
}

static void statistics_have_common_names(void **state)
{
    (void)state;
    assert_int_equal(pipeline_number_of("Spilled VGPRs"), PIPELINE_SPILLS);
    assert_int_equal(pipeline_number_of("Scratch Memory Size"), PIPELINE_SCRATCH);
    assert_int_equal(pipeline_number_of("Latency"), -1);
    check_near(pipeline_number_worse(PIPELINE_WAVES, 16, 8), 8, 0);
    check_near(pipeline_number_worse(PIPELINE_REGISTERS, 16, NAN), 16, 0);
}

static void devices_are_summed_up(void **state)
{
    (void)state;
    cJSON *device = cJSON_Parse(
        "{\"verdict\":\"fails\",\"executed\":true,\"cases\":["
        "{\"name\":\"a\",\"status\":\"passed\",\"error\":1e-7},"
        "{\"name\":\"b\",\"status\":\"passed\",\"error\":3e-7},"
        "{\"name\":\"c\",\"status\":\"failed\",\"error\":null},"
        "{\"name\":\"d\",\"status\":\"skipped\",\"error\":null}],"
        "\"pipelines\":["
        "{\"name\":\"a/attend_dense\",\"kernel\":\"attend_dense\",\"spills\":0,\"waves\":16},"
        "{\"name\":\"b/attend_dense\",\"kernel\":\"attend_dense\",\"spills\":4,\"waves\":8},"
        "{\"name\":\"b/rank\",\"kernel\":\"rank\",\"spills\":0,\"waves\":2}]}");
    assert_non_null(device);
    validate_summary sum = validate_summarise(device);
    assert_int_equal(sum.passed, 2);
    assert_int_equal(sum.failed, 1);
    assert_int_equal(sum.skipped, 1);
    assert_string_equal(sum.worst, "b");
    assert_int_equal(sum.pipelines, 3);
    assert_int_equal(sum.spilling, 1);
    check_near(sum.attend_waves, 8, 0);
    check_near(validate_kernel_worst(device, "attend_dense", PIPELINE_SPILLS), 4, 0);
    char sentence[VALIDATE_SENTENCE_SIZE];
    validate_sentence(device, sentence);
    assert_string_equal(sentence, "fails: 1 of 3 cases");
    cJSON_Delete(device);
}

static void times_are_told_by_kernel(void **state)
{
    (void)state;
    const vsa_kernel_time first[] = { { "scan", 2 }, { "attend_sparse", 1 }, { "scan", 4 } };
    const vsa_kernel_time second[] = { { "attend_sparse", 5 }, { "scan", 3 }, { "finish", 7 } };
    kernel_times a = { 0 }, b = { 0 };
    kernel_times_add(&a, first, 3);
    kernel_times_add(&b, second, 3);
    assert_int_equal(a.count, 2);
    assert_true(a.kernels[0].ms == 6 && a.kernels[1].ms == 1);
    kernel_times_keep_less(&b, &a);
    assert_true(b.kernels[0].ms == 1 && b.kernels[1].ms == 3 && b.kernels[2].ms == 7);
    kernel_times_sort(&b);
    assert_string_equal(b.kernels[0].kernel, "finish");
    assert_string_equal(b.kernels[1].kernel, "scan");
    assert_string_equal(b.kernels[2].kernel, "attend_sparse");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_results_pass),
        cmocka_unit_test(wrong_results_fail),
        cmocka_unit_test(dense_instead_of_sparse_fails),
        cmocka_unit_test(statistics_have_common_names),
        cmocka_unit_test(devices_are_summed_up),
        cmocka_unit_test(times_are_told_by_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
