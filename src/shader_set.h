/* The SPIR-V that a context has, by variant name: what was compiled once serves every plan. Only
 * grows until it is destroyed; thread-safe, without locks. */
#ifndef VSAI_SHADER_SET_H
#define VSAI_SHADER_SET_H

#include "compiler.h"

#define VSAI_SHADER_NAME_SIZE 64 /* of a variant's name, with its zero */

typedef struct vsai_shader_entry vsai_shader_entry;

/* All zero is an empty set. */
typedef struct vsai_shader_set {
    _Atomic(vsai_shader_entry *) first;
} vsai_shader_set;

/* NULL when it is not there. What is returned lives as long as the set. */
const vsai_spirv *vsai_shader_set_find(vsai_shader_set *set, const char *variant);

/* `variant` is shorter than VSAI_SHADER_NAME_SIZE. Takes `spirv` over, also when it fails: NULL when
 * out of memory. Two threads may add the same variant; both entries stay. */
const vsai_spirv *vsai_shader_set_add(vsai_shader_set *set, const VkAllocationCallbacks *allocator,
                                      const char *variant, vsai_spirv spirv);

void vsai_shader_set_destroy(vsai_shader_set *set, const VkAllocationCallbacks *allocator);

#endif
