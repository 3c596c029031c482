/* The fast simulation against the readable reference, row by row: floats against doubles, so that
 * a decision at the edge may differ, but only there. */
#include "check.h"
#include "fast.h"

#include <stdlib.h>
#include <string.h>

enum { DIM = 32, BATCHES = 2 };

static void make_settings(stat_settings *s, double floor)
{
    memset(s, 0, sizeof *s);
    s->policy = (vsa_policy){ .method = VSA_METHOD_VATTENTION, .sink_tokens = 16,
                              .window_tokens = 32, .top_k_fraction = 0.02f, .base_samples = 64,
                              .base_fraction = 0.025f, .base_max_samples = 256,
                              .value_floor = (float)floor };
    stat_settings_defaults(s);
    stat_goal_init(&s->goals[0], 0.05f, 0.05f);
    stat_goal_init(&s->goals[1], 0.1f, 0.2f);
    stat_goal_init(&s->goals[2], 0.3f, 0.01f);
    s->goal_count = 3;
}

/* How far the two agreed. */
typedef struct agreement {
    uint32_t outcomes, same;
} agreement;

static void compare(const stat_outcome *fast, const ref_row_result *slow, double actual,
                    agreement *a)
{
    int met = slow->status == VSA_CERTIFICATE_MET;
    int dense = slow->status == VSA_CERTIFICATE_EXACT;
    assert_true(met || dense);
    int same = fast->met == met && (!met || fast->samples == slow->sampled_tokens);
    a->outcomes++;
    a->same += (uint32_t)same;
    if (!same) {
        return;
    }
    assert_int_equal(fast->flags & (met ? ~0 : ~VSA_CERTIFICATE_FLOORED), slow->flags);
    assert_int_equal(fast->gathered, slow->gathered_tokens);
    if (met) {
        assert_int_equal(fast->exact, slow->exact_tokens);
        check_near((double)fast->certified / slow->error, 1, 2e-3);
        check_near((double)fast->error, actual, 1e-4 + 1e-3 * actual);
    }
}

/* What a row's result is off by, as its target has it. */
static double actual_error(const stat_row *row, const stat_settings *s, vsa_target target,
                           double maximum, const ref_row_result *r)
{
    double scale = exp(r->log_normaliser - maximum) / row->D, difference2 = 0, size2 = 0;
    if (target == VSA_TARGET_DENOMINATOR) {
        return fabs(scale - 1);
    }
    for (uint32_t c = 0; c < DIM; c++) {
        double off = r->out[c] * (target == VSA_TARGET_NUMERATOR ? scale : 1) - row->truth[c];
        difference2 += off * off;
        size2 += row->truth[c] * row->truth[c];
    }
    double eta = (double)s->policy.value_floor;
    return sqrt(difference2 / fmax(size2, eta * eta * row->rms2));
}

typedef struct example {
    stat_batch    batch;
    stat_settings settings;
    stat_work    *work;
    double       *logits;
    uint8_t      *member;
    uint32_t     *samples;
} example;

static void check_uniform(example *e, const stat_row *row, uint32_t number, agreement *a)
{
    stat_settings *s = &e->settings;
    uint32_t n = e->batch.values.tokens;
    stat_outcome fast[STAT_MAX_GOALS][STAT_TARGETS], strict[STAT_MAX_GOALS];
    int known = e->batch.model->missed == 0;
    stat_uniform(e->work, &e->batch, row, s, 77, number, fast, strict);

    const double *heads[1] = { e->logits };
    ref_exact_set set;
    for (uint32_t i = 0; i < n; i++) {
        e->logits[i] = (double)row->seen[i];
    }
    ref_select(&s->policy, heads, 1, n, &set, e->member);
    ref_permutation permutation;
    ref_permutation_init(&permutation, 77, 0, 0, number, n);
    ref_draw(&permutation, e->member, n, e->samples);
    for (uint32_t i = 0; i < n; i++) {
        e->logits[i] = (double)row->s[i];
    }
    ref_row r = { e->logits, e->batch.values.v, DIM, DIM, n, e->member, set.residual_count,
                  e->samples };
    for (uint32_t g = 0; g < s->goal_count; g++) {
        /* A scorer that is not exact leaves the weights unknown, as method sample does. */
        vsa_policy policy = s->policy;
        policy.method = known ? VSA_METHOD_VATTENTION : VSA_METHOD_SAMPLE;
        policy.epsilon = (float)s->goals[g].epsilon;
        policy.delta = (float)s->goals[g].delta;
        for (int t = 0; t < STAT_TARGETS; t++) {
            ref_row_result slow;
            policy.target = (vsa_target)(VSA_TARGET_DENOMINATOR + t);
            ref_decode_row(&policy, &r, &slow);
            compare(&fast[g][t], &slow, actual_error(row, s, policy.target, 0, &slow), a);
        }
        if (known) {
            ref_row_result slow;
            policy.target = VSA_TARGET_DENOMINATOR;
            policy.bound = VSA_BOUND_STRICT;
            ref_decode_row(&policy, &r, &slow);
            compare(&strict[g], &slow, actual_error(row, s, policy.target, 0, &slow), a);
        }
    }
}

