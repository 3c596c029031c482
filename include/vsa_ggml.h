/*
 * vsa_ggml.h - what a program may ask of libggml-vsa, the backend that lets ggml (llama.cpp) decode
 * through vsa. Nobody needs it to use the backend: docs/llama.md has its environment variables. It
 * is for benchmarks that change options and read counts while they run.
 *
 * Nothing here is linked. The functions come from the backend that ggml has loaded:
 *
 *   ggml_backend_reg_t reg = ggml_backend_reg_by_name("VSA");
 *   vsa_set_option_fn set = (vsa_set_option_fn)ggml_backend_reg_get_proc_address(
 *       reg, "vsa_set_option");
 *
 * Thread-safety: safe; each call waits for the node that is being computed.
 */
#ifndef VSA_GGML_H
#define VSA_GGML_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "vsa_set_option". `name` is that of an environment variable without VSA_, in lower case:
 * "epsilon"; `value` what the variable would hold. NULL = done, otherwise a sentence that stays
 * valid until the calling thread calls again; nothing has changed then. Everything but "device",
 * "device_type", "cache" and "summary" can change between two graphs. */
typedef const char *(*vsa_set_option_fn)(const char *name, const char *value);

/* "vsa_reset_summary". Sets every count to 0. */
typedef void (*vsa_reset_summary_fn)(void);

/* Since the start or the last reset. A row is one query head of one query token. Counted are the
 * rows of nodes that the backend took; what it declined ggml computed elsewhere. */
struct vsa_ggml_summary {
    uint64_t nodes;             /* FLASH_ATTN_EXT nodes computed */
    uint64_t rows;              /* exact + met + missed + invalid + host */
    uint64_t exact;             /* computed from every token, those of `dense` among them */
    uint64_t met;               /* within epsilon with probability 1 - delta */
    uint64_t missed;            /* no such promise: methods topk and topp, or max_samples */
    uint64_t invalid;           /* NaN or infinity in the tensors; computed on the host then */
    uint64_t host;              /* computed on the host: a mask of other values, or a failure */
    uint64_t dense;             /* dense from the start: min_tokens, dense_layers, method dense */
    uint64_t attended_tokens;   /* visible tokens, summed over rows */
    uint64_t read_tokens;       /* of these, tokens that the result rests on */
    double   density;           /* read_tokens / attended_tokens; 0 without rows */
    uint64_t read_bytes;        /* of K, V and state: vsa_plan_count_bytes */
    uint64_t dense_bytes;       /* what dense attention would have read */
    double   worst_bound;       /* largest finite certified error of a MET or MISSED row */
    uint64_t verified;          /* rows compared with double precision: option verify */
    uint64_t above_epsilon;     /* of these, MET rows with an error above epsilon */
    uint64_t above_bound;       /* of these, MET rows with an error above their own bound */
    double   largest_error;     /* relative, of the target, of all rows verified */
    uint64_t checked_rows;      /* rows of K and V checked for changes */
    uint64_t changed_rows;      /* of these, changed since they were seen last */
};

/* "vsa_get_summary". */
typedef void (*vsa_get_summary_fn)(struct vsa_ggml_summary *out_summary);

/* "vsa_print_summary". The text that the option summary prints at the end, per layer, into `text`
 * of `capacity` bytes, cut to fit and ended by 0. Returns the bytes that the whole text takes. */
typedef uint64_t (*vsa_print_summary_fn)(char *text, uint64_t capacity);

#ifdef __cplusplus
}
#endif

#endif /* VSA_GGML_H */
