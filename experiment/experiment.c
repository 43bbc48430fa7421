/* Loading an experiment and checking all of it before anything runs. */
#include "experiment/experiment.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/papers.h"
#include "experiment/plan.h"
#include "experiment/plot.h"
#include "experiment/report_internal.h"
#include "sim/error.h"

const struct param plan_run_params[] = {
    {"warmup_requests", PARAM_INTEGER, offsetof(struct plan_run, warmup_requests), "200", "0", "1000000000", NULL,
     "Requests completed before measuring starts"},
    {"warmup", PARAM_TIME, offsetof(struct plan_run, warmup), "0 us", "0 us", "100 s", NULL,
     "Time before measuring starts, counted beside warmup_requests: the later of both"},
    {"requests", PARAM_INTEGER, offsetof(struct plan_run, requests), "0", "0", "1000000000", NULL,
     "Requests to measure; 0: as many as the duration holds"},
    {"duration", PARAM_TIME, offsetof(struct plan_run, duration), "0 us", "0 us", "1000 s", NULL,
     "Time to measure; 0: as long as the requests take"},
    {"time_limit", PARAM_TIME, offsetof(struct plan_run, time_limit), "10 s", "1 us", "10000 s", NULL,
     "Simulated time after which a point that has not got its requests fails"},
    {"seed", PARAM_INTEGER, offsetof(struct plan_run, seed), "1", "0", NULL, NULL, "Master seed of the random streams"},
    {0},
};

/* By enum plan_kind. */
static const char *const kinds[] = {"network", "dma", "classify", "storage", "kernel", "drive", NULL};
static const char *const root_keys[] = {"name",    "title",    "machine", "network", "workload", "also",
                                        "systems", "matrix",   "run",     "report",  "plot",     "kind",
                                        "dma",     "classify", "kernel",  "drive",   "only",     NULL};
static const char *const report_keys[] = {"rows", "counters", "paper", "table", NULL};
enum { PAPER_TABLES_MAX = 64 }; /* among which a suggestion is looked for */

void plan_resolve_path(const struct config_node *node, char *out, size_t out_bytes) {
    const char *text = config_text(node, "");
    if (text[0] == '/' || node == NULL || node->file == NULL || strncmp(node->file, "--set", 5) == 0) {
        (void)snprintf(out, out_bytes, "%s", text);
        return;
    }
    char *copy = strdup(node->file);
    SIM_ASSERT(copy != NULL);
    (void)snprintf(out, out_bytes, "%s/%s", dirname(copy), text);
    free(copy);
}

static bool name_is_plain(const char *name) {
    return name[0] != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == strlen(name);
}

static void read_name(struct experiment *experiment, struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(experiment->config);
    const struct config_node *name = config_get(root, "name");
    experiment->name = config_text(name, NULL);
    if (experiment->name == NULL || !name_is_plain(experiment->name)) {
        diagnostics_at(diagnostics, name != NULL ? name : root,
                       "an experiment needs a 'name' of letters, digits, '-', '_' and '.': its results folder");
    }
    experiment->title = config_text(config_get(root, "title"), experiment->name);
    const struct config_node *kind = config_get(root, "kind");
    const char *text = config_text(kind, "network");
    experiment->kind = PLAN_NETWORK;
    bool found = false;
    for (int i = 0; kinds[i] != NULL; i++) {
        if (strcmp(text, kinds[i]) == 0) {
            experiment->kind = i;
            found = true;
        }
    }
    if (!found) {
        const char *nearest = config_nearest(text, kinds);
        diagnostics_at(diagnostics, kind, "kind: '%s' is none of network, dma, classify, storage, kernel, drive%s%s%s",
                       text, nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "'?" : "");
    }
}

/* A part that another kind of experiment has would be silently without effect. */
static void check_kind(const struct experiment *experiment, struct diagnostics *diagnostics) {
    static const struct {
        const char *key;
        unsigned kinds; /* a bit each */
    } parts[] = {{"network", 1U << PLAN_NETWORK},
                 {"workload", 1U << PLAN_NETWORK | 1U << PLAN_STORAGE},
                 {"also", 1U << PLAN_NETWORK | 1U << PLAN_STORAGE},
                 {"dma", 1U << PLAN_DMA},
                 {"classify", 1U << PLAN_CLASSIFY},
                 {"kernel", 1U << PLAN_KERNEL},
                 {"drive", 1U << PLAN_DRIVE}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct config_node *part = config_get(config_root(experiment->config), parts[i].key);
        if (part != NULL && (parts[i].kinds >> experiment->kind & 1) == 0) {
            diagnostics_at(diagnostics, part, "%s: has no effect where the kind is %s", parts[i].key,
                           kinds[experiment->kind]);
        }
    }
}

