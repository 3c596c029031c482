// Where the compact scorers keep what they know of K: in STATE, per (sequence, KV head), in blocks of
// VSA_KEY_BLOCK tokens so that neighbouring invocations read neighbouring words.
//   sign        [word][token]: PADDED bits of the rotated key's signs; then f16 scales, two a word
//   int8, int4  [word][token]: codes of the rotated key; then one word a token: f16 step, f16 distance
//   page        [channel] of each page of VSA_PAGE_TOKENS tokens: f16 mean, f16 standard deviation
#ifndef KEYS_GLSL
#define KEYS_GLSL

layout(constant_id = VSA_ID_SCORER) const uint SCORER = VSA_SCORER_IS_EXACT;
layout(constant_id = VSA_ID_KEYS_OFFSET) const uint KEYS_OFFSET = 0;
layout(constant_id = VSA_ID_KEYS_STRIDE) const uint KEYS_STRIDE = 0;

const uint CODE_BITS = SCORER == VSA_SCORER_IS_SIGN ? 1 : SCORER == VSA_SCORER_IS_INT4 ? 4 : 8;
const uint CODE_WORDS = PADDED * CODE_BITS / 32;
const uint CODES_PER_WORD = 32 / CODE_BITS;
const uint BLOCK_WORDS = SCORER == VSA_SCORER_IS_SIGN
                             ? CODE_WORDS * VSA_KEY_BLOCK + VSA_KEY_BLOCK / 2
                             : (CODE_WORDS + 1) * VSA_KEY_BLOCK;

uint keys_base(uint sequence, uint kv_head)
{
    return KEYS_OFFSET + (sequence * KV_HEADS + kv_head) * KEYS_STRIDE;
}

uint code_at(uint base, uint token, uint word)
{
    return base + token / VSA_KEY_BLOCK * BLOCK_WORDS + word * VSA_KEY_BLOCK +
           token % VSA_KEY_BLOCK;
}

// The word that holds the token's scale (sign: in one half), or step and distance.
uint scale_at(uint base, uint token)
{
    uint in_block = token % VSA_KEY_BLOCK;
    return base + token / VSA_KEY_BLOCK * BLOCK_WORDS + CODE_WORDS * VSA_KEY_BLOCK +
           (SCORER == VSA_SCORER_IS_SIGN ? in_block / 2u : in_block);
}

uint page_at(uint base, uint token) { return base + token / VSA_PAGE_TOKENS * DK; }
#endif
