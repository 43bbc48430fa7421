/* test_aegis_transfer_x86.c: what test_aegis_transfer.c expects of Aegis, on an x86-64 core. */
#include "tests/kernel_model/aegis_x86_fixture.h"
#define TRANSFER_SUITE aegis_transfer_x86
#include "tests/kernel_model/test_aegis_transfer.c"