/* `only:` names the systems to run, one or a list; without it all run. */
static bool is_wanted(const struct config_node *only, const char *name) {
    if (only == NULL) {
        return true;
    }
    bool wanted = strcmp(config_text(only, ""), name) == 0;
    for (size_t i = 0; only->kind == CONFIG_SEQUENCE && i < only->count; i++) {
        wanted = wanted || strcmp(config_text(only->children[i], ""), name) == 0;
    }
    return wanted;
}

/* A name in `only:` that is no system's. */
static void check_only(const struct config_node *name, const struct config_node *systems,
                       struct diagnostics *diagnostics) {
    const char *text = config_text(name, "");
    const char *names[PLAN_SYSTEMS_MAX + 1] = {NULL};
    for (size_t i = 0; i < systems->count; i++) {
        names[i] = systems->keys[i];
    }
    if (config_get(systems, text) == NULL) {
        const char *nearest = config_nearest(text, names);
        diagnostics_at(diagnostics, name, "only: there is no system '%s'%s%s%s", text,
                       nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "'?" : "");
    }
}

static void read_systems(struct experiment *experiment, struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(experiment->config);
    const struct config_node *systems = config_get(root, "systems");
    if (systems == NULL || systems->kind != CONFIG_MAPPING || systems->count == 0) {
        diagnostics_at(diagnostics, systems != NULL ? systems : root,
                       "systems: expected a mapping of names to systems, such as {linux: {type: linux, ...}}");
        return;
    }
    if (systems->count > PLAN_SYSTEMS_MAX) {
        diagnostics_at(diagnostics, systems, "systems: %zu is outside 1..%d", systems->count, PLAN_SYSTEMS_MAX);
        return;
    }
    const struct config_node *only = config_get(root, "only");
    for (size_t i = 0; i < systems->count; i++) {
        if (!is_wanted(only, systems->keys[i])) {
            continue;
        }
        if (!name_is_plain(systems->keys[i])) {
            diagnostics_at(diagnostics, systems->key_nodes[i], "systems: '%s' is no name: letters, digits, '-', '_'",
                           systems->keys[i]);
        }
        if (systems->children[i]->kind != CONFIG_MAPPING) {
            diagnostics_at(diagnostics, systems->children[i], "systems.%s: expected a mapping", systems->keys[i]);
        }
        experiment->systems[experiment->system_count++].name = systems->keys[i];
    }
    if (only != NULL && only->kind != CONFIG_SEQUENCE) {
        check_only(only, systems, diagnostics);
    }
    for (size_t i = 0; only != NULL && only->kind == CONFIG_SEQUENCE && i < only->count; i++) {
        check_only(only->children[i], systems, diagnostics);
    }
    if (only != NULL && only->kind == CONFIG_SEQUENCE && only->count == 0) {
        diagnostics_at(diagnostics, only, "only: names no system");
    }
}

/* The table that the results will be compared with. */
static void check_published(const struct config_node *report, struct diagnostics *diagnostics) {
    const struct config_node *path_node = config_get(report, "paper"), *table = config_get(report, "table");
    char path[1024];
    plan_resolve_path(path_node, path, sizeof path);
    if (access(path, R_OK) != 0) {
        diagnostics_at(diagnostics, path_node, "report.paper: cannot read '%s'", path);
        return;
    }
    struct paper *paper = paper_load(path, diagnostics);
    const char *name = config_text(table, "");
    if (paper != NULL && table == NULL) {
        diagnostics_at(diagnostics, report, "report: 'table' is missing: which of the paper's tables");
    } else if (paper != NULL && paper_table_find(paper, name) == paper_tables(paper)) {
        const char *names[PAPER_TABLES_MAX + 1] = {NULL};
        for (size_t i = 0; i < paper_tables(paper) && i < PAPER_TABLES_MAX; i++) {
            names[i] = paper_table_name(paper, i);
        }
        const char *nearest = config_nearest(name, names);
        diagnostics_at(diagnostics, table, "report.table: the paper has no table '%s'%s%s%s", name,
                       nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "'?" : "");
    }
    paper_free(paper);
}

static void read_report(struct experiment *experiment, struct diagnostics *diagnostics) {
    const struct config_node *report = config_get(config_root(experiment->config), "report");
    if (report == NULL) {
        return;
    }
    (void)config_check_keys(report, report_keys, diagnostics);
    const struct config_node *rows = config_get(report, "rows");
    if (rows != NULL && (rows->kind != CONFIG_SEQUENCE || rows->count > PLAN_ROWS_MAX)) {
        diagnostics_at(diagnostics, rows, "report.rows: expected a list of at most %d components", PLAN_ROWS_MAX);
        return;
    }
    for (size_t i = 0; rows != NULL && i < rows->count; i++) {
        experiment->rows[experiment->row_count++] = config_text(rows->children[i], "");
    }
    if (config_get(report, "counters") != NULL) {
        (void)report_check_counters(config_get(report, "counters"), diagnostics);
    }
    if (config_get(report, "paper") != NULL) {
        check_published(report, diagnostics);
    } else if (config_get(report, "table") != NULL) {
        diagnostics_at(diagnostics, config_get(report, "table"), "report.table: has no effect without report.paper");
    }
}

