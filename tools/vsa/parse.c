#include "parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool parse_count(const char *text, uint64_t *out_value)
{
    uint64_t value = 0;

    *out_value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        const uint64_t digit = (uint64_t)(*text - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out_value = value;
    return true;
}

bool parse_real(const char *text, double *out_value)
{
    char *end = NULL;

    *out_value = 0.0;
    /* strtod also takes blanks, hexadecimal, infinities and NaN: none has these characters only. */
    if (*text == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0') {
        return false;
    }
    const double value = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(value)) {
        return false;
    }
    *out_value = value;
    return true;
}
