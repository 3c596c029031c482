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

static recall_row new_row(const work_unit *unit, const recall_context *asking, uint32_t question)
{
    return (recall_row){.length = unit->length,
                        .family = unit->family,
                        .context = unit->context,
                        .question = question,
                        .kind = asking->task.questions[question].kind};
}

static void write_answer(FILE *file, recall_row *row, const char *method, double target,
                         const recall_answer *given, const recall_answer *dense)
{
    snprintf(row->method, sizeof(row->method), "%s", method);
    row->target = target;
    row->is_right = given->is_right;
    row->agreed = answer_agreement(given, dense, &row->compared);
    row->seconds = given->seconds;
    row_write(file, row);
}

static void answer_sparsely(recall_work *recall, FILE *file, const recall_context *asking,
                            const recall_asked *asked, const recall_setting *setting,
                            const recall_answer *dense, recall_row row)
{
    recall_answer given;
    plugin_apply(&recall->plugin, setting);
    recall->plugin.reset_summary();
    asking_answer(asking, asked, recall->engine.sparse, dense, &given);
    const struct vsa_ggml_summary counts = plugin_counts(&recall->plugin);
    row.attended = (double)counts.read_tokens;
    row.visible = (double)counts.attended_tokens;
    row.rows = (uint32_t)counts.rows;
    row.exact_rows = (uint32_t)counts.exact;
    write_answer(file, &row, setting->method, setting->target, &given, dense);
}

static void ask_all(recall_work *recall, const work_unit *unit, const recall_setting *settings,
                    FILE *file)
{
    recall_context asking;
    const uint64_t seed =
        (uint64_t)unit->length << 32 | (uint64_t)unit->family << 24 | unit->context;
    asking_start(&asking, &recall->engine, unit->length, unit->family, seed);
    for (uint32_t i = 0; i < asking.task.question_count; i++) {
        recall_answer dense;
        recall_row row = new_row(unit, &asking, i);
        recall_asked asked = asked_make(&asking, i);
        asking_ask(&asking, &asked);
        asking_answer(&asking, &asked, recall->engine.dense, NULL, &dense);
        write_answer(file, &row, SETTING_DENSE, 0, &dense, &dense);
        if (recall->has_plugin) {
            for (uint32_t s = 0; s < SETTING_COUNT + 1; s++) {
                answer_sparsely(recall, file, &asking, &asked, &settings[s], &dense, row);
            }
        }
        asked_free(&asked);
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
