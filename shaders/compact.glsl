// Deterministic compaction inside a workgroup: flags become bits of shared words, and a flag's
// position is the number of flags before it. No atomic decides a position.
#ifndef COMPACT_GLSL
#define COMPACT_GLSL

const uint FLAG_WORDS = (WG + 31) / 32;

#define DEFINE_FLAGS(name)                                                                     \
    shared uint name##_words[FLAG_WORDS];                                                      \
    void name##_clear()                                                                        \
    {                                                                                          \
        if (gl_LocalInvocationID.x < FLAG_WORDS) {                                             \
            name##_words[gl_LocalInvocationID.x] = 0u;                                         \
        }                                                                                      \
    }                                                                                          \
    void name##_set()                                                                          \
    {                                                                                          \
        atomicOr(name##_words[gl_LocalInvocationID.x / 32u],                                   \
                 1u << (gl_LocalInvocationID.x & 31u));                                        \
    }                                                                                          \
    uint name##_before()                                                                       \
    {                                                                                          \
        uint word = gl_LocalInvocationID.x / 32u;                                              \
        uint count = uint(bitCount(name##_words[word] &                                        \
                                   ((1u << (gl_LocalInvocationID.x & 31u)) - 1u)));            \
        for (uint i = 0; i < FLAG_WORDS; i++) {                                                \
            count += i < word ? uint(bitCount(name##_words[i])) : 0u;                          \
        }                                                                                      \
        return count;                                                                          \
    }                                                                                          \
    uint name##_total()                                                                        \
    {                                                                                          \
        uint count = 0u;                                                                       \
        for (uint i = 0; i < FLAG_WORDS; i++) {                                                \
            count += uint(bitCount(name##_words[i]));                                          \
        }                                                                                      \
        return count;                                                                          \
    }
#endif
