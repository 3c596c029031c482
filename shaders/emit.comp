#version 450
// Top-k, last step: writes the ids in ascending order and the membership bits of the exact set
// (sink, window and top-k). Ties at the threshold go to the lower index.
// In: rank keys, threshold, counts. Out: top-k ids, membership bits. Grid: (VSA_SELECT_CHUNK tokens, group).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "compact.glsl"
#include "radix.glsl"

layout(constant_id = VSA_ID_TOP_P) const float TOP_P = 0.0;

DEFINE_FLAGS(above)
DEFINE_FLAGS(equal)

shared uint before_above;
shared uint before_equal;
shared uint member_words[VSA_SELECT_CHUNK / 32];

// Top-p: only now is it known how many tokens that is.
void write_top_k(uint group, uint candidates, uint wanted)
{
    uint tid = gl_LocalInvocationID.x;
    uint length = control[group_word(group, VSA_G_SCAN)];
    uint chunks = (length + VSA_SELECT_CHUNK - 1u) / VSA_SELECT_CHUNK;
    uint counts = COUNTS_OFFSET + group * (TOKEN_STRIDE / VSA_SELECT_CHUNK) * 2u;
    if (tid == 0u) {
        uint k = wanted;
        for (uint i = 0u; i < chunks; i++) {
            k += control[counts + i * 2u];
        }
        control[group_word(group, VSA_G_TOP_K)] = k;
        control[group_word(group, VSA_G_RESIDUAL)] = candidates - k;
    }
}

void main()
{
    uint tid = gl_LocalInvocationID.x;
    uint group = gl_WorkGroupID.y + push.first_y;
    uint chunk = gl_WorkGroupID.x + push.first_x;
    uint first = chunk * VSA_SELECT_CHUNK;
    uint end = min(control[group_word(group, VSA_G_SCAN)], first + VSA_SELECT_CHUNK);
    if (first >= end) {
        return;
    }
    Threshold threshold = threshold_read(group, 3u);
    if (tid == 0u) {
        before_above = 0u;
        before_equal = 0u;
    }
    for (uint i = tid; i < VSA_SELECT_CHUNK / 32; i += WG) {
        member_words[i] = 0u;
    }
    barrier();
    uint counts = COUNTS_OFFSET + group * (TOKEN_STRIDE / VSA_SELECT_CHUNK) * 2u;
    for (uint i = tid; i < chunk; i += WG) {
        atomicAdd(before_above, control[counts + i * 2u]);
        atomicAdd(before_equal, control[counts + i * 2u + 1u]);
    }
    uint sink_end = control[group_word(group, VSA_G_SINK_END)];
    uint window = control[group_word(group, VSA_G_WINDOW)];
    if (TOP_P > 0.0 && chunk == 0u) {
        write_top_k(group, window - sink_end, threshold.wanted);
    }
    for (uint base = first; base < end; base += WG) {
        above_clear();
        equal_clear();
        barrier();
        uint token = base + tid;
        uint key = token < end ? rank_key(group, token) : 0u;
        bool is_above = key > threshold.prefix;
        bool is_equal = key == threshold.prefix && key != 0u;
        if (is_above) {
            above_set();
        }
        if (is_equal) {
            equal_set();
        }
        barrier();
        bool taken = false;
        if (is_above || is_equal) {
            uint above_rank = before_above + above_before();
            uint equal_rank = before_equal + equal_before();
            taken = is_above || equal_rank < threshold.wanted;
            if (taken) {
                lists[TOP_OFFSET + group * LIST_STRIDE + above_rank +
                      min(equal_rank, threshold.wanted)] = token;
            }
        }
        if (token < end && (taken || token < sink_end || token >= window)) {
            atomicOr(member_words[(token - first) / 32u], 1u << (token & 31u));
        }
        barrier();
        if (tid == 0u) {
            before_above += above_total();
            before_equal += equal_total();
        }
        barrier();
    }
    for (uint i = tid; i < VSA_SELECT_CHUNK / 32; i += WG) {
        lists[BITS_OFFSET + group * (TOKEN_STRIDE / 32) + first / 32u + i] = member_words[i];
    }
}
