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
    write_number(stream, entry->epsilon);
    write_number(stream, run->options->delta);
    fprintf(stream, ",%s,%s", top_k, top_p);
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
    fputs("input,method,scorer,bound,target,epsilon,delta,top_k,top_p,density,bytes_read,"
          "bytes_dense,error_mean,error_p95,error_max,certified_mean,certified_max,coverage,within_"
          "bound,rows,"
          "met,exact,missed,invalid,gpu_ms\r\n",
          file.stream);
    for (size_t i = 0; i < run->results.count; i++) {
        write_row(file.stream, run, &run->results.rows[i]);
    }
    return output_file_commit(&file);
}
