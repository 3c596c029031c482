/*
 * Many steps of decode while sequences grow, are cut back and start anew: every certificate is
 * checked, results are compared with dense attention and with double precision, and memory must not
 * grow.
 *
 * soak [STEPS]   100000 takes hours on a software driver; the tests run a short one
 */
#include "vsa_standalone.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DIM = 32, Q_HEADS = 2, SEQUENCES = 2, MAX_TOKENS = 768, NEW = 8,
    ROWS = SEQUENCES * Q_HEADS, SESSIONS = 3,
    DENSE_EVERY = 10, EXACT_EVERY = 500   /* steps between comparisons */
};

static const float epsilon = 0.2f, delta = 0.1f;

/* One plan with its caches, and the same K and V on the host. */
typedef struct subject {
    const char *name;
    vsa_method method;
    vsa_scorer scorer;
    vsa_session *session;
    uint32_t lengths[SEQUENCES];
    float k[SEQUENCES][MAX_TOKENS][DIM], v[SEQUENCES][MAX_TOKENS][DIM];
    unsigned long steps, rows, met, exact, compared, beyond;
} subject;

static subject subjects[SESSIONS] = {
    { .name = "vattention, exact", .method = VSA_METHOD_VATTENTION, .scorer = VSA_SCORER_EXACT },
    { .name = "vattention, int8", .method = VSA_METHOD_VATTENTION, .scorer = VSA_SCORER_INT8 },
    { .name = "guided, exact", .method = VSA_METHOD_GUIDED, .scorer = VSA_SCORER_EXACT },
};

static float q[ROWS][DIM], out[ROWS][DIM], dense[ROWS][DIM];
static float new_k[SEQUENCES][NEW][DIM], new_v[SEQUENCES][NEW][DIM];
static vsa_certificate certificates[ROWS];
static uint64_t random_state = 1;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % below);
}

static float noise(void)
{
    return (float)draw(1u << 24) / (float)(1u << 23) - 1.0f;
}

static void fail(const subject *s, const char *what, unsigned long step)
{
    fprintf(stderr, "step %lu, %s: %s\n", step, s->name, what);
    exit(1);
}

static void print_message(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", message);
}

/* Resident memory in bytes; 0 where that is not known, or says nothing (sanitizers). */
static size_t resident(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0;
#else
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%*s %lu", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
#endif
}

/* ----------------------------------------------------------------------- steps */

/* New lengths, and the rows to append to get there: what is cut off is written over. */
static uint32_t move(subject *s)
{
    const uint32_t new_tokens = 1 + (draw(4) == 0 ? draw(NEW) : 0);
    for (uint32_t i = 0; i < SEQUENCES; i++) {
        uint32_t *length = &s->lengths[i];
        const uint32_t event = draw(200);
        if (event == 0) {
            *length = draw(*length < 64 ? *length + 1 : 64);   /* a new conversation */
        } else if (event < 5) {
            *length -= draw(*length / 2 + 1);         /* an edit, a rejected draft */
        } else if (event < 10 || *length + new_tokens > MAX_TOKENS) {
            *length -= *length > 16 ? draw(16) : 0;
        }
        if (*length + new_tokens > MAX_TOKENS) {
            *length = MAX_TOKENS / 2;
        }
        *length += new_tokens;
    }
    return new_tokens;
}

static void fill(subject *s, uint32_t new_tokens)
{
    for (uint32_t i = 0; i < SEQUENCES; i++) {
        for (uint32_t t = 0; t < new_tokens; t++) {
            const uint32_t token = s->lengths[i] - new_tokens + t;
            for (uint32_t c = 0; c < DIM; c++) {
                s->k[i][token][c] = noise();
                s->v[i][token][c] = noise() + 1.0f;
            }
            /* [sequence][new_tokens]: not NEW. */
            memcpy(new_k[0][0] + (i * new_tokens + t) * DIM, s->k[i][token], sizeof s->k[i][token]);
            memcpy(new_v[0][0] + (i * new_tokens + t) * DIM, s->v[i][token], sizeof s->v[i][token]);
        }
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        for (uint32_t c = 0; c < DIM; c++) {
            q[i][c] = 3.0f * noise();
        }
    }
}

