/* param_bind.c: fills a struct from a mapping as its table says, and reports all that
 * does not fit. */
#include <stdlib.h>
#include <string.h>

#include "sim/config_internal.h"
#include "sim/param_internal.h"

enum { WHY_BYTES = 384 };

/* One parameter being bound. */
struct binding {
    const struct param *param;
    const char *name; /* "machine.nic.rate", for errors */
    void *out;
    struct diagnostics *diagnostics;
};

static const char *const provenances[] = {"source", "fit", "assumed", NULL};

/* ---- one literal ---- */

/* A cost's cycles may go without their unit: the key has said it. */
static bool parse_cycles(const char *text, union param_value *value, char *why) {
    return param_parse(text[strspn(text, "0123456789")] == '\0' ? PARAM_INTEGER : PARAM_CYCLES, text, value, why,
                       WHY_BYTES);
}

static bool parse_value(enum param_type type, const char *text, union param_value *value, char *why) {
    return type == PARAM_COST ? parse_cycles(text, value, why) : param_parse(type, text, value, why, WHY_BYTES);
}

static bool parse_bound(const struct param *param, const char *text, union param_value *value) {
    char why[WHY_BYTES];
    const bool good = text != NULL && parse_value(param->type, text, value, why);
    SIM_ASSERT_MSG(good || text == NULL, "the table's bound of '%s': %s", param->key, why);
    return good;
}

/* "" or why a value is out of its bounds: " is outside 1..256". */
static void check_bounds(const struct param *param, const union param_value *value, char *why) {
    union param_value minimum = {0};
    union param_value maximum = {0};
    const bool low = parse_bound(param, param->minimum, &minimum);
    const bool high = parse_bound(param, param->maximum, &maximum);
    const bool below = low && param_compare(param->type, value, &minimum) < 0;
    const bool above = high && param_compare(param->type, value, &maximum) > 0;
    why[0] = '\0';
    if (low && high && (below || above)) {
        (void)snprintf(why, WHY_BYTES, "is outside %s..%s", param->minimum, param->maximum);
    } else if (below) {
        (void)snprintf(why, WHY_BYTES, "is below %s", param->minimum);
    } else if (above) {
        (void)snprintf(why, WHY_BYTES, "is above %s", param->maximum);
    }
}

static bool is_ordered(enum param_type type) {
    return type != PARAM_BOOL && type != PARAM_CHOICE && type != PARAM_TEXT && type != PARAM_NODE;
}

/* Reports a text that is not of the type; otherwise gives its value. */
static bool read_value(const struct binding *binding, const struct config_node *node, union param_value *value) {
    char why[WHY_BYTES];
    if (node->kind != CONFIG_SCALAR) {
        diagnostics_at(binding->diagnostics, node, "%s: %s where %s such as '%s' is due", binding->name,
                       node->kind == CONFIG_SEQUENCE ? "a list" : "a mapping", param_type_phrase(binding->param->type),
                       param_type_example(binding->param->type));
        return false;
    }
    if (node->text[0] == '\0' && !node->quoted) {
        diagnostics_at(binding->diagnostics, node, "%s: there is no value", binding->name);
        return false;
    }
    if (!parse_value(binding->param->type, node->text, value, why)) {
        diagnostics_at(binding->diagnostics, node, "%s: %s", binding->name, why);
        return false;
    }
    if (is_ordered(binding->param->type)) {
        check_bounds(binding->param, value, why);
        if (why[0] != '\0') {
            diagnostics_at(binding->diagnostics, node, "%s: %s %s", binding->name, node->text, why);
            return false;
        }
    }
    return true;
}

static int choice_index(const struct param *param, const char *text) {
    for (int i = 0; param->choices[i] != NULL; ++i) {
        if (strcmp(param->choices[i], text) == 0) {
            return i;
        }
    }
    return -1;
}

static bool read_choice(const struct binding *binding, const struct config_node *node) {
    const char *text = config_text(node, "");
    const int index = choice_index(binding->param, text);
    if (index >= 0) {
        memcpy(binding->out, &index, sizeof index);
        return true;
    }
    char list[WHY_BYTES] = "";
    for (size_t i = 0; binding->param->choices[i] != NULL; ++i) {
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", binding->param->choices[i]);
    }
    const char *nearest = config_nearest(text, binding->param->choices);
    diagnostics_at(binding->diagnostics, node, "%s: '%.60s' is not one of %s%s%s%s", binding->name, text, list,
                   nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                   nearest == NULL ? "" : "'?");
    return false;
}

static bool read_literal(const struct binding *binding, const struct config_node *node) {
    union param_value value = {0};
    if (binding->param->type == PARAM_CHOICE) {
        return read_choice(binding, node);
    }
    if (!read_value(binding, node, &value)) {
        return false;
    }
    memcpy(binding->out, &value, param_type_bytes(binding->param->type));
    return true;
}

/* ---- provenance ---- */

