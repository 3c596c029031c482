// Whether a token of probability below 1 is sampled: docs/algorithm.md, "Guided".
// Needs the binding `control`, rng.glsl.
#ifndef CHANCE_GLSL
#define CHANCE_GLSL

layout(constant_id = VSA_ID_BOUND) const uint BOUND = VSA_BOUND_IS_CLT;

// Bound strict draws afresh in every stage.
uint chance_key(uint group)
{
    uint stage = BOUND == VSA_BOUND_IS_STRICT ? push.round : 0u;
    return draw_key(VSA_HASH_START + stage, group_sequence(group), group_kv_head(group),
                    control[group_word(group, VSA_G_LENGTH)]);
}

// pi 2^32 - 1: a float below 1/2 has 24 bits, so the product is exact.
uint chance_bits(float chance) { return uint(chance * 4294967296.0); }

// Heavy tokens have 1, tokens of sink and window 0.
bool is_sampled(float chance, uint hash_key, uint token)
{
    return chance > 0.0 && chance < 1.0 && chain(hash_key, token) <= chance_bits(chance);
}
#endif
