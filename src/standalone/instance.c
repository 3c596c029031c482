/* An instance, and the validation layer's messages. */
#include "standalone.h"

#include <stdio.h>
#include <string.h>

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(
    VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT types,
    const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    vsa_standalone *standalone = user;
    (void)severity;   /* only warnings and errors are subscribed to */
    if (types & VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT) {
        atomic_fetch_add(&standalone->validation_count, 1);
        vsai_log(&standalone->log, VSA_LOG_ERROR, "validation: %s: %s",
                 data->pMessageIdName ? data->pMessageIdName : "no name", data->pMessage);
    } else {
        /* The loader's own remarks, such as a driver that it could not open. */
        vsai_log(&standalone->log, VSA_LOG_WARN, "%s", data->pMessage);
    }
    return VK_FALSE;
}

static int has_extension(PFN_vkEnumerateInstanceExtensionProperties enumerate, const char *layer,
                         const char *name)
{
    uint32_t count = 0;
    if (enumerate(layer, &count, NULL) || count == 0) {
        return 0;
    }
    VkExtensionProperties *properties = vsai_calloc(NULL, count, sizeof(*properties));
    int found = 0;
    if (properties && enumerate(layer, &count, properties) >= 0) {
        for (uint32_t i = 0; i < count && !found; ++i) {
            found = strcmp(properties[i].extensionName, name) == 0;
        }
    }
    vsai_free(NULL, properties);
    return found;
}

static int has_layer(PFN_vkEnumerateInstanceLayerProperties enumerate, const char *name)
{
    uint32_t count = 0;
    if (enumerate(&count, NULL) || count == 0) {
        return 0;
    }
    VkLayerProperties *properties = vsai_calloc(NULL, count, sizeof(*properties));
    int found = 0;
    if (properties && enumerate(&count, properties) >= 0) {
        for (uint32_t i = 0; i < count && !found; ++i) {
            found = strcmp(properties[i].layerName, name) == 0;
        }
    }
    vsai_free(NULL, properties);
    return found;
}

