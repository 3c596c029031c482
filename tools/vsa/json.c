#include "json.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "output_file.h"
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

int json_write(cJSON *object, const char *path)
{
    char *text = object ? cJSON_PrintUnformatted(object) : NULL;
    output_file file;
    int code;

    cJSON_Delete(object);
    if (!text) {
        return tool_fail(EXIT_BAD_INPUT, "not enough memory for the JSON output");
    }
    if ((code = output_file_open(path, &file)) == EXIT_DONE) {
        fprintf(file.stream, "%s\n", text);
        code = output_file_commit(&file);
    }
    cJSON_free(text);
    return code;
}

void json_add_reasons(cJSON *object, const char *name, const char (*reasons)[96], uint32_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);

    for (uint32_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(array, cJSON_CreateString(reasons[i]));
    }
}
