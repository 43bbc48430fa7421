/* The declared components: names, tree, and who may take over from whom. */
#include <string.h>

#include "sim/error.h"
#include "sim/ledger.h"
#include "sim/ledger_internal.h"

struct component_set ledger_allowed[LEDGER_COMPONENTS_MAX];

static struct {
    struct ledger_declaration declarations[LEDGER_COMPONENTS_MAX]; /* copies; their texts are the declarer's */
    ledger_component parents[LEDGER_COMPONENTS_MAX];
    size_t count;
    bool sealed; /* ledger_allowed is up to date */
} components;

static ledger_component find_span(const char *name, size_t length) {
    for (ledger_component i = 1; i <= components.count; i++) {
        const char *known = components.declarations[i].name;
        if (strncmp(known, name, length) == 0 && known[length] == '\0') {
            return i;
        }
    }
    return 0;
}

ledger_component ledger_find(const char *name) {
    return find_span(name, strlen(name));
}

ledger_component ledger_declare(const struct ledger_declaration *declaration) {
    const ledger_component known = ledger_find(declaration->name);
    if (known != 0) {
        return known;
    }
    SIM_ASSERT_MSG(components.count + 1 < LEDGER_COMPONENTS_MAX, "too many components, at %s", declaration->name);
    const ledger_component index = (ledger_component)++components.count;
    components.declarations[index] = *declaration;
    if (components.sealed) {
        components.sealed = false;
        memset(ledger_allowed, 0, sizeof ledger_allowed);
    }
    if (declaration->parent != NULL) {
        components.parents[index] = ledger_find(declaration->parent);
        SIM_ASSERT_MSG(components.parents[index] != 0, "%s is declared before its parent %s", declaration->name,
                       declaration->parent);
    }
    return index;
}

void ledger_declare_all(const struct ledger_declaration *table, ledger_component *out) {
    for (; table->name != NULL; table++) {
        *out++ = ledger_declare(table);
    }
}

size_t ledger_component_count(void) {
    return components.count;
}

const char *ledger_component_name(ledger_component component) {
    return component == 0 ? "idle" : components.declarations[component].name;
}

const char *ledger_component_label(ledger_component component) {
    const struct ledger_declaration *declaration = &components.declarations[component];
    if (component == 0) {
        return "Idle";
    }
    return declaration->label != NULL ? declaration->label : declaration->name;
}

ledger_component ledger_component_parent(ledger_component component) {
    return components.parents[component];
}

bool ledger_component_within(ledger_component component, ledger_component ancestor) {
    for (; component != 0; component = components.parents[component]) {
        if (component == ancestor) {
            return true;
        }
    }
    return false;
}

static const char *next_list(ledger_component component) {
    for (; component != 0; component = components.parents[component]) {
        if (components.declarations[component].next != NULL) {
            return components.declarations[component].next;
        }
    }
    return "";
}

static void seal_one(ledger_component component) {
    struct component_set *allowed = &ledger_allowed[component];
    for (ledger_component other = 1; other <= components.count; other++) {
        if (ledger_component_within(other, component) || ledger_component_within(component, other)) {
            component_set_add(allowed, other);
        }
    }
    for (const char *word = next_list(component); *word != '\0';) {
        const size_t length = strcspn(word, " ");
        const ledger_component root = find_span(word, length);
        for (ledger_component other = 1; root != 0 && other <= components.count; other++) {
            if (ledger_component_within(other, root)) {
                component_set_add(allowed, other);
            }
        }
        word += length;
        word += strspn(word, " ");
    }
}

bool ledger_allows(ledger_component from, ledger_component to) {
    if (!components.sealed) {
        for (ledger_component component = 1; component <= components.count; component++) {
            seal_one(component);
        }
        components.sealed = true;
    }
    return component_set_has(&ledger_allowed[from], to);
}
