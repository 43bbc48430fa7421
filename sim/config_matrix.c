/* config_matrix.c: a grid over paths of a configuration, and the tree of each of its
 * points. */
#include "sim/config_internal.h"

#include <stdlib.h>
#include <string.h>

enum { POINTS_MAX = 1000000 };

/* A column's name goes into the header of a CSV. */
static bool good_name(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return name[0] != '\0' && name[strspn(name, letters)] == '\0';
}

static const char *last_part(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot == NULL ? path : dot + 1;
}

/* The list of an axis and its name, whichever way it is written. NULL if reported. */
static const struct config_node *axis_list(const struct config_node *node, struct config_axis *axis,
                                           struct diagnostics *diagnostics) {
    static const char *const keys[] = {"as", "values", NULL};
    const struct config_node *list = node;
    if (node->kind == CONFIG_MAPPING) {
        if (!config_check_keys(node, keys, diagnostics)) {
            return NULL;
        }
        list = config_get(node, "values");
        const struct config_node *as = config_get(node, "as");
        axis->name = as == NULL ? axis->name : config_text(as, "");
    }
    if (list == NULL || list->kind != CONFIG_SEQUENCE || list->count == 0) {
        diagnostics_at(diagnostics, list == NULL ? node : list,
                       "%s: an axis is a list of values, [a, b], or {as: name, values: [a, b]}", axis->path);
        return NULL;
    }
    return list;
}

static bool read_axis(const struct config_node *matrix, size_t index, struct config_axis *axis,
                      struct diagnostics *diagnostics) {
    const struct config_node *node = matrix->children[index];
    const struct config_node *key = matrix->key_nodes[index];
    axis->path = matrix->keys[index];
    axis->name = last_part(axis->path);
    const struct config_node *list = axis_list(node, axis, diagnostics);
    if (list == NULL) {
        return false;
    }
    bool good = true;
    if (!good_name(axis->name)) {
        diagnostics_at(diagnostics, key, "%s: '%s' cannot name a column; add as: with letters, digits and _",
                       axis->path, axis->name);
        good = false;
    }
    axis->count = list->count;
    axis->values = calloc(list->count, sizeof *axis->values);
    SIM_ASSERT_MSG(axis->values != NULL, "out of memory");
    for (size_t i = 0; i < list->count; ++i) {
        axis->values[i] = list->children[i];
        if (list->children[i]->kind != CONFIG_SCALAR) {
            diagnostics_at(diagnostics, list->children[i], "%s: each value of an axis is a single value", axis->path);
            good = false;
        }
    }
    const struct config_node *root = matrix;
    while (root->parent != NULL) {
        root = root->parent;
    }
    /* A matrix that stands alone has no tree to look into. */
    return (root == matrix || config_can_set(root, axis->path, key, diagnostics)) && good;
}

static bool check_names(const struct config_node *node, const struct config_matrix *matrix,
                        struct diagnostics *diagnostics) {
    bool good = true;
    for (size_t i = 0; i < matrix->count; ++i) {
        const char *name = matrix->axes[i].name;
        for (size_t j = 0; j < i; ++j) {
            SIM_ASSERT(name != NULL && matrix->axes[j].name != NULL);
            if (strcmp(name, matrix->axes[j].name) == 0) {
                diagnostics_at(diagnostics, node->key_nodes[i],
                               "%s: another axis is called '%s' already; add as:", matrix->axes[i].path,
                               matrix->axes[i].name);
                good = false;
                break;
            }
        }
    }
    return good;
}

bool config_matrix_read(const struct config_node *node, struct config_matrix *matrix, struct diagnostics *diagnostics) {
    *matrix = (struct config_matrix){.points = 1};
    if (node == NULL) {
        return true;
    }
    if (node->kind != CONFIG_MAPPING) {
        diagnostics_at(diagnostics, node, "matrix: a mapping of paths to lists of values is due");
        return false;
    }
    matrix->axes = calloc(node->count + 1, sizeof *matrix->axes);
    SIM_ASSERT_MSG(matrix->axes != NULL, "out of memory");
    bool good = true;
    for (size_t i = 0; i < node->count; ++i) {
        struct config_axis *axis = &matrix->axes[matrix->count++];
        good = read_axis(node, i, axis, diagnostics) && good;
        if (axis->count != 0 && matrix->points > POINTS_MAX / axis->count) {
            diagnostics_at(diagnostics, node, "matrix: more than %d points", (int)POINTS_MAX);
            return false;
        }
        matrix->points *= axis->count == 0 ? 1 : axis->count;
    }
    return check_names(node, matrix, diagnostics) && good;
}

void config_matrix_free(struct config_matrix *matrix) {
    for (size_t i = 0; i < matrix->count; ++i) {
        free(matrix->axes[i].values);
    }
    free(matrix->axes);
    *matrix = (struct config_matrix){0};
}

struct config *config_matrix_point(const struct config *config, const struct config_matrix *matrix, size_t point,
                                   const char **values, struct diagnostics *diagnostics) {
    SIM_ASSERT(point < matrix->points);
    struct config *clone = config_clone(config);
    size_t rest = point;
    bool good = true;
    for (size_t i = matrix->count; i-- > 0;) { /* the last axis runs fastest */
        const struct config_axis *axis = &matrix->axes[i];
        const struct config_node *chosen = axis->values[rest % axis->count];
        rest /= axis->count;
        struct config_node *value = config_copy_node(clone, chosen);
        values[i] = value->text;
        good = config_put(clone, axis->path, value, chosen->parent, diagnostics) && good;
    }
    if (!good) {
        config_free(clone);
        return NULL;
    }
    return clone;
}
