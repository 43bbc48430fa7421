/* test_exos_stride_x86.c: what test_exos_stride.c expects, on an x86-64 core. */
#include "tests/kernel_model/aegis_x86_fixture.h"
#define exos_stride exos_stride_x86
#include "tests/libos_model/test_exos_stride.c"
