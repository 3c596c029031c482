#include "bench_summary.h"

#include <math.h>
#include <stdio.h>

bool bench_summary_cost(const bench_run *run, size_t case_index, bench_cost *out_cost)
{
    const bench_case *entry = &run->cases.items[case_index];
    double lengths[BENCH_MAX_LENGTHS], times[BENCH_MAX_LENGTHS], host[BENCH_MAX_LENGTHS];
    uint32_t count = 0;

    for (uint32_t i = 0; i < run->length_count; i++) {
        const bench_row *row = bench_results_find(&run->results, entry, run->lengths[i]);

        if (row) {
            lengths[count] = run->lengths[i];
            times[count] = bench_row_ms(row);
            host[count] = row->host_us;
            count++;
        }
    }
    *out_cost = (bench_cost){.entry = entry, .lengths = count};
    if (count == 0) {
        return false;
    }
    out_cost->fit = bench_fit_make(lengths, times, count);
    out_cost->host_us = isnan(host[0]) ? (double)NAN : bench_spread_of(host, count).median;
    return true;
}

const char *bench_summary_shape(const bench_run *run, char text[BENCH_SETTINGS_SIZE])
{
    const bench_input *input = &run->input;
    int used = snprintf(text, BENCH_SETTINGS_SIZE, "%u query heads over %u KV heads, head size %u",
                        input->q_heads, input->kv_heads, input->head_dim_k);

    if (input->head_dim_v != input->head_dim_k) {
        used +=
            snprintf(text + used, BENCH_SETTINGS_SIZE - (size_t)used, " and %u", input->head_dim_v);
    }
    snprintf(text + used, BENCH_SETTINGS_SIZE - (size_t)used, ", KV cache %s, %s",
             options_dtype_name((int)input->kv_type), input->name);
    return text;
}

const char *bench_summary_policy(const bench_run *run, char text[BENCH_SETTINGS_SIZE])
{
    const tool_options *options = run->options;
    int used = snprintf(
        text, BENCH_SETTINGS_SIZE, "bound %s, target %s, epsilon %g, delta %g, sink %g, window %g",
        options_bound_name(options->bound), options_target_name(options->target), options->epsilon,
        options->delta, option_share_value(options->sink), option_share_value(options->window));

    if (options->top_k.is_fraction) {
        used += snprintf(text + used, BENCH_SETTINGS_SIZE - (size_t)used,
                         ", top-k %g of the length", options->top_k.fraction);
    } else {
        used += snprintf(text + used, BENCH_SETTINGS_SIZE - (size_t)used, ", top-k %u",
                         options->top_k.count);
    }
    used += snprintf(text + used, BENCH_SETTINGS_SIZE - (size_t)used, ", top-p %g, on a miss: %s",
                     options->top_p, options_on_miss_name(options->on_miss));
    if (options->value_floor > 0.0) {
        used += snprintf(text + used, BENCH_SETTINGS_SIZE - (size_t)used, ", value floor %g",
                         options->value_floor);
    }
    if (options->carry_budget) {
        used += snprintf(text + used, BENCH_SETTINGS_SIZE - (size_t)used, ", guided carries budgets");
    }
    snprintf(text + used, BENCH_SETTINGS_SIZE - (size_t)used, ", seed %llu",
             (unsigned long long)options->seed);
    return text;
}

bool bench_summary_kept_every_promise(const bench_run *run)
{
    for (size_t i = 0; i < run->results.count; i++) {
        const bench_row *row = &run->results.rows[i];

        if (row->rows.invalid > 0 || row->rows.none > 0 ||
            (row->rows.missed > 0 && bench_case_has_guarantee(&row->entry))) {
            return false;
        }
    }
    return true;
}
