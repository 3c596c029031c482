#include "option_table.h"

static const option_choice methods[] = {
    {"dense", VSA_METHOD_DENSE},
    {"topk", VSA_METHOD_TOP_K},
    {"topp", VSA_METHOD_TOP_P},
    {"sample", VSA_METHOD_SAMPLE},
    {"vattention", VSA_METHOD_VATTENTION},
    {"guided", VSA_METHOD_GUIDED},
    {NULL, 0},
};
static const option_choice scorers[] = {
    {"exact", VSA_SCORER_EXACT}, {"page", VSA_SCORER_PAGE}, {"sign", VSA_SCORER_SIGN},
    {"int8", VSA_SCORER_INT8},   {"int4", VSA_SCORER_INT4}, {NULL, 0},
};
static const option_choice bounds[] = {
    {"clt", VSA_BOUND_CLT},
    {"strict", VSA_BOUND_STRICT},
    {NULL, 0},
};
static const option_choice targets[] = {
    {"denominator", VSA_TARGET_DENOMINATOR},
    {"numerator", VSA_TARGET_NUMERATOR},
    {"output", VSA_TARGET_OUTPUT},
    {NULL, 0},
};
static const option_choice miss_actions[] = {
    {"report", VSA_MISS_REPORT},
    {"dense", VSA_MISS_DENSE},
    {NULL, 0},
};
static const option_choice dtypes[] = {
    {"f32", VSA_DTYPE_F32},   {"f16", VSA_DTYPE_F16},   {"bf16", VSA_DTYPE_BF16},
    {"q8_0", VSA_DTYPE_Q8_0}, {"q4_0", VSA_DTYPE_Q4_0}, {NULL, 0},
};
static const option_choice orders[] = {
    {"head", VSA_KV_HEAD_MAJOR},
    {"token", VSA_KV_TOKEN_MAJOR},
    {NULL, 0},
};
static const option_choice compilers[] = {
    {"shaderc", VSA_COMPILER_SHADERC},
    {"glslang", VSA_COMPILER_GLSLANG},
    {"embedded", VSA_COMPILER_EMBEDDED},
    {NULL, 0},
};

#define FIELD(name) offsetof(tool_options, name)
#define MAX_TOKENS  16777216.0
#define RUNS        (COMMAND_ATTEND | COMMAND_DECODE | COMMAND_EVAL | COMMAND_BENCH)

