#include "recall.h"
#include "fail.h"
#include "search.h"

enum { CONTEXTS = 2, MAX_STEPS = 8 };

/* Evaluation counts its seeds from 0. */
#define CALIBRATION_SEED 0xca11b000u

static void start_contexts(recall_work *recall, uint32_t length, recall_context contexts[CONTEXTS])
{
    static const recall_family families[CONTEXTS] = {TASK_MIXED, TASK_MANY_ONLY};
    for (uint32_t i = 0; i < CONTEXTS; i++) {
        asking_start(&contexts[i], &recall->engine, length, families[i], CALIBRATION_SEED + i);
    }
}

/* Mean density of the steps that answer all questions. */
static double measure(recall_work *recall, const recall_context contexts[CONTEXTS],
                      const recall_setting *setting)
{
    double read = 0, attended = 0;
    plugin_apply(&recall->plugin, setting);
    for (uint32_t c = 0; c < CONTEXTS; c++) {
        recall_answer answers[TASK_QUESTIONS];
        asking_resume(&contexts[c]);
        recall->plugin.reset_summary();
        asking_answer(&contexts[c], 0, contexts[c].task.question_count, recall->engine.sparse,
                      NULL, answers);
        const struct vsa_ggml_summary counts = plugin_counts(&recall->plugin);
        read += (double)counts.read_tokens;
        attended += (double)counts.attended_tokens;
    }
    return read / attended;
}

static void calibrate(recall_work *recall, const recall_context contexts[CONTEXTS],
                      recall_setting *setting)
{
    double low, high;
    recall_search search;
    setting_bounds(setting, &low, &high);
    search_start(&search, low, high, setting->parameter, setting_is_rising(setting),
                 setting->target);
    do {
        setting->parameter = search.next;
        setting->density = measure(recall, contexts, setting);
        fprintf(stderr, "%u tokens, %s %g%%: %s %.4g reads %.2f%%\n", setting->length,
                setting->method, 100 * setting->target, setting_parameter_name(setting),
                setting->parameter, 100 * setting->density);
    } while (search_step(&search, setting->density, SETTING_TOLERANCE, MAX_STEPS));
    setting->parameter = search.best;
    setting->density = search.best_value;
}

void recall_calibrate(recall_work *recall)
{
    for (uint32_t l = 0; l < recall->length_count; l++) {
        recall_context contexts[CONTEXTS];
        int is_started = 0;
        for (uint32_t i = 0; i < SETTING_COUNT; i++) {
            char path[RECALL_PATH_SIZE];
            recall_setting setting;
            setting_init(&setting, recall->lengths[l], i);
            recall_setting_path(recall, &setting, ".csv", path);
            if (i % recall->part_count != recall->part || recall_file_exists(path)) {
                continue;
            }
            if (!is_started) {
                start_contexts(recall, recall->lengths[l], contexts);
                is_started = 1;
            }
            calibrate(recall, contexts, &setting);
            FILE *file = recall_file_start(path);
            setting_write(file, &setting);
            recall_file_finish(file, path);
        }
        for (uint32_t c = 0; is_started && c < CONTEXTS; c++) {
            asking_end(&contexts[c]);
        }
    }
}
