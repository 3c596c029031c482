#include "json.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "tool.h"

int json_print(cJSON *object)
{
    char *text = object ? cJSON_PrintUnformatted(object) : NULL;

    cJSON_Delete(object);
    if (!text) {
        return tool_fail(EXIT_BAD_INPUT, "not enough memory for the JSON output");
    }
    puts(text);
    cJSON_free(text);
    return tool_finish_output();
}
