/* test_revocation.c: configs/questions/revocation.yaml: how long one waits for a frame that
 * another has, who answers or does not. Two programs take slices of 1 ms by turns. */
#include "tests/experiment/support.h"

static const double ms = 1e6;

static char folder[SUPPORT_PATH_BYTES];
static struct csv_table latency;

static void set_up(void) {
    enter_sources();
    make_temporary_folder(folder);
    (void)run_into(folder, "configs/questions/revocation.yaml", SETTINGS("run.requests=20"), 2);
    latency = read_csv(folder, "latency.csv");
}
static void tear_down(void) {
    csv_table_free(&latency);
    remove_folder(folder);
}
TestSuite(revocation, .init = set_up, .fini = tear_down);

static double of(const char *operation, const char *deadline, const char *column) {
    return number_where(&latency, column, WHERE("operation", operation, "revoke_time", deadline));
}

static void expect_wait(const char *operation, const char *deadline, double slices) {
    cr_expect_float_eq(of(operation, deadline, "p50_ns"), slices * ms, 0.001 * slices * ms, "%s, %s: %.0f ns",
                       operation, deadline, of(operation, deadline, "p50_ns"));
    cr_expect_leq(of(operation, deadline, "max_ns"), 1.001 * slices * ms, "%s, %s", operation, deadline);
}

/* Asked for in one's own slice at 0: the frame is there in one's next slice after the deadline,
 * and one round more passes until the next try. */
Test(revocation, who_does_not_answer_is_waited_for_until_the_deadline) {
    static const struct {
        const char *deadline;
        unsigned slices;
    } rows[] = {{"1 ms", 1}, {"2 ms", 2}, {"5 ms", 5}, {"10 ms", 10}, {"20 ms", 20}, {"50 ms", 50}, {"100 ms", 100}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_wait("need_frame_of_deaf", rows[i].deadline, 2 * (rows[i].slices / 2 + 1) + 2);
        expect_wait("need_frame", rows[i].deadline, 4);
    }
}
