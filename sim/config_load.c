/* config_load.c: loads a file and what it includes, and merges them into one tree. */
#include "sim/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WHY_BYTES = 256 };

/* The files that are being read, innermost first: a file that is among them would
 * include itself without end. Known by device and inode, since paths have many forms. */
struct open_file {
    const struct open_file *outer;
    const char *name;
    dev_t device;
    ino_t inode;
    bool known; /* false for a string */
};

struct loading {
    struct config *config;
    struct diagnostics *diagnostics;
};

static void resolve(struct loading *loading, const struct open_file *file, struct config_node *node, size_t depth);

/* `path` as seen from the folder of `file`. "a/b/../c" is shown as it will be opened:
 * where b is a symbolic link, a/c would be another file. */
static const char *beside(struct config *config, const char *file, const char *path) {
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || slash == NULL) {
        return path;
    }
    const size_t folder = (size_t)(slash - file) + 1;
    char *joined = arena_allocate(&config->arena, folder + strlen(path) + 1);
    memcpy(joined, file, folder);
    memcpy(joined + folder, path, strlen(path));
    return joined;
}

/* ---- merge ---- */

/* A value with its provenance is one thing: a new value under an old source would lie. */
static bool is_literal(const struct config_node *node) {
    const bool value = config_get(node, "value") != NULL || config_get(node, "cycles") != NULL;
    return value && (config_get(node, "source") != NULL || config_get(node, "fit") != NULL ||
                     config_get(node, "assumed") != NULL);
}

static void merge(struct config *config, struct config_node *own, const struct config_node *base);

static struct config_node *merge_child(struct config *config, struct config_node *own, struct config_node *base) {
    const bool both = own->kind == CONFIG_MAPPING && base->kind == CONFIG_MAPPING;
    if (both && !is_literal(own) && !is_literal(base)) {
        merge(config, own, base);
    }
    return own;
}

/* Puts `base` under `own`: its keys come first, in their order, as if the included
 * file had been edited; own values win. */
static void merge(struct config *config, struct config_node *own, const struct config_node *base) {
    const struct config_node before = *own;
    own->count = 0;
    own->incomplete = own->incomplete || base->incomplete;
    for (size_t i = 0; i < base->count; ++i) {
        const size_t over = config_find_key(&before, base->keys[i]);
        if (over == SIZE_MAX) {
            config_append(config, own, base->key_nodes[i], base->children[i]);
        } else {
            config_append(config, own, before.key_nodes[over],
                          merge_child(config, before.children[over], base->children[i]));
        }
    }
    for (size_t i = 0; i < before.count; ++i) {
        if (config_find_key(base, before.keys[i]) == SIZE_MAX) {
            config_append(config, own, before.key_nodes[i], before.children[i]);
        }
    }
}

/* ---- include ---- */

static bool is_loop(const struct open_file *file, const struct stat *status) {
    for (; file != NULL; file = file->outer) {
        if (file->known && file->device == status->st_dev && file->inode == status->st_ino) {
            return true;
        }
    }
    return false;
}

/* "a.yaml -> b.yaml -> a.yaml" */
static void report_loop(struct loading *loading, const struct open_file *file, const struct config_node *place,
                        const char *path) {
    char chain[CONFIG_NAME_BYTES];
    (void)snprintf(chain, sizeof chain, "%s", path);
    for (; file != NULL; file = file->outer) {
        char longer[CONFIG_NAME_BYTES];
        const int length = snprintf(longer, sizeof longer, "%s -> %s", file->name, chain);
        if (length < 0 || (size_t)length >= sizeof longer) {
            break;
        }
        memcpy(chain, longer, (size_t)length + 1);
    }
    diagnostics_at(loading->diagnostics, place, "include loop: %s", chain);
}

/* A file's own complaint about its whole: at its beginning, or where it is included. */
static void report_file(struct loading *loading, const char *path, const struct config_node *place, const char *why) {
    if (place != NULL) {
        diagnostics_at(loading->diagnostics, place, "cannot include '%s': %s", path, why);
    } else {
        diagnostics_add(loading->diagnostics, path, 1, 1, "cannot read this file: %s", why);
    }
}

/* Parses, checks that the root is a mapping, and resolves what it includes. */
static struct config_node *parse_mapping(struct loading *loading, const struct open_file *file, const char *text,
                                         size_t length, size_t depth) {
    const size_t errors = loading->diagnostics->errors;
    struct config_node *root =
        config_parse_tree(loading->config, file->name, text, length, depth, loading->diagnostics);
    if (root == NULL) {
        if (loading->diagnostics->errors == errors) {
            diagnostics_add(loading->diagnostics, file->name, 1, 1, "the file is empty; a mapping of keys is due");
        }
        return NULL;
    }
    if (root->kind != CONFIG_MAPPING) {
        diagnostics_at(loading->diagnostics, root, "%s where a mapping of keys is due",
                       root->kind == CONFIG_SEQUENCE ? "a list" : "a single value");
        return NULL;
    }
    resolve(loading, file, root, depth + 1);
    return root;
}

