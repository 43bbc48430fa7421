/* test_smoke_configs.c: every experiment that comes with the program loads, and runs,
 * cut short, to results that add up. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tests/experiment/checks.h"
#include "tests/experiment/support.h"

enum { SHORT_REQUESTS = 100 };
static const char *const folders[] = {"configs/experiments", "configs/questions"};

/* What cuts an experiment short: it measures requests, or for a time. One that measures few
 * is short: its requests are long. */
static void shorten(const struct experiment *experiment, const char *settings[5]) {
    const struct config_node *run = config_get(experiment_config(experiment), "run");
    const long requests = strtol(config_text(config_get(run, "requests"), "0"), NULL, 10);
    size_t count = 0;
    if (requests == 0 || requests >= SHORT_REQUESTS) {
        settings[count++] = "run.warmup_requests=20";
    }
    if (config_get(run, "duration") != NULL) {
        settings[count++] = "run.warmup=100 us";
        settings[count++] = "run.duration=1 ms";
    } else if (requests >= SHORT_REQUESTS) {
        settings[count++] = "run.requests=100";
    }
    settings[count] = NULL;
}

static void run_short(const char *path, const char *results) {
    const char *settings[5];
    struct experiment *experiment = load_good(path, NO_SETTINGS);
    shorten(experiment, settings);
    const struct run_summary summary = run_into(results, path, settings, 2);
    cr_expect_eq(summary.points, experiment_points(experiment), "%s", path);
    cr_expect_gt(summary.events, 0, "%s", path);
    const bool timed = config_path(experiment_config(experiment), "run.duration") != NULL;
    check_headers(results, experiment);
    check_breakdown(results);
    check_utilization(results);
    check_latency(results, summary.points, timed);
    experiment_free(experiment);
}

static size_t run_folder(const char *folder, const char *results) {
    size_t count = 0;
    DIR *files = opendir(folder);
    for (const struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        const size_t length = strlen(entry->d_name);
        if (length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0) {
            char path[SUPPORT_PATH_BYTES];
            (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            run_short(path, path_in(results, entry->d_name));
            count++;
        }
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    return count;
}

Test(smoke, every_experiment_runs_and_adds_up, .init = enter_sources) {
    char results[SUPPORT_PATH_BYTES];
    make_temporary_folder(results);
    cr_expect_geq(run_folder(folders[0], results), 7);
    (void)run_folder(folders[1], results);
    remove_folder(results);
}
