/* method_traits.h - what a method takes and promises, for the commands that go through them. */
#ifndef VSA_TOOL_METHOD_TRAITS_H
#define VSA_TOOL_METHOD_TRAITS_H

#include <stdbool.h>

enum { METHOD_COUNT = 6, SCORER_COUNT = 5 };

typedef struct method_traits {
    int method;
    bool scores, guarantees, has_top_k, has_top_p;
} method_traits;

extern const method_traits all_methods[METHOD_COUNT];
extern const int all_scorers[SCORER_COUNT];

const method_traits *method_traits_of(int method);

#endif