static vsa_result load_functions(vsai_instance *instance, const vsa_log *log)
{
#define LOAD(name)                                                                     \
    instance->name = (PFN_vk##name)instance->get_instance_proc_addr(instance->handle,  \
                                                                    "vk" #name);       \
    if (!instance->name) {                                                             \
        return vsai_fail(log, VSA_ERROR_VULKAN, "the Vulkan loader has no vk" #name);  \
    }
    VSAI_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return VSA_SUCCESS;
}

vsa_result vsai_instance_create(vsa_standalone *standalone, const vsa_log *log,
                                PFN_vkGetInstanceProcAddr given, int validation,
                                vsai_instance *out_instance)
{
    const VkAllocationCallbacks *allocator = standalone ? standalone->allocator : NULL;
    memset(out_instance, 0, sizeof(*out_instance));
    const PFN_vkGetInstanceProcAddr get = given ? given : vsai_loader_open();
    if (!get) {
        return vsai_fail(log, VSA_ERROR_VULKAN,
                         "no Vulkan loader was found (Debian: libvulkan1)");
    }
    out_instance->get_instance_proc_addr = get;

    const PFN_vkEnumerateInstanceVersion enumerate_version =
        (PFN_vkEnumerateInstanceVersion)get(NULL, "vkEnumerateInstanceVersion");
    const PFN_vkEnumerateInstanceExtensionProperties enumerate_extensions =
        (PFN_vkEnumerateInstanceExtensionProperties)get(NULL,
                                                        "vkEnumerateInstanceExtensionProperties");
    const PFN_vkEnumerateInstanceLayerProperties enumerate_layers =
        (PFN_vkEnumerateInstanceLayerProperties)get(NULL, "vkEnumerateInstanceLayerProperties");
    const PFN_vkCreateInstance create = (PFN_vkCreateInstance)get(NULL, "vkCreateInstance");
    uint32_t version = VK_API_VERSION_1_0;
    if (enumerate_version) {
        enumerate_version(&version);
    }
    if (!create || !enumerate_extensions || !enumerate_layers || version < VK_API_VERSION_1_2) {
        return vsai_fail(log, VSA_ERROR_DEVICE_UNSUITABLE, "the Vulkan loader is %u.%u, needs 1.2",
                         VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    }

    const char *extensions[4];
    const char *layers[1];
    uint32_t extension_count = 0;
    uint32_t layer_count = 0;
    VkInstanceCreateFlags flags = 0;
    if (has_extension(enumerate_extensions, NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        extensions[extension_count++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }

    const VkDebugUtilsMessengerCreateInfoEXT messenger_info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        /* Not PERFORMANCE: advice, such as to allocate less often. */
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = standalone,
    };
    static const VkValidationFeatureEnableEXT enables[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT,
    };
    const VkValidationFeaturesEXT validation_features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &messenger_info,
        .enabledValidationFeatureCount = sizeof(enables) / sizeof(enables[0]),
        .pEnabledValidationFeatures = enables,
    };
    if (validation) {
        if (!has_layer(enumerate_layers, VALIDATION_LAYER)) {
            return vsai_fail(log, VSA_ERROR_VULKAN, VALIDATION_LAYER " is not installed "
                             "(Debian: vulkan-validationlayers)");
        }
        if (!has_extension(enumerate_extensions, VALIDATION_LAYER,
                           VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME)) {
            return vsai_fail(log, VSA_ERROR_VULKAN, VALIDATION_LAYER " has no "
                             VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
        }
        layers[layer_count++] = VALIDATION_LAYER;
        extensions[extension_count++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
        extensions[extension_count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    }
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "vsa",
        .pEngineName = "vsa",
        .engineVersion = VSA_API_VERSION,
        .apiVersion = VK_API_VERSION_1_2,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = validation ? &validation_features : NULL,
        .flags = flags,
        .pApplicationInfo = &application,
        .enabledLayerCount = layer_count,
        .ppEnabledLayerNames = layers,
        .enabledExtensionCount = extension_count,
        .ppEnabledExtensionNames = extensions,
    };
    VkResult result = create(&info, allocator, &out_instance->handle);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
        out_instance->handle = VK_NULL_HANDLE;   /* no driver at all */
        return VSA_SUCCESS;
    }
    if (result) {
        out_instance->handle = VK_NULL_HANDLE;
        return vsai_fail_vk(log, result, "vkCreateInstance");
    }
    vsa_result status = load_functions(out_instance, log);
    if (status) {
        goto fail;
    }
    if (validation) {
        const PFN_vkCreateDebugUtilsMessengerEXT create_messenger =
            (PFN_vkCreateDebugUtilsMessengerEXT)get(out_instance->handle,
                                                    "vkCreateDebugUtilsMessengerEXT");
        out_instance->DestroyDebugUtilsMessengerEXT = (PFN_vkDestroyDebugUtilsMessengerEXT)get(
            out_instance->handle, "vkDestroyDebugUtilsMessengerEXT");
        if (!create_messenger || !out_instance->DestroyDebugUtilsMessengerEXT) {
            status = vsai_fail(log, VSA_ERROR_VULKAN,
                               "the Vulkan loader has no vkCreateDebugUtilsMessengerEXT");
            goto fail;
        }
        result = create_messenger(out_instance->handle, &messenger_info, allocator,
                                  &out_instance->messenger);
        if (result) {
            out_instance->messenger = VK_NULL_HANDLE;
            status = vsai_fail_vk(log, result, "vkCreateDebugUtilsMessengerEXT");
            goto fail;
        }
    }
    return VSA_SUCCESS;

fail:
    vsai_instance_destroy(out_instance, allocator);
    return status;
}

void vsai_instance_destroy(vsai_instance *instance, const VkAllocationCallbacks *allocator)
{
    if (instance->messenger) {
        instance->DestroyDebugUtilsMessengerEXT(instance->handle, instance->messenger, allocator);
    }
    /* A handle whose functions did not load cannot be destroyed. */
    if (instance->handle && instance->DestroyInstance) {
        instance->DestroyInstance(instance->handle, allocator);
    }
    memset(instance, 0, sizeof(*instance));
}
