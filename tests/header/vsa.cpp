/* The header stands alone as C++11. */
#include "vsa.h"

typedef int vsa_header_test_vsa;