const option option_table[] = {
    {"input", "FILE", OPTION_TEXT, FIELD(input), 0, 0, NULL, COMMAND_ATTEND | COMMAND_EVAL,
     "safetensors with k.L, v.L and q.L for every layer L"},
    {"output", "FILE", OPTION_TEXT, FIELD(output), 0, 0, NULL, COMMAND_ATTEND,
     "safetensors to write"},
    {"dump-indices", NULL, OPTION_FLAG, FIELD(dump_indices), 0, 0, NULL, COMMAND_ATTEND,
     "also write indices.L: the tokens that every row read"},
    {"trace", "FILE", OPTION_TEXT, FIELD(trace), 0, 0, NULL, COMMAND_DECODE,
     "safetensors with k.L, v.L and q.L for every layer L"},
    {"synthetic", "SPEC", OPTION_TEXT, FIELD(synthetic), 0, 0, NULL, COMMAND_DECODE,
     "generated tensors, see below (default gaussian)"},
    {"synthetic", "SPEC", OPTION_LIST, FIELD(specifications), 0, 0, NULL, COMMAND_EVAL,
     "generated tensors, see below; may be given several times"},
    {"tokens", "N,...", OPTION_COUNTS, FIELD(lengths), 256, MAX_TOKENS, NULL, COMMAND_BENCH,
     "lengths (4K, 8K, ... 1M, as far as memory and the time limit go)"},
    {"methods", "A,...", OPTION_CHOICES, FIELD(methods), 0, 0, methods, COMMAND_BENCH,
     "several methods with commas between; dense is always there (all)"},
    {"repeat", "N", OPTION_COUNT, FIELD(repeat), 1, 1000, NULL, COMMAND_BENCH,
     "steps that are timed, each with another query and other draws (9)"},
    {"tune", NULL, OPTION_FLAG, FIELD(tune), 0, 0, NULL, COMMAND_BENCH,
     "search the tuning of the kernels at one length (16K) and propose values"},
    {"kernels", NULL, OPTION_FLAG, FIELD(kernels), 0, 0, NULL, COMMAND_BENCH,
     "also time every kernel, in steps of their own"},
    {"startup", NULL, OPTION_FLAG, FIELD(startup), 0, 0, NULL, COMMAND_BENCH,
     "instead, time the creation of a plan: without, with an empty and with a full cache"},
    {"threads", "N", OPTION_COUNT, FIELD(threads), 2, 64, NULL, COMMAND_BENCH,
     "of --startup, beside one thread (4)"},
    {"tuning", "W,L,R,V,Q", OPTION_COUNTS, FIELD(tuning), 0, 256, NULL, COMMAND_BENCH,
     "override the tuning: workgroup, lanes, repeat, value_chunks, query_chunks; 0 = the device's"},
    {"q-heads", "N", OPTION_COUNT, FIELD(q_heads), 1, 1024, NULL, COMMAND_BENCH,
     "query heads, a multiple of the KV heads (32)"},
    {"kv-heads", "N", OPTION_COUNT, FIELD(kv_heads), 1, 1024, NULL, COMMAND_BENCH, "KV heads (8)"},
    {"dim", "N", OPTION_COUNT, FIELD(head_dim), 32, 256, NULL, COMMAND_BENCH,
     "channels per head, a multiple of 8 (128)"},
    {"std", "X", OPTION_REAL_FROM, FIELD(logit_std), 0, 50, NULL, COMMAND_BENCH,
     "standard deviation of the generated logits, which are Gaussian (1)"},
    {"trace", "FILE", OPTION_TEXT, FIELD(trace), 0, 0, NULL, COMMAND_BENCH,
     "instead, the first layers of a safetensors file, repeated up to the length"},
    {"error-rows", "N", OPTION_COUNT, FIELD(error_rows), 1, 100000, NULL, COMMAND_BENCH,
     "rows that are compared with dense attention in double precision (64)"},
    {"time-limit", "S", OPTION_REAL, FIELD(time_limit), 0, 1e9, NULL, COMMAND_BENCH,
     "leave out lengths that would end later, in seconds (300; none with --tokens)"},
    {"tokens", "N", OPTION_COUNT, FIELD(tokens), 256, MAX_TOKENS, NULL, COMMAND_EVAL,
     "length of the built-in inputs (4096)"},
    {"queries", "N", OPTION_COUNT, FIELD(queries), 1, MAX_TOKENS, NULL, COMMAND_EVAL,
     "only the last N queries of every layer (all; 8 for the built-in inputs)"},
    {"density", "D,...", OPTION_REALS, FIELD(densities), 0, 1, NULL, COMMAND_EVAL,
     "compare the methods at these densities, see above"},
    {"csv", "FILE", OPTION_TEXT, FIELD(csv), 0, 0, NULL, COMMAND_EVAL | COMMAND_BENCH,
     "also write the rows as comma-separated values"},
    {"html", "FILE", OPTION_TEXT, FIELD(html), 0, 0, NULL, COMMAND_EVAL | COMMAND_BENCH,
     "also write a page with plots"},
    {"html", "FILE", OPTION_TEXT, FIELD(html), 0, 0, NULL, COMMAND_VALIDATE,
     "also write a page: kernels by devices, to attach to a report"},
    {"compile-only", NULL, OPTION_FLAG, FIELD(compile_only), 0, 0, NULL, COMMAND_VALIDATE,
     "build every pipeline and tell what the driver's compiler made of it; run nothing"},
    {"cases", "PART", OPTION_TEXT, FIELD(cases), 0, 0, NULL, COMMAND_VALIDATE,
     "only cases with this in their names (all)"},
    {"skip", "PART", OPTION_TEXT, FIELD(skip), 0, 0, NULL, COMMAND_VALIDATE,
     "leave out cases with this in their names (none)"},
    {"read", "FILE", OPTION_TEXT, FIELD(read), 0, 0, NULL, COMMAND_VALIDATE,
     "run nothing; show what earlier runs wrote with --json, one after the other in a file"},
    {"device", "INDEX|NAME", OPTION_TEXT, FIELD(device), 0, 0, NULL, COMMAND_VALIDATE,
     "number from 'vsa devices', a part of a name, or all (all)"},
    {"json", "[FILE]", OPTION_MAYBE_TEXT, FIELD(json_file), 0, 0, NULL, COMMAND_VALIDATE,
     "one JSON object, in a file or instead of the table on standard output"},
    {"method", NULL, OPTION_CHOICE, FIELD(method), 0, 0, methods, COMMAND_BENCH,
     "only one of the methods; dense is always there"},
    {"method", NULL, OPTION_CHOICE, FIELD(method), 0, 0, methods, RUNS & ~COMMAND_BENCH,
     "what decides which tokens are read (vattention)"},
    {"scorer", NULL, OPTION_CHOICE, FIELD(scorer), 0, 0, scorers, COMMAND_BENCH,
     "only one of the scorers (all that there are)"},
    {"scorer", NULL, OPTION_CHOICE, FIELD(scorer), 0, 0, scorers, RUNS & ~COMMAND_BENCH,
     "how keys are scored (exact)"},
    {"bound", NULL, OPTION_CHOICE, FIELD(bound), 0, 0, bounds, RUNS,
     "what the certificate rests on (clt)"},
    {"target", NULL, OPTION_CHOICE, FIELD(target), 0, 0, targets, RUNS,
     "what the error is measured on (output)"},
    {"epsilon", "X", OPTION_REAL, FIELD(epsilon), 0, 1, NULL, RUNS, "relative error target (0.1)"},
    {"delta", "X", OPTION_REAL, FIELD(delta), 0, 1, NULL, RUNS,
     "probability of missing it, per row (0.1)"},
    {"value-floor", "X", OPTION_REAL_FROM, FIELD(value_floor), 0, 1000, NULL, RUNS,
     "errors relative to max(|out|, X * root mean square of |v|) (0)"},
    {"carry-budget", NULL, OPTION_FLAG, FIELD(carry_budget), 0, 0, NULL,
     COMMAND_DECODE | COMMAND_BENCH,
     "method guided: begin with the sample that the head needed in the step before"},
    {"sink", "N|F", OPTION_SHARE, FIELD(sink), 0, MAX_TOKENS, NULL, RUNS,
     "first tokens, always read: a count, or a fraction of the length (128)"},
    {"window", "N|F", OPTION_SHARE, FIELD(window), 0, MAX_TOKENS, NULL, RUNS,
     "last tokens, always read: a count, or a fraction of the length (128)"},
    {"top-k", "N|F", OPTION_SHARE, FIELD(top_k), 0, MAX_TOKENS, NULL, RUNS,
     "highest scores, always read: a count, or a fraction of the length (0.02)"},
    {"top-p", "P", OPTION_REAL_UP_TO, FIELD(top_p), 0, 1, NULL, RUNS,
     "mass that method topp reads (0.9)"},
    {"base", "N|F", OPTION_SHARE, FIELD(base), 1, MAX_TOKENS, NULL, RUNS,
     "first sample: a count, or a fraction of the rest (0.025 within 64 to 256)"},
    {"max-samples", "N", OPTION_COUNT, FIELD(max_samples), 0, MAX_TOKENS, NULL, RUNS,
     "most samples per row; 0 = no maximum (0)"},
    {"on-miss", NULL, OPTION_CHOICE, FIELD(on_miss), 0, 0, miss_actions, RUNS,
     "for rows that miss their target (dense)"},
    {"seed", "S", OPTION_SEED, FIELD(seed), 0, 0, NULL, RUNS, "of the random draws (0)"},
    {"kv-type", NULL, OPTION_CHOICE, FIELD(kv_type), 0, 0, dtypes, COMMAND_BENCH,
     "of the KV cache (f16)"},
    {"kv-type", NULL, OPTION_CHOICE, FIELD(kv_type), 0, 0, dtypes, RUNS & ~COMMAND_BENCH,
     "of the KV cache (the file's type of k; f32 if synthetic)"},
    {"layout", NULL, OPTION_CHOICE, FIELD(order), 0, 0, orders, RUNS,
     "outermost dimension of the KV cache (head)"},
    {"page-tokens", "N", OPTION_PAGE, FIELD(page_tokens), 0, MAX_TOKENS, NULL, RUNS,
     "page size of a paged cache, a power of two; 0 = contiguous (0)"},
    {"device", "INDEX|NAME", OPTION_TEXT, FIELD(device), 0, 0, NULL, RUNS,
     "number from 'vsa devices', or a part of a name (the best that works)"},
    {"compiler", NULL, OPTION_CHOICE, FIELD(compiler), 0, 0, compilers, RUNS | COMMAND_VALIDATE,
     "of the shaders (the first that was built in)"},
    {"cache", "DIR", OPTION_TEXT, FIELD(cache), 0, 0, NULL, RUNS | COMMAND_VALIDATE,
     "keep compiled shaders and pipelines here (none)"},
    {"vulkan-validation", NULL, OPTION_FLAG, FIELD(vulkan_validation), 0, 0, NULL, RUNS | COMMAND_VALIDATE,
     "run with the Khronos validation layer; any message is an error"},
    {"steps", NULL, OPTION_FLAG, FIELD(steps), 0, 0, NULL, COMMAND_DECODE,
     "report every step, not every eighth of the replay"},
    {"strict-exit", NULL, OPTION_FLAG, FIELD(strict_exit), 0, 0, NULL, RUNS,
     "exit with 1 when a row is missed or invalid"},
    {"no-progress", NULL, OPTION_FLAG, FIELD(no_progress), 0, 0, NULL, RUNS | COMMAND_VALIDATE, "no progress bar"},
    {"json", NULL, OPTION_FLAG, FIELD(json), 0, 0, NULL, COMMAND_DEVICES | RUNS,
     "print one JSON object on standard output"},
    {"help", NULL, OPTION_FLAG, FIELD(help), 0, 0, NULL,
     COMMAND_DEVICES | RUNS | COMMAND_VALIDATE, "this text"},
};

enum { OPTION_TOTAL = sizeof option_table / sizeof option_table[0] };
_Static_assert(OPTION_TOTAL <= 64, "tool_options.given has a bit for every entry");

const size_t option_total = OPTION_TOTAL;

static const char *choice_name(const option_choice *choices, int value)
{
    for (const option_choice *c = choices; c->name; c++) {
        if (c->value == value) {
            return c->name;
        }
    }
    return "?";
}

const char *options_method_name(int method)
{
    return choice_name(methods, method);
}
const char *options_scorer_name(int scorer)
{
    return choice_name(scorers, scorer);
}
const char *options_bound_name(int bound)
{
    return choice_name(bounds, bound);
}
const char *options_target_name(int target)
{
    return choice_name(targets, target);
}
const char *options_on_miss_name(int on_miss)
{
    return choice_name(miss_actions, on_miss);
}
const char *options_dtype_name(int dtype)
{
    return choice_name(dtypes, dtype);
}
