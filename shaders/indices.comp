#version 450
// Lists the tokens that each row read: exact set ascending, samples in draw order, then -1; every
// token for a dense row. Grid: (capacity / WG, row).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = VSA_BIND_CONTROL) readonly buffer Control { uint control[]; };
layout(set = 0, binding = VSA_BIND_LISTS) readonly buffer Lists { uint lists[]; };
layout(set = 0, binding = VSA_BIND_INDICES) writeonly buffer Indices { int indices[]; };

void main()
{
    uint row = gl_WorkGroupID.y + push.first_y;
    uint group = row / GROUP;
    uint item = (gl_WorkGroupID.x + push.first_x) * WG + gl_LocalInvocationID.x;
    if (item >= push.capacity) {
        return;
    }
    uint length = control[group_word(group, VSA_G_LENGTH)];
    uint status = control[row_word(row, VSA_R_STATUS)];
    uint sink_end = control[group_word(group, VSA_G_SINK_END)];
    uint top = sink_end + control[group_word(group, VSA_G_TOP_K)];
    uint window = control[group_word(group, VSA_G_WINDOW)];
    uint exact = top + (length - min(window, length));
    int token = -1;
    if (length == 0u) {
        token = -1;
    } else if (status == VSA_STATUS_EXACT) {
        token = item < length ? int(item) : -1;
    } else if (item < sink_end) {
        token = int(item);
    } else if (item < top) {
        token = int(lists[TOP_OFFSET + group * LIST_STRIDE + item - sink_end]);
    } else if (item < exact) {
        token = int(window + item - top);
    } else if (item - exact < control[row_word(row, VSA_R_OLD)]) {
        token = int(lists[SAMPLES_OFFSET + group * SAMPLE_STRIDE + item - exact]);
    }
    indices[row * push.capacity + item] = token;
}
