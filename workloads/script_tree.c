/* script_tree.c: a script's tree with its parameters in place, and the experiment's
 * client section over the script's. */
#include <string.h>

#include "workloads/script_internal.h"

struct copying {
    struct script_arena *arena;
    struct script_parameters *parameters;
    struct diagnostics *diagnostics;
};

/* The text of the parameter named in `${...}`; NULL if there is none to put there. */
static const char *look_up(const struct copying *copying, const struct config_node *node, const char *name,
                           size_t length) {
    struct script_parameter *found = script_parameters_find(copying->parameters, name, length);
    if (found != NULL) {
        found->used = true;
        return found->text;
    }
    const char *word = arena_copy_text(&copying->arena->memory, name, length);
    const char *nearest = config_nearest(word, copying->parameters->names);
    diagnostics_at(copying->diagnostics, node, "unknown parameter '${%s}'%s%s%s", word,
                   nearest == NULL ? "" : "; did you mean '${", nearest == NULL ? "" : nearest,
                   nearest == NULL ? "" : "}'?");
    return NULL;
}

static const char *join(struct script_arena *arena, const char *head, const char *tail, size_t tail_length) {
    const size_t length = strlen(head);
    char *joined = arena_allocate(&arena->memory, length + tail_length + 1);
    memcpy(joined, head, length);
    memcpy(joined + length, tail, tail_length);
    return joined;
}

/* NULL if a parameter in it is unknown or in error. */
static const char *substitute(const struct copying *copying, const struct config_node *node) {
    const char *out = "";
    const char *at = node->text;
    bool good = true;
    for (;;) {
        const char *mark = strstr(at, "${");
        if (mark == NULL) {
            out = join(copying->arena, out, at, strlen(at));
            return good ? out : NULL;
        }
        const char *end = strchr(mark, '}');
        if (end == NULL) {
            diagnostics_at(copying->diagnostics, node, "'%.60s' opens a parameter with '${' and does not close it",
                           node->text);
            return NULL;
        }
        out = join(copying->arena, out, at, (size_t)(mark - at));
        const char *text = look_up(copying, node, mark + 2, (size_t)(end - mark) - 2);
        good = good && text != NULL;
        out = text == NULL ? out : join(copying->arena, out, text, strlen(text));
        at = end + 1;
    }
}

static struct config_node *copy(const struct copying *copying, const struct config_node *node);

static void copy_child(const struct copying *copying, struct config_node *to, const struct config_node *from,
                       size_t index) {
    struct config_node *child = copy(copying, from->children[index]);
    if (child == NULL) {
        to->incomplete = true;
        return;
    }
    child->parent = to;
    if (from->kind == CONFIG_MAPPING) {
        const char *key = from->keys[index];
        struct config_node *place = script_new_node(copying->arena, from->key_nodes[index], CONFIG_SCALAR, 0);
        place->text = arena_copy_text(&copying->arena->memory, key, strlen(key));
        place->parent = to;
        to->keys[to->count] = place->text;
        to->key_nodes[to->count] = place;
    }
    to->children[to->count++] = child;
}

static struct config_node *copy(const struct copying *copying, const struct config_node *node) {
    const char *text = NULL;
    if (node->kind == CONFIG_SCALAR && (text = substitute(copying, node)) == NULL) {
        return NULL;
    }
    struct config_node *made = script_new_node(copying->arena, node, node->kind, node->count);
    made->text = text;
    for (size_t i = 0; i < node->count; ++i) {
        copy_child(copying, made, node, i);
    }
    return made;
}

struct config_node *script_tree_copy(struct script_arena *arena, const struct config_node *node,
                                     struct script_parameters *parameters, struct diagnostics *diagnostics) {
    const struct copying copying = {arena, parameters, diagnostics};
    return node == NULL ? NULL : copy(&copying, node);
}

/* ---- merge ---- */

static size_t key_index(const struct config_node *node, const char *key) {
    size_t i = 0;
    while (i < node->count && strcmp(node->keys[i], key) != 0) {
        i += 1;
    }
    return i;
}

/* A process of another kind has other keys, and a value belongs to its source: what
 * the base says of either means nothing to what replaces it. */
static bool replaces(const struct config_node *base, const struct config_node *over) {
    if (base->kind != CONFIG_MAPPING || over->kind != CONFIG_MAPPING) {
        return true;
    }
    const char *process = config_text(config_get(over, "process"), NULL);
    const bool other = process != NULL && strcmp(process, config_text(config_get(base, "process"), "")) != 0;
    return other || config_get(base, "value") != NULL || config_get(over, "value") != NULL;
}

static void put(struct config_node *mapping, struct config_node *key_node, struct config_node *child) {
    mapping->keys[mapping->count] = key_node->text;
    mapping->key_nodes[mapping->count] = key_node;
    mapping->children[mapping->count] = child;
    key_node->parent = mapping;
    child->parent = mapping;
    mapping->count += 1;
}

struct config_node *script_tree_merge(struct script_arena *arena, struct config_node *base, struct config_node *over) {
    if (base == NULL || over == NULL || replaces(base, over)) {
        return over == NULL ? base : over;
    }
    struct config_node *merged = script_new_node(arena, base, CONFIG_MAPPING, base->count + over->count);
    merged->incomplete = base->incomplete || over->incomplete;
    for (size_t i = 0; i < base->count; ++i) {
        const size_t found = key_index(over, base->keys[i]);
        if (found == over->count) {
            put(merged, base->key_nodes[i], base->children[i]);
        } else {
            put(merged, over->key_nodes[found], script_tree_merge(arena, base->children[i], over->children[found]));
        }
    }
    for (size_t i = 0; i < over->count; ++i) {
        if (key_index(base, over->keys[i]) == base->count) {
            put(merged, over->key_nodes[i], over->children[i]);
        }
    }
    return merged;
}
