#include "recall.h"
#include "fail.h"

#include <math.h>

enum { CHECKED_METHODS = 3 };

/* The CPU's matrix products add in another order for eight rows than for one: tokens that are
 * nearer than so many logits in both are taken for equally likely. */
#define TIE_LOGITS 0.01f

typedef struct check_counts {
    uint32_t same, ties, different; /* answers */
} check_counts;

/* Neither calibration nor evaluation asks these. */
#define CHECK_SEED 0xc4ec0000u

/* Methods without draws, whose streams go by the place in the batch. */
static const recall_setting checked[CHECKED_METHODS] = {
    {.method = SETTING_VSA_DENSE},
    {.method = "topk", .target = 0.1, .parameter = 0.0875},
    {.method = "topp", .target = 0.1, .parameter = 0.99},
};

static void compare(const recall_answer *together, const recall_answer *alone, const char *method,
                    check_counts *counts)
{
    uint32_t compared;
    const uint32_t at = answer_agreement(alone, together, &compared);
    if (at == compared) {
        counts->same++;
        return;
    }
    const float lead = fmaxf(together->leads[at], alone->leads[at]);
    printf("%s: token %u of an answer is another in a batch than alone; the likeliest leads by "
           "%.2g logits\n", method, at + 1, lead);
    if (lead < TIE_LOGITS) {
        counts->ties++;
    } else {
        counts->different++;
    }
}

static const char *method_name(uint32_t method)
{
    return method ? checked[method - 1].method : SETTING_DENSE;
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
                          check_counts counts[CHECKED_METHODS + 1])
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
            compare(&together[m][i], &alone, method_name(m), &counts[m]);
        }
    }
    asking_end(&asking);
}

void recall_check(recall_work *recall)
{
    const uint32_t contexts = (recall->questions + TASK_QUESTIONS - 1) / TASK_QUESTIONS;
    uint32_t different = 0;
    for (uint32_t l = 0; l < recall->length_count; l++) {
        check_counts counts[CHECKED_METHODS + 1] = {{0}};
        for (uint32_t c = 0; c < contexts; c++) {
            check_context(recall, recall->lengths[l],
                          c % 2 ? TASK_MANY_ONLY : TASK_MIXED, CHECK_SEED + c, counts);
        }
        for (uint32_t m = 0; m < (recall->has_plugin ? CHECKED_METHODS + 1 : 1); m++) {
            printf("%u tokens, %s: of %u answers %u are the same in a batch as alone, %u but for a "
                   "tie\n", recall->lengths[l], method_name(m), contexts * TASK_QUESTIONS,
                   counts[m].same, counts[m].ties);
            different += counts[m].different;
        }
    }
    if (different) {
        fail(EXIT_WRONG, "%u answers differ in a batch where the likeliest token leads by %g "
             "logits or more", different, TIE_LOGITS);
    }
}
