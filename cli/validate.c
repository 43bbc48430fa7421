/* validate.c: `validate` and `fit`. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "experiment/csv_table.h"
#include "experiment/experiment.h"
#include "experiment/share.h"

/* What a prediction may be off by, and what counts as no change of a fitted key. */
static const double error_percent_max = 10, change_max = 0.01;

static int failed(enum error_code code, const struct error *error) {
    (void)fprintf(stderr, "stillsuit: %s\n", error->text[0] != '\0' ? error->text : error_code_text(code));
    return code == ERR_CONFIG ? CLI_USAGE : CLI_FAILED;
}

static bool find_papers(char *out, size_t out_bytes) {
    if (!share_find("configs/papers", out, out_bytes)) {
        (void)cli_usage_error("there is no configs/papers, neither here nor where the program is");
        return false;
    }
    return true;
}

/* Rows of validation.csv that miss; false if it cannot be read. */
static bool count_misses(const char *folder, size_t *misses, size_t *figures) {
    char path[CLI_PATH_BYTES];
    struct csv_table table;
    struct error error = {0};
    (void)snprintf(path, sizeof path, "%s/validation.csv", folder);
    if (csv_table_read(path, &table, &error) != OK) {
        (void)fprintf(stderr, "stillsuit: %s\n", error.text);
        return false;
    }
    const int use = csv_table_column(&table, "use"), simulated = csv_table_column(&table, "simulated"),
              off = csv_table_column(&table, "error_percent");
    SIM_ASSERT(use >= 0 && simulated >= 0 && off >= 0);
    *figures = table.row_count;
    *misses = 0;
    for (size_t row = 0; row < table.row_count; ++row) {
        const bool predicted = strcmp(csv_table_cell(&table, row, use), "prediction") == 0;
        const bool absent = isnan(csv_table_number(&table, row, simulated));
        *misses += absent || (predicted && fabs(csv_table_number(&table, row, off)) > error_percent_max);
    }
    csv_table_free(&table);
    return true;
}

/* The paper's name must be one that there is: nothing is written otherwise. */
static bool paper_exists(const char *paper) {
    struct cli_names names;
    cli_names_read("configs/papers", &names);
    bool found = false;
    for (size_t i = 0; i < names.count; ++i) {
        found = found || strcmp(names.names[i], paper) == 0;
    }
    if (!found) {
        char suggestion[CLI_PATH_BYTES];
        cli_suggest(paper, (const char *const *)names.names, suggestion, sizeof suggestion);
        (void)cli_usage_error("there is no paper '%s' below configs/papers%s", paper, suggestion);
    }
    cli_names_free(&names);
    return found;
}

int cli_validate(const struct cli_arguments *arguments) {
    char papers[CLI_PATH_BYTES];
    const char *paper = arguments->word_count > 0 ? arguments->words[0] : NULL;
    if (!find_papers(papers, sizeof papers) || (paper != NULL && !paper_exists(paper))) {
        return CLI_USAGE;
    }
    const struct validate_options options = {
        .papers_folder = papers,
        .paper = paper,
        .out = arguments->out != NULL ? arguments->out : "results/validation",
        .jobs = (unsigned)arguments->jobs,
        .progress = isatty(STDERR_FILENO) == 1,
    };
    struct error error = {0};
    const enum error_code code = validate_run(&options, stdout, &error);
    if (code != OK) {
        return failed(code, &error);
    }
    size_t misses, figures;
    if (!count_misses(options.out, &misses, &figures)) {
        return CLI_FAILED;
    }
    (void)printf("written: %s/validation.csv\n", options.out);
    if (misses > 0) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "stillsuit: %zu of %zu figures miss\n", misses, figures);
        return CLI_MISSED;
    }
    return CLI_OK;
}

int cli_fit(const struct cli_arguments *arguments) {
    static const char *const folders[] = {"configs/profiles", NULL};
    char papers[CLI_PATH_BYTES], profile[CLI_PATH_BYTES];
    if (!find_papers(papers, sizeof papers) ||
        !cli_find_config(arguments->words[0], folders, profile, sizeof profile)) {
        return CLI_USAGE;
    }
    const bool check = (arguments->given & CLI_CHECK) != 0;
    const struct fit_options options = {
        .profile = profile,
        .papers_folder = papers,
        .jobs = (unsigned)arguments->jobs,
        .check_only = check,
        .progress = isatty(STDERR_FILENO) == 1,
    };
    struct error error = {0};
    double largest_change = 0;
    const enum error_code code = fit_run(&options, &largest_change, stdout, &error);
    if (code != OK) {
        return failed(code, &error);
    }
    if (check && largest_change > change_max) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "stillsuit: the fit would change a key of %s by %.1f %%\n", profile,
                      100 * largest_change);
        return CLI_MISSED;
    }
    if (!check) {
        (void)printf("written: %s\n", profile);
    }
    return CLI_OK;
}
