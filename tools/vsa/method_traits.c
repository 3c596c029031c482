#include "method_traits.h"

#include "vsa.h"

const method_traits all_methods[METHOD_COUNT] = {
    {.method = VSA_METHOD_DENSE},
    {.method = VSA_METHOD_TOP_K, .scores = true, .has_top_k = true},
    {.method = VSA_METHOD_TOP_P, .scores = true, .has_top_p = true},
    {.method = VSA_METHOD_SAMPLE, .guarantees = true},
    {.method = VSA_METHOD_VATTENTION, .scores = true, .guarantees = true, .has_top_k = true},
    {.method = VSA_METHOD_GUIDED, .scores = true, .guarantees = true},
};
const int all_scorers[SCORER_COUNT] = {VSA_SCORER_EXACT, VSA_SCORER_PAGE, VSA_SCORER_SIGN,
                                       VSA_SCORER_INT8, VSA_SCORER_INT4};

const method_traits *method_traits_of(int method)
{
    for (int i = 0; i < METHOD_COUNT; i++) {
        if (all_methods[i].method == method) {
            return &all_methods[i];
        }
    }
    return &all_methods[0];
}
