/* fit: the keys of a profile that name a calibration table, by nonlinear least
 * squares (GSL, Levenberg-Marquardt) over real runs of the table's experiment. */
#include "experiment/fit.h"

#include <gsl/gsl_matrix.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/results.h"

/* A miss of 5 %, or of 0.02 of the table's unit, counts 1: the precision to which
 * the papers print. */
static double weight_of(double published) {
    return 1 / fmax(0.05 * fabs(published), 0.02);
}

static bool is_column(const struct fit *fit, const char *column) {
    for (size_t i = 0; i < fit->column_count; i++) {
        if (strcmp(fit->columns[i], column) == 0) {
            return true;
        }
    }
    return false;
}

static double setting_value(const struct fit_key *key) {
    const double value = fmax(key->value, 0);
    return key->quantity == FIT_VALUE ? value : round(value);
}

/* Runs the experiment with the keys' present values; residuals of the columns. */
static enum error_code judge(struct fit *fit, double *residuals, size_t *count, struct error *error) {
    enum { SETTINGS_MAX = FIT_KEYS_MAX * FIT_COLUMNS_MAX + 1 };
    static char texts[SETTINGS_MAX][768];
    static const char *settings[SETTINGS_MAX];
    size_t setting_count = 0;
    for (size_t k = 0; k < fit->key_count; k++) {
        for (size_t p = 0; p < fit->keys[k].path_count; p++) {
            (void)snprintf(texts[setting_count], sizeof texts[0], "%s=%.6g%s", fit->keys[k].paths[p],
                           setting_value(&fit->keys[k]), fit->keys[k].unit);
            settings[setting_count] = texts[setting_count];
            setting_count++;
        }
    }
    char *only = texts[setting_count];
    settings[setting_count++] = only;
    int length = snprintf(only, sizeof texts[0], "only=[");
    for (size_t c = 0; c < fit->column_count; c++) {
        length += snprintf(only + length, sizeof texts[0] - (size_t)length, "%s%s", c > 0 ? ", " : "", fit->columns[c]);
    }
    (void)snprintf(only + length, sizeof texts[0] - (size_t)length, "]");
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct experiment *experiment = experiment_load(fit->experiment, settings, setting_count, &diagnostics);
    if (experiment == NULL) {
        diagnostics_print(&diagnostics, stderr);
        diagnostics_free(&diagnostics);
        return error_set(error, ERR_CONFIG, "%s is not valid with the fitted values", fit->experiment);
    }
    diagnostics_free(&diagnostics);
    const struct run_options options = {.jobs = fit->options->jobs, .out = fit->folder, .restart = true, .quiet = true};
    struct run_summary summary;
    enum error_code code = experiment_run(experiment, &options, &summary, error);
    experiment_free(experiment);
    if (code != OK) {
        return code;
    }
    struct paper_figure figures[FIT_FIGURES_MAX];
    const size_t found = paper_figures(fit->paper, fit->table, fit->folder, figures, FIT_FIGURES_MAX, error);
    *count = 0;
    for (size_t i = 0; i < found && i < FIT_FIGURES_MAX; i++) {
        if (figures[i].calibration && is_column(fit, figures[i].column) && !isnan(figures[i].simulated)) {
            residuals[(*count)++] = (figures[i].simulated - figures[i].published) * weight_of(figures[i].published);
        }
    }
    fit->runs++;
    if (*count == 0) {
        return error_set(error, ERR_DENIED, "table %s has no figure that this profile may be fitted to",
                         paper_table_name(fit->paper, fit->table));
    }
    return OK;
}

struct solver {
    struct fit *fit;
    struct error *error;
    enum error_code code;
};

static void take_vector(struct fit *fit, const gsl_vector *x) {
    for (size_t k = 0; k < fit->key_count; k++) {
        fit->keys[k].value = gsl_vector_get(x, k) * fit->keys[k].step;
    }
}

static int residuals_at(const gsl_vector *x, void *context, gsl_vector *f) {
    struct solver *solver = context;
    double residuals[FIT_FIGURES_MAX];
    size_t count = 0;
    take_vector(solver->fit, x);
    solver->code = judge(solver->fit, residuals, &count, solver->error);
    if (solver->code != OK || count != f->size) {
        return GSL_EFAILED;
    }
    for (size_t i = 0; i < count; i++) {
        gsl_vector_set(f, i, residuals[i]);
    }
    return GSL_SUCCESS;
}

/* Differences over whole steps: cycles are whole numbers, so an infinitesimal step
 * would see nothing. */
