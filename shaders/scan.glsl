// The scan of method guided, after a token's scores are known: writes down the scores that later
// kernels need, and marks the candidates among them. docs/algorithm.md, "Scan".
// Needs the bindings `control`, `lists` and `scores`, and chance.glsl.
#ifndef SCAN_GLSL
#define SCAN_GLSL

shared uint kept_shared[VSA_SCORE_CHUNK / 32];

struct Scan {
    uint first_row, heads;
    uint first;              // token of the chunk
    uint sink_end, window;
    uint hash_key;
};

float scan_offset[HEAD_BLOCK];   // ln (c to keep) - reference, by head

Scan scan_make(uint group, uint first_row, uint heads, uint first)
{
    Scan s;
    s.first_row = first_row;
    s.heads = heads;
    s.first = first;
    s.sink_end = control[group_word(group, VSA_G_SINK_END)];
    s.window = control[group_word(group, VSA_G_WINDOW)];
    s.hash_key = chance_key(group);
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        scan_offset[head] = head < heads ? row_offset(first_row + head, VSA_R_KEPT) : MASKED;
    }
    return s;
}

// Clears the marks; a barrier has to follow.
void scan_clear()
{
    for (uint i = gl_LocalInvocationID.x; i < VSA_SCORE_CHUNK / 32; i += WG) {
        kept_shared[i] = 0u;
    }
}

bool scan_is_candidate(Scan s, uint token) { return token >= s.sink_end && token < s.window; }

// Scores of sink and window are kept too; only candidates are marked. With several blocks of heads a
// token may be kept for a head of another block: then all scores are written.
void scan_keep(Scan s, uint token, float score[HEAD_BLOCK])
{
    float log_chance = MASKED;
    for (uint head = 0; head < HEAD_BLOCK; head++) {
        log_chance = max(log_chance, log_wish(scan_offset[head], score[head]));
    }
    bool candidate = scan_is_candidate(s, token);
    bool kept = is_kept(log_chance, s.hash_key, token);
    if (kept || !candidate || BLOCKS > 1u) {
        for (uint head = 0; head < HEAD_BLOCK; head++) {
            if (head < s.heads) {
                scores[(s.first_row + head) * TOKEN_STRIDE + token] = score[head];
            }
        }
    }
    if (kept && candidate) {
        atomicOr(kept_shared[(token - s.first) / 32u], 1u << (token & 31u));
    }
}

// After a barrier.
void scan_finish(Scan s, uint group)
{
    uint word = BITS_OFFSET + group * (TOKEN_STRIDE / 32) + s.first / 32u;
    for (uint i = gl_LocalInvocationID.x; i < VSA_SCORE_CHUNK / 32; i += WG) {
        if (BLOCKS > 1u) {
            atomicOr(lists[word + i], kept_shared[i]);
        } else {
            lists[word + i] = kept_shared[i];
        }
    }
}

// Stage 0 scans for every group, an extension for those that have outgrown the last scan.
bool scan_is_due(uint group)
{
    return control[group_word(group, VSA_G_SCAN)] != 0u &&
           control[group_word(group, VSA_G_SCANNED)] == push.round;
}
#endif
