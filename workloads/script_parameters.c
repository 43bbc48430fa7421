/* script_parameters.c: what a script declares as its parameters, and what an
 * experiment gives for them. */
#include <string.h>

#include "workloads/script_internal.h"

/* In the order of enum param_type; a test holds them to param_type_name(). */
static const char *const types[] = {"time",    "bytes",  "bit rate", "byte rate", "frequency", "cycles", "rate",
                                    "integer", "number", "share",    "boolean",   "choice",    "text",   NULL};

/* A declaration, as written. */
struct declaration {
    int type;
    const struct config_node *default_node, *choices;
    const struct config_node *minimum, *maximum;
    const char *help;
};

const struct param script_parameter_params[] = {
    {"type", PARAM_CHOICE, offsetof(struct declaration, type), NULL, NULL, NULL, types, "what kind of value it is"},
    {"default", PARAM_NODE, offsetof(struct declaration, default_node), "", NULL, NULL, NULL,
     "its value unless the experiment gives one; never left out, so that a script runs as it stands"},
    {"minimum", PARAM_NODE, offsetof(struct declaration, minimum), "", NULL, NULL, NULL, "lowest value allowed"},
    {"maximum", PARAM_NODE, offsetof(struct declaration, maximum), "", NULL, NULL, NULL, "highest value allowed"},
    {"choices", PARAM_NODE, offsetof(struct declaration, choices), "", NULL, NULL, NULL,
     "of a choice: the list of its values"},
    {"help", PARAM_TEXT, offsetof(struct declaration, help), "", NULL, NULL, NULL, "one line on what it does"},
    {0}};

struct reading {
    struct script_arena *arena;
    struct diagnostics *diagnostics;
};

static const char *copy_of(const struct reading *reading, const char *text) {
    return arena_copy_text(&reading->arena->memory, text, strlen(text));
}

/* Whether `node` holds a value that fits the row: bound by itself, so that one bad
 * value does not hide another. */
static bool fits(const struct reading *reading, const struct param *row, const struct config_node *node) {
    union {
        uint64_t integer;
        double real;
        const char *text;
    } unused;
    struct param rows[2] = {*row, {0}};
    rows[0].offset = 0;
    rows[0].default_text = NULL;
    return config_bind(script_wrap(reading->arena, row->key, node), rows, &unused, reading->diagnostics);
}

/* The text of a value: plain, or with its provenance. */
static const char *value_text(const struct config_node *node) {
    return config_text(node->kind == CONFIG_MAPPING ? config_get(node, "value") : node, "");
}

static bool fail(const struct reading *reading, const struct config_node *node, const char *what) {
    char name[SCRIPT_NAME_BYTES];
    config_name(node, name, sizeof name);
    diagnostics_at(reading->diagnostics, node, "%s: %s", name, what);
    return false;
}

static bool read_choices(const struct reading *reading, const struct declaration *declaration,
                         const struct config_node *node, struct param *row) {
    const struct config_node *list = declaration->choices;
    if ((row->type == PARAM_CHOICE) != (list != NULL)) {
        return fail(reading, list == NULL ? node : list,
                    list == NULL ? "a choice needs its list of 'choices'"
                                 : "only a parameter of type choice has 'choices'");
    }
    if (list == NULL) {
        return true;
    }
    if (list->kind != CONFIG_SEQUENCE || list->count == 0) {
        return fail(reading, list, "a list of values is due");
    }
    const char **choices = arena_allocate(&reading->arena->memory, (list->count + 1) * sizeof *choices);
    for (size_t i = 0; i < list->count; ++i) {
        if (list->children[i]->kind != CONFIG_SCALAR) {
            return fail(reading, list->children[i], "a single value is due");
        }
        choices[i] = copy_of(reading, list->children[i]->text);
    }
    row->choices = choices;
    return true;
}

