/* What a plan is, computed without a device: checked input, derived sizes, scratch layout and the
 * values of all specialisation constants. Pure. */
#ifndef VSAI_SHAPE_H
#define VSAI_SHAPE_H

#include "log.h"
#include "policy.h"
#include "vsa_shared.h"

typedef struct vsai_limits {
    uint32_t max_storage_range;   /* bytes of one descriptor */
    uint32_t max_descriptors;     /* maxPerStageDescriptorStorageBuffers */
    int      is_cpu;
} vsai_limits;

/* Regions of the scratch buffer, each bound to its own descriptor. */
typedef enum vsai_region {
    VSAI_REGION_CONTROL = 0,
    VSAI_REGION_LISTS,
    VSAI_REGION_SCORES,
    VSAI_REGION_PARTIALS,
    VSAI_REGION_COUNT
} vsai_region;

typedef struct vsai_shape {
    vsa_plan_create_info info;     /* defaults filled in; name is not kept */
    vsai_method_traits method;
    uint32_t group;                /* query heads per KV head */
    uint32_t head_block, blocks;   /* heads per workgroup; workgroups per group */
    uint32_t groups, rows;         /* at the maximum of sequences and queries */
    uint32_t token_stride;         /* max_tokens, rounded up to VSA_SELECT_CHUNK */
    uint32_t top_k_max;            /* members of the top-k set, at most */
    uint32_t exact_splits;         /* partials of the exact set */
    uint32_t sample_stride;        /* samples listed per group */
    uint32_t exact_chunk;          /* members per exact split, at most */
    uint32_t dense_splits;         /* dense partials per row */
    uint32_t norm_blocks;          /* per (sequence, KV head) in `state`; 0 = no state */
    uint32_t padded;               /* channels of a rotated key */
    uint32_t keys_stride;          /* words per (sequence, KV head) in `state`; 0 = exact scorer */
    int      carries;              /* a word per query head in `state` */
    uint32_t norms;                /* VSA_NORMS_... */
    int      is_cpu;
    uint32_t segments;             /* 1 or VSA_MAX_SEGMENTS */
    uint32_t segment_stride;       /* bytes between the starts of two segments */
    int      wide;                 /* rows that are not quantised can be read 16 bytes at a time */
    int      quant;                /* K or V has a quantised type */
    uint64_t region_offset[VSAI_REGION_COUNT];
    uint64_t region_size[VSAI_REGION_COUNT];
    uint64_t scratch_size;
    uint64_t state_size;
    uint32_t constants[VSA_ID_COUNT];  /* the workgroup, SPARSE,
                                          STORED_SCORES and ONLY_DENSE differ by
                                          pipeline and are set there */
} vsai_shape;

/* Q8_0 or Q4_0: blocks of VSA_QUANT_BLOCK channels. */
int vsai_is_quantised(vsa_dtype dtype);

/* Bytes of K or V that the layout spans for max_sequences of max_tokens, in whole words; 0 when
 * paged. */
uint64_t vsai_shape_plane_size(const vsai_shape *shape, const vsa_plane_layout *plane,
                               uint32_t head_dim);

vsa_result vsai_shape_make(const vsa_plan_create_info *info, const vsai_limits *limits,
                           const vsa_log *log, vsai_shape *out_shape);

/* Bits per token and KV head that are read to score it; 0 when nothing is scored. */
uint32_t vsai_shape_scan_bits(const vsai_shape *shape);

/* Tokens per dense split of a step. */
uint32_t vsai_dense_chunk(uint32_t max_length_tokens);

#endif
