/* Every byte and number that C and GLSL agree on. Included by both. */
#ifndef VSA_SHARED_H
#define VSA_SHARED_H

/* ---- descriptor set 0 ---- */
#define VSA_BIND_K            0   /* VSA_SEGMENTS descriptors */
#define VSA_BIND_V            1
#define VSA_BIND_PAGE_TABLE   2
#define VSA_BIND_LENGTHS      3
#define VSA_BIND_Q            4
#define VSA_BIND_OUT          5
#define VSA_BIND_CERTIFICATES 6
#define VSA_BIND_CONTROL      7   /* scratch: group and row records, histograms, dispatch arguments */
#define VSA_BIND_LISTS        8   /* scratch: rank keys, top-k ids, membership bits, samples */
#define VSA_BIND_SCORES       9   /* scratch: f32 logits [row][token] */
#define VSA_BIND_PARTIALS     10  /* scratch: softmax partials */
#define VSA_BIND_NEW_K        11
#define VSA_BIND_NEW_V        12
#define VSA_BIND_INDICES      13
#define VSA_BIND_STATE        14  /* kept with the cache: f32 max |v|^2 [sequence][kv_head][norm block] */
#define VSA_BIND_COUNT        15

#define VSA_MAX_SEGMENTS      8

/* ---- types, as in vsa_dtype ---- */
#define VSA_TYPE_F32  1
#define VSA_TYPE_F16  2
#define VSA_TYPE_BF16 3
#define VSA_TYPE_Q8_0 4   /* K and V alone; blocks of VSA_QUANT_BLOCK channels */
#define VSA_TYPE_Q4_0 5
#define VSA_QUANT_BLOCK 32

/* ---- policy values that shaders test, as in vsa.h ---- */
#define VSA_TARGET_D      1
#define VSA_TARGET_N      2
#define VSA_TARGET_O      3
#define VSA_STATUS_EXACT   1
#define VSA_STATUS_MET     2
#define VSA_STATUS_MISSED  3
#define VSA_STATUS_INVALID 4
#define VSA_BOUND_IS_CLT    1
#define VSA_BOUND_IS_STRICT 2
#define VSA_CERTIFICATE_WORDS 12
#define VSA_FLAG_UNATTAINABLE 1
#define VSA_FLAG_HEAVY_SAMPLE 2
#define VSA_FLAG_BOUND_BROKEN 4
#define VSA_FLAG_FLOORED      8
#define VSA_SCORER_IS_EXACT 1
#define VSA_SCORER_IS_PAGE  2
#define VSA_SCORER_IS_SIGN  3
#define VSA_SCORER_IS_INT8  4
#define VSA_SCORER_IS_INT4  5