static bool read_bound(const struct reading *reading, const struct config_node *node, const struct param *row,
                       const char **bound) {
    if (node == NULL) {
        return true;
    }
    if (row->type >= PARAM_BOOL) {
        return fail(reading, node, "a value of this type has no bounds");
    }
    const struct param unbounded = {.key = row->key, .type = row->type};
    if (!fits(reading, &unbounded, node)) {
        return false;
    }
    *bound = copy_of(reading, value_text(node));
    return true;
}

/* Fills a row from its declaration; false if anything was reported. */
static bool read_row(const struct reading *reading, const struct config_node *node, struct param *row) {
    struct declaration declaration = {0};
    if (!config_bind(node, script_parameter_params, &declaration, reading->diagnostics)) {
        return false;
    }
    row->type = (enum param_type)declaration.type;
    row->help = copy_of(reading, declaration.help);
    if (declaration.default_node == NULL) {
        return fail(reading, node, "'default' is required: a script runs as it stands");
    }
    if (!read_choices(reading, &declaration, node, row) ||
        !read_bound(reading, declaration.minimum, row, &row->minimum) ||
        !read_bound(reading, declaration.maximum, row, &row->maximum) ||
        !fits(reading, row, declaration.default_node)) {
        return false;
    }
    row->default_text = copy_of(reading, value_text(declaration.default_node));
    return true;
}

/* A name that `${...}` can hold and a path can reach. */
static bool is_name(const char *text) {
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return text[0] != '\0' && strspn(text, letters) == strlen(text);
}

static void read_one(const struct reading *reading, struct script_parameters *parameters, size_t index,
                     const struct config_node *declared, const struct config_node *given) {
    struct param *row = &parameters->table[index];
    struct script_parameter *parameter = &parameters->items[index];
    row->key = copy_of(reading, declared->keys[index]);
    row->type = PARAM_TEXT;
    parameter->name = parameters->names[index] = row->key;
    parameter->node = declared->key_nodes[index];
    if (!is_name(row->key)) {
        (void)fail(reading, declared->key_nodes[index], "a parameter's name is letters, digits and '_'");
    }
    if (!read_row(reading, declared->children[index], row)) {
        return;
    }
    const struct config_node *value = config_get(given, row->key);
    if (value == NULL) {
        parameter->text = row->default_text;
    } else if (fits(reading, row, value)) {
        parameter->text = copy_of(reading, value_text(value));
    }
}

void script_parameters_read(struct script_arena *arena, struct script_parameters *parameters,
                            const struct config_node *declared, const struct config_node *given,
                            struct diagnostics *diagnostics) {
    const struct reading reading = {arena, diagnostics};
    const bool mapping = declared != NULL && declared->kind == CONFIG_MAPPING;
    if (declared != NULL && !mapping) {
        (void)fail(&reading, declared, "a mapping of names to declarations is due");
    }
    if (given != NULL && given->kind != CONFIG_MAPPING) {
        (void)fail(&reading, given, "a mapping of names to values is due");
    }
    parameters->count = mapping ? declared->count : 0;
    parameters->items = arena_allocate(&arena->memory, (parameters->count + 1) * sizeof *parameters->items);
    parameters->table = arena_allocate(&arena->memory, (parameters->count + 1) * sizeof *parameters->table);
    parameters->names = arena_allocate(&arena->memory, (parameters->count + 1) * sizeof *parameters->names);
    for (size_t i = 0; i < parameters->count; ++i) {
        read_one(&reading, parameters, i, declared, given);
    }
    (void)config_check_keys(given, parameters->names, diagnostics);
}

struct script_parameter *script_parameters_find(const struct script_parameters *parameters, const char *name,
                                                size_t length) {
    for (size_t i = 0; i < parameters->count; ++i) {
        if (strlen(parameters->names[i]) == length && memcmp(parameters->names[i], name, length) == 0) {
            return &parameters->items[i];
        }
    }
    return NULL;
}
