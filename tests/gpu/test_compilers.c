/* Three ways to SPIR-V give the same result, and caches are used, and are never trusted. */
#include "raw.h"

enum { TOKENS = 600, DIM = 64 };

static vsa_plan_create_info small_plan(void)
{
    vsa_plan_create_info plan = {
        .head_dim_k = DIM, .head_dim_v = DIM, .q_heads = 4, .kv_heads = 2, .max_sequences = 1,
        .max_queries = 2, .max_tokens = TOKENS,
        .policy = { .method = VSA_METHOD_VATTENTION, .target = VSA_TARGET_OUTPUT,
                    .sink_tokens = 16, .window_tokens = 16, .top_k_fraction = 0.02f,
                    .base_samples = 64, .epsilon = 0.2f, .delta = 0.1f } };
    vsa_kv_layout_init(&plan.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F16, VSA_DTYPE_BF16, DIM, DIM, 2,
                       TOKENS, 0);
    return plan;
}

static harness_data *small_data(void)
{
    vsa_plan_create_info plan = small_plan();
    return harness_data_make(&plan, 1, 2, (uint32_t[]){ TOKENS }, &(harness_fill){
        .spread = 1, .value_mean = 1, .seed = 41 });
}

typedef struct output {
    float out[8 * DIM];
    vsa_certificate certificates[8];
} output;

/* An append, a decode, and what came out. */
static output run_on(vsa_context *context)
{
    output result;
    harness_data *data = small_data();
    vsa_plan_create_info plan = small_plan();
    raw_layer *l = raw_layer_make_on(context, &plan, 1);
    raw_write_data(l, data);
    raw_write_floats(l->new_k, VSA_DTYPE_F32, data->q, 2 * DIM);
    raw_write_floats(l->new_v, VSA_DTYPE_F32, data->q, 2 * DIM);
    vsa_step step = { .query_count = 2, .max_length_tokens = TOKENS, .seed = 17 };
    VkCommandBuffer cmd = raw_begin();
    check_ok(vsa_cmd_append(l->layer, cmd, &step, 1));
    check_ok(vsa_cmd_decode(l->layer, cmd, &step));
    raw_end();
    check_ok(vsa_buffer_read(l->out, 0, result.out, sizeof result.out));
    check_ok(vsa_buffer_read(l->certificates, 0, result.certificates, sizeof result.certificates));
    raw_layer_destroy(l);
    harness_data_free(data);
    return result;
}

/* Optimisers regroup f32 operations: the same decisions and counts, and what is computed within what
 * f32 arithmetic is documented to add. */
static void check_alike(const output *a, const output *b, const char *what)
{
    for (int row = 0; row < 8; row++) {
        const vsa_certificate *x = &a->certificates[row], *y = &b->certificates[row];
        const float *u = a->out + row * DIM, *v = b->out + row * DIM;
        double difference = 0, length = 0;
        for (int c = 0; c < DIM; c++) {
            difference += ((double)u[c] - (double)v[c]) * ((double)u[c] - (double)v[c]);
            length += (double)u[c] * (double)u[c];
        }
        check_that(sqrt(difference / length) <= 2e-6, "%s, row %d: outputs differ by %g", what, row,
                   sqrt(difference / length));
        assert_int_equal(x->status, y->status);
        assert_int_equal(x->length_tokens, y->length_tokens);
        assert_int_equal(x->exact_tokens, y->exact_tokens);
        assert_int_equal(x->sampled_tokens, y->sampled_tokens);
        assert_int_equal(x->gathered_tokens, y->gathered_tokens);
        check_near(y->error_bound / x->error_bound, 1, 1e-5);
        check_near(y->normaliser_bound / x->normaliser_bound, 1, 1e-5);
        check_near(y->log_normaliser, x->log_normaliser, 2e-6);
    }
}

static void check_same(const output *a, const output *b, const char *what)
{
    vsa_certificate_summary summary;
    vsa_certificates_check(a->certificates, 8, &summary);
    assert_true(summary.met > 0);
    check_that(memcmp(a->out, b->out, sizeof a->out) == 0, "%s: other outputs", what);
    check_that(memcmp(a->certificates, b->certificates, sizeof a->certificates) == 0,
               "%s: other certificates", what);
}

static void every_compiler_gives_the_same_result(void **state)
{
    (void)state;
    static const struct {
        vsa_compiler compiler;
        const char  *name;
    } compilers[] = { { VSA_COMPILER_SHADERC, "shaderc" },
                      { VSA_COMPILER_GLSLANG, "glslang" },
                      { VSA_COMPILER_EMBEDDED, "embedded" } };
    output first = run_on(vsa_standalone_context(harness_device));
    int found = 0;
    for (int i = 0; i < 3; i++) {
        vsa_context *context = NULL;
        harness_listen();
        vsa_result result = raw_context_create(&(vsa_context_create_info){
            .compiler = compilers[i].compiler }, &context);
        if (result == VSA_ERROR_UNSUPPORTED_CONFIG) {
            print_message("this build lacks %s\n", compilers[i].name);
            continue;
        }
        check_ok(result);
        output other = run_on(context);
        vsa_context_destroy(context);
        check_alike(&first, &other, compilers[i].name);
        found++;
    }
    assert_true(found > 0);
}

/* ------------------------------------------------------------------ caches */

enum { SLOTS = 64 };

