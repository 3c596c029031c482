// Sums and maxima over the workgroup, in two levels of REDUCE_WIDTH: the same for every invocation
// and device. Four at a time, because barriers are what these cost.
#ifndef REDUCE_GLSL
#define REDUCE_GLSL

const uint REDUCE_WIDTH = WG < 16 ? WG : 16;
const uint REDUCE_COUNT = WG / REDUCE_WIDTH;

shared vec4 reduce_shared[WG];

vec4 reduce_sum(vec4 value)
{
    uint tid = gl_LocalInvocationID.x;
    reduce_shared[tid] = value;
    barrier();
    vec4 total = vec4(0.0);
    if (tid < REDUCE_COUNT) {
        for (uint i = 0; i < LOOP(REDUCE_WIDTH); i++) {
            total += reduce_shared[tid * REDUCE_WIDTH + i];
        }
        reduce_shared[tid * REDUCE_WIDTH] = total;
    }
    barrier();
    total = vec4(0.0);
    for (uint i = 0; i < LOOP(REDUCE_COUNT); i++) {
        total += reduce_shared[i * REDUCE_WIDTH];
    }
    barrier();
    return total;
}

vec4 reduce_max(vec4 value)
{
    uint tid = gl_LocalInvocationID.x;
    reduce_shared[tid] = value;
    barrier();
    vec4 best = value;
    if (tid < REDUCE_COUNT) {
        for (uint i = 0; i < LOOP(REDUCE_WIDTH); i++) {
            best = max(best, reduce_shared[tid * REDUCE_WIDTH + i]);
        }
        reduce_shared[tid * REDUCE_WIDTH] = best;
    }
    barrier();
    best = reduce_shared[0];
    for (uint i = 1; i < LOOP(REDUCE_COUNT); i++) {
        best = max(best, reduce_shared[i * REDUCE_WIDTH]);
    }
    barrier();
    return best;
}
#endif