static void read_run(struct experiment *experiment, struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(experiment->config);
    const struct config_node *run = config_get(root, "run");
    if (config_bind(run, plan_run_params, &experiment->run, diagnostics) &&
        (experiment->kind == PLAN_NETWORK || experiment->kind == PLAN_STORAGE) && experiment->run.requests == 0 &&
        experiment->run.duration == 0) {
        diagnostics_at(diagnostics, run != NULL ? run : root, "run: needs 'requests' or 'duration'");
    }
}

static void read_matrix(struct experiment *experiment, struct diagnostics *diagnostics) {
    static const char *const taken[] = {"point",    "system",  "component", "kind",     "resource",
                                        "instance", "counter", "value",     "requests", NULL};
    const struct config_node *matrix = config_get(config_root(experiment->config), "matrix");
    if (!config_matrix_read(matrix, &experiment->matrix, diagnostics)) {
        config_matrix_free(&experiment->matrix);
        experiment->matrix.points = 1; /* what the file says without its grid is checked, too */
        return;
    }
    if (experiment->matrix.count > sizeof((struct plan_point *)0)->values / sizeof(char *)) {
        diagnostics_at(diagnostics, matrix, "matrix: %zu axes are outside 0..16", experiment->matrix.count);
        experiment->matrix.count = 0;
        return;
    }
    for (size_t i = 0; i < experiment->matrix.count; i++) {
        for (const char *const *name = taken; *name != NULL; name++) {
            if (strcmp(*name, experiment->matrix.axes[i].name) == 0) {
                diagnostics_at(diagnostics, matrix, "matrix: the column '%s' is taken; name the axis with 'as:'",
                               *name);
            }
        }
    }
}

/* Points differ in what is wrong with them; each error is said once. */
static void check_points(const struct experiment *experiment, struct diagnostics *diagnostics) {
    const size_t points = experiment_points(experiment);
    for (size_t index = 0; index < points; index++) {
        plan_point_check(experiment, index, diagnostics);
    }
}

struct experiment *experiment_load(const char *path, const char *const *settings, size_t setting_count,
                                   struct diagnostics *diagnostics) {
    struct experiment *experiment = calloc(1, sizeof *experiment);
    SIM_ASSERT(experiment != NULL);
    experiment->path = strdup(path);
    experiment->config = config_load(path, diagnostics);
    if (experiment->config == NULL) {
        experiment_free(experiment);
        return NULL;
    }
    for (size_t i = 0; i < setting_count; i++) {
        (void)config_set(experiment->config, settings[i], diagnostics);
    }
    (void)config_check_keys(config_root(experiment->config), root_keys, diagnostics);
    read_name(experiment, diagnostics);
    check_kind(experiment, diagnostics);
    read_systems(experiment, diagnostics);
    plan_override_check(experiment, diagnostics);
    read_report(experiment, diagnostics);
    read_run(experiment, diagnostics);
    read_matrix(experiment, diagnostics);
    (void)plot_check(config_get(config_root(experiment->config), "plot"), diagnostics);
    if (experiment->system_count > 0 && experiment->matrix.points > 0) {
        check_points(experiment, diagnostics);
    }
    if (diagnostics->errors > 0) {
        experiment_free(experiment);
        return NULL;
    }
    return experiment;
}

void experiment_free(struct experiment *experiment) {
    if (experiment != NULL) {
        config_matrix_free(&experiment->matrix);
        config_free(experiment->config);
        free(experiment->path);
        free(experiment);
    }
}

const char *experiment_name(const struct experiment *experiment) {
    return experiment->name;
}

const char *experiment_title(const struct experiment *experiment) {
    return experiment->title;
}

const struct config_node *experiment_config(const struct experiment *experiment) {
    return config_root(experiment->config);
}

uint64_t experiment_seed(const struct experiment *experiment) {
    return experiment->run.seed;
}

size_t experiment_systems(const struct experiment *experiment) {
    return experiment->system_count;
}

const char *experiment_system_name(const struct experiment *experiment, size_t index) {
    return experiment->systems[index].name;
}

size_t experiment_points(const struct experiment *experiment) {
    return experiment->system_count * experiment->matrix.points;
}

size_t experiment_axes(const struct experiment *experiment) {
    return experiment->matrix.count;
}

const char *experiment_axis_name(const struct experiment *experiment, size_t axis) {
    return experiment->matrix.axes[axis].name;
}