typedef struct memory_cache {
    struct {
        uint8_t key[32];
        uint8_t *data;
        size_t   size;
    } slots[SLOTS];
    uint32_t count, hits, misses, puts;
} memory_cache;

static size_t cache_get(void *user, const uint8_t key[32], void *data, size_t capacity)
{
    memory_cache *c = user;
    for (uint32_t i = 0; i < c->count; i++) {
        if (memcmp(c->slots[i].key, key, 32) == 0) {
            size_t size = c->slots[i].size;
            if (capacity > 0) {
                memcpy(data, c->slots[i].data, size < capacity ? size : capacity);
            }
            c->hits++;
            return size;
        }
    }
    c->misses++;
    return 0;
}

static void cache_put(void *user, const uint8_t key[32], const void *data, size_t size)
{
    memory_cache *c = user;
    uint32_t i = 0;
    while (i < c->count && memcmp(c->slots[i].key, key, 32) != 0) {
        i++;
    }
    assert_true(i < SLOTS);
    c->count += i == c->count;
    memcpy(c->slots[i].key, key, 32);
    free(c->slots[i].data);
    c->slots[i].data = malloc(size);
    c->slots[i].size = size;
    memcpy(c->slots[i].data, data, size);
    c->puts++;
}

static output run_with(memory_cache *cache)
{
    vsa_context *context = NULL;
    cache->hits = cache->misses = cache->puts = 0;
    check_ok(raw_context_create(&(vsa_context_create_info){
        .cache = { cache_get, cache_put, cache } }, &context));
    output result = run_on(context);
    vsa_context_destroy(context);
    return result;
}

/* Does this build turn GLSL into SPIR-V at run time? Embedded SPIR-V needs no cache. */
static int compiles_at_run_time(void)
{
    static const vsa_compiler compilers[] = { VSA_COMPILER_SHADERC, VSA_COMPILER_GLSLANG };
    int found = 0;
    for (size_t i = 0; i < 2; i++) {
        vsa_context *context = NULL;
        harness_listen();
        found += raw_context_create(&(vsa_context_create_info){ .compiler = compilers[i] },
                                    &context) == VSA_SUCCESS;
        vsa_context_destroy(context);
    }
    return found != 0;
}

static void a_second_context_finds_everything(void **state)
{
    (void)state;
    memory_cache cache = { .count = 0 };
    output first = run_with(&cache);
    assert_true(cache.misses >= cache.count);
    if (compiles_at_run_time()) {
        assert_true(cache.count > 5);
    } else {
        assert_int_equal(cache.count, 1);   /* the driver's pipelines */
    }
    uint32_t kinds = cache.count > 1 ? 3 : 2;   /* a single blob has no foreign neighbour */
    uint32_t stored = cache.count;
    output second = run_with(&cache);
    assert_int_equal(cache.misses, 0);
    assert_int_equal(cache.count, stored);
    /* The driver's pipeline data may grow. */
    check_that(cache.puts <= 1, "%u blobs were written again", cache.puts);
    check_same(&first, &second, "from the cache");

    /* Damage of every kind is a miss, is repaired, and never shows. Neighbours get different kinds,
     * so that three rounds show every kind to every blob. */
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < cache.count; i++) {
            uint8_t *data = cache.slots[i].data;
            size_t size = cache.slots[i].size, other = (i + 1) % cache.count;
            switch ((i + round) % kinds) {
            case 0:   /* one bit, somewhere in the middle */
                data[size / 2] ^= 0x10;
                break;
            case 1:   /* cut */
                cache.slots[i].size = i % 2 ? 3 : size / 2;
                break;
            default:  /* another key's blob: whole, and foreign */
                free(data);
                cache.slots[i].size = cache.slots[other].size;
                cache.slots[i].data = malloc(cache.slots[i].size);
                memcpy(cache.slots[i].data, cache.slots[other].data, cache.slots[i].size);
            }
        }
        output repaired = run_with(&cache);
        check_same(&first, &repaired, "after damage");
        assert_true(cache.hits > 0 && cache.misses == 0);
        check_that(cache.puts >= stored, "round %u: only %u of %u blobs were written again", round,
                   cache.puts, stored);
    }
    output again = run_with(&cache);
    check_same(&first, &again, "repaired");
    assert_true(cache.puts <= 1);
    for (uint32_t i = 0; i < cache.count; i++) {
        free(cache.slots[i].data);
    }
}

/* However many plans use a shader, a context fetches it once. */
static void one_context_fetches_a_shader_once(void **state)
{
    (void)state;
    memory_cache cache = { .count = 0 };
    vsa_context *context = NULL;
    check_ok(raw_context_create(&(vsa_context_create_info){
        .cache = { cache_get, cache_put, &cache } }, &context));
    output first = run_on(context);
    check_that(!compiles_at_run_time() || cache.misses > 5, "only %u shaders were fetched",
               cache.misses);
    cache.hits = cache.misses = 0;
    output second = run_on(context);
    check_that(cache.hits + cache.misses == 0, "%u blobs were fetched again",
               cache.hits + cache.misses);
    check_same(&first, &second, "from what the context has");
    vsa_context_destroy(context);
    for (uint32_t i = 0; i < cache.count; i++) {
        free(cache.slots[i].data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_compiler_gives_the_same_result),
        cmocka_unit_test(a_second_context_finds_everything),
        cmocka_unit_test(one_context_fetches_a_shader_once),
    };
    return cmocka_run_group_tests_name("compilers", tests, raw_setup, raw_teardown);
}
