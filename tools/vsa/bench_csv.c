#include "bench_csv.h"

#include <math.h>

#include "output_file.h"
#include "tool.h"

static void write_number(FILE *stream, double value)
{
    fputc(',', stream);
    if (isfinite(value)) {
        fprintf(stream, "%.9g", value);
    }
}

static void write_spread(FILE *stream, bench_spread spread)
{
    write_number(stream, spread.median);
    write_number(stream, spread.low);
    write_number(stream, spread.high);
}

static void write_row(FILE *stream, const bench_run *run, const bench_row *row)
{
    const double gbps = bench_row_gbps(row);

    fprintf(stream, "%s,%s,%u,%u,%u", options_method_name(row->entry.method),
            bench_case_scorer_name(&row->entry), row->tokens, row->layers, row->steps);
    write_spread(stream, row->gpu_ms);
    write_spread(stream, row->wall_ms);
    write_number(stream, row->host_us);
    write_spread(stream, row->speedup);
    write_number(stream, row->bytes);
    write_number(stream, row->bytes_dense);
    write_number(stream, gbps);
    write_number(stream, run->copy_gbps > 0.0 ? gbps / run->copy_gbps : (double)NAN);
    write_number(stream, row->rows.density);
    write_number(stream, row->error.mean);
    write_number(stream, row->error.p95);
    write_number(stream, row->error.max);
    fprintf(stream, ",%u", row->error_rows);
    write_number(stream, row->certified_mean);
    fprintf(stream, ",%u,%u,%u,%u,%u", row->rows.rows, row->rows.met, row->rows.exact,
            row->rows.missed, row->rows.invalid);
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        write_number(stream, row->stage_ms[i]);
    }
    write_number(stream, row->stage_bytes[VSA_TIMESTAMP_SCORE]);
    write_number(stream, row->stage_bytes[VSA_TIMESTAMP_ATTEND]);
    write_number(stream, row->stage_bytes[VSA_TIMESTAMP_FALLBACK]);
    fputs("\r\n", stream);
}

int bench_csv_write(const bench_run *run, const char *path)
{
    output_file file;
    const int code = output_file_open(path, &file);

    if (code != EXIT_DONE) {
        return code;
    }
    fputs("method,scorer,tokens,layers,steps,gpu_ms,gpu_ms_min,gpu_ms_max,wall_ms,wall_ms_min,"
          "wall_ms_max,host_us,speedup,speedup_min,speedup_max,bytes,bytes_dense,gbps,copy_share,"
          "density,error_mean,"
          "error_p95,error_max,error_rows,certified_mean,rows,met,exact,missed,invalid",
          file.stream);
    for (int i = 0; i < VSA_TIMESTAMP_COUNT; i++) {
        fprintf(file.stream, ",%s_ms", bench_stage_name(i));
    }
    fputs(",score_bytes,attend_bytes,fallback_bytes\r\n", file.stream);
    for (size_t i = 0; i < run->results.count; i++) {
        write_row(file.stream, run, &run->results.rows[i]);
    }
    return output_file_commit(&file);
}