static void check_guided(example *e, const stat_row *row, uint32_t number, agreement *a)
{
    stat_settings *s = &e->settings;
    uint32_t n = e->batch.values.tokens;
    const double *heads[1] = { e->logits };
    const ref_group group = { .logits = heads, .heads = 1, .v = e->batch.values.v, .v_stride = DIM,
                              .head_dim = DIM, .length = n,
                              .key = { .seed = 77, .kv_head = number, .length = n } };
    for (uint32_t b = 0; b < 2; b++) {
        stat_outcome fast[STAT_MAX_GOALS];
        vsa_policy policy = s->policy;
        policy.method = VSA_METHOD_GUIDED;
        policy.target = VSA_TARGET_OUTPUT;
        policy.bound = b == 0 ? VSA_BOUND_CLT : VSA_BOUND_STRICT;
        stat_guided(e->work, &e->batch, row, s, policy.bound, 77, number, fast);
        for (uint32_t g = 0; g < s->goal_count; g++) {
            ref_row_result slow;
            policy.epsilon = (float)s->goals[g].epsilon;
            policy.delta = (float)s->goals[g].delta;
            ref_decode_guided(&policy, &group, &slow, NULL);
            compare(&fast[g], &slow, actual_error(row, s, policy.target, 0, &slow), a);
        }
    }
}

static void check_model(const char *name, uint32_t tokens, double floor)
{
    const stat_model *model = stat_models;
    while (strcmp(model->name, name) != 0) {
        model++;
    }
    example e;
    agreement uniform = { 0 }, guided = { 0 };
    stat_batch_init(&e.batch, model, tokens, DIM);
    make_settings(&e.settings, floor);
    e.work = stat_work_create(tokens, DIM);
    e.logits = malloc(tokens * sizeof *e.logits);
    e.member = malloc(tokens);
    e.samples = malloc(tokens * sizeof *e.samples);
    for (uint32_t i = 0; i < BATCHES; i++) {
        stat_batch_values(&e.batch, i);
        stat_batch_rows(&e.batch, 100 + i);
        for (uint32_t r = 0; r < STAT_BATCH; r++) {
            const stat_row *row = &e.batch.rows[r];
            double truth[REF_MAX_DIM], off = 0, size = 0;
            for (uint32_t t = 0; t < tokens; t++) {
                e.logits[t] = (double)row->s[t];
            }
            double log_normaliser = ref_attend(e.logits, e.batch.values.v, DIM, DIM, tokens, truth);
            check_near(exp(log_normaliser) / row->D, 1, 1e-6);
            for (uint32_t c = 0; c < DIM; c++) {
                off += (truth[c] - row->truth[c]) * (truth[c] - row->truth[c]);
                size += truth[c] * truth[c];
            }
            check_between(sqrt(off / size), 0, 1e-5);
            check_uniform(&e, row, i * STAT_BATCH + r, &uniform);
            if (model->missed == 0) {
                check_guided(&e, row, i * STAT_BATCH + r, &guided);
            }
        }
    }
    print_message("%-9s %5u tokens: %u of %u and %u of %u the same\n", name, tokens, uniform.same,
                  uniform.outcomes, guided.same, guided.outcomes);
    assert_true(uniform.same * 100 >= uniform.outcomes * 99);
    assert_true(guided.same * 100 >= guided.outcomes * 97);
    free(e.logits);
    free(e.member);
    free(e.samples);
    stat_work_destroy(e.work);
    stat_batch_free(&e.batch);
}

static void every_model_is_the_reference(void **state)
{
    (void)state;
    for (size_t m = 0; m < stat_model_count; m++) {
        check_model(stat_models[m].name, 2048, 0);
    }
}

static void every_length_is_the_reference(void **state)
{
    (void)state;
    check_model("gauss1", 300, 0);
    check_model("gauss4", 301, 0);
    check_model("bimodal", 1000, 0);
    check_model("laplace", 5555, 0);   /* here the probe is a part of the candidates */
    check_model("gauss4", 6001, 0);
}

static void floors_are_the_reference(void **state)
{
    (void)state;
    check_model("centred", 2048, 0.5);
    check_model("gauss2", 2048, 0.7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_is_the_reference),
        cmocka_unit_test(every_length_is_the_reference),
        cmocka_unit_test(floors_are_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
