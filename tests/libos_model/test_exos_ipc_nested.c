/* test_exos_ipc_nested.c: what test_exos_ipc.c expects, on an x86-64 core
 * under nested paging. */
#include "tests/kernel_model/aegis_x86_fixture.h"
#define FIXTURE_NESTED 1
#define FIXTURE_GUARANTEED 16
#define exos_ipc exos_ipc_nested
#include "tests/libos_model/test_exos_ipc.c"
