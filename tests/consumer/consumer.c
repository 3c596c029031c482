/*
 * A program that uses vsa, in what C and C++ have in common. With CONSUMER_STANDALONE it also links
 * vsa::standalone; with CONSUMER_VOLK or CONSUMER_LIBVULKAN it has Vulkan of its own beside it, by
 * volk or linked. Without a device only what needs none is checked.
 */
#include <vsa.h>
#ifdef CONSUMER_STANDALONE
#  include <vsa_standalone.h>
#endif
#if defined(CONSUMER_VOLK)
#  include <volk.h>
#elif defined(CONSUMER_LIBVULKAN)
#  include <vulkan/vulkan.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);  \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

static int message_count;

static void print_message(void *user, vsa_log_level level, const char *message)
{
    (void)user;
    (void)level;
    message_count++;
    fprintf(stderr, "%s\n", message);
}

static void use_core(void)
{
    vsa_kv_layout layout;
    vsa_context_create_info info;
    vsa_context *context = NULL;

    CHECK(vsa_version() == VSA_API_VERSION);
    CHECK(strcmp(vsa_result_name(VSA_ERROR_SHADER), "VSA_ERROR_SHADER") == 0);
    vsa_kv_layout_init(&layout, VSA_KV_TOKEN_MAJOR, VSA_DTYPE_F16, VSA_DTYPE_F16, 64, 64, 2, 100, 0);
    CHECK(vsa_kv_offset(&layout, &layout.k, NULL, 0, 1, 3) == 3 * 2 * 64 * 2 + 64 * 2);
    memset(&info, 0, sizeof info);
    info.log.write = print_message;
    CHECK(vsa_context_create(&info, &context) == VSA_ERROR_VERSION_MISMATCH && context == NULL);
    CHECK(message_count == 1);
}

#if defined(CONSUMER_STANDALONE) || defined(CONSUMER_VOLK)
/* Compiles shaders: everything that the library needs is linked. */
static void make_plan(vsa_context *context)
{
    vsa_plan_create_info info;
    vsa_plan *plan = NULL;

    memset(&info, 0, sizeof info);
    info.head_dim_k = info.head_dim_v = 64;
    info.q_heads = info.kv_heads = 1;
    info.max_tokens = 128;
    info.policy.method = VSA_METHOD_DENSE;
    vsa_kv_layout_init(&info.kv, VSA_KV_HEAD_MAJOR, VSA_DTYPE_F16, VSA_DTYPE_F16, 64, 64, 1, 128, 0);
    CHECK(vsa_plan_create(context, &info, &plan) == VSA_SUCCESS);
    vsa_plan_destroy(plan);
}
#endif

#ifdef CONSUMER_STANDALONE
/* 0 when there is no device. */
static int use_standalone(void)
{
    vsa_standalone_create_info info;
    vsa_standalone *standalone = NULL;
    vsa_result result;

    memset(&info, 0, sizeof info);
    info.api_version = VSA_API_VERSION;
    info.log.write = print_message;
    result = vsa_standalone_create(&info, &standalone);
    if (result == VSA_ERROR_DEVICE_UNSUITABLE || result == VSA_ERROR_VULKAN) {
        return 0;
    }
    CHECK(result == VSA_SUCCESS);
    printf("%s\n", vsa_standalone_device(standalone)->name);
    make_plan(vsa_standalone_context(standalone));
    vsa_standalone_destroy(standalone);
    return 1;
}
#endif

#if defined(CONSUMER_VOLK) || defined(CONSUMER_LIBVULKAN)
static VkInstance make_instance(void)
{
    VkApplicationInfo application;
    VkInstanceCreateInfo info;
    VkInstance instance = VK_NULL_HANDLE;

    memset(&application, 0, sizeof application);
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.apiVersion = VK_API_VERSION_1_2;
    memset(&info, 0, sizeof info);
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;
    return vkCreateInstance(&info, NULL, &instance) == VK_SUCCESS ? instance : VK_NULL_HANDLE;
}
#endif

#ifdef CONSUMER_VOLK
/* Our own device by volk, a context on it, and vsa_standalone in between: neither touches the
 * other's functions. */
static void use_volk(void)
{
    const float priority = 1;
    VkInstance instance;
    VkPhysicalDevice physical[1];
    uint32_t count = 1;
    VkPhysicalDeviceFeatures2 features;
    VkDeviceQueueCreateInfo queue;
    VkDeviceCreateInfo device_info;
    VkDevice device = VK_NULL_HANDLE;
    vsa_context_create_info info;
    vsa_context *context = NULL;
    PFN_vkDeviceWaitIdle wait_idle;

    if (volkInitialize() != VK_SUCCESS || (instance = make_instance()) == VK_NULL_HANDLE) {
        return;
    }
    volkLoadInstance(instance);
    if (vkEnumeratePhysicalDevices(instance, &count, physical) < 0 || count == 0) {
        vkDestroyInstance(instance, NULL);
        return;
    }
    memset(&features, 0, sizeof features);
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    vsa_require_features(&features, NULL, NULL);
    memset(&queue, 0, sizeof queue);
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    memset(&device_info, 0, sizeof device_info);
    device_info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    device_info.pNext = &features;
    device_info.queueCreateInfoCount = 1;
    device_info.pQueueCreateInfos = &queue;
    CHECK(vkCreateDevice(physical[0], &device_info, NULL, &device) == VK_SUCCESS);
    volkLoadDevice(device);
    wait_idle = vkDeviceWaitIdle;

    memset(&info, 0, sizeof info);
    info.api_version = VSA_API_VERSION;
    info.get_instance_proc_addr = vkGetInstanceProcAddr;
    info.instance = instance;
    info.physical_device = physical[0];
    info.device = device;
    info.log.write = print_message;
    CHECK(vsa_context_create(&info, &context) == VSA_SUCCESS);
    CHECK(use_standalone());
    CHECK(vkDeviceWaitIdle == wait_idle);
    make_plan(context);
    CHECK(vkDeviceWaitIdle(device) == VK_SUCCESS);
    vsa_context_destroy(context);
    vkDestroyDevice(device, NULL);
    vkDestroyInstance(instance, NULL);
    printf("volk: device of our own\n");
}
#endif

int main(void)
{
    use_core();
#ifdef CONSUMER_STANDALONE
    if (!use_standalone()) {
        printf("no device\n");
    }
#endif
#ifdef CONSUMER_VOLK
    use_volk();
#endif
#ifdef CONSUMER_LIBVULKAN
    {
        VkInstance instance = make_instance();
        if (instance != VK_NULL_HANDLE) {
            vkDestroyInstance(instance, NULL);
            printf("libvulkan: instance of our own\n");
        }
    }
#endif
    printf("ok\n");
    return 0;
}
