/* Which numbers of a profile a fit may touch, and where the experiment has them.
 *
 * A key takes part if it stands in the profile's own file (what it includes is
 * fitted as that file's own) and says `fit: paper/table`. `fit: paper/table#column`
 * restricts the table to one column; without it, the columns are the systems that
 * use the profile. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/fit.h"

static double scalar(const struct config_node *node) {
    return node != NULL && node->text != NULL ? strtod(node->text, NULL) : 0;
}

static bool same_file(const char *a, const char *b) {
    char resolved_a[4096], resolved_b[4096];
    return realpath(a, resolved_a) != NULL && realpath(b, resolved_b) != NULL && strcmp(resolved_a, resolved_b) == 0;
}

static enum error_code take_table(struct fit *fit, const char *text, struct error *error) {
    const size_t paper_length = strcspn(text, "/");
    const char *table = text[paper_length] == '/' ? text + paper_length + 1 : "";
    const size_t table_length = strcspn(table, "#");
    char path[1200], name[128];
    (void)snprintf(name, sizeof name, "%.*s", (int)table_length, table);
    if (fit->paper == NULL) {
        struct diagnostics diagnostics;
        diagnostics_init(&diagnostics);
        (void)snprintf(path, sizeof path, "%s/%.*s.yaml", fit->options->papers_folder, (int)paper_length, text);
        fit->paper = paper_load(path, &diagnostics);
        if (fit->paper == NULL) {
            diagnostics_print(&diagnostics, stderr);
        }
        diagnostics_free(&diagnostics);
        if (fit->paper == NULL) {
            return error_set(error, ERR_NOT_FOUND, "'fit: %s': there is no such paper", text);
        }
        fit->table = paper_table_find(fit->paper, name);
        if (fit->table == paper_tables(fit->paper)) {
            return error_set(error, ERR_NOT_FOUND, "'fit: %s': the paper has no such table", text);
        }
        paper_table_experiment(fit->paper, fit->table, fit->experiment, sizeof fit->experiment);
    } else if (paper_table_find(fit->paper, name) != fit->table) {
        return error_set(error, ERR_UNSUPPORTED, "one profile is fitted to one table; '%s' is another", text);
    }
    if (table[table_length] == '#' && fit->column_count < FIT_COLUMNS_MAX) {
        (void)snprintf(fit->columns[0], sizeof fit->columns[0], "%s", table + table_length + 1);
        fit->column_count = 1;
    }
    return OK;
}

static void add_key(struct fit *fit, const char *name, enum fit_quantity quantity, const struct config_node *node,
                    double step) {
    if (node == NULL || fit->key_count == FIT_KEYS_MAX) {
        return;
    }
    struct fit_key *key = &fit->keys[fit->key_count++];
    (void)snprintf(key->name, sizeof key->name, "%s", name);
    key->quantity = quantity;
    key->node = node;
    key->initial = scalar(node);
    key->unit = node->text + strspn(node->text, "0123456789.eE+-");
    key->value = key->initial;
    key->step = step;
}

static enum error_code collect(struct fit *fit, const struct config_node *node, const char *name, struct error *error) {
    const struct config_node *table = config_get(node, "fit");
    if (table != NULL && table->kind == CONFIG_SCALAR && same_file(node->file, fit->options->profile)) {
        const enum error_code code = take_table(fit, table->text, error);
        if (code != OK) {
            return code;
        }
        add_key(fit, name, FIT_CYCLES, config_get(node, "cycles"), 40);
        if (scalar(config_get(node, "lines")) > 0) {
            add_key(fit, name, FIT_LINES, config_get(node, "lines"), 16);
        }
        add_key(fit, name, FIT_VALUE, config_get(node, "value"), fmax(0.02, 0.05 * scalar(config_get(node, "value"))));
        return OK;
    }
    for (size_t i = 0; node->kind != CONFIG_SCALAR && i < node->count; i++) {
        char child[128];
        const char *element =
            node->kind == CONFIG_MAPPING ? node->keys[i] : config_text(config_get(node->children[i], "name"), "-");
        (void)snprintf(child, sizeof child, "%s%s%s", name, name[0] != '\0' ? "." : "", element);
        const enum error_code code = collect(fit, node->children[i], child, error);
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

static const char *const quantity_names[] = {"cycles", "lines", "value"};

/* Walks a system's tree for the places at which the profile's keys ended up. */
static bool place_keys(struct fit *fit, const struct config_node *node, const char *path) {
    bool found = false;
    for (size_t i = 0; node->kind == CONFIG_MAPPING && i < node->count; i++) {
        char child[256];
        (void)snprintf(child, sizeof child, "%s%s%s", path, path[0] != '\0' ? "." : "", node->keys[i]);
        const struct config_node *value = node->children[i];
        for (size_t k = 0; k < fit->key_count; k++) {
            struct fit_key *key = &fit->keys[k];
            if (value->kind == CONFIG_SCALAR && value->line == key->node->line && value->column == key->node->column &&
                strcmp(node->keys[i], quantity_names[key->quantity]) == 0 && same_file(value->file, key->node->file) &&
                key->path_count < FIT_COLUMNS_MAX) {
                (void)snprintf(key->paths[key->path_count++], sizeof key->paths[0], "%s", child);
                found = true;
            }
        }
        found = place_keys(fit, value, child) || found;
    }
    /* List elements are addressed by their names, as --set has it. */
    for (size_t i = 0; node->kind == CONFIG_SEQUENCE && i < node->count; i++) {
        char child[256];
        const char *name = config_text(config_get(node->children[i], "name"), NULL);
        if (name != NULL) {
            (void)snprintf(child, sizeof child, "%s[%s]", path, name);
            found = place_keys(fit, node->children[i], child) || found;
        }
    }
    return found;
}

