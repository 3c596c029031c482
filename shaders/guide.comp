#version 450
// Method guided: a row's reference (the largest score of the probe), its bins and the scale c of
// stage 0; bound strict: the largest |v|. docs/algorithm.md, "Probe" and "Choosing c".
// In: PARTIALS (probe), state. Out: bins, row records. Grid: (1, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rng.glsl"

layout(constant_id = VSA_ID_STATE_STRIDE) const uint STATE_STRIDE = 0;
layout(constant_id = VSA_ID_MAX_SAMPLES) const uint MAX_SAMPLES = 0;
layout(constant_id = VSA_ID_PROBE_OFFSET) const uint PROBE_OFFSET = 0;
layout(constant_id = VSA_ID_NEGLIGIBLE) const float NEGLIGIBLE = 0.0;
layout(constant_id = VSA_ID_KEEP) const float KEEP = 1.0;

layout(set = 0, binding = VSA_BIND_CONTROL) buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_STATE) readonly buffer State { float state[]; };
layout(set = 0, binding = VSA_BIND_PARTIALS) readonly buffer Partials { float partials[]; };

#include "guide.glsl"
#include "probe.glsl"
#include "carry.glsl"

shared uint bins_shared[VSA_GUIDE_BINS];

float largest_norm(uint group)
{
    uint length = control[group_word(group, VSA_G_LENGTH)];
    uint blocks = (length + VSA_NORM_BLOCK - 1u) / VSA_NORM_BLOCK;
    uint base = (group_sequence(group) * KV_HEADS + group_kv_head(group)) * STATE_STRIDE;
    float largest = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < blocks; i += WG) {
        largest = max(largest, state[base + i]);
    }
    return sqrt(reduce_max(vec4(largest)).x);
}

// Returns the reference; MASKED when the probe found nothing.
float count_bins(uint row, uint step)
{
    uint tid = gl_LocalInvocationID.x;
    uint probe = PROBE_OFFSET + row * VSA_PROBE_TOKENS;
    float reference = MASKED;
    for (uint i = tid; i < VSA_PROBE_TOKENS; i += WG) {
        reference = max(reference, partials[probe + i]);
    }
    for (uint i = tid; i < VSA_GUIDE_BINS; i += WG) {
        bins_shared[i] = 0u;
    }
    reference = reduce_max(vec4(reference)).x;
    for (uint i = tid; i < VSA_PROBE_TOKENS; i += WG) {
        float score = partials[probe + i];
        if (score >= LOGIT_MIN) {
            // The clamp keeps any difference inside the range of uint.
            float below = min(reference - score, float(VSA_GUIDE_BINS / VSA_GUIDE_STEP));
            uint bin = min(uint(below * float(VSA_GUIDE_STEP)), uint(VSA_GUIDE_BINS - 1));
            atomicAdd(bins_shared[bin], step);
        }
    }
    barrier();
    for (uint i = tid; i < VSA_GUIDE_BINS; i += WG) {
        control[BINS_OFFSET + row * VSA_GUIDE_BINS + i] = bins_shared[i];
    }
    // Invocations read bins that others wrote.
    memoryBarrierBuffer();
    barrier();
    return reference;
}

// What is known of the row's query head.
Carried carried_of(uint row)
{
    uint word = carry_word(row / (push.query_count * Q_HEADS), row % Q_HEADS);
    return Carried(state[word], state[word + 1u]);
}

void main()
{
    uint row = gl_WorkGroupID.y + push.first_y;
    uint group = row / GROUP;
    if (control[group_word(group, VSA_G_SCAN)] == 0u) {
        return;
    }
    float reference = count_bins(row, probe_make(group).step);
    float limit = min(float(guide_candidates(group)) / 4.0, float(MAX_SAMPLES));
    Guide guide = guide_open(row, float(control[group_word(group, VSA_G_BASE)]), limit, NEGLIGIBLE);
    float keep = KEEP;
    Carried carried = Carried(0.0, 0.0);
    if (CARRIES) {
        carried = carried_of(row);
    }
    if (carried.deviation > 0.0 && guide.found) {
        guide = guide_carried(row, guide, carry_squares(carried), limit);
        keep = carry_keep(carried);
    }
    float radius = STATE_STRIDE != 0u ? largest_norm(group) : 0.0;
    if (gl_LocalInvocationID.x == 0u) {
        float scale = guide.found ? guide.scale : 0.0;
        control[row_word(row, VSA_R_MAX)] = order_key(reference);
        control[row_word(row, VSA_R_SCALE)] = floatBitsToUint(scale);
        control[row_word(row, VSA_R_KEPT)] = floatBitsToUint(scale * keep);
        control[row_word(row, VSA_R_RADIUS)] = floatBitsToUint(radius);
        if (!guide.found) {
            control[row_word(row, VSA_R_STATUS)] = VSA_STATUS_EXACT;
            control[row_word(row, VSA_R_FLAGS)] = VSA_FLAG_UNATTAINABLE;
            atomicOr(control[group_word(group, VSA_G_DENSE)], 1u);
        }
    }
}
