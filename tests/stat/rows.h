/*
 * rows.h - the simulation's inputs: named models of logits and values, rows drawn from them, and
 * the rows' exact attention.
 */
#ifndef VSA_STAT_ROWS_H
#define VSA_STAT_ROWS_H

#include <stddef.h>
#include <stdint.h>

enum { STAT_MAX_DIM = 128, STAT_BATCH = 8 };

/* One cell of the table: what logits and values look like. */
typedef struct stat_model {
    const char *name;
    const char *what;       /* one phrase, for the table */
    enum {
        STAT_GAUSS, STAT_LAPLACE, STAT_UNIFORM, STAT_BIMODAL, STAT_LOCAL, STAT_NEEDLE, STAT_ALIGNED,
        STAT_SIZED
    } logits;
    float spread;           /* of the logits */
    int   missed;           /* needles whose score the scorer sees as an ordinary one */
    enum {
        STAT_PLAIN, STAT_CHANNELS, STAT_RANK, STAT_DRIFT, STAT_HEAVY, STAT_CENTRED
    } values;
    float amount;           /* of the values' peculiarity */
} stat_model;

extern const stat_model stat_models[];
extern const size_t     stat_model_count;

/* The values of one KV head, shared by the rows of several batches. */
typedef struct stat_values {
    uint32_t tokens, dim;
    float   *v;         /* [token][dim] */
    float   *norm2;     /* [token]: |v|^2 */
    float   *size;      /* [token]: the noise's factor as a standard normal (STAT_SIZED) */
    float    radius;    /* max |v| */
} stat_values;

/* One query: weights relative to the largest, padded with 0 to a multiple of 16. */
typedef struct stat_row {
    float  *s;          /* [token]: logits less their maximum */
    float  *w;          /* exp(s) */
    float  *seen;       /* what the scorer sees: s itself, or another when it misses needles */
    double  truth[STAT_MAX_DIM];
    double  D;
    double  rms2;       /* sum w |v|^2 / D */
} stat_row;

typedef struct stat_batch {
    const stat_model *model;
    float       mean;      /* length of the values' mean over that of their noise; 0.5 */
    stat_values values;
    stat_row    rows[STAT_BATCH];
    float      *scratch;
} stat_batch;

/* tokens up to 2^24, dim a multiple of 16 up to 128. */
void stat_batch_init(stat_batch *batch, const stat_model *model, uint32_t tokens, uint32_t dim);
void stat_batch_free(stat_batch *batch);
/* New values, then new rows over the values that are there: functions of the seed alone. */
void stat_batch_values(stat_batch *batch, uint64_t seed);
void stat_batch_rows(stat_batch *batch, uint64_t seed);

#endif