/* ---- specialisation constants: constant_id ---- */
#define VSA_ID_WG              0
#define VSA_ID_DK              1
#define VSA_ID_DV              2
#define VSA_ID_Q_HEADS         3
#define VSA_ID_KV_HEADS        4
#define VSA_ID_HEAD_BLOCK      5   /* query heads that one workgroup serves */
#define VSA_ID_K_TYPE          6
#define VSA_ID_V_TYPE          7
#define VSA_ID_Q_TYPE          8
#define VSA_ID_OUT_TYPE        9
#define VSA_ID_NEW_TYPE        10
#define VSA_ID_SCALE           11
#define VSA_ID_SOFTCAP         12
#define VSA_ID_PAGED           13
#define VSA_ID_PAGE_SHIFT      14
#define VSA_ID_TABLE_STRIDE    15
#define VSA_ID_K_TOKEN_WORDS   16
#define VSA_ID_K_HEAD_WORDS    17
#define VSA_ID_K_BLOCK_WORDS   18
#define VSA_ID_V_TOKEN_WORDS   19
#define VSA_ID_V_HEAD_WORDS    20
#define VSA_ID_V_BLOCK_WORDS   21
#define VSA_ID_SEGMENT_WORDS   22  /* distance between the starts of two segments */
#define VSA_ID_TOKEN_STRIDE    23  /* per-token scratch arrays: max_tokens, rounded up */
#define VSA_ID_LANES           24  /* invocations that share one K row; a power of two */
#define VSA_ID_SPARSE          25  /* attend: chosen tokens (push.items), not a range */
#define VSA_ID_STORED_SCORES   26  /* attend: read logits from SCORES instead of K */
#define VSA_ID_SINK            27
#define VSA_ID_WINDOW          28
#define VSA_ID_TOP_K           29
#define VSA_ID_TOP_K_FRACTION  30  /* of 2^32 */
#define VSA_ID_BASE            31
#define VSA_ID_BASE_FRACTION   32
#define VSA_ID_BASE_MAX        33  /* 0xffffffff = none */
#define VSA_ID_MAX_SAMPLES     34  /* 0xffffffff = none; else a multiple of 32 */
#define VSA_ID_EPSILON         35
#define VSA_ID_DELTA           36
#define VSA_ID_Z_ONE_SIDED     37  /* normal quantile of 1 - delta */
#define VSA_ID_Z_TWO_SIDED     38  /* normal quantile of 1 - delta / 2 */
#define VSA_ID_T31_SQUARED     39  /* squared Student quantile of 1 - delta / 2, 31 degrees */
#define VSA_ID_TARGET          40
#define VSA_ID_DENSE_ON_MISS   41
#define VSA_ID_ONLY_DENSE      42  /* the step is dense by method */
#define VSA_ID_LIST_STRIDE     43  /* top-k ids per group */
#define VSA_ID_SAMPLE_STRIDE   44  /* samples per group */
#define VSA_ID_EXACT_SPLITS    45  /* exact-set partials per row */
#define VSA_ID_HIST_OFFSET     46  /* words into CONTROL */
#define VSA_ID_COUNTS_OFFSET   47
#define VSA_ID_ROWS_OFFSET     48
#define VSA_ID_GROUPS_OFFSET   49
#define VSA_ID_TOP_OFFSET      50  /* words into LISTS; the rank keys start at 0 */
#define VSA_ID_BITS_OFFSET     51
#define VSA_ID_SAMPLES_OFFSET  52
#define VSA_ID_DENSE_OFFSET    53  /* words into PARTIALS */
#define VSA_ID_DENSE_SPLITS    54  /* dense partials per row */
#define VSA_ID_REPEAT          55  /* tokens that one invocation scores per tile */
#define VSA_ID_VALUE_CHUNKS    56  /* times 8 channels of V that one invocation sums */
#define VSA_ID_SAMPLES         57  /* the method draws samples */
#define VSA_ID_MOMENTS_OFFSET  58  /* words into PARTIALS: one vec4 per row and select chunk */
#define VSA_ID_BOUND           59
#define VSA_ID_GUIDED          60  /* the method is guided: samples carry their own probability */
#define VSA_ID_TOP_P           61  /* f32; above 0 the method is topp */
#define VSA_ID_VALUE_FLOOR     62
#define VSA_ID_NORMS           63  /* VSA_NORMS_...: what partials say about |v| */
#define VSA_ID_BINS_OFFSET     64  /* words into CONTROL: guided, [row][VSA_GUIDE_BINS] */
#define VSA_ID_SHIFTS_OFFSET   65  /* words into LISTS: guided, f32 ln pi of every sample */
#define VSA_ID_STATE_STRIDE    66  /* norm blocks per (sequence, KV head) */
#define VSA_ID_CENTRE_OFFSET   67  /* words into PARTIALS: strict guided, the centre [row][DV] */
#define VSA_ID_SINK_FRACTION   68  /* of 2^32 */
#define VSA_ID_WINDOW_FRACTION 69
#define VSA_ID_SCORER          70
#define VSA_ID_PADDED          71  /* channels of a rotated key: DK, rounded up to a power of two */
#define VSA_ID_KEYS_OFFSET     72  /* words into STATE */
#define VSA_ID_KEYS_STRIDE     73  /* words per (sequence, KV head) */
#define VSA_ID_QUERIES_OFFSET  74  /* words into PARTIALS: compact scorers, the prepared queries */
#define VSA_ID_K_ODD           75  /* quantised K: bits 0, 1, 2: token, head, block stride is an odd
                                  number of half words */
