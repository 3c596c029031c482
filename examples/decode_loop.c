#include <stdio.h>
#include <stdlib.h>
#include <vsa_standalone.h>

enum { Q_HEADS = 8, KV_HEADS = 2, DIM = 64, PROMPT = 4000, STEPS = 16 };
static float k[KV_HEADS * PROMPT * DIM], v[KV_HEADS * PROMPT * DIM];
static float q[Q_HEADS * DIM], out[Q_HEADS * DIM];

static void make(float *values, int count, float mean, float spread)   /* your model */
{
    while (count-- > 0) *values++ = mean + spread * (2.0f * (float)rand() / (float)RAND_MAX - 1.0f);
}

int main(void)
{
    vsa_standalone *gpu;
    vsa_session *session;
    vsa_plan_create_info plan = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = Q_HEADS, .kv_heads = KV_HEADS,
        .max_tokens = PROMPT + STEPS,
        .policy = {.epsilon = 0.1f, .delta = 0.1f, .sink_tokens = 128, .window_tokens = 128,
                   .top_k_fraction = 0.02f, .base_samples = 64, .base_fraction = 0.025f}};
    vsa_standalone_create_info device = {.api_version = VSA_API_VERSION};
    if (vsa_standalone_create(&device, &gpu)) return 77;
    if (vsa_session_create(gpu, &(vsa_session_create_info){.plan = &plan}, &session)) return 1;
    make(k, KV_HEADS * PROMPT * DIM, 0, 1), make(v, KV_HEADS * PROMPT * DIM, 1, 1);
    if (vsa_session_write_kv(session, 0, 0, 0, PROMPT, k, PROMPT * DIM, v, PROMPT * DIM)) return 1;
    for (uint32_t length = PROMPT + 1; length <= PROMPT + STEPS; length++) {
        vsa_certificate rows[Q_HEADS];
        vsa_certificate_summary sum;
        make(q, Q_HEADS * DIM, 0, 4), make(k, KV_HEADS * DIM, 0, 1), make(v, KV_HEADS * DIM, 1, 1);
        vsa_session_step step = {
            .lengths = &length, .q = q, .new_k = k, .new_v = v, .new_tokens = 1};
        vsa_session_step_result result = {.out = out, .certificates = rows};
        if (vsa_session_run(session, &step, &result)) return 1;
        if (!vsa_certificates_check(rows, Q_HEADS, &sum)) return 1;   /* every row MET or EXACT */
        printf("%u tokens, %.0f%% read\n", length, 100 * sum.density);
    }
    return vsa_session_destroy(session), vsa_standalone_destroy(gpu), 0;
}
