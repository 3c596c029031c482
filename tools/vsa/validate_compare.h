/*
 * validate_compare.h - a step's results against docs/algorithm.md in double precision.
 */
#ifndef VSA_TOOL_VALIDATE_COMPARE_H
#define VSA_TOOL_VALIDATE_COMPARE_H

#include "validate_case.h"

enum { VALIDATE_DETAIL_SIZE = 256, VALIDATE_CAPACITY = VALIDATE_MAX_TOKENS };

/* What the rows of a step came to. */
typedef struct validate_tally {
    uint32_t rows;
    uint32_t sampled;   /* rows that were not computed from every token */
    uint32_t reference; /* rows that took the reference's decisions */
    double error;       /* the largest relative difference from the reference's result */
    bool failed;
    char detail[VALIDATE_DETAIL_SIZE]; /* the first failure, or what is worth telling */
} validate_tally;

/* `result` has indices, VALIDATE_CAPACITY a row, unless the method is DENSE. */
void validate_compare(const validate_case *entry, const harness_data *data,
                      const harness_result *result, uint64_t seed, uint32_t stream,
                      validate_tally *out_tally);

#endif
