// A fixed random rotation of a vector in shared memory: signs from a hash, then the Hadamard
// transform of PADDED channels (a power of two, zero-filled), orthonormal. Scalar products are kept.
#ifndef ROTATE_GLSL
#define ROTATE_GLSL

layout(constant_id = VSA_ID_PADDED) const uint PADDED = 64;

const uint ROTATE_OWN = (PADDED + WG - 1) / WG;   // channels of each invocation

shared float rotate_shared[PADDED];

float rotation_sign(uint channel)
{
    // mix32 of rng.glsl, on a constant stream: the same rotation everywhere and always.
    uint x = channel * 0x9e3779b9u + 0x7f4a7c15u;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return (x & 1u) != 0u ? -1.0 : 1.0;
}

// rotate_shared holds the vector; all invocations call it. Starts and ends with a barrier.
void rotate()
{
    uint tid = gl_LocalInvocationID.x;
    barrier();
    for (uint i = 0; i < ROTATE_OWN; i++) {
        uint channel = i * WG + tid;
        if (channel < PADDED) {
            rotate_shared[channel] *= rotation_sign(channel);
        }
    }
    barrier();
    for (uint half_size = 1u; half_size < PADDED; half_size *= 2u) {
        for (uint pair = tid; pair < PADDED / 2; pair += WG) {
            uint low = pair / half_size * half_size * 2u + pair % half_size;
            float a = rotate_shared[low];
            float b = rotate_shared[low + half_size];
            rotate_shared[low] = a + b;
            rotate_shared[low + half_size] = a - b;
        }
        barrier();
    }
    float scale = inversesqrt(float(PADDED));
    for (uint i = 0; i < ROTATE_OWN; i++) {
        uint channel = i * WG + tid;
        if (channel < PADDED) {
            rotate_shared[channel] *= scale;
        }
    }
    barrier();
}
#endif
