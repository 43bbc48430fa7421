/* test_resume.c: a run that is killed keeps what is finished, and the next run takes
 * it up and ends as if nothing had happened. */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "experiment/pool.h"
#include "tests/experiment/support.h"

static const char echo[] = "tests/experiment/data/echo.yaml";
/* Enough work a point that the kill comes in between. */
static const char *const longer[] = {"run.requests=4000", NULL};
static char folder[SUPPORT_PATH_BYTES];

static void begin(void) {
    enter_sources();
    make_temporary_folder(folder);
}

static void end(void) {
    remove_folder(folder);
}

TestSuite(resume, .init = begin, .fini = end);

static size_t finished_points(const char *results) {
    size_t count = 0;
    DIR *files = opendir(path_in(results, ".points"));
    for (const struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        count += dot != NULL && strcmp(dot, ".records") == 0;
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    return count;
}

/* Runs the experiment in a process that dies once a first point is finished. */
static void run_and_kill(const char *results) {
    (void)fflush(NULL);
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)run_into(results, echo, longer, 1);
        _exit(0);
    }
    int status = 0;
    while (finished_points(results) == 0 && waitpid(child, &status, WNOHANG) == 0) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    (void)kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended before it was killed");
    cr_assert_not(file_exists(path_in(results, "manifest.json")));
}

Test(resume, a_killed_run_is_taken_up) {
    char killed[SUPPORT_PATH_BYTES + 8], whole[SUPPORT_PATH_BYTES + 8];
    (void)snprintf(killed, sizeof killed, "%s/killed", folder);
    (void)snprintf(whole, sizeof whole, "%s/whole", folder);
    run_and_kill(killed);
    const size_t kept = finished_points(killed);
    cr_assert_geq(kept, 1);
    const struct run_summary rerun = run_into(killed, echo, longer, 1);
    const struct run_summary uninterrupted = run_into(whole, echo, longer, 2);
    cr_expect_eq(rerun.resumed, kept);
    cr_expect_lt(rerun.resumed, rerun.points);
    cr_expect_eq(uninterrupted.resumed, 0);
    cr_expect_eq(rerun.results_digest, uninterrupted.results_digest);
    cr_expect_eq(rerun.requests, uninterrupted.requests);
    cr_expect(file_exists(path_in(killed, "manifest.json")));
    cr_expect_not(file_exists(path_in(killed, ".points")));
    expect_same_results(killed, whole);
}

Test(resume, what_another_seed_or_setting_gave_is_not_taken_up) {
    run_and_kill(folder);
    const struct run_summary rerun = run_into(folder, echo, SETTINGS("run.requests=4000", "run.seed=8"), 2);
    cr_expect_eq(rerun.resumed, 0);
}

Test(resume, restart_takes_up_nothing) {
    run_and_kill(folder);
    struct experiment *experiment = load_good(echo, longer);
    const struct run_options options = {.jobs = 2, .out = folder, .quiet = true, .restart = true};
    struct run_summary summary;
    struct error error = {0};
    cr_assert_eq(experiment_run(experiment, &options, &summary, &error), OK, "%s", error.text);
    cr_expect_eq(summary.resumed, 0);
    experiment_free(experiment);
}

/* A point that fails leaves the others' results, and the error says how many. */
Test(resume, a_failing_point_keeps_the_others) {
    static const char *const settings[] = {"run.time_limit=6 ms", NULL};
    struct experiment *experiment = load_good(echo, settings);
    const struct run_options options = {.jobs = 2, .out = folder, .quiet = true};
    struct run_summary summary;
    struct error error = {0};
    const enum error_code code = experiment_run(experiment, &options, &summary, &error);
    cr_expect_eq(code, ERR_IO);
    cr_expect_gt(summary.failed, 0);
    cr_expect_lt(summary.failed, summary.points);
    char expected[128];
    (void)snprintf(expected, sizeof expected, "%zu of %zu points failed; a rerun takes up the rest", summary.failed,
                   summary.points);
    cr_expect_str_eq(error.text, expected);
    cr_expect_eq(finished_points(folder), summary.points - summary.failed);
    cr_expect_not(file_exists(path_in(folder, "manifest.json")));
    const size_t finished = summary.points - summary.failed;
    cr_expect_eq(experiment_run(experiment, &options, &summary, &error), ERR_IO);
    cr_expect_eq(summary.resumed, finished);
    experiment_free(experiment);
}
