/* validate: every published figure that the model covers, in one table. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/experiment.h"
#include "experiment/papers.h"
#include "experiment/results.h"

enum { PAPERS_MAX = 64, FIGURES_MAX = 512, RUNS_MAX = 64 };

struct validation {
    const struct validate_options *options;
    FILE *out, *csv;
    struct error *error;
    char done[RUNS_MAX][1024]; /* experiments that ran already, by path */
    size_t done_count;
    double errors[4096]; /* of predictions, absolute */
    size_t predictions, within_ten, calibrations, missing;
};

/* Several tables may share an experiment; it runs once. */
static enum error_code run_experiment(struct validation *validation, const char *path, char folder[1100]) {
    const char *base = strrchr(path, '/');
    base = base != NULL ? base + 1 : path;
    (void)snprintf(folder, 1100, "%s/%.*s", validation->options->out, (int)strcspn(base, "."), base);
    for (size_t i = 0; i < validation->done_count; i++) {
        if (strcmp(validation->done[i], path) == 0) {
            return OK;
        }
    }
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct experiment *experiment = experiment_load(path, NULL, 0, &diagnostics);
    if (experiment == NULL) {
        diagnostics_print(&diagnostics, stderr);
        diagnostics_free(&diagnostics);
        return error_set(validation->error, ERR_CONFIG, "%s is not valid", path);
    }
    diagnostics_free(&diagnostics);
    const struct run_options options = {
        .jobs = validation->options->jobs, .out = folder, .progress = validation->options->progress, .quiet = true};
    struct run_summary summary;
    const enum error_code code = experiment_run(experiment, &options, &summary, validation->error);
    experiment_free(experiment);
    if (code == OK && validation->done_count < RUNS_MAX) {
        (void)snprintf(validation->done[validation->done_count++], 1024, "%s", path);
    }
    return code;
}

static void count(struct validation *validation, const struct paper_figure *figure) {
    if (isnan(figure->simulated)) {
        validation->missing++;
    } else if (figure->calibration) {
        validation->calibrations++;
    } else if (!isnan(figure->error_percent) && validation->predictions < 4096) {
        validation->errors[validation->predictions++] = fabs(figure->error_percent);
        validation->within_ten += fabs(figure->error_percent) <= 10 ? 1 : 0;
    }
}

static void print_figure(struct validation *validation, const char *paper, const char *table,
                         const struct paper_figure *figure) {
    const char *use = figure->calibration ? "calibrated" : "predicted";
    (void)fprintf(validation->out, "%-24s %-24s %-20s %-5s %10.4g ", table, figure->column, figure->row, figure->unit,
                  figure->published);
    if (isnan(figure->simulated)) {
        (void)fprintf(validation->out, "%10s %9s %s\n", "none", "", use);
    } else if (isnan(figure->error_percent)) {
        (void)fprintf(validation->out, "%10.4g %9s %s\n", figure->simulated, "", use);
    } else {
        (void)fprintf(validation->out, "%10.4g %+7.1f %% %s%s\n", figure->simulated, figure->error_percent, use,
                      !figure->calibration && fabs(figure->error_percent) > 10 ? "  <- miss" : "");
    }
    (void)fprintf(validation->csv, "%s,%s,%s,%s,%s,%s,%.6g,", paper, table, figure->row, figure->column, figure->unit,
                  figure->calibration ? "calibration" : "prediction", figure->published);
    if (!isnan(figure->simulated)) {
        (void)fprintf(validation->csv, "%.6g", figure->simulated);
    }
    (void)fputc(',', validation->csv);
    if (!isnan(figure->error_percent)) {
        (void)fprintf(validation->csv, "%.3f", figure->error_percent);
    }
    (void)fputc('\n', validation->csv);
}