/* Exactly one of source, fit and assumed, each a text that says something. */
static bool check_provenance(const struct binding *binding, const struct config_node *node) {
    size_t found = 0;
    bool good = true;
    for (size_t i = 0; provenances[i] != NULL; ++i) {
        const struct config_node *text = config_get(node, provenances[i]);
        found += text != NULL ? 1 : 0;
        if (text != NULL && config_text(text, "")[0] == '\0') {
            diagnostics_at(binding->diagnostics, text, "%s.%s: a text is due", binding->name, provenances[i]);
            good = false;
        }
    }
    if (found != 1 && !node->incomplete) {
        diagnostics_at(binding->diagnostics, node, "%s: exactly one of source, fit and assumed is due, and there %s",
                       binding->name, found == 0 ? "is none" : "are several");
        good = false;
    }
    if (config_get(node, "assumed") != NULL && config_get(node, "range") == NULL && !node->incomplete) {
        diagnostics_at(binding->diagnostics, node, "%s: an assumed value needs its range: [low, high]", binding->name);
        good = false;
    }
    return good;
}

/* `range: [low, high]` holds the value; `value` NULL if that did not parse. */
static bool check_range(const struct binding *binding, const struct config_node *node, const char *value_text,
                        const union param_value *value) {
    const struct config_node *range = config_get(node, "range");
    char name[CONFIG_NAME_BYTES + 8];
    const enum param_type type = binding->param->type;
    if (range == NULL) {
        return true;
    }
    (void)snprintf(name, sizeof name, "%s.range", binding->name);
    if (!is_ordered(type) || range->kind != CONFIG_SEQUENCE || range->count != 2) {
        diagnostics_at(
            binding->diagnostics, range,
            is_ordered(type) ? "%s: two values are due: [low, high]" : "%s: a value of this type has no range", name);
        return false;
    }
    struct binding inner = *binding;
    inner.name = name;
    union param_value ends[2] = {{0}, {0}};
    const bool low = read_value(&inner, range->children[0], &ends[0]);
    const bool high = read_value(&inner, range->children[1], &ends[1]);
    if (!low || !high) {
        return false;
    }
    const char *texts[2] = {range->children[0]->text, range->children[1]->text};
    if (param_compare(type, &ends[0], &ends[1]) > 0) {
        diagnostics_at(binding->diagnostics, range, "%s: %s is above %s", name, texts[0], texts[1]);
        return false;
    }
    if (value != NULL && (param_compare(type, value, &ends[0]) < 0 || param_compare(type, value, &ends[1]) > 0)) {
        diagnostics_at(binding->diagnostics, range, "%s: %s..%s does not contain %s", name, texts[0], texts[1],
                       value_text);
        return false;
    }
    return true;
}

/* {value: 10 Gbps, source: "..."} */
static bool bind_with_provenance(const struct binding *binding, const struct config_node *node) {
    static const char *const keys[] = {"value", "source", "fit", "assumed", "range", NULL};
    const struct config_node *value = config_get(node, "value");
    if (value == NULL) {
        if (node->incomplete) {
            return false;
        }
        diagnostics_at(
            binding->diagnostics, node,
            "%s: a mapping where %s such as '%s' is due; with its provenance it is {value: ..., source: \"...\"}",
            binding->name, param_type_phrase(binding->param->type), param_type_example(binding->param->type));
        return false;
    }
    bool good = config_check_keys(node, keys, binding->diagnostics);
    good = check_provenance(binding, node) && good;
    const bool parsed = read_literal(binding, value);
    union param_value stored = {0};
    if (parsed) {
        memcpy(&stored, binding->out, param_type_bytes(binding->param->type));
    }
    return check_range(binding, node, config_text(value, ""), parsed ? &stored : NULL) && parsed && good;
}

/* ---- cost ---- */

static bool read_lines(const struct binding *binding, const struct config_node *node, uint32_t *lines) {
    static const struct param param = {.key = "lines", .type = PARAM_INTEGER, .maximum = "4294967295"};
    char name[CONFIG_NAME_BYTES + 8];
    union param_value value = {0};
    if (node == NULL) {
        return true;
    }
    (void)snprintf(name, sizeof name, "%s.lines", binding->name);
    const struct binding inner = {&param, name, NULL, binding->diagnostics};
    if (!read_value(&inner, node, &value)) {
        return false;
    }
    *lines = (uint32_t)value.integer;
    return true;
}

