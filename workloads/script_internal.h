/* script_internal.h: what the files that parse and run scripts share. */
#ifndef STILLSUIT_WORKLOADS_SCRIPT_INTERNAL_H
#define STILLSUIT_WORKLOADS_SCRIPT_INTERNAL_H

#include "sim/arena.h"
#include "workloads/op.h"
#include "workloads/script.h"

enum { SCRIPT_NAMES_MAX = 256, SCRIPT_NAME_BYTES = 512 };

/* ---- script_arena.c: all of a script's memory, freed at once. ---- */
struct script_arena {
    struct arena memory;
    const char *last_file_copy; /* file names come in long runs of the same */
};
void script_arena_free(struct script_arena *arena);
/* A node like `like` (kind, place), without children, with room for `capacity`. */
struct config_node *script_new_node(struct script_arena *arena, const struct config_node *like, enum config_kind kind,
                                    size_t capacity);
/* A mapping {key: value} that stands where `value` does; `value` keeps its parent. */
struct config_node *script_wrap(struct script_arena *arena, const char *key, const struct config_node *value);

/* ---- script_parameters.c ---- */
struct script_parameter {
    const char *name, *text;        /* text NULL: in error, and reported */
    const struct config_node *node; /* its declaration's key */
    bool used;
};
struct script_parameters {
    struct script_parameter *items;
    struct param *table; /* ends with {0} */
    const char **names;  /* NULL-terminated */
    size_t count;
};
/* Reads `parameters:` (may be NULL) and what the experiment gives (may be NULL). */
void script_parameters_read(struct script_arena *arena, struct script_parameters *parameters,
                            const struct config_node *declared, const struct config_node *given,
                            struct diagnostics *diagnostics);
struct script_parameter *script_parameters_find(const struct script_parameters *parameters, const char *name,
                                                size_t length);

/* ---- script_tree.c ---- */
/* A copy of `node` with parameters substituted. What refers to a parameter that is
 * unknown (reported) or in error is left out, and its parent marked incomplete. */
struct config_node *script_tree_copy(struct script_arena *arena, const struct config_node *node,
                                     struct script_parameters *parameters, struct diagnostics *diagnostics);
/* `over` merged over `base`, as script.h says of the client. Either may be NULL. */
struct config_node *script_tree_merge(struct script_arena *arena, struct config_node *base, struct config_node *over);

/* ---- script_compile.c ---- */
struct script_socket {
    const char *name;
    uint16_t port;
    bool per_thread, listens;
};
struct script {
    struct script_arena arena;
    struct script_parameters parameters;
    const char *help;
    uint64_t threads, buffer_bytes;
    struct block setup, loop;
    uint64_t operations; /* that it uses: bit n is row n of the table */
    struct script_socket sockets[SCRIPT_NAMES_MAX];
    const char *logs[SCRIPT_NAMES_MAX];
    uint64_t log_bytes; /* of all of them, a thread */
    const char *spans[SPANS_MAX];
    struct script_file files[SCRIPT_NAMES_MAX];
    struct script_table tables[SCRIPT_NAMES_MAX];
    struct block_trace *traces[SCRIPT_NAMES_MAX];
    size_t socket_count, buffer_count, log_count, file_count, table_count, trace_count, span_count;
    struct client_config client;
    const struct config_node *resolved;
};
/* Compiles `server:` (substituted) into `script`. */
void script_compile_server(struct script *script, const struct config_node *server, struct diagnostics *diagnostics);

#endif
