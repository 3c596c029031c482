#include "eval_csv.h"

#include <inttypes.h>
#include <math.h>

#include "output_file.h"
#include "tool.h"

static void write_text(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"') {
            fputc('"', stream);
        }
        fputc(*text, stream);
    }
    fputc('"', stream);
}

static void write_number(FILE *stream, double value)
{
    fputc(',', stream);
    if (isfinite(value)) {
        fprintf(stream, "%.9g", value);
    }
}

static void write_row(FILE *stream, const eval_run *run, const eval_row *row)
{
    const eval_case *entry = &row->entry;
    char top_k[EVAL_SETTING_SIZE], top_p[EVAL_SETTING_SIZE];

    eval_case_top_k(entry, top_k);
    eval_case_top_p(entry, top_p);
    write_text(stream, run->inputs.items[row->input].name);
    fprintf(stream, ",%s,%s,%s,%s", options_method_name(entry->method),
            eval_case_scorer_name(entry), eval_case_bound_name(entry),
            options_target_name(row->target));
    write_number(stream, entry->density > 0.0 ? entry->density : (double)NAN);
    write_number(stream, entry->epsilon);
    write_number(stream, run->options->delta);
    write_number(stream, run->options->value_floor);
    fprintf(stream, ",%s,%s,%g,%g", top_k, top_p, option_share_value(entry->sink),
            option_share_value(entry->window));
    write_number(stream, row->rows.density);
    fprintf(stream, ",%" PRIu64 ",%" PRIu64, row->bytes_read, row->bytes_dense);
    write_number(stream, row->error.mean);
    write_number(stream, row->error.p95);
    write_number(stream, row->error.max);
    write_number(stream, row->certified_mean);
    write_number(stream, row->certified_max);
    write_number(stream, row->error.coverage);
    write_number(stream, row->within_bound);
    fprintf(stream, ",%u,%u,%u,%u,%u", row->rows.rows, row->rows.met, row->rows.exact,
            row->rows.missed, row->rows.invalid);
    fprintf(stream, ",%u,%u,%u,%u,%" PRIu64, row->rows.unattainable, row->rows.heavy_sample,
            row->rows.bound_broken, row->rows.floored, row->gathered_tokens);
    write_number(stream, row->gpu_ms);
    fputs("\r\n", stream);
}

int eval_csv_write(const eval_run *run, const char *path)
{
    output_file file;
    const int code = output_file_open(path, &file);

    if (code != EXIT_DONE) {
        return code;
    }
    fputs("input,method,scorer,bound,target,at_density,epsilon,delta,value_floor,top_k,top_p,sink,"
          "window,density,bytes_read,bytes_dense,error_mean,error_p95,error_max,certified_mean,"
          "certified_max,coverage,within_bound,rows,met,exact,missed,invalid,unattainable,"
          "heavy_sample,bound_broken,floored,gathered_tokens,gpu_ms\r\n",
          file.stream);
    for (size_t i = 0; i < run->results.count; i++) {
        write_row(file.stream, run, &run->results.rows[i]);
    }
    return output_file_commit(&file);
}
