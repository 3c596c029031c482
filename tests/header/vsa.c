/* The header stands alone as C99. */
#include "vsa.h"

typedef int vsa_header_test_vsa;