#define VSA_ID_V_ODD           76
#define VSA_ID_KEEP_LOGITS     77  /* attend: the logits of samples replace their estimates in SCORES */
#define VSA_ID_PROBE_OFFSET    78  /* words into PARTIALS: guided, scores of the probe
                                  [row][VSA_PROBE_TOKENS] */
#define VSA_ID_MASSES_OFFSET   79  /* words into PARTIALS: guided, exact scorer: maximum and sum w
                                  [row][score chunk][4] */
#define VSA_ID_HEAVY_OFFSET    80  /* words into LISTS: guided, bits of heavy tokens, as those of
                                  BITS_OFFSET */
#define VSA_ID_SAMPLED_OFFSET  81  /* bits of sampled tokens */
#define VSA_ID_OWN_QUERIES     82  /* compact scorers: every invocation holds the queries itself */
#define VSA_ID_NEGLIGIBLE      83  /* f32, guided: share of the weight that needs no samples at first */
#define VSA_ID_KEEP            84  /* f32, guided: by how much c may grow before keys are scanned again,
                                  where nothing is known of the head */
#define VSA_ID_ARGS_SETS       85  /* sets of dispatch arguments that the method uses */
#define VSA_ID_HEADS_TOGETHER  86  /* VSA_HEADS_... */
#define VSA_ID_QUERY_CHUNKS    87  /* times 8 channels of queries that an invocation of attend, score
                                  and scan holds itself; more are in shared memory */
#define VSA_ID_CARRY_OFFSET    88  /* words into STATE: guided, what each head needed in its last step
                                  [sequence][q_head]; VSA_CARRY_NONE */
#define VSA_ID_COUNT           89

/* ---- attend: where the tokens of a workgroup come from ---- */
#define VSA_ITEMS_RANGE   0   /* split x: chunk_tokens consecutive tokens */
#define VSA_ITEMS_EXACT   1   /* split x: VSA_EXACT_CHUNK members of the exact set */
#define VSA_ITEMS_SAMPLES 2   /* split x: random group x */

/* ---- fixed sizes ---- */
#define VSA_RANDOM_GROUPS  32
#define VSA_EXACT_CHUNK    128
#define VSA_SCORE_CHUNK    1024  /* tokens per workgroup of score */
#define VSA_SELECT_CHUNK   2048  /* tokens per workgroup of the select stages; a multiple of 32 */
#define VSA_ROUNDS         4     /* estimates: the base sample and 3 extensions */
#define VSA_MAX_HEAD_BLOCK 8
#define VSA_MAX_DENSE_SPLITS 256 /* dense partials per row, at most */
#define VSA_DENSE_CHUNK    256   /* tokens per dense split, at least */
#define VSA_MAX_RANGES     256   /* dispatches that one stage may be split into */
#define VSA_MAX_EXACT_SPLITS 256 /* exact-set partials per row, at most */
#define VSA_NORM_BLOCK     64    /* tokens that share one norm in `state` */
#define VSA_KEY_BLOCK      32    /* tokens whose codes lie together */
#define VSA_PAGE_TOKENS    16    /* of the scorer page */
#define VSA_PAGE_DEVIATIONS 1.0  /* page score: q.mean + this times |q o std| */
#define VSA_GUIDE_BINS     512   /* guided: 16 bins per nat below the row's maximum */
#define VSA_GUIDE_STEP     16
#define VSA_HEAVY          0.5   /* guided: a token of this probability is read surely */
#define VSA_CARRY_NONE     0xffffffffu
#define VSA_CARRY_WORDS    2     /* per query head: mean and deviation */
#define VSA_HASH_START     0x9e3779b9u /* key(r) of "Guided" */
#define VSA_PROBE_START    0x3c6ef372u /* key(r) of "Probe" */
#define VSA_PROBE_RUN      8     /* neighbouring tokens of the probe: 32 bytes of a word each */
#define VSA_PROBE_RUNS     256
#define VSA_PROBE_TOKENS   (VSA_PROBE_RUN * VSA_PROBE_RUNS)
#define VSA_PROBE_CHUNK    256   /* tokens per workgroup of the probe */

