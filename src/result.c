#include "vsa.h"

const char *vsa_result_name(vsa_result result)
{
    switch (result) {
    case VSA_SUCCESS:
        return "VSA_SUCCESS";
    case VSA_ERROR_INVALID_ARGUMENT:
        return "VSA_ERROR_INVALID_ARGUMENT";
    case VSA_ERROR_VERSION_MISMATCH:
        return "VSA_ERROR_VERSION_MISMATCH";
    case VSA_ERROR_OUT_OF_HOST_MEMORY:
        return "VSA_ERROR_OUT_OF_HOST_MEMORY";
    case VSA_ERROR_OUT_OF_DEVICE_MEMORY:
        return "VSA_ERROR_OUT_OF_DEVICE_MEMORY";
    case VSA_ERROR_DEVICE_UNSUITABLE:
        return "VSA_ERROR_DEVICE_UNSUITABLE";
    case VSA_ERROR_UNSUPPORTED_CONFIG:
        return "VSA_ERROR_UNSUPPORTED_CONFIG";
    case VSA_ERROR_BUFFER_TOO_SMALL:
        return "VSA_ERROR_BUFFER_TOO_SMALL";
    case VSA_ERROR_SHADER:
        return "VSA_ERROR_SHADER";
    case VSA_ERROR_DEVICE_LOST:
        return "VSA_ERROR_DEVICE_LOST";
    case VSA_ERROR_VULKAN:
        return "VSA_ERROR_VULKAN";
    case VSA_RESULT_MAX_ENUM:
        break;
    }
    return "unknown vsa_result";
}

uint32_t vsa_version(void)
{
    return VSA_API_VERSION;
}
