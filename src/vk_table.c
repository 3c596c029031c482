#include "vk_table.h"

#include "log.h"

#include <string.h>

vsa_result vsai_vk_table_load(vsai_vk_table *out_table, PFN_vkGetInstanceProcAddr get,
                              VkInstance instance, VkDevice device, const vsa_log *log)
{
    memset(out_table, 0, sizeof(*out_table));
#define LOAD_INSTANCE(name)                                                            \
    out_table->name = (PFN_vk##name)get(instance, "vk" #name);                         \
    if (!out_table->name) {                                                            \
        return vsai_fail(log, VSA_ERROR_DEVICE_UNSUITABLE,                             \
                         "get_instance_proc_addr has no vk" #name                      \
                         "; the instance needs Vulkan 1.2");                           \
    }
#define LOAD_DEVICE(name)                                                              \
    out_table->name = (PFN_vk##name)out_table->GetDeviceProcAddr(device, "vk" #name);  \
    if (!out_table->name) {                                                            \
        return vsai_fail(log, VSA_ERROR_DEVICE_UNSUITABLE,                             \
                         "vkGetDeviceProcAddr has no vk" #name);                       \
    }
    VSAI_VK_INSTANCE_FUNCTIONS(LOAD_INSTANCE)
    VSAI_VK_DEVICE_FUNCTIONS(LOAD_DEVICE)
#undef LOAD_INSTANCE
#undef LOAD_DEVICE
    /* NULL unless the instance was created with VK_EXT_debug_utils. */
    out_table->SetDebugUtilsObjectNameEXT = (PFN_vkSetDebugUtilsObjectNameEXT)get(
        instance, "vkSetDebugUtilsObjectNameEXT");
    return VSA_SUCCESS;
}
