/* test_exokernel_tables.c: the tables of SOSP'95, shortened: what is calibrated is met,
 * and who wins each comparison is who won it. */
#include <math.h>
#include <string.h>

#include "experiment/papers.h"
#include "tests/experiment/support.h"

enum { FIGURES_MAX = 64 };
static const double calibrated_within_percent = 5;

static char folder[SUPPORT_PATH_BYTES];
static struct paper *paper;
static struct paper_figure figures[FIGURES_MAX];
static size_t count;

static void set_up(void) {
    struct diagnostics diagnostics;
    enter_sources();
    make_temporary_folder(folder);
    diagnostics_init(&diagnostics);
    paper = paper_load("configs/papers/exokernel-sosp95.yaml", &diagnostics);
    cr_assert_not_null(paper);
}
static void tear_down(void) {
    paper_free(paper);
    remove_folder(folder);
}
TestSuite(exokernel_tables, .init = set_up, .fini = tear_down);

/* Runs the table's experiment, cut short. All its figures must be there; the calibrated
 * ones must be met. */
static void run_table_with(const char *name, const char *const *settings) {
    char path[SUPPORT_PATH_BYTES];
    struct error error = {OK, ""};
    const size_t table = paper_table_find(paper, name);
    cr_assert_lt(table, paper_tables(paper));
    paper_table_experiment(paper, table, path, sizeof path);
    (void)run_into(folder, path, settings, 2);
    count = paper_figures(paper, table, folder, figures, FIGURES_MAX, &error);
    cr_assert(count > 0 && count <= FIGURES_MAX, "%s: %s", name, error.text);
    for (size_t i = 0; i < count; i++) {
        const struct paper_figure *at = &figures[i];
        cr_assert_not(isnan(at->simulated), "%s: %s, %s was not simulated", name, at->column, at->row);
        if (at->calibration) {
            cr_expect(fabs(at->error_percent) < calibrated_within_percent, "%s: %s, %s is off by %.1f %%", name,
                      at->column, at->row, at->error_percent);
        }
    }
}

static void run_table(const char *name) {
    run_table_with(name, SETTINGS("run.warmup_requests=20", "run.requests=200"));
}

static double simulated(const char *column, const char *row) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(figures[i].column, column) == 0 && strcmp(figures[i].row, row) == 0) {
            return figures[i].simulated;
        }
    }
    cr_assert_fail("no figure %s, %s", column, row);
    return 0;
}
static void expect_faster(const char *row, double times) {
    cr_expect_gt(simulated("ultrix", row), times * simulated("exos", row), "%s", row);
}

Test(exokernel_tables, procedure_calls_and_system_calls) {
    run_table("procedure_and_syscall");
    cr_expect_gt(simulated("ultrix", "getpid"), 5 * simulated("aegis", "getpid_stack"));
}
Test(exokernel_tables, exceptions) {
    run_table("exception_dispatch");
    cr_expect_gt(simulated("ultrix", "exception_overflow"), 50 * simulated("aegis", "exception_overflow"));
}
Test(exokernel_tables, control_transfer) {
    run_table("protected_control_transfer");
    cr_expect(fabs(figures[0].error_percent) < 10);
}
Test(exokernel_tables, a_query_of_the_dirty_bit) {
    run_table("dirty_query");
}

/* Where a kernel call changes a hundred pages at once, the library's two changes cost
 * more than the monolithic kernel's one. */
Test(exokernel_tables, virtual_memory) {
    run_table("virtual_memory");
    expect_faster("prot1", 1.5);
    expect_faster("trap", 20);
    expect_faster("appel1", 4);
    expect_faster("appel2", 6);
    cr_expect_gt(simulated("exos", "unprot100"), 1.2 * simulated("ultrix", "unprot100"), "ExOS loses here");
    cr_expect_gt(simulated("exos", "unprot100"), simulated("exos", "prot100"), "rights given back are looked up");
}
Test(exokernel_tables, pipes_and_shared_memory) {
    run_table("ipc");
    expect_faster("pipe", 5);
    expect_faster("shm", 10);
    cr_expect_gt(simulated("exos", "pipe"), simulated("exos", "shm"), "a pipe copies");
}
/* What a round trip takes beyond the wire is the kernel's and the library's; the handler
 * has no part of the library, and the monolithic kernel has two more layers. */
Test(exokernel_tables, udp_round_trips) {
    const double wire_us = 2 * (74 + 4 + 8) * 0.8;
    run_table_with("udp_round_trip", SETTINGS("run.warmup_requests=1", "run.requests=2"));
    cr_expect_gt(simulated("exos_ash", "udp"), wire_us);
    cr_expect_gt(simulated("exos", "udp"), 1.05 * simulated("exos_ash", "udp"));
    cr_expect_gt(simulated("ultrix", "udp") - wire_us, 3 * (simulated("exos", "udp") - wire_us));
}
Test(exokernel_tables, remote_calls) {
    run_table("ipc_exos");
    cr_expect_gt(simulated("exos", "lrpc"), 1.4 * simulated("exos", "tlrpc"), "registers are saved");
}
