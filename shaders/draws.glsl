// Random index sampling without replacement outside the exact set: docs/algorithm.md, "Draws".
// Needs bindings `control` and `lists`, and rng.glsl and compact.glsl.
#ifndef DRAWS_GLSL
#define DRAWS_GLSL

DEFINE_FLAGS(accepted)

bool is_member(uint group, uint token)
{
    if (token < control[group_word(group, VSA_G_SINK_END)] ||
        token >= control[group_word(group, VSA_G_WINDOW)]) {
        return true;
    }
    if (TOKEN_STRIDE == 0u) {
        return false;   // no top-k in this method
    }
    uint word = lists[BITS_OFFSET + group * (TOKEN_STRIDE / 32) + token / 32u];
    return (word & 1u << (token & 31u)) != 0u;
}

// Draws until the group has `target` samples or the population is used up. A block of WG draws is
// kept whole, so the list may run past the target by less than WG. All invocations call it with the same arguments.
void draw_until(uint group, uint target)
{
    uint tid = gl_LocalInvocationID.x;
    uint drawn = control[group_word(group, VSA_G_DRAWN)];
    uint counter = control[group_word(group, VSA_G_COUNTER)];
    uint n = control[group_word(group, VSA_G_LENGTH)];
    if (drawn >= target || counter >= n) {
        return;
    }
    Permutation permutation = permutation_make(n, control[group_word(group, VSA_G_KEY0)],
                                               control[group_word(group, VSA_G_KEY1)]);
    while (drawn < target && counter < n) {
        accepted_clear();
        barrier();
        uint token = 0u;
        bool keep = counter + tid < n;
        if (keep) {
            token = permute(permutation, counter + tid);
            keep = !is_member(group, token);
        }
        if (keep) {
            accepted_set();
        }
        barrier();
        if (keep) {
            lists[SAMPLES_OFFSET + group * SAMPLE_STRIDE + drawn + accepted_before()] = token;
        }
        drawn += accepted_total();
        counter += WG;
        barrier();
    }
    if (tid == 0u) {
        control[group_word(group, VSA_G_DRAWN)] = drawn;
        control[group_word(group, VSA_G_COUNTER)] = counter;
    }
}
#endif
