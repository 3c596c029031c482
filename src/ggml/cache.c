#include "cache.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static VkDeviceSize round_up(VkDeviceSize value, VkDeviceSize unit)
{
    return (value + unit - 1) / unit * unit;
}

/* ggml aligns tensors to 32 or 64 bytes, an import takes whole pages around them. */
static vsa_result import_plane(vsai_ggml_gpu *gpu, const vsai_ggml_plane *plane,
                               vsai_ggml_store *out)
{
    const VkDeviceSize unit = vsa_standalone_import_alignment(gpu->standalone);
    const uintptr_t base = (uintptr_t)plane->base;

    if (unit == 0 || base % unit % gpu->offset_alignment != 0) {
        return VSA_ERROR_UNSUPPORTED_CONFIG;
    }
    const uintptr_t first = base - base % (uintptr_t)unit;
    out->offset = base - first;
    out->range = round_up(plane->size, 4);
    return vsa_buffer_import(gpu->standalone, (void *)first,
                             round_up(out->offset + out->range, unit), 0, &out->buffer);
}

static vsa_result place_plane(vsai_ggml_gpu *gpu, const vsai_ggml_plane *plane, int mirror,
                              vsai_ggml_store *out)
{
    if (!mirror && import_plane(gpu, plane, out) == VSA_SUCCESS) {
        return VSA_SUCCESS;
    }
    *out = (vsai_ggml_store){.range = round_up(plane->size, 4), .is_mirror = 1};
    return vsa_buffer_create(gpu->standalone, out->range, 0, &out->buffer);
}

vsai_ggml_cache *vsai_ggml_cache_create(vsai_ggml_gpu *gpu, const vsai_ggml_node *node,
                                        uint32_t layer, int mirror)
{
    vsai_ggml_cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL) {
        return NULL;
    }
    cache->k = node->k;
    cache->v = node->v;
    cache->k.tensor = cache->v.tensor = NULL;
    cache->kv_heads = node->kv_heads;
    cache->layer = layer;
    const uint64_t k_cells = (node->k.size + node->k.cell_stride - 1) / node->k.cell_stride;
    const uint64_t v_cells = (node->v.size + node->v.cell_stride - 1) / node->v.cell_stride;
    cache->cell_count = (uint32_t)(k_cells > v_cells ? k_cells : v_cells);
    if (place_plane(gpu, &cache->k, mirror, &cache->k_store) ||
        place_plane(gpu, &cache->v, mirror, &cache->v_store)) {
        vsai_ggml_cache_destroy(cache);
        return NULL;
    }
    return cache;
}

void vsai_ggml_cache_destroy(vsai_ggml_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    vsa_buffer_destroy(cache->k_store.buffer);
    vsa_buffer_destroy(cache->v_store.buffer);
    free(cache->checksums);
    free(cache->versions);
    free(cache->seen);
    free(cache);
}

static int is_same_plane(const vsai_ggml_plane *a, const vsai_ggml_plane *b)
{
    return a->base == b->base && a->size == b->size && a->cell_stride == b->cell_stride &&
           a->head_stride == b->head_stride && a->dtype == b->dtype && a->head_dim == b->head_dim;
}

int vsai_ggml_cache_is_of(const vsai_ggml_cache *cache, const vsai_ggml_node *node)
{
    return cache->kv_heads == node->kv_heads && is_same_plane(&cache->k, &node->k) &&
           is_same_plane(&cache->v, &node->v);
}

int vsai_ggml_cache_refresh_begin(vsai_ggml_cache *cache)
{
    if (cache->checksums == NULL) {
        cache->checksums = calloc(cache->cell_count, sizeof *cache->checksums);
        cache->versions = calloc(cache->cell_count, sizeof *cache->versions);
        cache->seen = calloc(cache->cell_count, sizeof *cache->seen);
        if (cache->checksums == NULL || cache->versions == NULL || cache->seen == NULL) {
            free(cache->checksums);
            free(cache->versions);
            free(cache->seen);
            cache->checksums = NULL;
            cache->versions = cache->seen = NULL;
            return 0;
        }
    }
    if (++cache->epoch == 0) {
        memset(cache->seen, 0, cache->cell_count * sizeof *cache->seen);
        cache->epoch = 1;
    }
    return 1;
}

static uint64_t checksum_plane(const vsai_ggml_plane *plane, uint32_t kv_heads, uint32_t cell,
                               uint64_t seed)
{
    if (plane->head_stride == plane->row_size) {
        return XXH3_64bits_withSeed(vsai_ggml_plane_row(plane, cell, 0),
                                    (size_t)kv_heads * plane->row_size, seed);
    }
    for (uint32_t head = 0; head < kv_heads; head++) {
        seed = XXH3_64bits_withSeed(vsai_ggml_plane_row(plane, cell, head), plane->row_size, seed);
    }
    return seed;
}

static uint64_t checksum(const vsai_ggml_cache *cache, uint32_t cell)
{
    const uint64_t k = checksum_plane(&cache->k, cache->kv_heads, cell, 0);
    const uint64_t both = checksum_plane(&cache->v, cache->kv_heads, cell, k);
    return both != 0 ? both : 1;
}

/* Cells [first, end). What lies between them is copied with them: it is ggml's as well. */
static vsa_result mirror_plane(const vsai_ggml_cache *cache, const vsai_ggml_plane *plane,
                               const vsai_ggml_store *store, uint32_t first, uint32_t end)
{
    const int is_whole = plane->head_stride == plane->row_size;
    const uint32_t pieces = is_whole ? 1 : cache->kv_heads;
    const uint64_t piece = (uint64_t)(end - first - 1) * plane->cell_stride +
                           (uint64_t)(is_whole ? cache->kv_heads : 1) * plane->row_size;
    vsa_result status = VSA_SUCCESS;

    for (uint32_t i = 0; i < pieces && store->is_mirror && !status; i++) {
        const char *from = vsai_ggml_plane_row(plane, first, i);
        status = vsa_buffer_write(store->buffer, (VkDeviceSize)(from - plane->base), from,
                                  (size_t)piece);
    }
    return status;
}

static vsa_result mirror(const vsai_ggml_cache *cache, uint32_t first, uint32_t end)
{
    const vsa_result status = mirror_plane(cache, &cache->k, &cache->k_store, first, end);
    return status ? status : mirror_plane(cache, &cache->v, &cache->v_store, first, end);
}

vsa_result vsai_ggml_cache_refresh(vsai_ggml_cache *cache, const uint32_t *cells, uint32_t count,
                                   uint64_t *checked, uint64_t *changed)
{
    uint32_t first = 0, end = 0;   /* of the run of changed cells that is to be mirrored */
    vsa_result status = VSA_SUCCESS;

    for (uint32_t i = 0; i < count && !status; i++) {
        const uint32_t cell = cells[i];
        if (cache->seen[cell] == cache->epoch) {
            continue;
        }
        cache->seen[cell] = cache->epoch;
        ++*checked;
        const uint64_t sum = checksum(cache, cell);
        if (sum == cache->checksums[cell]) {
            continue;
        }
        cache->checksums[cell] = sum;
        cache->versions[cell]++;
        ++*changed;
        if (cell != end || first == end) {
            if (first != end) {
                status = mirror(cache, first, end);
            }
            first = cell;
        }
        end = cell + 1;
    }
    if (!status && first != end) {
        status = mirror(cache, first, end);
    }
    if (status) {
        /* What has not arrived must not count as seen. */
        memset(cache->checksums, 0, cache->cell_count * sizeof *cache->checksums);
    }
    return status;
}
