#include "version.h"

#include <ctype.h>
#include <string.h>

int vsai_ggml_version_is_tested(const char *version)
{
    const size_t length = strlen(VSAI_GGML_TESTED);
    return version != NULL && strncmp(version, VSAI_GGML_TESTED, length) == 0 &&
           !isdigit((unsigned char)version[length]);
}