static int jacobian_at(const gsl_vector *x, void *context, gsl_matrix *j) {
    struct solver *solver = context;
    gsl_vector *here = gsl_vector_alloc(j->size1);
    gsl_vector *there = gsl_vector_alloc(j->size1);
    gsl_vector *moved = gsl_vector_alloc(x->size);
    int status = residuals_at(x, context, here);
    for (size_t k = 0; k < x->size && status == GSL_SUCCESS; k++) {
        (void)gsl_vector_memcpy(moved, x);
        gsl_vector_set(moved, k, gsl_vector_get(x, k) + 1);
        status = residuals_at(moved, solver, there);
        for (size_t i = 0; i < j->size1 && status == GSL_SUCCESS; i++) {
            gsl_matrix_set(j, i, k, gsl_vector_get(there, i) - gsl_vector_get(here, i));
        }
    }
    gsl_vector_free(here);
    gsl_vector_free(there);
    gsl_vector_free(moved);
    return status;
}

static enum error_code solve(struct fit *fit, struct error *error) {
    double residuals[FIT_FIGURES_MAX];
    enum error_code code = judge(fit, residuals, &fit->figures, error);
    if (code != OK) {
        return code;
    }
    if (fit->figures < fit->key_count) {
        return error_set(error, ERR_RANGE, "%zu figures cannot determine %zu keys", fit->figures, fit->key_count);
    }
    struct solver solver = {fit, error, OK};
    gsl_multifit_nlinear_parameters parameters = gsl_multifit_nlinear_default_parameters();
    gsl_multifit_nlinear_workspace *workspace =
        gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &parameters, fit->figures, fit->key_count);
    gsl_multifit_nlinear_fdf fdf = {
        .f = residuals_at, .df = jacobian_at, .n = fit->figures, .p = fit->key_count, .params = &solver};
    gsl_vector *x = gsl_vector_alloc(fit->key_count);
    for (size_t k = 0; k < fit->key_count; k++) {
        gsl_vector_set(x, k, fit->keys[k].value / fit->keys[k].step);
    }
    int info = 0;
    (void)gsl_multifit_nlinear_init(x, &fdf, workspace);
    if (solver.code == OK) {
        (void)gsl_multifit_nlinear_driver(12, 1e-3, 1e-3, 1e-3, NULL, NULL, &info, workspace);
        take_vector(fit, gsl_multifit_nlinear_position(workspace));
    }
    gsl_vector_free(x);
    gsl_multifit_nlinear_free(workspace);
    return solver.code;
}

static double report(const struct fit *fit, FILE *out) {
    double largest = 0;
    (void)fprintf(out, "%-36s %-7s %12s %12s\n", "key", "", "was", "is");
    for (size_t k = 0; k < fit->key_count; k++) {
        static const char *const names[] = {"cycles", "lines", "value"};
        const struct fit_key *key = &fit->keys[k];
        const double is = setting_value(key);
        /* Relative to a step where the value is small: below that a run sees nothing. */
        const double change = fabs(is - key->initial) / fmax(fabs(key->initial), 4 * key->step);
        largest = change > largest ? change : largest;
        (void)fprintf(out, "%-36s %-7s %12.6g %12.6g\n", key->name, names[key->quantity], key->initial, is);
    }
    (void)fprintf(out, "%zu keys, %zu figures, %u runs; largest change %.2f %%\n", fit->key_count, fit->figures,
                  fit->runs, 100 * largest);
    return largest;
}

enum error_code fit_run(const struct fit_options *options, double *largest_change, FILE *out, struct error *error) {
    struct fit *fit = calloc(1, sizeof *fit);
    SIM_ASSERT(fit != NULL);
    fit->options = options;
    (void)snprintf(fit->folder, sizeof fit->folder, "/tmp/stillsuit-fit-XXXXXX");
    enum error_code code = mkdtemp(fit->folder) != NULL ? OK : error_set(error, ERR_IO, "no temporary folder");
    if (code == OK) {
        code = fit_find_keys(fit, error);
    }
    if (code == OK) {
        code = solve(fit, error);
    }
    if (code == OK) {
        for (size_t k = 0; k < fit->key_count; k++) {
            fit->keys[k].value = setting_value(&fit->keys[k]);
        }
        *largest_change = report(fit, out);
        code = options->check_only ? OK : fit_write_profile(fit, error);
    }
    results_remove(fit->folder);
    config_free(fit->profile);
    paper_free(fit->paper);
    free(fit);
    return code;
}
