/* config_internal.h: what the files of the configuration share among themselves.
 * Everyone else includes sim/config.h. */
#ifndef STILLSUIT_SIM_CONFIG_INTERNAL_H
#define STILLSUIT_SIM_CONFIG_INTERNAL_H

#include "sim/arena.h"
#include "sim/config.h"

/* Keys are looked up one after the other; this bounds what a hostile file can cost. */
enum { CONFIG_KEYS_MAX = 4096, CONFIG_NAME_BYTES = 512 };

struct config {
    struct arena arena; /* owns every node and string */
    struct config_node *root;
    const char *last_file; /* the name interned last: nearly always the next node's as well */
    uint32_t includes;     /* files included so far */
};

/* ---- config_arena.c ---- */
struct config *config_new(void);
/* The arena's copy of a file name. */
const char *config_file_name(struct config *config, const char *file);
struct config_node *config_new_node(struct config *config, enum config_kind kind, const char *file, uint32_t line,
                                    uint32_t column);
/* Appends to a mapping (with its key's node) or a sequence (key_node NULL). */
void config_append(struct config *config, struct config_node *parent, struct config_node *key_node,
                   struct config_node *child);
/* A deep copy of a node into another arena; its parent is NULL. */
struct config_node *config_copy_node(struct config *config, const struct config_node *node);
/* The index of a key, or SIZE_MAX. */
size_t config_find_key(const struct config_node *node, const char *key);

/* ---- config_text.c ---- */
/* Reads an open regular file that is not too large. NULL with a sentence in `why`. */
char *config_read_all(int descriptor, size_t *length, char *why, size_t why_bytes);
/* Whether the bytes are the text that YAML allows; if not, says where and why. */
bool config_check_text(const char *file, const char *bytes, size_t length, struct diagnostics *diagnostics);

/* ---- config_parse.c ---- */
/* Turns YAML into a tree, without includes. `depth` is the number of levels above
 * it. NULL if it is no YAML at all (reported). An empty text gives NULL without a
 * report. */
struct config_node *config_parse_tree(struct config *config, const char *file, const char *text, size_t length,
                                      size_t depth, struct diagnostics *diagnostics);

/* ---- config_load.c ---- */
/* Replaces the includes below a node that was parsed by itself, from a string. */
void config_resolve(struct config *config, struct config_node *node, size_t depth, struct diagnostics *diagnostics);

/* ---- config_set.c ---- */
/* Whether `path` could be set from `root`: all but its last part is there. Reports
 * at `place` otherwise. */
bool config_can_set(const struct config_node *root, const char *path, const struct config_node *place,
                    struct diagnostics *diagnostics);
/* Puts `value` (of config's arena) at `path`. */
bool config_put(struct config *config, const char *path, struct config_node *value, const struct config_node *place,
                struct diagnostics *diagnostics);

/* ---- config_path.c ---- */
/* One part of a path: a key, or what stands in brackets. */
struct config_step {
    const char *text;
    size_t length;
    bool element;
};
/* Takes the next part off `*path`: 1 a part, 0 the end, -1 no path. */
int config_next_step(const char **path, struct config_step *step);
/* The child that a part names, or SIZE_MAX. */
size_t config_step_index(const struct config_node *node, const struct config_step *step);

#endif
