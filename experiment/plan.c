/* One point of an experiment: its own tree, and the check of it in a process. */
#include "experiment/plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "experiment/point.h"
#include "sim/error.h"

static struct config_node *mutable_child(struct config_node *node, const char *key) {
    if (node == NULL || node->kind != CONFIG_MAPPING) {
        return NULL;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (strcmp(node->keys[i], key) == 0) {
            return node->children[i];
        }
    }
    return NULL;
}

bool plan_point_make(const struct experiment *experiment, size_t index, struct plan_point *point,
                     struct diagnostics *diagnostics) {
    memset(point, 0, sizeof *point);
    point->experiment = experiment;
    point->index = index;
    point->place = index % experiment->matrix.points;
    point->system = index / experiment->matrix.points;
    point->config =
        config_matrix_point(experiment->config, &experiment->matrix, point->place, point->values, diagnostics);
    if (point->config == NULL) {
        return false;
    }
    struct config_node *system =
        mutable_child(mutable_child(config_root(point->config), "systems"), experiment->systems[point->system].name);
    point->system_node = system;
    bool good = plan_override(point->config, system, diagnostics);
    good =
        config_bind(config_get(config_root(point->config), "run"), plan_run_params, &point->run, diagnostics) && good;
    point->seed = point->run.seed;
    return good;
}

void plan_point_free(struct plan_point *point) {
    config_free(point->config);
    point->config = NULL;
}

/* The other end of plan_point_check: what was found, field by field. */
static void send_diagnostics(const struct diagnostics *diagnostics, FILE *out) {
    for (size_t i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *item = &diagnostics->items[i];
        (void)fprintf(out, "%d\x1f%s\x1f%u\x1f%u\x1f%s\x1e", item->warning ? 1 : 0, item->file ? item->file : "",
                      item->line, item->column, item->text);
    }
}

static bool known_already(const struct diagnostics *diagnostics, const char *file, uint32_t line, uint32_t column,
                          const char *text) {
    for (size_t i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *item = &diagnostics->items[i];
        if (item->line == line && item->column == column && strcmp(item->text, text) == 0 &&
            strcmp(item->file != NULL ? item->file : "", file) == 0) {
            return true;
        }
    }
    return false;
}

static void take_record(struct diagnostics *diagnostics, char *record) {
    char *fields[5];
    char *rest = record;
    for (size_t i = 0; i < 5; i++) {
        fields[i] = rest;
        char *end = strchr(rest, '\x1f');
        if (end == NULL) {
            SIM_ASSERT(i == 4);
            break;
        }
        *end = '\0';
        rest = end + 1;
    }
    const uint32_t line = (uint32_t)strtoul(fields[2], NULL, 10);
    const uint32_t column = (uint32_t)strtoul(fields[3], NULL, 10);
    if (fields[0][0] == '0' && !known_already(diagnostics, fields[1], line, column, fields[4])) {
        diagnostics_add(diagnostics, fields[1], line, column, "%s", fields[4]);
    }
}

static void take_diagnostics(struct diagnostics *diagnostics, FILE *in) {
    char *record = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getdelim(&record, &capacity, '\x1e', in)) > 0) {
        if (record[length - 1] == '\x1e') {
            record[length - 1] = '\0';
            take_record(diagnostics, record);
        }
    }
    free(record);
}

static void check_in_child(const struct experiment *experiment, size_t index, int fd) {
    struct diagnostics found;
    diagnostics_init(&found);
    struct plan_point point;
    (void)plan_point_make(experiment, index, &point, &found);
    if (point.config != NULL) { /* the other layers have their say, whatever was wrong */
        (void)point_check(&point, &found);
    }
    FILE *out = fdopen(fd, "we");
    if (out != NULL) {
        send_diagnostics(&found, out);
        (void)fclose(out);
    }
    _exit(0);
}

void plan_point_check(const struct experiment *experiment, size_t index, struct diagnostics *diagnostics) {
    int ends[2];
    SIM_ASSERT(pipe(ends) == 0);
    (void)fflush(NULL);
    const pid_t child = fork();
    SIM_ASSERT(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        check_in_child(experiment, index, ends[1]);
    }
    (void)close(ends[1]);
    FILE *in = fdopen(ends[0], "re");
    SIM_ASSERT(in != NULL);
    take_diagnostics(diagnostics, in);
    (void)fclose(in);
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        diagnostics_add(diagnostics, experiment->path, 0, 0, "the check of point %zu ended abnormally", index);
    }
}
