/* test_exos_vm_x86.c: what test_exos_vm.c expects, on an x86-64 core. */
#include "tests/kernel_model/aegis_x86_fixture.h"
#define exos_vm exos_vm_x86
#include "tests/libos_model/test_exos_vm.c"
