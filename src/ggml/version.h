/* Which ggml this was tested with. Pure. */
#ifndef VSAI_GGML_VERSION_H
#define VSAI_GGML_VERSION_H

#define VSAI_GGML_TESTED "0.27"

/* `version` is ggml_version(). */
int vsai_ggml_version_is_tested(const char *version);

#endif
