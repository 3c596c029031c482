/* Defaults and checks of a policy. Pure. */
#ifndef VSAI_POLICY_H
#define VSAI_POLICY_H

#include "log.h"

/* Fills the zero enumerations of `policy` in place and checks every field. */
vsa_result vsai_policy_check(vsa_policy *policy, const vsa_log *log);

/* What a method is made of, beyond sink and window. */
typedef struct vsai_method_traits {
    int known;     /* there is such a method */
    int scores;    /* every key is scored */
    int ranks;     /* tokens are ranked and the first of them kept */
    int samples;   /* a sample is drawn, with a certificate */
    int guided;    /* in proportion to the weights */
    int top_p;     /* how many are kept depends on their weights */
} vsai_method_traits;

vsai_method_traits vsai_method(vsa_method method);

/* docs/algorithm.md, "Counts from fractions". */
uint32_t vsai_fraction_bits(float fraction);
uint32_t vsai_fraction_of(uint32_t count, uint32_t fraction_bits);

#endif
