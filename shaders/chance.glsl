// With what probability method guided reads a token, and whether it does: docs/algorithm.md,
// "Guided". Needs the binding `control`, math.glsl, rng.glsl.
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

// ln c of a row minus its reference: plus a score it is ln(c w). A row that asks for nothing: MASKED.
// `which` c: VSA_R_SCALE, that of this stage, or VSA_R_KEPT, that up to which the scan keeps.
float row_offset(uint row, uint which)
{
    float scale = uintBitsToFloat(control[row_word(row, which)]);
    return scale > 0.0 ? log(scale) - order_value(control[row_word(row, VSA_R_MAX)]) : MASKED;
}

// ln(c w); a masked score or row stays masked.
float log_wish(float offset, float score)
{
    return offset < LOGIT_MIN || score < LOGIT_MIN ? MASKED : offset + score;
}

// From the largest ln(c w) of the group's rows.
float chance_of(float log_chance)
{
    float chance = exp_negative(min(log_chance, 0.0));
    return chance < VSA_HEAVY ? chance : 1.0;
}

// pi 2^32 - 1: a float below 1/2 has 24 bits, so the product is exact.
uint chance_bits(float chance) { return uint(chance * 4294967296.0); }

// Of tokens of probability below 1.
bool is_sampled(float chance, uint hash_key, uint token)
{
    return chance > 0.0 && chance < 1.0 && chain(hash_key, token) <= chance_bits(chance);
}

// Whether a stage up to the next scan can read this token: log_chance is of the c that it keeps.
bool is_kept(float log_chance, uint hash_key, uint token)
{
    float chance = chance_of(log_chance);
    return chance == 1.0 || is_sampled(chance, hash_key, token);
}
#endif
