/* cli.c: the table of commands, help, and the way from argv to a command. */
#include "cli/cli.h"

#include <string.h>

const struct cli_command cli_commands[] = {
    {"run", "CONFIG", "run an experiment and report it",
     "CONFIG is a path, or the name of an experiment that comes with the program\n"
     "(see: stillsuit list). Prints the report, draws the plots, and says how fast the\n"
     "simulator was. Results go to results/<name of the experiment>. A run that was\n"
     "interrupted is taken up where it stopped.",
     CLI_SET | CLI_JOBS | CLI_SEED | CLI_OUT | CLI_RESTART | CLI_NO_PLOT | CLI_TRACE | CLI_TRACE_CALLS | CLI_LOAD, 1, 1,
     cli_run},
    {"check", "CONFIG...", "check configurations without running them",
     "Reports every error of each, with file, line and column. Writes nothing.", CLI_SET | CLI_LOAD, 1, CLI_WORDS_MAX,
     cli_check},
    {"list", "", "what there is: experiments, machines, devices, systems, ...",
     "Each with its one-line help. Configurations are those found below configs/.", CLI_LOAD, 0, 0, cli_list},
    {"describe", "[TYPE]", "the keys of a device, machine part, system, client or operation",
     "Each key with its type, default, range and meaning. Without TYPE: all names.", CLI_LOAD, 0, 1, cli_describe},
    {"report", "FOLDER [SYSTEM]", "print a results folder as tables", "SYSTEM goes with --detail.", CLI_DETAIL, 1, 2,
     cli_report},
    {"plot", "FOLDER", "draw the plots of a results folder",
     "PNG and SVG, by the 'plot' list of its config.yaml. Needs gnuplot (the Debian\n"
     "package gnuplot-nox).",
     0, 1, 1, cli_plot},
    {"validate", "[PAPER]", "compare with every published figure that the model covers",
     "Runs the experiments of configs/papers/PAPER.yaml, or of all papers, prints each\n"
     "figure beside the simulated one with its error, and writes validation.csv.\n"
     "Exit code 3 if a figure misses: no simulated value, or a prediction that is off\n"
     "by more than 10 %.",
     CLI_JOBS | CLI_OUT, 0, 1, cli_validate},
    {"sensitivity", "CONFIG", "tell what hangs on the values that an experiment assumes",
     "Sets each value that says 'assumed' to both ends of its range, one at a time, runs\n"
     "the experiment, prints how much latency and throughput change at most, and writes\n"
     "sensitivity.csv.",
     CLI_SET | CLI_JOBS | CLI_OUT, 1, 1, cli_sensitivity},
    {"fit", "PROFILE", "fit a profile's calibrated keys to their published tables",
     "Adjusts the keys that name a table ('fit: paper/table'), by least squares over\n"
     "real runs, and writes the profile. PROFILE is a path, or the name of one below\n"
     "configs/profiles.",
     CLI_JOBS | CLI_CHECK, 1, 1, cli_fit},
    {"help", "[COMMAND]", "this text, or that of a command", "", 0, 0, 1, cli_help},
    {0},
};

static const char exit_codes[] = "exit codes:\n"
                                 "  0  done\n"
                                 "  1  the run failed\n"
                                 "  2  bad usage, or a configuration that is not valid; nothing was written\n"
                                 "  3  it ran, but what it found does not meet the check (validate, fit --check)\n";

static void print_help(FILE *out) {
    (void)fputs("stillsuit " STILLSUIT_VERSION
                ": an exokernel on self-virtualizing hardware, simulated cycle by cycle\n"
                "\n"
                "usage: stillsuit COMMAND [ARGUMENTS]\n"
                "       stillsuit --help | --version\n"
                "\n"
                "commands:\n",
                out);
    for (const struct cli_command *command = cli_commands; command->name != NULL; ++command) {
        (void)fprintf(out, "  %-11s %-16s %s\n", command->name, command->words, command->help);
    }
    (void)fputs("\nstillsuit help COMMAND tells a command's options.\n\n", out);
    (void)fputs(exit_codes, out);
}

static void print_command_help(const struct cli_command *command, FILE *out) {
    cli_print_usage(command, out);
    (void)fprintf(out, "\n%s\n", command->help);
    if (command->details[0] != '\0') {
        (void)fprintf(out, "\n%s\n", command->details);
    }
    (void)fputs("\noptions:\n", out);
    cli_print_options(command, out);
    (void)fprintf(out, "\n%s", exit_codes);
}

/* NULL after a message. */
static const struct cli_command *find_command(const char *name) {
    const char *names[sizeof cli_commands / sizeof *cli_commands];
    size_t count = 0;
    for (const struct cli_command *command = cli_commands; command->name != NULL; ++command) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
        names[count++] = command->name;
    }
    names[count] = NULL;
    char suggestion[128];
    cli_suggest(name, names, suggestion, sizeof suggestion);
    (void)cli_usage_error("unknown command '%s'%s (see: stillsuit --help)", name, suggestion);
    return NULL;
}

int cli_help(const struct cli_arguments *arguments) {
    if (arguments->word_count == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    const struct cli_command *command = find_command(arguments->words[0]);
    if (command == NULL) {
        return CLI_USAGE;
    }
    print_command_help(command, stdout);
    return CLI_OK;
}

static int unknown_global_option(const char *word) {
    static const char *const names[] = {"--help", "--version", NULL};
    char suggestion[128];
    cli_suggest(word, names, suggestion, sizeof suggestion);
    return cli_usage_error("unknown option '%s'%s (see: stillsuit --help)", word, suggestion);
}

int cli_main(int argc, char *argv[]) {
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *first = argv[1];
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    if (strcmp(first, "--version") == 0) {
        (void)puts("stillsuit " STILLSUIT_VERSION);
        return CLI_OK;
    }
    if (first[0] == '-') {
        return unknown_global_option(first);
    }
    const struct cli_command *command = find_command(first);
    static struct cli_arguments arguments; /* large; one command a process */
    arguments.argc = argc;
    arguments.argv = argv;
    if (command == NULL || !cli_parse(command, argc - 2, argv + 2, &arguments)) {
        return CLI_USAGE;
    }
    if ((arguments.given & CLI_HELP) != 0) {
        print_command_help(command, stdout);
        return CLI_OK;
    }
    return command->run(&arguments);
}