/* attend, score, scan: shared memory for partial products and partial values, in units of 16 bytes:
 * room for the products and for the values of one head, 4 KB at least. */
#define VSA_LARGER(a, b) ((a) > (b) ? (a) : (b))
#define VSA_POOL_SIZE(logits, head_values) VSA_LARGER(VSA_LARGER(logits, 256), head_values)

/* Radix select: three digits of 11, 11 and 10 bits. */
#define VSA_RADIX_BINS  2048
#define VSA_HIST_WORDS  (3 * VSA_RADIX_BINS)

#define VSA_NORMS_NONE     0
#define VSA_NORMS_SUM      1   /* sum w |v|^2 */
#define VSA_NORMS_LARGEST  2   /* an upper bound of the largest |v|^2 of the items */

/* A softmax partial: maximum, sum w, sum w^2, what VSA_ID_NORMS says, then head_dim_v sums of w v. */
#define VSA_PARTIAL_MAX     0
#define VSA_PARTIAL_SUM     1
#define VSA_PARTIAL_SQUARES 2
#define VSA_PARTIAL_NORMS   3
#define VSA_PARTIAL_VALUES  4

/* A prepared query: this header, then the channels; scorer sign: bit planes of their levels instead,
 * [32 channels][VSA_QUERY_BITS]. */
#define VSA_QUERY_SUM        0
#define VSA_QUERY_MAGNITUDES 1
#define VSA_QUERY_LENGTH     2
#define VSA_QUERY_STEP       3
#define VSA_QUERY_HEADER     4
#define VSA_QUERY_BITS       4

/* ---- CONTROL: dispatch arguments, one record of 4 words per range ---- */
/* Sets of VSA_MAX_RANGES records: which stage, plus the number of the extension, 1 to 3 (exact: 0 to
 * 3). Combine is what estimates after the extension; scan, pick and exact are those of method
 * guided. */
#define VSA_ARGS_WORDS      4

/* Whether the heads of a token lie side by side in K: the cells of kernels that read all of K are then
 * along a dispatch's x. */
#define VSA_HEADS_APART     0
#define VSA_HEADS_TOGETHER  1   /* and guided, if it scans, does not scan K */
#define VSA_HEADS_SCANNED   2   /* and guided scans K */
#define VSA_ARGS_DENSE      0
#define VSA_ARGS_SAMPLES    0
#define VSA_ARGS_COMBINE    3
#define VSA_ARGS_SCAN       6
#define VSA_ARGS_PICK       9
#define VSA_ARGS_EXACT      13
/* How many there are: without extensions, with them, method guided. */
#define VSA_ARGS_SETS_ONE     1
#define VSA_ARGS_SETS_SAMPLES 7
#define VSA_ARGS_SETS_GUIDED  17

