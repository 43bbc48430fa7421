/* test_exos_paging_x86.c: what test_exos_paging.c expects, on an x86-64 core. */
#include "tests/kernel_model/aegis_x86_fixture.h"
#define exos_paging exos_paging_x86
#include "tests/libos_model/test_exos_paging.c"
