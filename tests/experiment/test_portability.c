/* test_portability.c: configs/questions/portability.yaml: one library OS, two machines, and
 * on one of them two forms of page table. */
#include <string.h>

#include "tests/experiment/support.h"

static const char config[] = "configs/questions/portability.yaml";
static char folder[SUPPORT_PATH_BYTES];
static struct csv_table latency, counters;

static void set_up(void) {
    enter_sources();
    make_temporary_folder(folder);
    (void)run_into(folder, config, SETTINGS("run.requests=30"), 2);
    latency = read_csv(folder, "latency.csv");
    counters = read_csv(folder, "counters.csv");
}
static void tear_down(void) {
    csv_table_free(&latency);
    csv_table_free(&counters);
    remove_folder(folder);
}
TestSuite(portability, .init = set_up, .fini = tear_down);

static double cycles(const char *system, const char *operation) {
    const double clock_ghz = strcmp(system, "r3000") == 0 ? 0.025 : 2.2;
    return clock_ghz * number_where(&latency, "mean_ns", WHERE("system", system, "operation", operation));
}
static double counter(const char *system, const char *operation, const char *instance, const char *name) {
    return number_where(&counters, "value",
                        WHERE("system", system, "operation", operation, "instance", instance, "counter", name));
}

/* What the library does alone takes the same instructions; what crosses into the kernel is
 * the machine's. */
Test(portability, the_library_is_the_same_and_what_it_crosses_is_not) {
    cr_expect_float_eq(cycles("x86", "dirty"), cycles("r3000", "dirty"), 3);
    cr_expect_float_eq(cycles("nested", "dirty"), cycles("r3000", "dirty"), 3);
    cr_expect_gt(cycles("x86", "getpid"), 2 * cycles("r3000", "getpid"));
    cr_expect_gt(cycles("nested", "getpid"), 5 * cycles("x86", "getpid"), "a VM exit and an entry");
    cr_expect_lt(cycles("nested", "protect"), cycles("x86", "protect") / 3, "no call");
    cr_expect_lt(cycles("nested", "trap"), cycles("x86", "trap"), "no kernel on the way");
    cr_expect_gt(cycles("nested", "pipe"), 2 * cycles("x86", "pipe"), "four crossings");
}

/* Thirty traps and more, and none of them the kernel's. */
Test(portability, under_nested_paging_the_kernel_sees_no_trap) {
    cr_expect_geq(counter("x86", "trap", "aegis", "exceptions_dispatched"), 30);
    cr_expect_eq(counter("nested", "trap", "aegis", "exceptions_dispatched"), 0);
    cr_expect_eq(counter("nested", "trap", "x86.0", "vm_exits"), 0);
    cr_expect_geq(counter("nested", "trap", "x86.0", "exceptions_of_programs"), 30);
    cr_expect_geq(counter("nested", "trap", "exos.vm", "traps"), 30);
    cr_expect_eq(counter("nested", "reprotect", "x86.0", "vm_exits"), 0);
    cr_expect_gt(counter("nested", "pipe", "x86.0", "vm_exits"), 0);
}
