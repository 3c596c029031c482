/* cmocka with its includes in order, and checks on floating-point numbers that say what failed. */
#ifndef VSA_CHECK_H
#define VSA_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

/* |actual - expected| <= tolerance; NaN fails. */
#define check_near(actual, expected, tolerance)                                               \
    do {                                                                                      \
        double check_actual_ = (actual), check_expected_ = (expected);                        \
        double check_tolerance_ = (tolerance);                                                \
        if (!(fabs(check_actual_ - check_expected_) <= check_tolerance_)) {                   \
            fail_msg("%s is %.17g, not %.17g within %g", #actual, check_actual_,              \
                     check_expected_, check_tolerance_);                                      \
        }                                                                                     \
    } while (0)

/* low <= actual <= high; NaN fails. */
#define check_between(actual, low, high)                                                      \
    do {                                                                                      \
        double check_actual_ = (actual), check_low_ = (low), check_high_ = (high);            \
        if (!(check_actual_ >= check_low_ && check_actual_ <= check_high_)) {                 \
            fail_msg("%s is %.9g, outside [%.9g, %.9g]", #actual, check_actual_, check_low_,  \
                     check_high_);                                                            \
        }                                                                                     \
    } while (0)

/* A condition, with a printf sentence for when it does not hold. */
#define check_that(condition, ...)      \
    do {                                \
        if (!(condition)) {             \
            fail_msg(__VA_ARGS__);      \
        }                               \
    } while (0)

#endif
