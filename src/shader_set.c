#include "shader_set.h"

#include "alloc.h"

#include <stdatomic.h>
#include <string.h>

struct vsai_shader_entry {
    vsai_shader_entry *next; /* does not change once the entry is in the set */
    vsai_spirv spirv;
    char variant[VSAI_SHADER_NAME_SIZE];
};

const vsai_spirv *vsai_shader_set_find(vsai_shader_set *set, const char *variant)
{
    const vsai_shader_entry *entry = atomic_load_explicit(&set->first, memory_order_acquire);
    while (entry && strcmp(entry->variant, variant) != 0) {
        entry = entry->next;
    }
    return entry ? &entry->spirv : NULL;
}

const vsai_spirv *vsai_shader_set_add(vsai_shader_set *set, const VkAllocationCallbacks *allocator,
                                      const char *variant, vsai_spirv spirv)
{
    vsai_shader_entry *entry = vsai_calloc(allocator, 1, sizeof *entry);
    if (!entry) {
        vsai_free(allocator, spirv.memory);
        return NULL;
    }
    memcpy(entry->variant, variant, strlen(variant) + 1);
    entry->spirv = spirv;
    entry->next = atomic_load_explicit(&set->first, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&set->first, &entry->next, entry,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    return &entry->spirv;
}

void vsai_shader_set_destroy(vsai_shader_set *set, const VkAllocationCallbacks *allocator)
{
    vsai_shader_entry *entry = atomic_exchange(&set->first, NULL);
    while (entry) {
        vsai_shader_entry *next = entry->next;
        vsai_free(allocator, entry->spirv.memory);
        vsai_free(allocator, entry);
        entry = next;
    }
}