/* ---- CONTROL: group record ---- */
#define VSA_G_LENGTH     0   /* L; 0 when the group has nothing to attend to */
#define VSA_G_SCAN       1   /* tokens to score: L, or 0 when the group is dense */
#define VSA_G_SINK_END   2
#define VSA_G_WINDOW     3   /* first token of the window */
#define VSA_G_TOP_K      4
#define VSA_G_RESIDUAL   5   /* N */
#define VSA_G_BASE       6
#define VSA_G_DENSE      7   /* 1: some row of the group is computed densely */
#define VSA_G_DRAWN      8
#define VSA_G_COUNTER    9
#define VSA_G_KEY0       10
#define VSA_G_KEY1       11
#define VSA_G_PREFIX     12  /* radix select: 2 words for each finished digit: bits, still wanted */
#define VSA_G_EXTENDED   18  /* guided: the last stage that some row asked for */
#define VSA_G_SCANNED    19  /* guided: the last stage that asked for a scan of all keys */
#define VSA_G_WORDS      20

/* ---- CONTROL: row record ---- */
#define VSA_R_MAX        0   /* order-preserving key of the largest logit */
#define VSA_R_NONFINITE  1
#define VSA_R_OLD        2   /* samples already summed */
#define VSA_R_GRANTED    3   /* samples to be summed */
#define VSA_R_STATUS     4   /* 0 = open, VSA_STATUS_EXACT = waits for the dense pass */
#define VSA_R_WANTED     5
#define VSA_R_SCALE      6   /* guided: f32 c */
#define VSA_R_GATHERED   7   /* rows of V gathered so far */
#define VSA_R_FLAGS      8
#define VSA_R_RADIUS     9   /* strict guided: f32 largest |v| */
#define VSA_R_KEPT       10  /* guided: f32 the largest c whose samples the last scan has kept */
#define VSA_R_NEED       11  /* guided: f32 what the row needed, A* relative to T_0^2; 0: not known */
#define VSA_R_WORDS      12

/* ---- push constants ---- */
#ifdef VSA_GLSL
#  define VSA_WORD uint
#else
#  include <stdint.h>
#  define VSA_WORD uint32_t
#endif

#define VSA_PUSH_FIELDS                                                                    \
    VSA_WORD sequence_count;                                                               \
    VSA_WORD query_count;                                                                  \
    VSA_WORD max_length;                                                                   \
    VSA_WORD new_tokens;                                                                   \
    VSA_WORD seed_low;                                                                     \
    VSA_WORD seed_high;                                                                    \
    VSA_WORD stream;                                                                       \
    VSA_WORD round;        /* estimate 0 to 3, or digit of the radix select */             \
    VSA_WORD first_x;      /* added to the workgroup index of this dispatch */             \
    VSA_WORD first_y;                                                                      \
    VSA_WORD chunk_tokens; /* tokens per dense split */                                    \
    VSA_WORD capacity;     /* indices per row */                                           \
    VSA_WORD items;        /* attend, sparse: VSA_ITEMS_EXACT or VSA_ITEMS_SAMPLES; guided,
                              scores: 1 for the probe */                                   \
    VSA_WORD dense_nx;     /* workgroups per range of the indirect dense pass */           \
    VSA_WORD dense_ny;                                                                     \
    VSA_WORD dense_rx;     /* ranges along x */                                            \
    VSA_WORD sample_nx;    /* the same for the extensions' samples */                      \
    VSA_WORD sample_ny;                                                                    \
    VSA_WORD sample_rx;                                                                    \
    VSA_WORD combine_nx;   /* their estimates */                                           \
    VSA_WORD combine_ny;                                                                   \
    VSA_WORD combine_rx;                                                                   \
    VSA_WORD scan_nx;      /* their scans */                                               \
    VSA_WORD scan_ny;                                                                      \
    VSA_WORD scan_rx;                                                                      \
    VSA_WORD pick_nx;      /* pick and place */                                            \
    VSA_WORD pick_ny;                                                                      \
    VSA_WORD pick_rx;                                                                      \
    VSA_WORD exact_nx;     /* and the exact set */                                         \
    VSA_WORD exact_ny;                                                                     \
    VSA_WORD exact_rx;

#ifndef VSA_GLSL
typedef struct vsai_push {
    VSA_PUSH_FIELDS
} vsai_push;
#endif

#endif
