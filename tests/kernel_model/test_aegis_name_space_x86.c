/* test_aegis_name_space_x86.c: what test_aegis_name_space.c expects of Aegis, on an x86-64 core. */
#include "tests/kernel_model/aegis_x86_fixture.h"
#define aegis_name_space aegis_name_space_x86
#include "tests/kernel_model/test_aegis_name_space.c"
