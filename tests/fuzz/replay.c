/* The corpus as a test, for compilers without libFuzzer: every file of the directories named. */
#define _DEFAULT_SOURCE
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0;

    if (!file) {
        return 0;
    }
    if (fseek(file, 0, SEEK_END) == 0 && ftell(file) >= 0) {
        size = (size_t)ftell(file);
        rewind(file);
        /* Exactly as long as the input, so that a sanitizer sees a read behind it. */
        data = malloc(size ? size : 1);
        if (data && fread(data, 1, size, file) == size) {
            LLVMFuzzerTestOneInput(data, size);
        }
    }
    free(data);
    fclose(file);
    return 1;
}

int main(int argument_count, char **arguments)
{
    int count = 0;

    for (int i = 1; i < argument_count; i++) {
        DIR *directory = opendir(arguments[i]);
        struct dirent *entry;
        char path[4096];

        while (directory && (entry = readdir(directory)) != NULL) {
            snprintf(path, sizeof path, "%s/%s", arguments[i], entry->d_name);
            count += entry->d_name[0] != '.' && replay(path);
        }
        if (directory) {
            closedir(directory);
        }
    }
    printf("%d inputs\n", count);
    return count == 0;
}