static double distance(const float *a, const float *b)
{
    double difference = 0, size = 0;
    for (uint32_t c = 0; c < DIM; c++) {
        difference += ((double)a[c] - b[c]) * ((double)a[c] - b[c]);
        size += (double)b[c] * b[c];
    }
    return sqrt(difference / size);
}

static void check_certificates(subject *s, unsigned long step)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        const vsa_certificate *c = &certificates[row];
        const vsa_certificate_status status = VSA_CERTIFICATE_STATUS(c->status);
        const uint32_t length = s->lengths[row / Q_HEADS];
        for (uint32_t i = 0; i < DIM; i++) {
            if (!isfinite(out[row][i])) {
                fail(s, "out is not finite", step);
            }
        }
        if (c->length_tokens != length) {
            fail(s, "a row attended to another length", step);
        }
        if (status == VSA_CERTIFICATE_MET) {
            if (!(c->error_bound <= epsilon) || c->delta != delta ||
                c->exact_tokens + c->sampled_tokens > length) {
                fail(s, "a row that is MET has other bounds", step);
            }
            s->met++;
        } else if (status == VSA_CERTIFICATE_EXACT) {
            if (c->error_bound != 0 || c->exact_tokens != length) {
                fail(s, "a row that is EXACT has another certificate", step);
            }
            s->exact++;
        } else {
            fprintf(stderr, "row %u: status %x, length %u, exact %u, sampled %u, bound %g\n", row,
                    c->status, c->length_tokens, c->exact_tokens, c->sampled_tokens,
                    (double)c->error_bound);
            fail(s, "a row is neither MET nor EXACT", step);
        }
    }
    s->rows += ROWS;
}

/* Against the same step, dense: rows that are EXACT agree, few of the others are beyond epsilon. */
static void check_dense(subject *s, const vsa_session_step *step, unsigned long number)
{
    vsa_session_step again = *step;
    vsa_session_step_result result = { .out = dense[0] };
    again.new_k = again.new_v = NULL;
    again.new_tokens = 0;
    again.dense = 1;
    if (vsa_session_run(s->session, &again, &result) != VSA_SUCCESS) {
        fail(s, "the dense step failed", number);
    }
    for (uint32_t row = 0; row < ROWS; row++) {
        const double error = distance(out[row], dense[row]);
        if (VSA_CERTIFICATE_STATUS(certificates[row].status) == VSA_CERTIFICATE_EXACT) {
            if (error > 1e-5) {
                fail(s, "a row that is EXACT differs from dense attention", number);
            }
        }
        s->compared++;
        s->beyond += error > epsilon;
    }
}

/* Dense attention against double precision: the caches hold what was appended. */
static void check_exact(const subject *s, unsigned long number)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        const uint32_t sequence = row / Q_HEADS;
        double weights[MAX_TOKENS], largest = -INFINITY, sum = 0;
        float truth[DIM];
        for (uint32_t t = 0; t < s->lengths[sequence]; t++) {
            weights[t] = 0;
            for (uint32_t c = 0; c < DIM; c++) {
                weights[t] += (double)q[row][c] * s->k[sequence][t][c];
            }
            weights[t] /= sqrt(DIM);
            largest = fmax(largest, weights[t]);
        }
        for (uint32_t t = 0; t < s->lengths[sequence]; t++) {
            weights[t] = exp(weights[t] - largest);
            sum += weights[t];
        }
        for (uint32_t c = 0; c < DIM; c++) {
            double mean = 0;
            for (uint32_t t = 0; t < s->lengths[sequence]; t++) {
                mean += weights[t] * s->v[sequence][t][c];
            }
            truth[c] = (float)(mean / sum);
        }
        if (distance(dense[row], truth) > 1e-5) {
            fail(s, "dense attention differs from double precision", number);
        }
    }
}

