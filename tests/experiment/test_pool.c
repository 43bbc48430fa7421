/* test_pool.c: work in processes: all of it, several at a time, failures counted. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "experiment/pool.h"

enum { COUNT = 24 };

/* Shared with the children. */
struct board {
    int running, most, worked[COUNT];
};
struct log {
    struct board *board;
    size_t ended, good, times[COUNT];
    pid_t parent;
    bool in_child[COUNT];
};

static struct log log_new(void) {
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    cr_assert_eq(ftruncate(fileno(file), sizeof(struct board)), 0);
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    cr_assert_neq(board, MAP_FAILED);
    (void)fclose(file);
    return (struct log){.board = board, .parent = getpid()};
}

static void ended(void *context, size_t index, bool good) {
    struct log *log = context;
    log->ended++;
    log->good += good;
    log->times[index]++;
}

/* Takes the longer, the earlier it comes: they end in another order than they begin. */
static int work(void *context, size_t index) {
    const struct log *log = context;
    const int running = __atomic_add_fetch(&log->board->running, 1, __ATOMIC_SEQ_CST);
    int most = __atomic_load_n(&log->board->most, __ATOMIC_SEQ_CST);
    while (running > most &&
           !__atomic_compare_exchange_n(&log->board->most, &most, running, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    __atomic_add_fetch(&log->board->worked[index], getpid() != log->parent ? 1 : 100, __ATOMIC_SEQ_CST);
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)(COUNT - index) * 300000}, NULL);
    __atomic_sub_fetch(&log->board->running, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void check_all(const struct log *log) {
    cr_expect_eq(log->ended, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        cr_expect_eq(log->times[i], 1, "%zu ended %zu times", i, log->times[i]);
        cr_expect_eq(log->board->worked[i], 1, "%zu worked %d times, or in the parent", i, log->board->worked[i]);
    }
}

Test(pool, all_of_it_is_done_once_and_never_more_than_jobs_at_a_time) {
    for (unsigned jobs = 1; jobs <= 5; jobs += 2) {
        struct log log = log_new();
        const struct pool_job job = {COUNT, jobs, false, "test", work, ended, NULL, &log};
        cr_expect_eq(pool_run(&job), 0);
        check_all(&log);
        cr_expect_eq(log.good, COUNT);
        cr_expect_leq(log.board->most, (int)jobs);
    }
}

Test(pool, several_run_side_by_side) {
    struct log log = log_new();
    const struct pool_job job = {COUNT, 4, false, "test", work, ended, NULL, &log};
    cr_expect_eq(pool_run(&job), 0);
    cr_expect_gt(log.board->most, 1);
}

Test(pool, no_number_of_jobs_means_one_a_core) {
    struct log log = log_new();
    const struct pool_job job = {COUNT, 0, false, "test", work, ended, NULL, &log};
    cr_expect_eq(pool_run(&job), 0);
    check_all(&log);
    cr_expect_leq(log.board->most, (int)sysconf(_SC_NPROCESSORS_ONLN));
}

/* Every third fails: by its status, by a signal. */
static int fail_some(void *context, size_t index) {
    (void)context;
    if (index % 6 == 0) {
        return 7;
    }
    if (index % 6 == 3) {
        (void)raise(SIGKILL);
    }
    return 0;
}

Test(pool, failures_are_counted_and_stop_nobody_else) {
    struct log log = log_new();
    const struct pool_job job = {COUNT, 3, false, "test", fail_some, ended, NULL, &log};
    cr_expect_eq(pool_run(&job), COUNT / 3);
    cr_expect_eq(log.ended, COUNT);
    cr_expect_eq(log.good, COUNT - COUNT / 3);
}

static bool skip_even(void *context, size_t index) {
    (void)context;
    return index % 2 == 0;
}

Test(pool, what_is_skipped_ends_well_without_work) {
    struct log log = log_new();
    const struct pool_job job = {COUNT, 2, false, "test", work, ended, skip_even, &log};
    cr_expect_eq(pool_run(&job), 0);
    cr_expect_eq(log.good, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        cr_expect_eq(log.board->worked[i], (int)(i % 2), "%zu", i);
    }
}

Test(pool, nothing_to_do_is_done_at_once) {
    struct log log = log_new();
    const struct pool_job job = {0, 2, false, "test", work, ended, NULL, &log};
    cr_expect_eq(pool_run(&job), 0);
    cr_expect_eq(log.ended, 0);
}
