/* cli.h: the command line: one table of commands, one of options.
 *
 * Exit codes are the same for every command. Help texts, the errors for unknown
 * words and the parser all read the same tables. */
#ifndef STILLSUIT_CLI_CLI_H
#define STILLSUIT_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/config.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, /* the run failed */
    CLI_USAGE = 2,  /* bad usage, or a configuration that is not valid: nothing was written */
    CLI_MISSED = 3  /* it ran, and what it found does not meet the check */
};

enum { CLI_SETTINGS_MAX = 256, CLI_WORDS_MAX = 1024, CLI_PATH_BYTES = 4096 };

/* Options, as bits: a command says which it takes. --help goes everywhere. */
enum cli_option_bit {
    CLI_SET = 1 << 0,
    CLI_JOBS = 1 << 1,
    CLI_SEED = 1 << 2,
    CLI_OUT = 1 << 3,
    CLI_RESTART = 1 << 4,
    CLI_NO_PLOT = 1 << 5,
    CLI_LOAD = 1 << 6,
    CLI_DETAIL = 1 << 7,
    CLI_CHECK = 1 << 8,
    CLI_HELP = 1 << 9,
    CLI_TRACE = 1 << 10,
    CLI_TRACE_CALLS = 1 << 11
};

/* What a command line said. The texts are argv's. */
struct cli_arguments {
    unsigned given; /* enum cli_option_bit */
    const char *settings[CLI_SETTINGS_MAX];
    size_t setting_count;
    const char *loads[CLI_SETTINGS_MAX];
    size_t load_count;
    uint64_t jobs, seed, trace_calls;
    const char *out;
    const char *words[CLI_WORDS_MAX]; /* what is no option */
    size_t word_count;
    int argc; /* the whole line, for the manifest */
    char *const *argv;
};

struct cli_command {
    const char *name;
    const char *words; /* "CONFIG", "[PAPER]": for the usage line */
    const char *help;  /* one line */
    const char *details;
    unsigned options; /* enum cli_option_bit */
    size_t words_min, words_max;
    int (*run)(const struct cli_arguments *arguments);
};
extern const struct cli_command cli_commands[]; /* ends with {0} */

/* The program: returns its exit code. */
int cli_main(int argc, char *argv[]);

/* ---- options.c ---- */
/* Reads what follows the command's name. False, after a message on stderr, if that
 * is not what the command takes. */
bool cli_parse(const struct cli_command *command, int argc, char *argv[], struct cli_arguments *arguments);
/* "stillsuit run CONFIG [--set K=V]...", and a line an option. */
void cli_print_usage(const struct cli_command *command, FILE *out);
void cli_print_options(const struct cli_command *command, FILE *out);
/* "stillsuit: <text>" on stderr; returns CLI_USAGE. */
int cli_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "; did you mean '<nearest>'?" into `out`, or "". */
void cli_suggest(const char *word, const char *const *candidates, char *out, size_t out_bytes);

/* ---- width.c ---- */
/* How wide a table on stdout may be, in characters: COLUMNS if it is set, else the
 * terminal's width, else 120. */
size_t cli_width(void);

/* ---- places.c ---- */
/* The files NAME.yaml of a folder that comes with the program, by name. */
enum { CLI_NAMES_MAX = 512 };
struct cli_names {
    char *names[CLI_NAMES_MAX + 1]; /* without ".yaml"; ends with NULL */
    size_t count;
};
void cli_names_read(const char *folder, struct cli_names *names); /* none if there is no such folder */
void cli_names_free(struct cli_names *names);
/* The path of what was named: a path, or the bare name of a file in one of the
 * folders (ended by NULL). False, after a message, if there is none. */
bool cli_find_config(const char *word, const char *const *folders, char *out, size_t out_bytes);
/* Loads the device types of --load. False, after a message. */
bool cli_load_types(const struct cli_arguments *arguments);

/* ---- commands ---- */
int cli_run(const struct cli_arguments *arguments);
int cli_check(const struct cli_arguments *arguments);
int cli_plot(const struct cli_arguments *arguments);
int cli_report(const struct cli_arguments *arguments);
int cli_list(const struct cli_arguments *arguments);
int cli_describe(const struct cli_arguments *arguments);
int cli_validate(const struct cli_arguments *arguments);
int cli_sensitivity(const struct cli_arguments *arguments);
int cli_fit(const struct cli_arguments *arguments);
int cli_help(const struct cli_arguments *arguments);

#endif
