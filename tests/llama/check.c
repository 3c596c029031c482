#include "recall.h"
#include "fail.h"

#include <string.h>

enum { CHECKED_METHODS = 3 };

/* Neither calibration nor evaluation asks these. */
#define CHECK_SEED 0xc4ec0000u

/* Methods without draws, whose streams go by the place in the batch. */
static const recall_setting checked[CHECKED_METHODS] = {
    {.method = SETTING_VSA_DENSE},
    {.method = "topk", .target = 0.1, .parameter = 0.0875},
    {.method = "topp", .target = 0.1, .parameter = 0.99},
};

static int is_same(const recall_answer *a, const recall_answer *b)
{
    return a->count == b->count && memcmp(a->tokens, b->tokens, a->count * sizeof(*a->tokens)) == 0;
}

/* By dense for `method` 0, by checked[method - 1] otherwise. */
static void answer(const recall_work *recall, const recall_context *asking, uint32_t method,
                   uint32_t first, uint32_t count, recall_answer *out)
{
    if (method) {
        plugin_apply(&recall->plugin, &checked[method - 1]);
    }
    asking_answer(asking, first, count, method ? recall->engine.sparse : recall->engine.dense, NULL,
                  out);
}

static void check_context(recall_work *recall, uint32_t length, recall_family family, uint64_t seed,
                          uint32_t same[CHECKED_METHODS + 1])
{
    const uint32_t methods = recall->has_plugin ? CHECKED_METHODS + 1 : 1;
    recall_context asking;
    recall_answer together[CHECKED_METHODS + 1][TASK_QUESTIONS];
    asking_start(&asking, &recall->engine, length, family, seed);
    for (uint32_t m = 0; m < methods; m++) {
        answer(recall, &asking, m, 0, asking.task.question_count, together[m]);
    }
    for (uint32_t i = 0; i < asking.task.question_count; i++) {
        asking_put(&asking, i, 1);
        for (uint32_t m = 0; m < methods; m++) {
            recall_answer alone;
            answer(recall, &asking, m, i, 1, &alone);
            same[m] += is_same(&alone, &together[m][i]);
        }
    }
    asking_end(&asking);
}

void recall_check(recall_work *recall)
{
    const uint32_t contexts = (recall->questions + TASK_QUESTIONS - 1) / TASK_QUESTIONS;
    uint32_t different = 0;
    for (uint32_t l = 0; l < recall->length_count; l++) {
        uint32_t same[CHECKED_METHODS + 1] = {0};
        for (uint32_t c = 0; c < contexts; c++) {
            check_context(recall, recall->lengths[l],
                          c % 2 ? TASK_MANY_ONLY : TASK_MIXED, CHECK_SEED + c, same);
        }
        for (uint32_t m = 0; m < (recall->has_plugin ? CHECKED_METHODS + 1 : 1); m++) {
            const uint32_t all = contexts * TASK_QUESTIONS;
            printf("%u tokens, %s: %u of %u answers are the same in a batch as alone\n",
                   recall->lengths[l], m ? checked[m - 1].method : SETTING_DENSE, same[m], all);
            different += all - same[m];
        }
    }
    if (different) {
        fail(EXIT_WRONG, "%u answers differ in a batch", different);
    }
}
