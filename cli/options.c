/* options.c: reading a command's options and words from one table. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

struct option {
    unsigned bit; /* enum cli_option_bit */
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* NULL: none */
    const char *help;
};

static const struct option options[] = {
    {CLI_SET, "set", 0, "KEY=VALUE", "set a key of the configuration; may be repeated"},
    {CLI_JOBS, "jobs", 'j', "N", "points at a time, each a process; 0, the default: one a core"},
    {CLI_SEED, "seed", 0, "SEED", "instead of the experiment's"},
    {CLI_OUT, "out", 0, "FOLDER", "where the results go"},
    {CLI_RESTART, "restart", 0, NULL, "run every point anew, also those that an interrupted run finished"},
    {CLI_NO_PLOT, "no-plot", 0, NULL, "draw no plots"},
    {CLI_TRACE, "trace", 0, "io", "write the block operations of the first calls into trace-io.csv"},
    {CLI_TRACE_CALLS, "trace-calls", 0, "N", "calls of each point that are traced; 100 without it"},
    {CLI_LOAD, "load", 0, "FILE.so", "device types from a shared object; may be repeated"},
    {CLI_DETAIL, "detail", 0, NULL, "down to the last component, of SYSTEM or of all"},
    {CLI_CHECK, "check", 0, NULL, "write nothing; exit code 3 if a key would change"},
    {CLI_HELP, "help", 'h', NULL, "this text"},
};
enum { OPTIONS = sizeof options / sizeof *options };

int cli_usage_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("stillsuit: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    return CLI_USAGE;
}

void cli_suggest(const char *word, const char *const *candidates, char *out, size_t out_bytes) {
    const char *nearest = config_nearest(word, candidates);
    out[0] = '\0';
    if (nearest != NULL) {
        (void)snprintf(out, out_bytes, "; did you mean '%s'?", nearest);
    }
}

static bool takes(const struct cli_command *command, const struct option *option) {
    return ((command->options | CLI_HELP) & option->bit) != 0;
}

void cli_print_usage(const struct cli_command *command, FILE *out) {
    (void)fprintf(out, "usage: stillsuit %s", command->name);
    if (command->words[0] != '\0') {
        (void)fprintf(out, " %s", command->words);
    }
    for (size_t i = 0; i < OPTIONS; ++i) {
        const struct option *option = &options[i];
        if ((command->options & option->bit) == 0) {
            continue;
        }
        if (option->letter != 0) {
            (void)fprintf(out, " [-%c %s]", option->letter, option->argument);
        } else {
            (void)fprintf(out, " [--%s%s%s]", option->name, option->argument != NULL ? " " : "",
                          option->argument != NULL ? option->argument : "");
        }
    }
    (void)fputc('\n', out);
}

void cli_print_options(const struct cli_command *command, FILE *out) {
    for (size_t i = 0; i < OPTIONS; ++i) {
        const struct option *option = &options[i];
        if (!takes(command, option)) {
            continue;
        }
        char left[64];
        (void)snprintf(left, sizeof left, "%c%c%s --%s %s", option->letter != 0 ? '-' : ' ',
                       option->letter != 0 ? option->letter : ' ', option->letter != 0 ? "," : " ", option->name,
                       option->argument != NULL ? option->argument : "");
        (void)fprintf(out, "  %-22s %s\n", left, option->help);
    }
}

static bool read_number(const struct option *option, const char *text, uint64_t maximum, uint64_t *out) {
    char *end;
    SIM_ASSERT(text != NULL);
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] < '0' || text[0] > '9' || value > maximum) {
        (void)cli_usage_error("--%s: '%s' is no whole number from 0 to %llu", option->name, text,
                              (unsigned long long)maximum);
        return false;
    }
    *out = value;
    return true;
}

static bool add_to(const struct option *option, const char *text, const char **list, size_t *count) {
    if (*count == CLI_SETTINGS_MAX) {
        (void)cli_usage_error("--%s: more than %d", option->name, CLI_SETTINGS_MAX);
        return false;
    }
    list[(*count)++] = text;
    return true;
}

