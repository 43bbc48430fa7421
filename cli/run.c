/* run.c: `run`, `check`, `report`, `plot`. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "experiment/csv_table.h"
#include "experiment/experiment.h"

enum { TRACED_CALLS = 100 }; /* of a point, if the line does not say */

static const char *const experiment_folders[] = {"configs/experiments", "configs/questions", NULL};

/* Loads what a word names, with the line's settings; its diagnostics go to stderr. */
static struct experiment *load(const char *word, const struct cli_arguments *arguments) {
    char path[CLI_PATH_BYTES];
    if (!cli_find_config(word, experiment_folders, path, sizeof path)) {
        return NULL;
    }
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct experiment *experiment = experiment_load(path, arguments->settings, arguments->setting_count, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    diagnostics_free(&diagnostics);
    return experiment;
}

static int failed(const struct error *error) {
    (void)fprintf(stderr, "stillsuit: %s\n", error->text[0] != '\0' ? error->text : error_code_text(error->code));
    return CLI_FAILED;
}

/* A number with a decimal prefix: "4.1 M". */
static const char *scaled(double value, char out[32]) {
    static const char *const prefixes[] = {"", " k", " M", " G", " T"};
    size_t prefix = 0;
    while (value >= 1000 && prefix + 1 < sizeof prefixes / sizeof *prefixes) {
        value /= 1000;
        prefix += 1;
    }
    (void)snprintf(out, 32, prefix == 0 ? "%.0f%s" : "%.3g%s", value, prefixes[prefix]);
    return out;
}

/* The simulator's own speed: over the processor time of the points' processes, so that
 * it does not hang on how many ran side by side, nor on what else the machine does. */
static void print_speed(const struct run_summary *summary, FILE *out) {
    char events[32], requests[32], rate[32], requests_rate[32];
    const double busy = summary->busy_seconds > 0 ? summary->busy_seconds : 1e-9;
    (void)fprintf(out, "speed: %s events, %s requests in %.2f s (%.2f s of processor time): ",
                  scaled((double)summary->events, events), scaled((double)summary->requests, requests),
                  summary->wall_seconds, summary->busy_seconds);
    (void)fprintf(out, "%s events/s, %s requests/s, peak memory %.0f MB\n",
                  scaled((double)summary->events / busy, rate), scaled((double)summary->requests / busy, requests_rate),
                  (double)summary->peak_memory_bytes / 1e6);
}

static int show(const struct run_summary *summary, bool plots) {
    struct error error = {0};
    if (report_print(summary->folder, cli_width(), stdout, &error) != OK) {
        return failed(&error);
    }
    (void)printf("\nresults: %s\n", summary->folder);
    print_speed(summary, stdout);
    if (plots && plot_run(summary->folder, stdout, &error) != OK) {
        return failed(&error);
    }
    return CLI_OK;
}

int cli_run(const struct cli_arguments *arguments) {
    const bool calls_given = (arguments->given & CLI_TRACE_CALLS) != 0;
    if (calls_given && (arguments->given & CLI_TRACE) == 0) {
        return cli_usage_error("run: --trace-calls goes with --trace io");
    }
    if (calls_given && arguments->trace_calls == 0) {
        return cli_usage_error("run: --trace-calls: at least one");
    }
    struct experiment *experiment = cli_load_types(arguments) ? load(arguments->words[0], arguments) : NULL;
    if (experiment == NULL) {
        return CLI_USAGE;
    }
    const struct run_options options = {
        .jobs = (unsigned)arguments->jobs,
        .seed_given = (arguments->given & CLI_SEED) != 0,
        .seed = arguments->seed,
        .out = arguments->out,
        .restart = (arguments->given & CLI_RESTART) != 0,
        .progress = isatty(STDERR_FILENO) == 1,
        .trace_calls = (arguments->given & CLI_TRACE) == 0 ? 0
                       : calls_given                       ? arguments->trace_calls
                                                           : TRACED_CALLS,
        .argument_count = arguments->argc,
        .arguments = arguments->argv,
    };
    struct run_summary summary;
    struct error error = {0};
    const enum error_code code = experiment_run(experiment, &options, &summary, &error);
    experiment_free(experiment);
    if (code != OK) {
        return failed(&error);
    }
    if (summary.resumed > 0) {
        (void)printf("%zu of %zu points were finished by an earlier run\n", summary.resumed, summary.points);
    }
    return show(&summary, (arguments->given & CLI_NO_PLOT) == 0);
}

int cli_sensitivity(const struct cli_arguments *arguments) {
    char path[CLI_PATH_BYTES], folder[CLI_PATH_BYTES];
    struct experiment *experiment = load(arguments->words[0], arguments);
    if (experiment == NULL || !cli_find_config(arguments->words[0], experiment_folders, path, sizeof path)) {
        return CLI_USAGE;
    }
    (void)snprintf(folder, sizeof folder, "results/%s", experiment_name(experiment));
    experiment_free(experiment);
    const struct sensitivity_options options = {
        .experiment = path,
        .settings = arguments->settings,
        .setting_count = arguments->setting_count,
        .out = arguments->out != NULL ? arguments->out : folder,
        .jobs = (unsigned)arguments->jobs,
        .progress = isatty(STDERR_FILENO) == 1,
    };
    struct error error = {0};
    if (sensitivity_run(&options, stdout, &error) != OK) {
        return failed(&error);
    }
    (void)printf("written: %s/sensitivity.csv\n", options.out);
    return CLI_OK;
}

int cli_check(const struct cli_arguments *arguments) {
    int result = CLI_OK;
    if (!cli_load_types(arguments)) {
        return CLI_USAGE;
    }
    for (size_t i = 0; i < arguments->word_count; ++i) {
        (void)fflush(stdout);
        struct experiment *experiment = load(arguments->words[i], arguments);
        if (experiment != NULL) {
            (void)printf("%s: good: %zu systems, %zu points\n", arguments->words[i], experiment_systems(experiment),
                         experiment_points(experiment));
            experiment_free(experiment);
        } else {
            result = CLI_USAGE;
        }
    }
    return result;
}

/* Whether a results folder is there; a message if not. */
static bool is_results(const char *folder) {
    char path[CLI_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/config.yaml", folder);
    if (access(path, R_OK) != 0) {
        (void)cli_usage_error("'%s' is no results folder: it has no config.yaml", folder);
        return false;
    }
    return true;
}

/* Whether the results have that system; a message with the nearest if not. */
static bool has_system(const char *folder, const char *system) {
    enum { SYSTEMS_MAX = 64 };
    char path[CLI_PATH_BYTES], suggestion[CLI_PATH_BYTES];
    const char *names[SYSTEMS_MAX + 1];
    size_t count = 0;
    struct csv_table table;
    (void)snprintf(path, sizeof path, "%s/breakdown.csv", folder);
    if (csv_table_read(path, &table, NULL) != OK) {
        return true; /* the report says why */
    }
    const int column = csv_table_column(&table, "system");
    bool found = false;
    for (size_t row = 0; column >= 0 && row < table.row_count; ++row) {
        const char *name = csv_table_cell(&table, row, column);
        found = found || strcmp(name, system) == 0;
        if (count < SYSTEMS_MAX && (count == 0 || strcmp(names[count - 1], name) != 0)) {
            names[count++] = name;
        }
    }
    names[count] = NULL;
    if (!found) {
        cli_suggest(system, names, suggestion, sizeof suggestion);
        (void)cli_usage_error("%s has no system '%s'%s", folder, system, suggestion);
    }
    csv_table_free(&table);
    return found;
}

int cli_report(const struct cli_arguments *arguments) {
    const char *folder = arguments->words[0];
    const bool detail = (arguments->given & CLI_DETAIL) != 0;
    if (!detail && arguments->word_count > 1) {
        return cli_usage_error("report: '%s' goes with --detail", arguments->words[1]);
    }
    if (!is_results(folder) || (arguments->word_count > 1 && !has_system(folder, arguments->words[1]))) {
        return CLI_USAGE;
    }
    struct error error = {0};
    const char *system = arguments->word_count > 1 ? arguments->words[1] : "";
    const enum error_code code = detail ? report_print_detail(folder, system, cli_width(), stdout, &error)
                                        : report_print(folder, cli_width(), stdout, &error);
    return code == OK ? CLI_OK : failed(&error);
}

int cli_plot(const struct cli_arguments *arguments) {
    struct error error = {0};
    if (!is_results(arguments->words[0])) {
        return CLI_USAGE;
    }
    return plot_run(arguments->words[0], stdout, &error) == OK ? CLI_OK : failed(&error);
}
