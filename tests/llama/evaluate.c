#include "recall.h"
#include "fail.h"

/* One unit of work. */
typedef struct work_unit {
    uint32_t length, context;
    recall_family family;
} work_unit;

/* Every configuration of a length: vsa-dense, as a check on the path, and the settings. */
static void read_settings(const recall_work *recall, uint32_t length,
                          recall_setting out[SETTING_COUNT + 1])
{
    char path[RECALL_PATH_SIZE], sentence[256];
    out[0] = (recall_setting){.length = length};
    snprintf(out[0].method, sizeof(out[0].method), "%s", SETTING_VSA_DENSE);
    for (uint32_t i = 0; i < SETTING_COUNT; i++) {
        setting_init(&out[i + 1], length, i);
        recall_setting_path(recall, &out[i + 1], ".csv", path);
        if (!setting_read(&out[i + 1], path, sentence)) {
            fail(EXIT_USAGE, "%s", sentence);
        }
    }
}

/* Part `given` of `whole` parts of a count, after `before` of them: the parts add up to it. */
static double share_of(uint64_t count, uint32_t before, uint32_t given, uint32_t whole)
{
    return (double)(count * (before + given) / whole - count * before / whole);
}

/* One row a question. What was counted is of the batch: an answer has its share by tokens. */
static void write_answers(FILE *file, const work_unit *unit, const recall_context *asking,
                          const recall_setting *setting, const recall_answer *given,
                          const recall_answer *dense, const struct vsa_ggml_summary *counts,
                          double seconds)
{
    const uint32_t count = asking->task.question_count;
    uint32_t all = 0, before = 0;
    for (uint32_t i = 0; i < count; i++) {
        all += given[i].count;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t tokens = given[i].count;
        recall_row row = {.length = unit->length,
                          .family = unit->family,
                          .context = unit->context,
                          .question = i,
                          .kind = asking->task.questions[i].kind,
                          .target = setting->target,
                          .is_right = given[i].is_right,
                          .attended = share_of(counts->read_tokens, before, tokens, all),
                          .visible = share_of(counts->attended_tokens, before, tokens, all),
                          .rows = (uint32_t)share_of(counts->rows, before, tokens, all),
                          .exact_rows = (uint32_t)share_of(counts->exact, before, tokens, all),
                          .seconds = seconds * tokens / all};
        snprintf(row.method, sizeof(row.method), "%s", setting->method);
        row.agreed = answer_agreement(&given[i], &dense[i], &row.compared);
        row_write(file, &row);
        before += tokens;
    }
}

static void ask_all(recall_work *recall, const work_unit *unit, const recall_setting *settings,
                    FILE *file)
{
    static const recall_setting without = {.method = SETTING_DENSE};
    recall_context asking;
    recall_answer dense[TASK_QUESTIONS], given[TASK_QUESTIONS];
    struct vsa_ggml_summary counts = {0};
    const uint64_t seed =
        (uint64_t)unit->length << 32 | (uint64_t)unit->family << 24 | unit->context;
    asking_start(&asking, &recall->engine, unit->length, unit->family, seed);
    const uint32_t count = asking.task.question_count;
    double seconds = asking_answer(&asking, 0, count, recall->engine.dense, NULL, dense);
    write_answers(file, unit, &asking, &without, dense, dense, &counts, seconds);
    for (uint32_t s = 0; recall->has_plugin && s < SETTING_COUNT + 1; s++) {
        plugin_apply(&recall->plugin, &settings[s]);
        recall->plugin.reset_summary();
        seconds = asking_answer(&asking, 0, count, recall->engine.sparse, dense, given);
        counts = plugin_counts(&recall->plugin);
        write_answers(file, unit, &asking, &settings[s], given, dense, &counts, seconds);
    }
    asking_end(&asking);
}

/* Contexts of a family that hold the questions of each kind. */
static uint32_t count_contexts(const recall_work *recall, recall_family family)
{
    const uint32_t of_a_kind = family == TASK_MANY_ONLY ? TASK_QUESTIONS : 2;
    return (recall->questions + of_a_kind - 1) / of_a_kind;
}

/* Unit i of all: families are spread evenly, so that a run which is stopped has some of each. */
static work_unit find_unit(const recall_work *recall, uint32_t i, uint32_t length)
{
    const uint32_t many = count_contexts(recall, TASK_MANY_ONLY);
    const uint32_t all = count_contexts(recall, TASK_MIXED) + many;
    const uint32_t before = (uint32_t)((uint64_t)i * many / all);
    const uint32_t after = (uint32_t)((uint64_t)(i + 1) * many / all);
    if (after > before) {
        return (work_unit){ .length = length, .family = TASK_MANY_ONLY, .context = before };
    }
    return (work_unit){ .length = length, .family = TASK_MIXED, .context = i - before };
}

static int do_unit(recall_work *recall, const work_unit *unit, const recall_setting *settings)
{
    char path[RECALL_PATH_SIZE];
    recall_rows_path(recall, unit->length, unit->family, unit->context, ".csv", path);
    if (recall_file_exists(path)) {
        return 0;
    }
    FILE *file = recall_file_start(path);
    row_write_header(file);
    ask_all(recall, unit, settings, file);
    recall_file_finish(file, path);
    return 1;
}

void recall_run(recall_work *recall)
{
    const uint32_t unit_count = count_contexts(recall, TASK_MIXED) +
                                count_contexts(recall, TASK_MANY_ONLY);
    const double start = seconds_now();
    recall_setting settings[RECALL_MAX_LENGTHS][SETTING_COUNT + 1];
    for (uint32_t l = 0; recall->has_plugin && l < recall->length_count; l++) {
        read_settings(recall, recall->lengths[l], settings[l]);
    }
    for (uint32_t i = recall->part; i < unit_count; i += recall->part_count) {
        for (uint32_t l = 0; l < recall->length_count; l++) {
            const work_unit unit = find_unit(recall, i, recall->lengths[l]);
            if (do_unit(recall, &unit, settings[l])) {
                fprintf(stderr, "part %u: context %u of %u with %u tokens, %.0f s\n",
                        recall->part, i + 1, unit_count, unit.length, seconds_now() - start);
            }
        }
    }
}
