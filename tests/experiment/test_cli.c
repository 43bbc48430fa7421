/* test_cli.c: the command line as its user meets it: texts and exit codes. */
#include <unistd.h>

#include "cli/cli.h"
#include "tests/experiment/program.h"

/* A folder that does not exist yet, below a new one. */
static const char *fresh_folder(void) {
    static char path[128];
    char parent[] = "/tmp/stillsuit_cli_XXXXXX";
    cr_assert_not_null(mkdtemp(parent));
    (void)snprintf(path, sizeof path, "%s/results", parent);
    return path;
}

static void remove_fresh(const char *folder) {
    char command[256];
    (void)snprintf(command, sizeof command, "rm -r \"$(dirname '%s')\"", folder);
    cr_expect_eq(system(command), 0);
}

static const char *line_of(const char *format, const char *folder) {
    static char line[1024];
    (void)snprintf(line, sizeof line, format, folder);
    return line;
}

Test(cli, without_a_command_it_says_how_to_use_it) {
    EXPECT("", 2, "usage: stillsuit COMMAND", "exit codes:");
}

Test(cli, help_names_every_command_and_exit_code) {
    for (const struct cli_command *command = cli_commands; command->name != NULL; ++command) {
        EXPECT("--help", 0, command->name, command->help);
    }
    EXPECT("-h", 0, "  0  ", "  1  ", "  2  ", "  3  ");
    EXPECT("help", 0, "usage: stillsuit COMMAND");
}

Test(cli, each_command_has_help_in_both_ways) {
    for (const struct cli_command *command = cli_commands; command->name != NULL; ++command) {
        char usage[128], line[128];
        (void)snprintf(usage, sizeof usage, "usage: stillsuit %s", command->name);
        (void)snprintf(line, sizeof line, "help %s", command->name);
        EXPECT(line, 0, usage, command->help, "--help", "exit codes:");
        (void)snprintf(line, sizeof line, "%s --help", command->name);
        EXPECT(line, 0, usage, command->help, "--help", "exit codes:");
    }
}

Test(cli, version) {
    EXPECT("--version", 0, "stillsuit " STILLSUIT_VERSION);
}

Test(cli, an_unknown_command_gets_the_nearest) {
    EXPECT("rnu", 2, "unknown command 'rnu'; did you mean 'run'?");
    EXPECT("help describ", 2, "unknown command 'describ'; did you mean 'describe'?");
    EXPECT("--versoin", 2, "unknown option '--versoin'; did you mean '--version'?");
}

Test(cli, an_unknown_option_gets_the_nearest) {
    EXPECT("run arrakis-table1 --sed 3", 2, "run: unknown option '--sed'", "did you mean '--");
    EXPECT("run arrakis-fig2 --trace packets", 2, "--trace: 'packets' is not 'io'");
    EXPECT("run arrakis-fig2 --trace-calls 5", 2, "--trace-calls goes with --trace io");
    EXPECT("run arrakis-fig2 --trace io --trace-calls 0", 2, "at least one");
    EXPECT("run arrakis-table1 --no-plots", 2, "did you mean '--no-plot'?");
    EXPECT("run arrakis-table1 -x", 2, "unknown option '-x'");
    EXPECT("check arrakis-table1 --seed 3", 2, "check: unknown option '--seed'");
}

Test(cli, words_and_values_are_checked) {
    EXPECT("run", 2, "run needs CONFIG");
    EXPECT("run a b", 2, "'b' is one word too many");
    EXPECT("list a", 2, "'a' is one word too many");
    EXPECT("run arrakis-table1 -j", 2, "--jobs needs its N");
    EXPECT("run arrakis-table1 -j two", 2, "--jobs: 'two' is no whole number");
    EXPECT("run arrakis-table1 -j -2", 2, "--jobs: '-2' is no whole number");
    EXPECT("run arrakis-table1 --seed 18446744073709551616", 2, "--seed: '18446744073709551616'");
    EXPECT("run arrakis-table1 --set run.seed", 2, "--set: 'run.seed' is not KEY=VALUE");
    EXPECT("run arrakis-table1 --restart=1", 2, "--restart takes no value");
    EXPECT("run arrakis-table1 --load /nonexistent.so", 2, "--load:", "/nonexistent.so");
}

Test(cli, list_has_every_kind) {
    EXPECT("list", 0, "experiments", "arrakis-table1", "machines", "e5-2430-x520", "profiles", "linux-3.8", "papers",
           "arrakis-osdi14", "scripts", "udp_echo", "systems", "arrakis_native", "devices", "nic/sriov", "operations",
           "compute");
}

Test(cli, describe_shows_what_the_program_reads) {
    EXPECT("describe nic/sriov", 0, "nic/sriov:", "virtual_functions", "default", "range");
    EXPECT("describe linux", 0, "napi_weight", "Its profile:", "irq_handler", "cost");
    EXPECT("describe iommu", 0, "iotlb_entries");
    EXPECT("describe client", 0, "hosts", "payload");
    EXPECT("describe client/arrivals", 0, "outstanding");
    EXPECT("describe send", 0, "send: ");
    EXPECT("describe nic/srov", 2, "nothing called 'nic/srov'; did you mean 'nic/sriov'?");
}

/* Every name that `describe` lists can be described. */
Test(cli, describe_knows_every_name_that_it_lists) {
    const struct outcome outcome = run_with("", "describe");
    cr_assert_eq(outcome.status, 0);
    size_t names = 0;
    for (const char *at = outcome.text; (at = strstr(at, "\n  ")) != NULL; ++at) {
        char line[128];
        (void)snprintf(line, sizeof line, "describe %.*s", (int)strcspn(at + 3, " \n"), at + 3);
        const struct outcome one = run_with("", line);
        cr_expect_eq(one.status, 0, "'%s': %s", line, one.text);
        free(one.text);
        names += 1;
    }
    cr_expect_gt(names, 20);
    free(outcome.text);
}

