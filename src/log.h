/* Sentences to the application's log. */
#ifndef VSAI_LOG_H
#define VSAI_LOG_H

#include "vsa.h"

#if defined(__GNUC__)
#  ifdef __MINGW32__
#    define VSAI_PRINTF_KIND gnu_printf   /* with __USE_MINGW_ANSI_STDIO */
#  else
#    define VSAI_PRINTF_KIND printf
#  endif
#  define VSAI_PRINTF(format_index) \
    __attribute__((format(VSAI_PRINTF_KIND, format_index, format_index + 1)))
#else
#  define VSAI_PRINTF(format_index)
#endif

/* Formats (at most 1023 bytes) and writes when `log` wants this level; a NULL log is silent. */
void vsai_log(const vsa_log *log, vsa_log_level level, const char *format, ...) VSAI_PRINTF(3);

/* Logs an error and returns `result`: `return vsai_fail(log, VSA_ERROR_..., "...")`. */
vsa_result vsai_fail(const vsa_log *log, vsa_result result, const char *format, ...)
    VSAI_PRINTF(3);

/* Logs "WHAT: VK_ERROR_..." and maps the code; VK_SUCCESS gives VSA_SUCCESS silently. */
vsa_result vsai_fail_vk(const vsa_log *log, VkResult result, const char *what);

#endif
