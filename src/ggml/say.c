#include "say.h"

#include <stdarg.h>
#include <stdio.h>

void vsai_ggml_say(enum ggml_log_level level, const char *format, ...)
{
    char sentence[1000], line[1008];
    ggml_log_callback callback = NULL;
    void *user = NULL;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "vsa: %s\n", sentence);
    ggml_log_get(&callback, &user);
    if (callback != NULL) {
        callback(level, line, user);
    }
}

void vsai_ggml_say_vsa(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    vsai_ggml_say(level == VSA_LOG_ERROR  ? GGML_LOG_LEVEL_ERROR
                  : level == VSA_LOG_WARN ? GGML_LOG_LEVEL_WARN : GGML_LOG_LEVEL_INFO,
                  "%s", message);
}