static bool bind_cost(const struct binding *binding, const struct config_node *node) {
    static const char *const keys[] = {"cycles", "lines", "source", "fit", "assumed", "range", NULL};
    if (node->kind != CONFIG_MAPPING) {
        diagnostics_at(binding->diagnostics, node, "%s: a cost is a mapping such as %s", binding->name,
                       param_type_example(PARAM_COST));
        return false;
    }
    struct cost cost = {.source = config_text(config_get(node, "source"), NULL),
                        .fit = config_text(config_get(node, "fit"), NULL),
                        .assumed = config_text(config_get(node, "assumed"), NULL)};
    bool good = config_check_keys(node, keys, binding->diagnostics);
    good = check_provenance(binding, node) && good;
    good = read_lines(binding, config_get(node, "lines"), &cost.lines) && good;
    const struct config_node *cycles = config_get(node, "cycles");
    union param_value value = {0};
    bool parsed = false;
    if (cycles != NULL) {
        char name[CONFIG_NAME_BYTES + 8];
        (void)snprintf(name, sizeof name, "%s.cycles", binding->name);
        struct binding inner = *binding;
        inner.name = name;
        parsed = read_value(&inner, cycles, &value);
    } else if (!node->incomplete) {
        diagnostics_at(binding->diagnostics, node, "%s: 'cycles' is required", binding->name);
    }
    good = check_range(binding, node, config_text(cycles, ""), parsed ? &value : NULL) && good;
    cost.cycles = value.integer;
    if (good && parsed) {
        memcpy(binding->out, &cost, sizeof cost);
    }
    return good && parsed;
}

/* ---- the table ---- */

/* A default is the program's own: if it does not fit its row, the table is wrong. */
static void store_default(const struct param *param, void *out) {
    char why[WHY_BYTES] = "not in its list";
    union param_value value = {0};
    memset(out, 0, param_type_bytes(param->type));
    if (param->default_text == NULL || param->type == PARAM_NODE) {
        return;
    }
    bool good = true;
    if (param->type == PARAM_CHOICE) {
        const int index = choice_index(param, param->default_text);
        good = index >= 0;
        memcpy(out, &index, sizeof index);
    } else if (param->type == PARAM_COST) {
        good = parse_cycles(param->default_text, &value, why);
        const struct cost cost = {.cycles = value.integer, .source = "the default"};
        memcpy(out, &cost, sizeof cost);
    } else {
        good = param_parse(param->type, param->default_text, &value, why, sizeof why);
        memcpy(out, &value, param_type_bytes(param->type));
        if (good && is_ordered(param->type)) {
            check_bounds(param, &value, why);
            good = why[0] == '\0';
        }
    }
    SIM_ASSERT_MSG(good, "the table's default of '%s': %s", param->key, why);
}

/* A mapping that lost an include, or one inside it, may lack a key through no fault
 * of its own. */
static bool is_incomplete(const struct config_node *node) {
    for (; node != NULL; node = node->parent) {
        if (node->incomplete) {
            return true;
        }
    }
    return false;
}

static bool report_missing(const struct param *param, const struct config_node *node, struct diagnostics *diagnostics) {
    char name[CONFIG_NAME_BYTES];
    if (is_incomplete(node)) {
        return true;
    }
    config_name(node, name, sizeof name);
    diagnostics_at(diagnostics, node, "%s%s'%s' is required (%s such as %s)", name, name[0] == '\0' ? "" : ": ",
                   param->key, param_type_phrase(param->type),
                   param->type == PARAM_CHOICE ? param->choices[0] : param_type_example(param->type));
    return false;
}

static bool bind_one(const struct param *param, const struct config_node *node, void *out,
                     struct diagnostics *diagnostics) {
    char name[CONFIG_NAME_BYTES];
    config_name(node, name, sizeof name);
    const struct binding binding = {param, name, out, diagnostics};
    switch (param->type) {
    case PARAM_NODE:
        memcpy(out, &node, sizeof node);
        return true;
    case PARAM_COST:
        return bind_cost(&binding, node);
    default:
        return node->kind == CONFIG_MAPPING ? bind_with_provenance(&binding, node) : read_literal(&binding, node);
    }
}

static bool check_unknown(const struct config_node *node, const struct param *params, struct diagnostics *diagnostics) {
    size_t count = 0;
    while (params[count].key != NULL) {
        count += 1;
    }
    const char **keys = calloc(count + 1, sizeof *keys);
    SIM_ASSERT_MSG(keys != NULL, "out of memory");
    for (size_t i = 0; i < count; ++i) {
        keys[i] = params[i].key;
    }
    const bool good = config_check_keys(node, keys, diagnostics);
    free(keys);
    return good;
}

bool config_bind(const struct config_node *node, const struct param *params, void *out,
                 struct diagnostics *diagnostics) {
    bool good = true;
    const bool mapping = node == NULL || node->kind == CONFIG_MAPPING;
    if (!mapping) {
        char name[CONFIG_NAME_BYTES];
        config_name(node, name, sizeof name);
        diagnostics_at(diagnostics, node, "%s%s%s where a mapping of keys is due", name, name[0] == '\0' ? "" : ": ",
                       node->kind == CONFIG_SEQUENCE ? "a list"
                       : node->text[0] == '\0'       ? "nothing"
                                                     : "a single value");
        good = false;
    }
    for (const struct param *param = params; param->key != NULL; ++param) {
        unsigned char *place = (unsigned char *)out + param->offset;
        const struct config_node *value = config_get(node, param->key);
        store_default(param, place);
        if (value != NULL) {
            good = bind_one(param, value, place, diagnostics) && good;
        } else if (mapping && param->default_text == NULL) {
            good = report_missing(param, node, diagnostics) && good;
        }
    }
    return mapping && check_unknown(node, params, diagnostics) && good;
}
