/*
 * The promise, counted: over at least 2,000 rows per cell, the actual error of the target is above
 * epsilon in no more rows than delta allows, by a one-sided binomial test at 99%.
 *
 * Rows of a cell differ in query, KV head, sequence, length or seed, and so in their draws.
 */
#include "harness.h"

#include <ctype.h>

#define EPSILON 0.1
#define DELTA   0.1

static const vsa_target targets[3] = { VSA_TARGET_DENOMINATOR, VSA_TARGET_NUMERATOR,
                                       VSA_TARGET_OUTPUT };
static const char *const target_names[3] = { "denominator", "numerator", "output" };

enum { MIN_ROWS = 2000 };

typedef struct count {
    uint32_t rows, failures, exact;
    double   tokens, read;
} count;

/* Truth of one row, kept over seeds. */
typedef struct truth {
    double out[REF_MAX_DIM];
    double log_normaliser;
} truth;

static double actual_error(vsa_target target, const vsa_certificate *c, const float *out,
                           uint32_t dim, const truth *t)
{
    double scale = exp((double)c->log_normaliser - t->log_normaliser);   /* D estimated / D */
    double estimate[REF_MAX_DIM];
    for (uint32_t i = 0; i < dim; i++) {
        estimate[i] = (double)out[i] * (target == VSA_TARGET_NUMERATOR ? scale : 1);
    }
    return target == VSA_TARGET_DENOMINATOR ? fabs(scale - 1)
                                            : ref_relative_error(estimate, t->out, dim);
}

static void add_rows(count *n, vsa_target target, const harness_result *result,
                     const truth *truths)
{
    for (uint32_t row = 0; row < result->row_count; row++) {
        const vsa_certificate *c = &result->certificates[row];
        vsa_certificate_status status = VSA_CERTIFICATE_STATUS(c->status);
        check_that(status == VSA_CERTIFICATE_MET || status == VSA_CERTIFICATE_EXACT,
                   "row %u has status %d", row, status);
        double error = actual_error(target, c, result->out + (size_t)row * result->head_dim,
                                    result->head_dim, &truths[row]);
        n->rows++;
        n->failures += !(error <= EPSILON);
        n->exact += status == VSA_CERTIFICATE_EXACT;
        n->tokens += c->length_tokens;
        n->read += c->exact_tokens + c->sampled_tokens;
    }
}

static void check_promise(const count *n, const char *name, const char *target)
{
    double p = ref_binomial_tail(n->failures, n->rows, DELTA);
    print_message("%-9s %-12s %5u rows: %4.1f%% above epsilon, %5.1f%% exact, density %.3f\n", name,
                  target, n->rows, 100.0 * n->failures / n->rows, 100.0 * n->exact / n->rows,
                  n->read / n->tokens);
    assert_true(n->rows >= MIN_ROWS);
    check_that(p >= 0.01, "%s, %s: %u of %u rows are above epsilon (p = %g)", name, target,
               n->failures, n->rows, p);
    check_that(n->exact * 2 <= n->rows, "%s, %s: most rows are exact, which shows nothing", name,
               target);
}

static truth *make_truths(const harness_data *data)
{
    truth *truths = malloc(harness_row_count(data) * sizeof *truths);
    for (uint32_t row = 0; row < harness_row_count(data); row++) {
        truths[row].log_normaliser = harness_truth(data, row, truths[row].out);
    }
    return truths;
}

/* Runs seeds until there are rows enough. */
static void check_data(const harness_data *data, const char *name)
{
    truth *truths = make_truths(data);
    for (int t = 0; t < 3; t++) {
        harness_data copy = *data;
        copy.plan.policy.target = targets[t];
        vsa_session *session = harness_session(harness_device, &copy, VSA_KV_HEAD_MAJOR, 0, 0);
        count n = { 0 };
        for (uint64_t seed = 0; n.rows < MIN_ROWS; seed++) {
            harness_result result = harness_run(session, &copy, 0, seed, 0, 0);
            add_rows(&n, targets[t], &result, truths);
            harness_result_free(&result);
        }
        vsa_session_destroy(session);
        check_promise(&n, name, target_names[t]);
    }
    free(truths);
}

static void check_synthetic(harness_scores scores, double spread, vsa_method method,
                            const char *name)
{
    enum { SEQUENCES = 8, QUERIES = 4 };
    uint32_t lengths[SEQUENCES];
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        lengths[s] = 1200 - 13 * s;
    }
    vsa_plan_create_info plan = {
        .head_dim_k = 32, .head_dim_v = 32, .q_heads = 4, .kv_heads = 4,
        .max_sequences = SEQUENCES, .max_queries = QUERIES, .max_tokens = 1200,
        .policy = { .method = method, .sink_tokens = 32, .window_tokens = 32,
                    .top_k_fraction = 0.02f, .base_samples = 64, .base_fraction = 0.025f,
                    .base_max_samples = 256, .epsilon = (float)EPSILON, .delta = (float)DELTA,
                    .carry_budget = method == VSA_METHOD_GUIDED } };
    harness_data *data = harness_data_make(&plan, SEQUENCES, QUERIES, lengths, &(harness_fill){
        .scores = scores, .spread = spread, .value_mean = 1, .seed = 51 });
    check_data(data, name);
    harness_data_free(data);
}

static void gaussian(void **state)
{
    (void)state;
    check_synthetic(HARNESS_GAUSSIAN, 2, VSA_METHOD_VATTENTION, "gaussian");
}