static void run_step(subject *s, unsigned long number)
{
    const uint32_t new_tokens = move(s);
    fill(s, new_tokens);
    const vsa_session_step step = {
        .sequence_count = SEQUENCES, .lengths = s->lengths, .new_k = new_k[0][0],
        .new_v = new_v[0][0], .new_tokens = new_tokens, .q = q[0], .seed = number };
    vsa_session_step_result result = { .out = out[0], .certificates = certificates };
    memset(certificates, 0xff, sizeof certificates);
    if (vsa_session_run(s->session, &step, &result) != VSA_SUCCESS) {
        fail(s, "the step failed", number);
    }
    check_certificates(s, number);
    s->steps++;
    if (s->steps % DENSE_EVERY == 0) {
        check_dense(s, &step, number);
        if (s->steps % EXACT_EVERY == 0) {
            check_exact(s, number);
        }
    }
}

/* ------------------------------------------------------------------------ main */

static int open_subject(vsa_standalone *standalone, subject *s)
{
    const vsa_plan_create_info plan = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = 1,
        .max_sequences = SEQUENCES, .max_tokens = MAX_TOKENS,
        .kv = { .page_tokens = 16, .k.dtype = VSA_DTYPE_F32, .v.dtype = VSA_DTYPE_F32 },
        .policy = { .method = s->method, .scorer = s->scorer, .epsilon = epsilon, .delta = delta,
                    .sink_tokens = 8, .window_tokens = 16, .top_k = 16, .base_samples = 64 } };
    return vsa_session_create(standalone, &(vsa_session_create_info){ .plan = &plan,
                                                                      .page_shuffle = 1 },
                              &s->session) == VSA_SUCCESS;
}

int main(int argument_count, char **arguments)
{
    const unsigned long steps = argument_count > 1 ? strtoul(arguments[1], NULL, 10) : 100000;
    const vsa_standalone_create_info info = { .api_version = VSA_API_VERSION,
                                              .device = getenv("VSA_TEST_DEVICE"),
                                              .log.write = print_message };
    vsa_standalone *standalone;
    size_t memory = 0;
    int failed = 0;

    if (vsa_standalone_create(&info, &standalone) != VSA_SUCCESS) {
        return 77;
    }
    printf("%s\n", vsa_standalone_device(standalone)->name);
    for (int i = 0; i < SESSIONS; i++) {
        if (!open_subject(standalone, &subjects[i])) {
            return 1;
        }
    }
    for (unsigned long i = 0; i < steps; i++) {
        run_step(&subjects[i % SESSIONS], i);
        if (i == steps / 4) {
            memory = resident();   /* everything that grows once has grown */
        }
        if (i % 10000 == 9999) {
            printf("%lu steps, %.1f MiB resident\n", i + 1, (double)resident() / 1048576);
            fflush(stdout);
        }
    }
    const size_t end = resident();
    for (int i = 0; i < SESSIONS; i++) {
        const subject *s = &subjects[i];
        /* delta of the rows may be beyond; 4 standard deviations on top. */
        const double allowed = s->compared * delta + 4 * sqrt(s->compared * delta * (1 - delta));
        printf("%s: %lu rows, %lu met, %lu exact; %lu of %lu compared are beyond epsilon\n",
               s->name, s->rows, s->met, s->exact, s->beyond, s->compared);
        failed |= s->beyond > allowed || s->met == 0;
        vsa_session_destroy(s->session);
    }
    printf("%.1f MiB resident after a quarter of the steps, %.1f at the end\n",
           (double)memory / 1048576, (double)end / 1048576);
    if (end > memory + (4u << 20)) {
        fprintf(stderr, "memory grew\n");
        failed = 1;
    }
    vsa_standalone_destroy(standalone);
    return failed;
}