Test(cli, a_config_that_is_not_there_gets_the_nearest) {
    EXPECT("run arrakis-tabel1", 2, "there is no 'arrakis-tabel1'", "did you mean 'arrakis-table1'?");
    EXPECT("check /nonexistent/a.yaml", 2, "/nonexistent/a.yaml");
    EXPECT("fit linux-3.9", 2, "there is no 'linux-3.9'", "did you mean 'linux-3.8'?");
    EXPECT("validate arrakis-osdi15", 2, "there is no paper 'arrakis-osdi15'", "did you mean 'arrakis-osdi14'?");
}

Test(cli, check_says_what_is_good) {
    EXPECT("check arrakis-table1 configs/experiments/arrakis-fig4.yaml", 0, "arrakis-table1: good: 4 systems",
           "arrakis-fig4.yaml: good:");
    EXPECT("check /nonexistent/a.yaml arrakis-table1", 2, "/nonexistent/a.yaml", "arrakis-table1: good:");
}

Test(cli, a_bad_configuration_writes_nothing) {
    const char *folder = fresh_folder();
    EXPECT(line_of("run arrakis-table1 --set run.requets=5 --set run.seed=x --out %s", folder), 2, "run.requets",
           "did you mean 'requests'?", "run.seed");
    cr_expect_neq(access(folder, F_OK), 0, "the folder was made");
    remove_fresh(folder);
}

Test(cli, report_and_plot_want_a_results_folder) {
    EXPECT("report /tmp", 2, "'/tmp' is no results folder");
    EXPECT("plot /tmp", 2, "'/tmp' is no results folder");
    EXPECT("report /tmp linux", 2, "'linux' goes with --detail");
}

Test(cli, a_run_reports_and_can_be_reported_again) {
    static const char short_run[] = "run arrakis-table1 --set run.requests=40 --set run.warmup_requests=10 --seed 5 "
                                    "-j2 --no-plot --out %s";
    const char *folder = fresh_folder();
    EXPECT(line_of(short_run, folder), 0, "net_stack_in", "arrakis_native", "results: ", folder, "speed: ", "events/s",
           "peak memory");
    EXPECT(line_of("report %s", folder), 0, "net_stack_in", "linux_cpu_idle");
    EXPECT(line_of("report %s --detail linux_cpu_idle", folder), 0, "linux_cpu_idle", "scheduler");
    EXPECT(line_of("report %s --detail linux_cpu_idel", folder), 2, "did you mean 'linux_cpu_idle'?");
    char path[256];
    (void)snprintf(path, sizeof path, "%s/table1.png", folder);
    cr_expect_neq(access(path, F_OK), 0, "--no-plot drew one");
    remove_fresh(folder);
}

/* ---- The man page and the README name the options that exist, and no others. ---- */

static char *read_document(const char *name) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", SOURCE_DIR, name);
    FILE *in = fopen(path, "r");
    cr_assert_not_null(in, "%s", path);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (int c; (c = fgetc(in)) != EOF;) {
        if (c != '\\') {
            (void)fputc(c, out);
        } else if ((c = fgetc(in)) == 'f') { /* roff's \fB changes the font */
            (void)fgetc(in);
        } else { /* and \- is a hyphen */
            (void)fputc(c, out);
        }
    }
    (void)fclose(in);
    (void)fclose(out);
    return text;
}

/* The help of all commands, and of the program. */
static char *all_help(void) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    (void)fputs("--version ", out);
    for (const struct cli_command *command = cli_commands; command->name != NULL; ++command) {
        cli_print_options(command, out);
    }
    (void)fclose(out);
    return text;
}

/* Each long option in `text` must be in `other`. Returns how many there are. */
static size_t expect_options_of(const char *text, const char *other, const char *what) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "--")) != NULL; at += 2) {
        const size_t length = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
        char option[64];
        (void)snprintf(option, sizeof option, "%.*s", (int)(length + 2 < 60 ? length + 2 : 60), at);
        if (length > 0) {
            cr_expect_not_null(strstr(other, option), "%s: '%s'", what, option);
            count += 1;
        }
    }
    return count;
}

Test(cli, the_man_page_names_exactly_the_options_that_exist) {
    char *man = read_document("man/stillsuit.1"), *help = all_help();
    cr_expect_geq(expect_options_of(help, man, "the man page lacks an option"), 10);
    cr_expect_geq(expect_options_of(man, help, "the man page names what does not exist"), 10);
    free(man);
    free(help);
}

Test(cli, the_readme_names_options_that_exist) {
    char *readme = read_document("README.md"), *help = all_help();
    char *table;
    while ((table = strstr(readme, "|---")) != NULL) { /* rules of tables */
        memset(table, ' ', strspn(table, "|-"));
    }
    cr_expect_geq(expect_options_of(readme, help, "the README names what does not exist"), 1);
    free(readme);
    free(help);
}

Test(cli, a_run_warns_of_an_axis_without_effect_and_of_no_other) {
    const char *folder = fresh_folder();
    char line[512];
    (void)snprintf(line, sizeof line, "run tests/experiment/data/flat.yaml --no-plot --out %s", folder);
    const struct outcome outcome = run_with("", line);
    cr_expect_eq(outcome.status, 0, "%s", outcome.text);
    cr_expect_not_null(
        strstr(outcome.text, "warning: driver: 'machine.iommu.iotlb_entries' had no effect: every result is the same"));
    cr_expect_null(strstr(outcome.text, "'workload.parameters.payload' had no effect"), "%s", outcome.text);
    free(outcome.text);
    remove_fresh(folder);
}