static void uniform(void **state)
{
    (void)state;
    check_synthetic(HARNESS_UNIFORM, 1, VSA_METHOD_VATTENTION, "uniform");
}

static void heavy_tailed(void **state)
{
    (void)state;
    check_synthetic(HARNESS_HEAVY, 1, VSA_METHOD_VATTENTION, "heavy");
}

static void local(void **state)
{
    (void)state;
    check_synthetic(HARNESS_LOCAL, 1, VSA_METHOD_VATTENTION, "local");
}

/* Every step after the first begins with what the steps before needed. */
static void carried(void **state)
{
    (void)state;
    check_synthetic(HARNESS_GAUSSIAN, 1, VSA_METHOD_GUIDED, "carried");
}

/* ------------------------------------------------------------------ recorded */

/* Reads one F16 tensor of the recorded file, whose header is small and known to be sound: finds
 * "NAME" and the two numbers of its data_offsets. */
static float *read_tensor(const char *bytes, size_t size, const char *name, size_t element_count)
{
    uint64_t header_size = 0;
    memcpy(&header_size, bytes, 8);
    assert_true(header_size < size);
    char *header = calloc(1, header_size + 1), key[32];
    memcpy(header, bytes + 8, header_size);
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *at = strstr(header, key);
    assert_non_null(at);
    at = strstr(at, "\"data_offsets\"");
    assert_non_null(at);
    while (!isdigit((unsigned char)*at)) {
        at++;
    }
    unsigned long begin = 0, end = 0;
    assert_int_equal(sscanf(at, "%lu , %lu", &begin, &end), 2);
    assert_int_equal(end - begin, element_count * 2);
    assert_true(8 + header_size + end <= size);
    float *values = malloc(element_count * sizeof *values);
    for (size_t i = 0; i < element_count; i++) {
        uint16_t half;
        memcpy(&half, bytes + 8 + header_size + begin + 2 * i, 2);
        values[i] = ref_f32_from_f16(half);
    }
    free(header);
    return values;
}

/* Rows of one layer share K, V and, in pairs of heads, their draws; consecutive queries resemble
 * each other, but draw afresh. */
static void recorded(void **state)
{
    (void)state;
    enum { TOKENS = 2048, QUERIES = 128, Q_HEADS = 4, KV_HEADS = 2, DIM = 64, LAYERS = 2 };
    FILE *file = fopen(VSA_TEST_DATA "/text_2048.safetensors", "rb");
    assert_non_null(file);
    static char bytes[4 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    assert_true(size < sizeof bytes && feof(file));
    fclose(file);
    vsa_plan_create_info plan = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_queries = QUERIES, .max_tokens = TOKENS, .softmax_scale = 0.125f,
        .policy = { .method = VSA_METHOD_VATTENTION, .sink_tokens = 32, .window_tokens = 64,
                    .top_k_fraction = 0.02f, .base_samples = 64, .base_fraction = 0.025f,
                    .base_max_samples = 256, .epsilon = (float)EPSILON, .delta = (float)DELTA } };
    harness_data *data[LAYERS];
    truth *truths[LAYERS];
    for (int layer = 0; layer < LAYERS; layer++) {
        char name[16];
        data[layer] = harness_data_make(&plan, 1, QUERIES, (uint32_t[]){ TOKENS },
                                        &(harness_fill){ 0 });
        snprintf(name, sizeof name, "k.%d", layer);
        free(data[layer]->k);
        data[layer]->k = read_tensor(bytes, size, name, (size_t)KV_HEADS * TOKENS * DIM);
        snprintf(name, sizeof name, "v.%d", layer);
        free(data[layer]->v);
        data[layer]->v = read_tensor(bytes, size, name, (size_t)KV_HEADS * TOKENS * DIM);
        snprintf(name, sizeof name, "q.%d", layer);
        float *q = read_tensor(bytes, size, name, (size_t)Q_HEADS * QUERIES * DIM);
        for (uint32_t head = 0; head < Q_HEADS; head++) {
            for (uint32_t query = 0; query < QUERIES; query++) {
                memcpy(data[layer]->q + (query * Q_HEADS + head) * DIM,
                       q + (head * QUERIES + query) * DIM, DIM * sizeof *q);
            }
        }
        free(q);
        truths[layer] = make_truths(data[layer]);
    }
    for (int t = 0; t < 3; t++) {
        count n = { 0 };
        for (int layer = 0; layer < LAYERS; layer++) {
            data[layer]->plan.policy.target = targets[t];
            vsa_session *session = harness_session(harness_device, data[layer], VSA_KV_HEAD_MAJOR,
                                                   0, 0);
            for (uint64_t seed = 0; seed < 2; seed++) {
                harness_result result = harness_run(session, data[layer], 0, seed,
                                                    (uint32_t)layer, 0);
                add_rows(&n, targets[t], &result, truths[layer]);
                harness_result_free(&result);
            }
            vsa_session_destroy(session);
        }
        check_promise(&n, "recorded", target_names[t]);
    }
    for (int layer = 0; layer < LAYERS; layer++) {
        harness_data_free(data[layer]);
        free(truths[layer]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaussian),     cmocka_unit_test(uniform),
        cmocka_unit_test(heavy_tailed), cmocka_unit_test(local),
        cmocka_unit_test(carried),      cmocka_unit_test(recorded),
    };
    return cmocka_run_group_tests_name("coverage", tests, harness_setup, harness_teardown);
}