static enum error_code find_systems(struct fit *fit, struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config = config_load(fit->experiment, &diagnostics);
    if (config == NULL || diagnostics.errors > 0) {
        diagnostics_print(&diagnostics, stderr);
        diagnostics_free(&diagnostics);
        config_free(config);
        return error_set(error, ERR_CONFIG, "%s is not valid", fit->experiment);
    }
    const bool named = fit->column_count > 0;
    const struct config_node *systems = config_get(config_root(config), "systems");
    const struct config_node *machine = config_get(config_root(config), "machine");
    const bool everywhere = machine != NULL && place_keys(fit, machine, "machine");
    for (size_t i = 0; systems != NULL && i < systems->count; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "systems.%s", systems->keys[i]);
        const bool common = everywhere && config_get(systems->children[i], "machine") == NULL;
        if ((place_keys(fit, systems->children[i], path) || common) && !named && fit->column_count < FIT_COLUMNS_MAX) {
            (void)snprintf(fit->columns[fit->column_count++], sizeof fit->columns[0], "%s", systems->keys[i]);
        }
    }
    config_free(config);
    diagnostics_free(&diagnostics);
    for (size_t k = 0; k < fit->key_count; k++) {
        if (fit->keys[k].path_count == 0) {
            return error_set(error, ERR_NOT_FOUND, "%s does not use %s of the profile", fit->experiment,
                             fit->keys[k].name);
        }
    }
    return OK;
}

enum error_code fit_find_keys(struct fit *fit, struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    fit->profile = config_load(fit->options->profile, &diagnostics);
    const bool good = fit->profile != NULL && diagnostics.errors == 0;
    if (!good) {
        diagnostics_print(&diagnostics, stderr);
    }
    diagnostics_free(&diagnostics);
    if (!good) {
        return error_set(error, ERR_CONFIG, "%s cannot be read", fit->options->profile);
    }
    enum error_code code = collect(fit, config_root(fit->profile), "", error);
    if (code == OK && fit->key_count == 0) {
        code = error_set(error, ERR_NOT_FOUND, "no key of %s says 'fit: paper/table'", fit->options->profile);
    }
    return code == OK ? find_systems(fit, error) : code;
}
