/* config.h: configuration files as a tree that remembers where each value stood.
 *
 * libyaml's events become nodes with file, line and column. `include: file` (or a
 * list of files) inside a mapping merges the named mappings under the mapping's
 * own keys, which win; of several files the later wins. Mappings merge key by key,
 * lists and values are replaced, and so is a value with its provenance as a whole.
 * Paths are relative to the including file. Anchors, aliases, tags, duplicate keys,
 * include loops, missing files, files over CONFIG_FILE_BYTES_MAX, bytes that are
 * not text: each is a diagnostic with its place. */
#ifndef STILLSUIT_SIM_CONFIG_H
#define STILLSUIT_SIM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/error.h"
#include "sim/param.h"

enum { CONFIG_FILE_BYTES_MAX = 1 << 20, CONFIG_DEPTH_MAX = 64, CONFIG_INCLUDES_MAX = 128 };

/* ---- Diagnostics: all errors of a file in one go. ---- */
struct diagnostic {
    const char *file;      /* owned by the diagnostics */
    uint32_t line, column; /* from 1; 0 where there is none */
    bool warning;
    char *text;
};
struct diagnostics {
    struct diagnostic *items;
    size_t count, capacity, errors;
};
void diagnostics_init(struct diagnostics *diagnostics);
void diagnostics_free(struct diagnostics *diagnostics);
void diagnostics_add(struct diagnostics *diagnostics, const char *file, uint32_t line, uint32_t column,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));
/* At a node's place. */
void diagnostics_at(struct diagnostics *diagnostics, const struct config_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void diagnostics_warn(struct diagnostics *diagnostics, const struct config_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "file:line:column: text", ordered by place, one line each. */
void diagnostics_print(const struct diagnostics *diagnostics, FILE *out);

/* ---- The tree. ---- */
enum config_kind { CONFIG_SCALAR, CONFIG_SEQUENCE, CONFIG_MAPPING };

struct config_node {
    enum config_kind kind;
    const char *file;      /* the file it was written in */
    uint32_t line, column; /* from 1 */
    const char *text;      /* CONFIG_SCALAR: its text */
    bool quoted;           /* CONFIG_SCALAR: written in quotes, or as a block */
    bool incomplete;       /* CONFIG_MAPPING: an include or an alias in it failed, so what it lacks is not reported */
    const struct config_node *parent; /* NULL at the root */
    size_t count;                     /* children */
    struct config_node **children;
    const char **keys;              /* CONFIG_MAPPING: one a child, in order of appearance */
    struct config_node **key_nodes; /* CONFIG_MAPPING: the keys' places */
};

/* A loaded configuration: an arena that owns every node and string. */
struct config;

/* Reads `path` with its includes. NULL (with diagnostics) if it cannot be read, is
 * no YAML, or its root is no mapping; otherwise a
 * tree that is as complete as could be, with diagnostics for what was wrong. The
 * caller frees it. */
struct config *config_load(const char *path, struct diagnostics *diagnostics);
/* The same from a string; `name` stands for the file in diagnostics, and includes
 * are relative to its folder. */
struct config *config_parse(const char *name, const char *text, struct diagnostics *diagnostics);
void config_free(struct config *config);
struct config_node *config_root(struct config *config);

/* `assignment` is "a.b.c=value" or "list[2].key=value" (also "list[name].key=value":
 * the element whose key `name` has that text); the value is YAML. Replaces a value
 * or adds a key to an existing mapping. The place of the new value is
 * "--set a.b.c", 1, 1. Returns false with a diagnostic if the path does not exist
 * (with the nearest name). */
bool config_set(struct config *config, const char *assignment, struct diagnostics *diagnostics);

/* The child of a mapping, or NULL. */
const struct config_node *config_get(const struct config_node *node, const char *key);
/* "a.b[0].c" from a node, or NULL. */
const struct config_node *config_path(const struct config_node *node, const char *path);
/* The path of a node from the root, for errors: "machine.nics[0].rate"; an element
 * with a `name` is shown by it: "machine.nics[nic0].rate". "" for the root. */
void config_name(const struct config_node *node, char *out, size_t out_bytes);
/* A scalar's text, or `otherwise` when node is NULL or no scalar. */
const char *config_text(const struct config_node *node, const char *otherwise);

/* Deep copy, so that each point of a matrix can be set apart. */
struct config *config_clone(const struct config *config);

/* Writes the resolved tree as YAML that loads again to the same tree. */
void config_write(const struct config_node *node, FILE *out);

/* Reports every key of a mapping that is not in the NULL-terminated list, with the
 * nearest name. For mappings that are read by hand rather than by a table. */
bool config_check_keys(const struct config_node *node, const char *const *allowed, struct diagnostics *diagnostics);

/* The candidate nearest to `word` by edit distance, or NULL if none is near. */
const char *config_nearest(const char *word, const char *const *candidates);

/* ---- matrix: a grid over paths ---- */
struct config_axis {
    const char *path; /* "workload.parameters.processing" */
    const char *name; /* its column: the last part of the path unless `as:` names it */
    size_t count;
    const struct config_node **values;
};
struct config_matrix {
    struct config_axis *axes;
    size_t count;
    size_t points; /* product of the axes; 1 without axes */
};
/* `node` is the value of the key `matrix`; NULL stands for none. Paths are checked
 * against the tree that the node is part of, which must outlive the matrix. To be
 * freed even if this returns false.
 * Reads `matrix: {path: [values], path: {as: name, values: [...]}}`. */
bool config_matrix_read(const struct config_node *node, struct config_matrix *matrix, struct diagnostics *diagnostics);
void config_matrix_free(struct config_matrix *matrix);
/* The tree of one point, row-major in the order of the axes; `values` receives one
 * scalar text an axis (owned by the returned config). NULL with diagnostics if a
 * path does not exist. */
struct config *config_matrix_point(const struct config *config, const struct config_matrix *matrix, size_t point,
                                   const char **values, struct diagnostics *diagnostics);

#endif