static enum error_code validate_paper(struct validation *validation, const char *path) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct paper *paper = paper_load(path, &diagnostics);
    if (paper == NULL) {
        diagnostics_print(&diagnostics, stderr);
        diagnostics_free(&diagnostics);
        return error_set(validation->error, ERR_CONFIG, "%s is not valid", path);
    }
    diagnostics_free(&diagnostics);
    enum error_code code = OK;
    (void)fprintf(validation->out, "\n%s\n%-24s %-24s %-20s %-5s %10s %10s %9s\n", paper_title(paper), "table",
                  "column", "row", "unit", "published", "simulated", "error");
    for (size_t table = 0; code == OK && table < paper_tables(paper); table++) {
        char experiment[1024], folder[1100];
        paper_table_experiment(paper, table, experiment, sizeof experiment);
        code = run_experiment(validation, experiment, folder);
        if (code != OK) {
            break;
        }
        struct paper_figure figures[FIGURES_MAX];
        const size_t found = paper_figures(paper, table, folder, figures, FIGURES_MAX, validation->error);
        for (size_t i = 0; i < found && i < FIGURES_MAX; i++) {
            print_figure(validation, paper_name(paper), paper_table_name(paper, table), &figures[i]);
            count(validation, &figures[i]);
        }
    }
    paper_free(paper);
    return code;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t list_papers(const char *folder, char *names[], struct error *error) {
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        (void)error_set(error, ERR_NOT_FOUND, "cannot read the folder %s: %s", folder, strerror(errno));
        return 0;
    }
    size_t count_found = 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL && count_found < PAPERS_MAX;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".yaml") == 0) {
            names[count_found++] = strdup(entry->d_name);
        }
    }
    (void)closedir(directory);
    qsort(names, count_found, sizeof *names, by_name);
    return count_found;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_sum(struct validation *validation) {
    (void)fprintf(validation->out, "\n%zu figures predicted", validation->predictions);
    if (validation->predictions > 0) {
        qsort(validation->errors, validation->predictions, sizeof(double), by_value);
        const size_t n = validation->predictions;
        const double median =
            n % 2 != 0 ? validation->errors[n / 2] : (validation->errors[n / 2 - 1] + validation->errors[n / 2]) / 2;
        (void)fprintf(validation->out, ": %zu within 10 %%, median error %.1f %%, largest %.1f %%",
                      validation->within_ten, median, validation->errors[n - 1]);
    }
    (void)fprintf(validation->out, "; %zu calibrated", validation->calibrations);
    if (validation->missing > 0) {
        (void)fprintf(validation->out, "; %zu without a simulated value", validation->missing);
    }
    (void)fputc('\n', validation->out);
}

static enum error_code validate_all(struct validation *validation, char *names[], size_t name_count) {
    bool found = false;
    enum error_code code = OK;
    for (size_t i = 0; i < name_count && code == OK; i++) {
        const struct validate_options *options = validation->options;
        const size_t stem = strlen(names[i]) - strlen(".yaml");
        if (options->paper != NULL &&
            (strlen(options->paper) != stem || strncmp(options->paper, names[i], stem) != 0)) {
            continue;
        }
        char path[1400];
        (void)snprintf(path, sizeof path, "%s/%s", options->papers_folder, names[i]);
        found = true;
        code = validate_paper(validation, path);
    }
    if (code == OK && !found) {
        return error_set(validation->error, ERR_NOT_FOUND, "there is no paper '%s' in %s",
                         validation->options->paper != NULL ? validation->options->paper : "*.yaml",
                         validation->options->papers_folder);
    }
    return code;
}

enum error_code validate_run(const struct validate_options *options, FILE *out, struct error *error) {
    struct validation *validation = calloc(1, sizeof *validation);
    SIM_ASSERT(validation != NULL);
    *validation = (struct validation){.options = options, .out = out, .error = error};
    char *names[PAPERS_MAX];
    const size_t name_count = list_papers(options->papers_folder, names, error);
    char path[1200];
    (void)results_make_folders(options->out); /* if it cannot, opening the file below says why */
    (void)snprintf(path, sizeof path, "%s/validation.csv", options->out);
    validation->csv = fopen(path, "we");
    enum error_code code = name_count > 0 ? OK : ERR_NOT_FOUND;
    if (code == OK && validation->csv == NULL) {
        code = error_set(error, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    if (code == OK) {
        (void)fputs("paper,table,row,column,unit,use,published,simulated,error_percent\n", validation->csv);
        code = validate_all(validation, names, name_count);
    }
    if (code == OK) {
        print_sum(validation);
    }
    if (validation->csv != NULL) {
        (void)fclose(validation->csv);
    }
    for (size_t i = 0; i < name_count; i++) {
        free(names[i]);
    }
    free(validation);
    return code;
}