static bool take_option(const struct option *option, const char *value, struct cli_arguments *arguments) {
    enum { JOBS_MAX = 1024, TRACE_CALLS_MAX = 1000000000 };
    arguments->given |= option->bit;
    switch ((enum cli_option_bit)option->bit) {
    case CLI_SET:
        SIM_ASSERT(value != NULL);
        if (strchr(value, '=') == NULL || value[0] == '=') {
            (void)cli_usage_error("--set: '%s' is not KEY=VALUE", value);
            return false;
        }
        return add_to(option, value, arguments->settings, &arguments->setting_count);
    case CLI_LOAD:
        return add_to(option, value, arguments->loads, &arguments->load_count);
    case CLI_JOBS:
        return read_number(option, value, JOBS_MAX, &arguments->jobs);
    case CLI_SEED:
        return read_number(option, value, UINT64_MAX, &arguments->seed);
    case CLI_TRACE:
        SIM_ASSERT(value != NULL);
        return strcmp(value, "io") == 0 || cli_usage_error("--trace: '%s' is not 'io'", value) == CLI_OK;
    case CLI_TRACE_CALLS:
        return read_number(option, value, TRACE_CALLS_MAX, &arguments->trace_calls);
    case CLI_OUT:
        arguments->out = value;
        return true;
    case CLI_RESTART:
    case CLI_NO_PLOT:
    case CLI_DETAIL:
    case CLI_CHECK:
    case CLI_HELP:
        break;
    }
    return true;
}

/* Finds the option that a word such as "--set", "--set=a=1", "-j" or "-j2" means.
 * `*value` is what is attached, or NULL. NULL after a message. */
static const struct option *find_option(const struct cli_command *command, const char *word, const char **value) {
    const char *names[OPTIONS + 1];
    size_t count = 0;
    const bool is_long = word[1] == '-';
    const size_t length = is_long ? strcspn(word, "=") : 2;
    *value = word[length] == '\0' ? NULL : word + length + (is_long ? 1 : 0);
    for (size_t i = 0; i < OPTIONS; ++i) {
        const struct option *option = &options[i];
        if (!takes(command, option)) {
            continue;
        }
        names[count++] = option->name;
        if (is_long ? strlen(option->name) + 2 == length && strncmp(option->name, word + 2, length - 2) == 0
                    : option->letter == word[1]) {
            return option;
        }
    }
    names[count] = NULL;
    char name[64], suggestion[128] = "";
    (void)snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), word);
    const char *nearest = is_long ? config_nearest(name + 2, names) : NULL;
    if (nearest != NULL) {
        (void)snprintf(suggestion, sizeof suggestion, "; did you mean '--%s'?", nearest);
    }
    (void)cli_usage_error("%s: unknown option '%s'%s (see: stillsuit help %s)", command->name, name, suggestion,
                          command->name);
    return NULL;
}

static bool take_word(const struct cli_command *command, const char *word, struct cli_arguments *arguments) {
    if (arguments->word_count == command->words_max || arguments->word_count == CLI_WORDS_MAX) {
        (void)cli_usage_error("%s: '%s' is one word too many (see: stillsuit help %s)", command->name, word,
                              command->name);
        return false;
    }
    arguments->words[arguments->word_count++] = word;
    return true;
}

/* Takes the option at argv[*at], with its argument. */
static bool take_dashed(const struct cli_command *command, int argc, char *argv[], int *at,
                        struct cli_arguments *arguments) {
    const char *value;
    const struct option *option = find_option(command, argv[*at], &value);
    if (option == NULL) {
        return false;
    }
    if (option->argument == NULL && value != NULL) {
        (void)cli_usage_error("%s: --%s takes no value", command->name, option->name);
        return false;
    }
    if (option->argument != NULL && value == NULL) {
        if (*at + 1 == argc) {
            (void)cli_usage_error("%s: --%s needs its %s", command->name, option->name, option->argument);
            return false;
        }
        value = argv[++*at];
    }
    return take_option(option, value, arguments);
}

bool cli_parse(const struct cli_command *command, int argc, char *argv[], struct cli_arguments *arguments) {
    bool words_only = false;
    for (int at = 0; at < argc; ++at) {
        bool good = true;
        if (!words_only && strcmp(argv[at], "--") == 0) {
            words_only = true;
        } else if (!words_only && argv[at][0] == '-' && argv[at][1] != '\0') {
            good = take_dashed(command, argc, argv, &at, arguments);
        } else {
            good = take_word(command, argv[at], arguments);
        }
        if (!good) {
            return false;
        }
    }
    if ((arguments->given & CLI_HELP) == 0 && arguments->word_count < command->words_min) {
        (void)cli_usage_error("%s needs %s", command->name, command->words);
        cli_print_usage(command, stderr);
        return false;
    }
    return true;
}
