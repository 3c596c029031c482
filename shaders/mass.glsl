// Where mass.comp keeps its sums.
#ifndef MASS_GLSL
#define MASS_GLSL

layout(constant_id = VSA_ID_BINS_OFFSET) const uint BINS_OFFSET = 0;

// Digit 2 has 10 bits: its upper half is free. Sink and window together.
const uint MASS_OUTSIDE = VSA_RADIX_BINS - 1;

uint mass_word(uint row, uint digit, uint bin)
{
    return BINS_OFFSET + (row * VSA_HIST_WORDS + digit * VSA_RADIX_BINS + bin) * 2u;
}

float mass_value(uint low, uint high) { return float(high) * 4294967296.0 + float(low); }
#endif