static struct config_node *load_open(struct loading *loading, const struct open_file *outer, const char *path,
                                     const struct config_node *place, size_t depth, int descriptor) {
    char why[WHY_BYTES];
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        report_file(loading, path, place, strerror(errno));
        return NULL;
    }
    if (is_loop(outer, &status)) {
        report_loop(loading, outer, place, path);
        return NULL;
    }
    size_t length = 0;
    char *text = config_read_all(descriptor, &length, why, sizeof why);
    if (text == NULL) {
        report_file(loading, path, place, why);
        return NULL;
    }
    const struct open_file file = {outer, path, status.st_dev, status.st_ino, true};
    struct config_node *root = parse_mapping(loading, &file, text, length, depth);
    free(text);
    return root;
}

/* `place` is the include, or NULL for the file named by the user. */
static struct config_node *load(struct loading *loading, const struct open_file *outer, const char *path,
                                const struct config_node *place, size_t depth) {
    /* Not to hang where the path is a pipe that nobody writes to. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        report_file(loading, path, place, strerror(errno));
        return NULL;
    }
    struct config_node *root = load_open(loading, outer, path, place, depth, descriptor);
    (void)close(descriptor);
    return root;
}

static void include_one(struct loading *loading, const struct open_file *file, struct config_node *base,
                        const struct config_node *place, size_t depth) {
    if (place->kind != CONFIG_SCALAR || place->text[0] == '\0') {
        diagnostics_at(loading->diagnostics, place, "include takes a file name or a list of file names");
        base->incomplete = true;
        return;
    }
    if (loading->config->includes == CONFIG_INCLUDES_MAX) {
        diagnostics_at(loading->diagnostics, place, "more than %d files are included", (int)CONFIG_INCLUDES_MAX);
        base->incomplete = true;
        return;
    }
    loading->config->includes += 1;
    const char *path = beside(loading->config, file->name, place->text);
    struct config_node *root = load(loading, file, path, place, depth - 1);
    if (root == NULL) {
        base->incomplete = true;
        return;
    }
    merge(loading->config, root, base); /* a later file comes over an earlier one */
    *base = *root;
}

static void remove_child(struct config_node *node, size_t index) {
    for (size_t i = index; i + 1 < node->count; ++i) {
        node->children[i] = node->children[i + 1];
        node->keys[i] = node->keys[i + 1];
        node->key_nodes[i] = node->key_nodes[i + 1];
    }
    node->count -= 1;
}

/* The arrays of a node say nothing of their capacity; merge() fills them anew. */
static void include_all(struct loading *loading, const struct open_file *file, struct config_node *node, size_t index,
                        size_t depth) {
    const struct config_node *include = node->children[index];
    struct config_node base = {.kind = CONFIG_MAPPING};
    remove_child(node, index);
    if (include->kind == CONFIG_SEQUENCE) {
        for (size_t i = 0; i < include->count; ++i) {
            include_one(loading, file, &base, include->children[i], depth);
        }
    } else {
        include_one(loading, file, &base, include, depth);
    }
    merge(loading->config, node, &base);
}

/* Children first: their includes are theirs alone. `depth` is the node's level. */
static void resolve(struct loading *loading, const struct open_file *file, struct config_node *node, size_t depth) {
    for (size_t i = 0; i < node->count; ++i) {
        const bool include = node->kind == CONFIG_MAPPING && strcmp(node->keys[i], "include") == 0;
        if (!include) {
            resolve(loading, file, node->children[i], depth + 1);
        }
    }
    const size_t index = node->kind == CONFIG_MAPPING ? config_find_key(node, "include") : SIZE_MAX;
    if (index != SIZE_MAX) {
        include_all(loading, file, node, index, depth);
    }
}

void config_resolve(struct config *config, struct config_node *node, size_t depth, struct diagnostics *diagnostics) {
    const struct open_file file = {.name = ""}; /* relative to the working directory */
    resolve(&(struct loading){config, diagnostics}, &file, node, depth);
}

static struct config *finish(struct config *config, struct config_node *root) {
    if (root == NULL) {
        config_free(config);
        return NULL;
    }
    config->root = root;
    return config;
}

struct config *config_load(const char *path, struct diagnostics *diagnostics) {
    struct config *config = config_new();
    return finish(config, load(&(struct loading){config, diagnostics}, NULL, path, NULL, 0));
}

struct config *config_parse(const char *name, const char *text, struct diagnostics *diagnostics) {
    struct config *config = config_new();
    const struct open_file file = {.name = name};
    return finish(config, parse_mapping(&(struct loading){config, diagnostics}, &file, text, strlen(text), 0));
}
