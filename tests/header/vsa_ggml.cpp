/* The header stands alone as C++11. */
#include "vsa_ggml.h"

typedef int vsa_header_test_vsa_ggml;
