/* Stands for the rest of a model. Stage 0, before attention: q, K and V of the next token, and the
 * sequence is one longer. Stage 1, after it: the output joins the residual stream. */
#version 450
layout(local_size_x = 256) in;

layout(binding = 0) buffer Lengths { uint lengths[]; };
layout(binding = 1) writeonly buffer Q { float q[]; };
layout(binding = 2) writeonly buffer NewK { float new_k[]; };
layout(binding = 3) writeonly buffer NewV { float new_v[]; };
layout(binding = 4) readonly buffer Attention { float attention[]; };
layout(binding = 5) buffer Hidden { float hidden[]; };
layout(push_constant) uniform Push { uint stage; };

float noise(uint token, uint which, uint i)
{
    uint x = token * 0x9e3779b9u + which * 0x85ebca6bu + i * 0xc2b2ae35u;
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return float(x >> 8) / 8388608.0 - 1.0;
}

void main()
{
    const uint i = gl_LocalInvocationIndex;
    const uint token = lengths[0];

    if (stage == 0) {
        for (uint j = i; j < uint(q.length()); j += 256) {
            q[j] = 4.0 * noise(token, 0, j);
        }
        for (uint j = i; j < uint(new_k.length()); j += 256) {
            new_k[j] = noise(token, 1, j);
            new_v[j] = noise(token, 2, j) + 1.0;
        }
        barrier();
        if (i == 0) {
            lengths[0] = token + 1;
        }
    } else {
        for (uint j = i; j < uint(hidden.length()); j += 256) {
            hidden[j] += attention[j];
        }
    }
}
