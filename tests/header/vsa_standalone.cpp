/* The header stands alone as C++11. */
#include "vsa_standalone.h"

typedef int vsa_header_test_vsa_standalone;
